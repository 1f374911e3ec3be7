/**
 * PUT: rows of one group, each with its key and event time.
 *
 *   request body    write-head.ts | u32 rowOffsets[rowCount + 1], padded to 8 | rows
 *   response body   write-response.ts
 *
 * rowOffsets count from the first row. The form is checked as a whole: one bad row refuses all, and the message names
 * it. Decoding verifies everything, so what it returns can be stored as it is. What depends on the rows that are
 * there (lateness, versions) is answered row by row.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { endFrame, type RequestOptions } from '../frame-header.ts';
import { PUT_ROWS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import type { RowLayout } from '../row-layout.ts';
import { verifyRow } from '../row-verify.ts';
import type { KeyColumn } from '../schema.ts';
import { appendRows, decodeRowOffsets, type EncodedRows } from './encoded-rows.ts';
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

export interface PutRequest extends WriteHead, EncodedRows {
  schemaVersion: number;
}

/** `pick` names the rows to send, in order; without it all go. */
export function encodePutRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: WriteHeadInput & EncodedRows & { schemaVersion: number },
  pick: Uint32Array | null = null,
): void {
  const start = encodeWriteHead(writer, OPERATIONS.PUT, options, request, request.schemaVersion, 0, pick);
  appendRows(writer, start, request, pick === null ? request.keys.count : pick.length, pick);
  endFrame(writer, start);
}

/** What it answers lies in `scratch` and holds until that is used again. */
export function decodePutRequest(
  frame: Frame,
  columns: readonly KeyColumn[],
  layout: RowLayout,
  scratch: WriteScratch = new WriteScratch(),
): PutRequest {
  const reader = writeReader(frame);
  const head = readWriteHead(
    frame,
    reader,
    columns,
    PUT_ROWS_MAX,
    WRITE_BACKFILL | WRITE_IF_VERSION,
    scratch,
  );
  const { rowOffsets } = scratch;
  decodeRowOffsets(reader, head.count, 'ROW_INVALID', rowOffsets);
  verifyRows(frame, layout, rowOffsets, head.count);
  // Field by field: a spread of `head` costs 2.9 µs here, this 50 ns.
  return {
    groupId: head.groupId,
    count: head.count,
    eventTimes: head.eventTimes,
    keys: head.keys,
    isBackfill: head.isBackfill,
    ifVersions: head.ifVersions,
    schemaVersion: readSchemaVersion(frame),
    rows: frame.bytes,
    rowOffsets,
  };
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
