/**
 * PUT: rows of one group, each with its key and event time.
 *
 *   request body    0 u16 groupId | 2 u16 schemaVersion | 4 u32 rowCount | 8 i64 eventTime[rowCount]
 *                   | key batch of rowCount keys | u32 rowOffsets[rowCount + 1], padded to 8 | rows
 *   response body   write-response.ts
 *
 * rowOffsets count from the first row. The request is checked as a whole: one bad row refuses all, and the message
 * names it. Decoding verifies everything, so what it returns can be stored as it is.
 */

import { ByteReader } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginRequest, endFrame, type RequestOptions, requestBody } from '../frame-header.ts';
import { decodeKeyBatch, encodeKeyBatch, type KeyBatch } from '../key-batch.ts';
import { PUT_ROWS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import type { RowLayout } from '../row-layout.ts';
import { verifyRow } from '../row-verify.ts';
import type { KeyColumn } from '../schema.ts';
import { decodeEventTimes, encodeEventTimes } from './event-times.ts';
import { readGroupId } from './group-id.ts';
import { appendWriteResponse, readWriteResponse, type WriteResponse } from './write-response.ts';

const FIXED_BYTES = 8;

export interface PutRequest {
  groupId: number;
  schemaVersion: number;
  count: number;
  /** µs, by row. */
  eventTimes: Float64Array;
  keys: KeyBatch;
  /** The buffer that the rows stand in: a decoded request's is the frame's. */
  rows: Uint8Array;
  /** Row i is rows[rowOffsets[i], rowOffsets[i + 1]). */
  rowOffsets: Uint32Array;
}

/** `pick` names the rows to send, in order; without it all go. */
export function encodePutRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: Omit<PutRequest, 'count'>,
  pick: Uint32Array | null = null,
): void {
  const { keys, rows, rowOffsets } = request;
  const count = pick === null ? keys.count : pick.length;
  const start = beginRequest(writer, OPERATIONS.PUT, options);
  writer.u16(request.groupId);
  writer.u16(request.schemaVersion);
  writer.u32(count);
  encodeEventTimes(writer, request.eventTimes, count, pick);
  encodeKeyBatch(writer, start, keys, pick);
  const offsetsAt = writer.reserve(4 * (count + 1));
  writer.align8(start);
  const rowsAt = writer.length;
  for (let index = 0; index < count; index++) {
    const row = pick === null ? index : pick[index]!;
    writer.rawRange(rows, rowOffsets[row]!, rowOffsets[row + 1]!);
    writer.view.setUint32(offsetsAt + 4 * (index + 1), writer.length - rowsAt, true);
  }
  endFrame(writer, start);
}

/** The schema version of a PUT, read before the rest: it says which layout verifies the rows. */
export function readSchemaVersion(frame: Frame): number {
  readGroupId(frame);
  return frame.view.getUint16(requestBody(frame) + 2, true);
}

export function decodePutRequest(frame: Frame, columns: readonly KeyColumn[], layout: RowLayout): PutRequest {
  const groupId = readGroupId(frame);
  const reader = new ByteReader(frame.bytes, requestBody(frame), frame.end, frame.view, frame.offset);
  const at = reader.take(FIXED_BYTES);
  const schemaVersion = frame.view.getUint16(at + 2, true);
  const count = frame.view.getUint32(at + 4, true);
  checkCount(count, reader.remaining);
  const eventTimes = new Float64Array(count);
  decodeEventTimes(reader, count, eventTimes);
  const keys = decodeKeyBatch(reader, columns, PUT_ROWS_MAX);
  if (keys.count !== count) {
    throw new ProtocolError('MALFORMED_REQUEST', `the request has ${count} rows and ${keys.count} keys`);
  }
  const rowOffsets = decodeRowOffsets(reader, count);
  verifyRows(frame, layout, rowOffsets, count);
  return { groupId, schemaVersion, count, eventTimes, keys, rows: frame.bytes, rowOffsets };
}

function checkCount(count: number, space: number): void {
  if (count === 0) throw new ProtocolError('BATCH_EMPTY', 'the request has no rows; at least one is needed');
  if (count > PUT_ROWS_MAX) {
    throw new ProtocolError(
      'BATCH_TOO_LARGE',
      `the request has ${count} rows; at most ${PUT_ROWS_MAX} are allowed`,
    );
  }
  if (8 * count > space) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `${count} event times do not fit the ${space} bytes that follow`,
    );
  }
}

/** Reads the offsets, made absolute; they must rise by multiples of 8 and end where the frame does. */
function decodeRowOffsets(reader: ByteReader, count: number): Uint32Array {
  const at = reader.take(4 * (count + 1));
  reader.align8();
  const start = reader.offset;
  const space = reader.remaining;
  const view = reader.view;
  const rowOffsets = new Uint32Array(count + 1);
  let before = 0;
  if (view.getUint32(at, true) !== 0)
    throw new ProtocolError('MALFORMED_REQUEST', 'row offsets do not start at 0');
  rowOffsets[0] = start;
  for (let row = 0; row < count; row++) {
    const end = view.getUint32(at + 4 * (row + 1), true);
    if (end <= before || end > space || (end & 7) !== 0) {
      throw new ProtocolError(
        'ROW_INVALID',
        `row ${row}: it reaches from ${before} to ${end}; rows are multiples of 8 within ${space} bytes`,
      );
    }
    rowOffsets[row + 1] = start + end;
    before = end;
  }
  if (before !== space)
    throw new ProtocolError('MALFORMED_REQUEST', `rows end at ${before} of ${space} bytes`);
  return rowOffsets;
}

function verifyRows(frame: Frame, layout: RowLayout, rowOffsets: Uint32Array, count: number): void {
  const { view, bytes } = frame;
  let row = 0;
  try {
    for (; row < count; row++) {
      const offset = rowOffsets[row]!;
      verifyRow(layout, view, bytes, offset, rowOffsets[row + 1]! - offset);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new ProtocolError(error.code, `row ${row}: ${error.message}`, { cause: error });
  }
}

export function encodePutResponse(
  writer: ByteWriter,
  correlationId: number,
  count: number,
  results: Uint8Array,
  lsns: ArrayLike<number>,
): void {
  appendWriteResponse(writer, OPERATIONS.PUT, correlationId, count, results, lsns);
}

export function decodePutResponse(frame: Frame): WriteResponse {
  return readWriteResponse(frame);
}
