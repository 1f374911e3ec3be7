/**
 * DELETE: removes rows of one group by key, each at an event time.
 *
 *   request body    0 u16 groupId | 2 u16 0 | 4 u32 count | 8 i64 eventTime[count] | key batch of count keys
 *   response body   write-response.ts
 *
 * A delete is a version like any other: a newer event time than the row's removes it, an older one becomes history.
 */

import { ByteReader } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginRequest, endFrame, type RequestOptions, requestBody } from '../frame-header.ts';
import { decodeKeyBatch, encodeKeyBatch, type KeyBatch } from '../key-batch.ts';
import { GET_KEYS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import type { KeyColumn } from '../schema.ts';
import { decodeEventTimes, encodeEventTimes } from './event-times.ts';
import { readGroupId } from './group-id.ts';
import { appendWriteResponse, readWriteResponse, type WriteResponse } from './write-response.ts';

const FIXED_BYTES = 8;

export interface DeleteRequest {
  groupId: number;
  count: number;
  /** µs, by key. */
  eventTimes: Float64Array;
  keys: KeyBatch;
}

/** `pick` names the keys to send, in order; without it all go. */
export function encodeDeleteRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: { groupId: number; eventTimes: ArrayLike<number>; keys: KeyBatch },
  pick: Uint32Array | null = null,
): void {
  const count = pick === null ? request.keys.count : pick.length;
  const start = beginRequest(writer, OPERATIONS.DELETE, options);
  writer.u16(request.groupId);
  writer.u16(0);
  writer.u32(count);
  encodeEventTimes(writer, request.eventTimes, count, pick);
  encodeKeyBatch(writer, start, request.keys, pick);
  endFrame(writer, start);
}

export function decodeDeleteRequest(frame: Frame, columns: readonly KeyColumn[]): DeleteRequest {
  const groupId = readGroupId(frame);
  const reader = new ByteReader(frame.bytes, requestBody(frame), frame.end, frame.view, frame.offset);
  const at = reader.take(FIXED_BYTES);
  const count = frame.view.getUint32(at + 4, true);
  if (frame.view.getUint16(at + 2, true) !== 0) {
    throw new ProtocolError('MALFORMED_REQUEST', 'the reserved bytes of a DELETE must be 0');
  }
  if (count === 0)
    throw new ProtocolError('BATCH_EMPTY', 'the request names no keys; at least one is needed');
  if (count > GET_KEYS_MAX) {
    throw new ProtocolError(
      'BATCH_TOO_LARGE',
      `the request has ${count} keys; at most ${GET_KEYS_MAX} are allowed`,
    );
  }
  if (8 * count > reader.remaining) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `${count} event times do not fit the ${reader.remaining} bytes that follow`,
    );
  }
  const eventTimes = new Float64Array(count);
  decodeEventTimes(reader, count, eventTimes);
  const keys = decodeKeyBatch(reader, columns, GET_KEYS_MAX);
  if (keys.count !== count) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `the request has ${count} event times and ${keys.count} keys`,
    );
  }
  reader.expectEnd();
  return { groupId, count, eventTimes, keys };
}

export function encodeDeleteResponse(
  writer: ByteWriter,
  correlationId: number,
  count: number,
  results: Uint8Array,
  lsns: ArrayLike<number>,
): void {
  appendWriteResponse(writer, OPERATIONS.DELETE, correlationId, count, results, lsns);
}

export function decodeDeleteResponse(frame: Frame): WriteResponse {
  return readWriteResponse(frame);
}
