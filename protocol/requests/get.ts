/**
 * GET: the latest rows of one group for a batch of keys.
 *
 *   request body    0 u16 groupId | 2 u16 0 | 4 u32 0 | 8 key batch
 *   response body   0 u32 count | 4 u32 0 | 8 u32 rowOffsets[count + 1], padded to 8
 *                   | i64 eventTime[count] | u64 lsn[count] | rows, each 8-aligned
 *
 * rowOffsets count from the first row; where two neighbours are equal the row is missing, and its event time and LSN
 * are 0. The positions below are for a server that writes an answer straight from its arenas.
 */

import { ByteReader } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import {
  beginRequest,
  beginResponse,
  endFrame,
  type RequestOptions,
  requestBody,
  responseBody,
} from '../frame-header.ts';
import { readInt64, readUint64, writeInt64 } from '../int64.ts';
import { decodeKeyBatch, encodeKeyBatch, KeyBatch } from '../key-batch.ts';
import { GET_KEYS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import { align8 } from '../row-layout.ts';
import type { KeyColumn } from '../schema.ts';
import { readGroupId } from './group-id.ts';

export interface GetRequest {
  groupId: number;
  keys: KeyBatch;
}

/** Body positions of a response to `count` keys, from the body's start. */
export const GET_ROW_OFFSETS_AT = 8;

export function getEventTimesAt(count: number): number {
  return align8(GET_ROW_OFFSETS_AT + 4 * (count + 1));
}

export function getLsnsAt(count: number): number {
  return getEventTimesAt(count) + 8 * count;
}

export function getRowsAt(count: number): number {
  return getEventTimesAt(count) + 16 * count;
}

/** `pick` names the keys of the batch to send, in order; without it all go. */
export function encodeGetRequest(
  writer: ByteWriter,
  options: RequestOptions,
  groupId: number,
  keys: KeyBatch,
  pick: Uint32Array | null = null,
): void {
  const start = beginRequest(writer, OPERATIONS.GET, options);
  const at = writer.reserve(8);
  writer.view.setUint16(at, groupId, true);
  encodeKeyBatch(writer, start, keys, pick);
  endFrame(writer, start);
}

/** `columns` are those of the group that readGroupId names. `keys` may be a batch used before. */
export function decodeGetRequest(
  frame: Frame,
  columns: readonly KeyColumn[],
  keys: KeyBatch = new KeyBatch(),
): GetRequest {
  const groupId = readGroupId(frame);
  const reader = new ByteReader(frame.bytes, requestBody(frame), frame.end, frame.view, frame.offset);
  reader.take(2);
  if (reader.u16() !== 0 || reader.u32() !== 0) {
    throw new ProtocolError('MALFORMED_REQUEST', 'the flags of a GET must be 0');
  }
  decodeKeyBatch(reader, columns, GET_KEYS_MAX, keys);
  reader.expectEnd();
  return { groupId, keys };
}

/** Appends the header and everything before the rows, zeroed, and returns where the frame begins. */
export function beginGetResponse(writer: ByteWriter, correlationId: number, count: number): number {
  const start = beginResponse(writer, OPERATIONS.GET, correlationId);
  const body = writer.reserve(getRowsAt(count));
  writer.view.setUint32(body, count, true);
  return start;
}

/**
 * A whole answer at once: row i is rows[offsets[i], offsets[i + 1]), missing when empty. The server's own path begins
 * with beginGetResponse and copies from its arenas.
 */
export function encodeGetResponse(
  writer: ByteWriter,
  correlationId: number,
  answer: {
    count: number;
    offsets: ArrayLike<number>;
    eventTimes: ArrayLike<number>;
    lsns: ArrayLike<number>;
    rows: Uint8Array;
  },
): void {
  const { count, offsets, eventTimes, lsns, rows } = answer;
  const start = beginGetResponse(writer, correlationId, count);
  const body = writer.length - getRowsAt(count);
  const view = writer.view;
  for (let index = 0; index < count; index++) {
    view.setUint32(body + GET_ROW_OFFSETS_AT + 4 * (index + 1), offsets[index + 1]! - offsets[0]!, true);
    writeInt64(view, body + getEventTimesAt(count) + 8 * index, eventTimes[index]!);
    writeInt64(view, body + getLsnsAt(count) + 8 * index, lsns[index]!);
  }
  writer.rawRange(rows, offsets[0]!, offsets[count]!);
  endFrame(writer, start);
}

/** A GET's answer, read in place: valid as long as the frame's memory is. */
export class GetResponse {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly #body: number;
  readonly #rows: number;

  constructor(frame: Frame) {
    const body = responseBody(frame);
    const space = frame.end - body;
    this.view = frame.view;
    this.bytes = frame.bytes;
    this.#body = body;
    this.count = space < GET_ROW_OFFSETS_AT + 4 ? -1 : frame.view.getUint32(body, true);
    if (this.count < 0 || getRowsAt(this.count) > space) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `a GET answer for ${this.count} keys does not fit its ${space} bytes`,
      );
    }
    this.#rows = body + getRowsAt(this.count);
    this.#verifyOffsets(frame.end - this.#rows);
  }

  isMissing(index: number): boolean {
    return this.rowBytes(index) === 0;
  }

  /** Where row `index` begins in `bytes`. */
  rowAt(index: number): number {
    return this.#rows + this.view.getUint32(this.#body + GET_ROW_OFFSETS_AT + 4 * index, true);
  }

  rowBytes(index: number): number {
    return this.rowAt(index + 1) - this.rowAt(index);
  }

  /** The row's event time in µs. */
  eventTime(index: number): number {
    return readInt64(this.view, this.#body + getEventTimesAt(this.count) + 8 * index);
  }

  lsn(index: number): number {
    return readUint64(this.view, this.#body + getLsnsAt(this.count) + 8 * index);
  }

  #verifyOffsets(space: number): void {
    const { view, count } = this;
    const at = this.#body + GET_ROW_OFFSETS_AT;
    let before = view.getUint32(at, true);
    if (before !== 0)
      throw new ProtocolError('MALFORMED_REQUEST', `the first row begins at ${before}, not 0`);
    for (let index = 1; index <= count; index++) {
      const end = view.getUint32(at + 4 * index, true);
      if (end < before || end > space) {
        throw new ProtocolError(
          'MALFORMED_REQUEST',
          `row ${index - 1} reaches from ${before} to ${end} of ${space} bytes`,
        );
      }
      before = end;
    }
    if (before !== space)
      throw new ProtocolError('MALFORMED_REQUEST', `rows end at ${before} of ${space} bytes`);
  }
}

export function decodeGetResponse(frame: Frame): GetResponse {
  return new GetResponse(frame);
}
