/**
 * GET_MATRIX: numeric features of a batch of keys as one row-major matrix.
 *
 *   request body    0 u16 groupId | 2 u16 dtype (0 f32, 1 f64) | 4 u16 flags (bit 0: with event times)
 *                   | 6 u16 featureCount (≥ 1) | 8 u16 featureId[featureCount], padded to 8 | key batch
 *   response body   0 u32 rowCount | 4 u32 columnCount | 8 u32 validityStride | 12 u16 dtype | 14 u16 flags
 *                   | 16 u8 found[rowCount], padded to 8 | validity rowCount × validityStride, padded to 8
 *                   | i64 eventTime[rowCount], with flag bit 0 | data rowCount × columnCount × (4 | 8)
 *
 * A vector of length n gives n columns. validityStride = ceil(columnCount / 8); bit c of a row's validity, least
 * significant first, is 1 when column c has a value. A cell without one is NaN, and so is every cell of a missing row.
 */

import { ByteReader } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import {
  beginRequest,
  beginResponse,
  endFrame,
  RESPONSE_HEADER_BYTES,
  type RequestOptions,
  requestBody,
  responseBody,
} from '../frame-header.ts';
import { writeInt64 } from '../int64.ts';
import { decodeKeyBatch, encodeKeyBatch, KeyBatch } from '../key-batch.ts';
import { FRAME_BYTES_MAX, GET_KEYS_MAX, MATRIX_FEATURES_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import { align8 } from '../row-layout.ts';
import type { KeyColumn } from '../schema.ts';
import { readGroupId } from './group-id.ts';

export const DTYPE_FLOAT32 = 0;
export const DTYPE_FLOAT64 = 1;
export const MATRIX_FLAG_EVENT_TIMES = 1;

const REQUEST_FIXED_BYTES = 8;
const RESPONSE_FIXED_BYTES = 16;

export interface MatrixRequest {
  groupId: number;
  dtype: number;
  withEventTimes: boolean;
  featureIds: Uint16Array;
  keys: KeyBatch;
}

/** Where a response's parts stand, from the body's start. */
export interface MatrixShape {
  rowCount: number;
  columnCount: number;
  dtype: number;
  withEventTimes: boolean;
  validityStride: number;
  foundAt: number;
  validityAt: number;
  /** Meaningful only with event times. */
  eventTimesAt: number;
  dataAt: number;
  /** The whole body's bytes. */
  bytes: number;
}

export function matrixShape(
  rowCount: number,
  columnCount: number,
  dtype: number,
  withEventTimes: boolean,
): MatrixShape {
  const validityStride = (columnCount + 7) >> 3;
  const validityAt = align8(RESPONSE_FIXED_BYTES + rowCount);
  // Products of announced counts may pass 2^31: no shifts from here on.
  const eventTimesAt = validityAt + Math.ceil((rowCount * validityStride) / 8) * 8;
  const dataAt = eventTimesAt + (withEventTimes ? 8 * rowCount : 0);
  return {
    rowCount,
    columnCount,
    dtype,
    withEventTimes,
    validityStride,
    foundAt: RESPONSE_FIXED_BYTES,
    validityAt,
    eventTimesAt,
    dataAt,
    bytes: dataAt + rowCount * columnCount * (dtype === DTYPE_FLOAT64 ? 8 : 4),
  };
}

export function encodeGetMatrixRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: {
    groupId: number;
    dtype: number;
    withEventTimes: boolean;
    featureIds: ArrayLike<number>;
    keys: KeyBatch;
  },
  pick: Uint32Array | null = null,
): void {
  const start = beginRequest(writer, OPERATIONS.GET_MATRIX, options);
  const featureIds = request.featureIds;
  writer.u16(request.groupId);
  writer.u16(request.dtype);
  writer.u16(request.withEventTimes ? MATRIX_FLAG_EVENT_TIMES : 0);
  writer.u16(featureIds.length);
  for (let index = 0; index < featureIds.length; index++) writer.u16(featureIds[index]!);
  encodeKeyBatch(writer, start, request.keys, pick);
  endFrame(writer, start);
}

export function decodeGetMatrixRequest(
  frame: Frame,
  columns: readonly KeyColumn[],
  keys: KeyBatch = new KeyBatch(),
): MatrixRequest {
  const groupId = readGroupId(frame);
  const reader = new ByteReader(frame.bytes, requestBody(frame), frame.end, frame.view, frame.offset);
  const at = reader.take(REQUEST_FIXED_BYTES);
  const dtype = frame.view.getUint16(at + 2, true);
  const flags = frame.view.getUint16(at + 4, true);
  const featureCount = frame.view.getUint16(at + 6, true);
  if (dtype > DTYPE_FLOAT64 || flags > MATRIX_FLAG_EVENT_TIMES) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `dtype ${dtype}, flags ${flags}; allowed: dtype 0 or 1, flags 0 or 1`,
    );
  }
  if (featureCount === 0 || featureCount > MATRIX_FEATURES_MAX) {
    throw new ProtocolError(
      featureCount === 0 ? 'BATCH_EMPTY' : 'BATCH_TOO_LARGE',
      `the request names ${featureCount} features; allowed are 1 to ${MATRIX_FEATURES_MAX}`,
    );
  }
  const idsAt = reader.take(2 * featureCount);
  const featureIds = new Uint16Array(featureCount);
  for (let index = 0; index < featureCount; index++)
    featureIds[index] = frame.view.getUint16(idsAt + 2 * index, true);
  decodeKeyBatch(reader, columns, GET_KEYS_MAX, keys);
  reader.expectEnd();
  return { groupId, dtype, withEventTimes: flags === MATRIX_FLAG_EVENT_TIMES, featureIds, keys };
}

/** Appends header and zeroed body of a response and returns where the frame begins; the caller fills the parts. */
export function beginGetMatrixResponse(
  writer: ByteWriter,
  correlationId: number,
  shape: MatrixShape,
): number {
  const frameBytes = RESPONSE_HEADER_BYTES + shape.bytes;
  if (frameBytes > FRAME_BYTES_MAX) {
    throw new ProtocolError(
      'FRAME_TOO_LARGE',
      `a matrix of ${shape.rowCount} × ${shape.columnCount} takes a frame of ${frameBytes} bytes; at most ${FRAME_BYTES_MAX} are allowed`,
    );
  }
  const start = beginResponse(writer, OPERATIONS.GET_MATRIX, correlationId);
  const body = writer.reserve(shape.bytes);
  const view = writer.view;
  view.setUint32(body, shape.rowCount, true);
  view.setUint32(body + 4, shape.columnCount, true);
  view.setUint32(body + 8, shape.validityStride, true);
  view.setUint16(body + 12, shape.dtype, true);
  view.setUint16(body + 14, shape.withEventTimes ? MATRIX_FLAG_EVENT_TIMES : 0, true);
  return start;
}

/** A whole answer from its parts, each as it stands in the body. */
export function encodeGetMatrixResponse(
  writer: ByteWriter,
  correlationId: number,
  shape: MatrixShape,
  parts: {
    found: Uint8Array;
    validity: Uint8Array;
    eventTimes: ArrayLike<number> | null;
    data: ArrayLike<number>;
  },
): void {
  const start = beginGetMatrixResponse(writer, correlationId, shape);
  const body = writer.length - shape.bytes;
  const view = writer.view;
  writer.bytes.set(parts.found, body + shape.foundAt);
  writer.bytes.set(parts.validity, body + shape.validityAt);
  if (parts.eventTimes !== null) {
    for (let row = 0; row < shape.rowCount; row++) {
      writeInt64(view, body + shape.eventTimesAt + 8 * row, parts.eventTimes[row]!);
    }
  }
  for (let cell = 0; cell < shape.rowCount * shape.columnCount; cell++) {
    if (shape.dtype === DTYPE_FLOAT64)
      view.setFloat64(body + shape.dataAt + 8 * cell, parts.data[cell]!, true);
    else view.setFloat32(body + shape.dataAt + 4 * cell, parts.data[cell]!, true);
  }
  endFrame(writer, start);
}

/** The shape of an answer, checked against the frame: every part lies inside it. */
export function decodeGetMatrixResponse(frame: Frame): MatrixShape {
  const body = responseBody(frame);
  const space = frame.end - body;
  if (space < RESPONSE_FIXED_BYTES) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a matrix answer has at least ${RESPONSE_FIXED_BYTES} bytes; this has ${space}`,
    );
  }
  const view = frame.view;
  const flags = view.getUint16(body + 14, true);
  const dtype = view.getUint16(body + 12, true);
  const shape = matrixShape(
    view.getUint32(body, true),
    view.getUint32(body + 4, true),
    dtype,
    (flags & MATRIX_FLAG_EVENT_TIMES) !== 0,
  );
  if (
    dtype > DTYPE_FLOAT64 ||
    shape.validityStride !== view.getUint32(body + 8, true) ||
    shape.bytes !== space
  ) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a matrix of ${shape.rowCount} × ${shape.columnCount} (dtype ${dtype}) takes ${shape.bytes} bytes; the body has ${space}`,
    );
  }
  return shape;
}
