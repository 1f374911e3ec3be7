/**
 * PATCH: changes some features of rows, each by its key, and leaves the others as they are.
 *
 *   request body    write-head.ts | u32 patchOffsets[count + 1], padded to 8 | patches (row-patch.ts)
 *   response body   write-response.ts
 *
 * All patches are verified before the first is applied: one that does not fit the schema refuses the request, and the
 * message names row and step. What depends on the row that is there is answered row by row.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { endFrame, type RequestOptions } from '../frame-header.ts';
import { GET_KEYS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import type { RowLayout } from '../row-layout.ts';
import { verifyPatch } from '../row-patch-verify.ts';
import type { KeyColumn } from '../schema.ts';
import { appendRows, decodeRowOffsets, type EncodedRows } from './encoded-rows.ts';
import {
  encodeWriteHead,
  readSchemaVersion,
  readWriteFlags,
  readWriteHead,
  WRITE_IF_VERSION,
  WRITE_TIME_FLOOR,
  type WriteHead,
  type WriteHeadInput,
  WriteScratch,
  writeReader,
} from './write-head.ts';
import { appendWriteResponse, readWriteResponse, type WriteResponse } from './write-response.ts';

/** `rows` and `rowOffsets` are the patches and where they begin. */
export interface PatchRequest extends WriteHead, EncodedRows {
  /** Event times are floors: a row that has a later one keeps it. */
  isTimeFloor: boolean;
}

export type PatchRequestInput = Omit<WriteHeadInput, 'isBackfill'> & EncodedRows & { isTimeFloor: boolean };

/** `pick` names the patches to send, in order; without it all go. */
export function encodePatchRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: PatchRequestInput,
  pick: Uint32Array | null = null,
): void {
  const flags = request.isTimeFloor ? WRITE_TIME_FLOOR : 0;
  const start = encodeWriteHead(writer, OPERATIONS.PATCH, options, request, 0, flags, pick);
  appendRows(writer, start, request, pick === null ? request.keys.count : pick.length, pick);
  endFrame(writer, start);
}

/**
 * `layout` is that of the group's newest schema version: a patch names features by id, whatever version its sender knows.
 * What it answers lies in `scratch` and holds until that is used again.
 */
export function decodePatchRequest(
  frame: Frame,
  columns: readonly KeyColumn[],
  layout: RowLayout,
  scratch: WriteScratch = new WriteScratch(),
): PatchRequest {
  if (readSchemaVersion(frame) !== 0) {
    throw new ProtocolError('MALFORMED_REQUEST', 'the reserved bytes of a PATCH must be 0');
  }
  const reader = writeReader(frame);
  const allowed = WRITE_IF_VERSION | WRITE_TIME_FLOOR;
  const head = readWriteHead(frame, reader, columns, GET_KEYS_MAX, allowed, scratch);
  const { rowOffsets } = scratch;
  decodeRowOffsets(reader, head.count, 'PATCH_INVALID', rowOffsets);
  verifyPatches(frame, layout, rowOffsets, head.count);
  const isTimeFloor = (readWriteFlags(frame) & WRITE_TIME_FLOOR) !== 0;
  // Field by field: a spread of `head` costs more than the rest of a small patch.
  return {
    groupId: head.groupId,
    count: head.count,
    eventTimes: head.eventTimes,
    keys: head.keys,
    isBackfill: head.isBackfill,
    ifVersions: head.ifVersions,
    rows: frame.bytes,
    rowOffsets,
    isTimeFloor,
  };
}

function verifyPatches(frame: Frame, layout: RowLayout, offsets: Uint32Array, count: number): void {
  let row = 0;
  try {
    for (; row < count; row++) verifyPatch(layout, frame.view, frame.bytes, offsets[row]!, offsets[row + 1]!);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new ProtocolError(error.code, `row ${row}: ${error.message}`, { cause: error });
  }
}

export function encodePatchResponse(
  writer: ByteWriter,
  correlationId: number,
  count: number,
  results: Uint8Array,
  lsns: ArrayLike<number>,
): void {
  appendWriteResponse(writer, OPERATIONS.PATCH, correlationId, count, results, lsns);
}

export function decodePatchResponse(frame: Frame): WriteResponse {
  return readWriteResponse(frame);
}
