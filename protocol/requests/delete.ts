/**
 * DELETE: removes rows of one group by key, each at an event time.
 *
 *   request body    write-head.ts
 *   response body   write-response.ts
 *
 * A delete is a version like any other: a newer event time than the row's removes it, an older one becomes history.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { endFrame, type RequestOptions } from '../frame-header.ts';
import { GET_KEYS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import type { KeyColumn } from '../schema.ts';
import {
  encodeWriteHead,
  readSchemaVersion,
  readWriteHead,
  WRITE_BACKFILL,
  WRITE_IF_VERSION,
  type WriteHead,
  type WriteHeadInput,
  WriteScratch,
  writeReader,
} from './write-head.ts';
import { appendWriteResponse, readWriteResponse, type WriteResponse } from './write-response.ts';

export type DeleteRequest = WriteHead;

/** `pick` names the keys to send, in order; without it all go. */
export function encodeDeleteRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: WriteHeadInput,
  pick: Uint32Array | null = null,
): void {
  endFrame(writer, encodeWriteHead(writer, OPERATIONS.DELETE, options, request, 0, 0, pick));
}

/** What it answers lies in `scratch` and holds until that is used again. */
export function decodeDeleteRequest(
  frame: Frame,
  columns: readonly KeyColumn[],
  scratch: WriteScratch = new WriteScratch(),
): DeleteRequest {
  if (readSchemaVersion(frame) !== 0) {
    throw new ProtocolError('MALFORMED_REQUEST', 'the reserved bytes of a DELETE must be 0');
  }
  const reader = writeReader(frame);
  const allowed = WRITE_BACKFILL | WRITE_IF_VERSION;
  const head = readWriteHead(frame, reader, columns, GET_KEYS_MAX, allowed, scratch);
  reader.expectEnd();
  return head;
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
