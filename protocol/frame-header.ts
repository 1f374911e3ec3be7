/**
 * Frame headers: the 40 bytes before a request and the 16 before a response.
 *
 *   request                                        response
 *    0  u32  frameBytes, header included            0  u32  frameBytes, header included
 *    4  u8   protocol version                       4  u8   protocol version
 *    5  u8   operation                              5  u8   operation
 *    6  u16  flags (0)                              6  u16  status: an error code's number, 0 OK
 *    8  u32  correlation id                         8  u32  correlation id of the request
 *   12  u32  map epoch the client has, 0 unknown   12  u16  flags: bit 0 MORE
 *   16  u32  timeoutMs from receipt, 0 none        14  u16  0
 *   20  u32  0
 *   24  u64  idempotency client id, 0 none
 *   32  u64  idempotency sequence
 *
 * Reading fills an object that the caller keeps, so that a million small frames a second make no garbage.
 */

import type { ByteWriter } from './byte-writer.ts';
import type { Frame } from './frame-decoder.ts';
import { readUint64, writeInt64 } from './int64.ts';
import { FRAME_BYTES_MAX } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';
import { PROTOCOL_VERSION } from './version.ts';

export const REQUEST_HEADER_BYTES = 40;
export const RESPONSE_HEADER_BYTES = 16;

/** Response flag: further frames with this correlation id follow. */
export const FLAG_MORE = 1;

export interface RequestHeader {
  frameBytes: number;
  version: number;
  operation: number;
  flags: number;
  correlationId: number;
  mapEpoch: number;
  timeoutMs: number;
  /** The 64-bit client id as two u32; both 0 when the request carries no idempotency key. */
  clientIdLo: number;
  clientIdHi: number;
  sequence: number;
}

/** What a caller says of a request; the rest of the header is the encoder's. */
export interface RequestOptions {
  correlationId: number;
  mapEpoch?: number;
  timeoutMs?: number;
  clientIdLo?: number;
  clientIdHi?: number;
  sequence?: number;
}

export interface ResponseHeader {
  frameBytes: number;
  version: number;
  operation: number;
  status: number;
  correlationId: number;
  flags: number;
}

export function newRequestHeader(): RequestHeader {
  return {
    frameBytes: 0,
    version: PROTOCOL_VERSION,
    operation: 0,
    flags: 0,
    correlationId: 0,
    mapEpoch: 0,
    timeoutMs: 0,
    clientIdLo: 0,
    clientIdHi: 0,
    sequence: 0,
  };
}

export function newResponseHeader(): ResponseHeader {
  return { frameBytes: 0, version: PROTOCOL_VERSION, operation: 0, status: 0, correlationId: 0, flags: 0 };
}

export function writeRequestHeader(view: DataView, offset: number, header: RequestHeader): void {
  view.setUint32(offset, header.frameBytes, true);
  view.setUint8(offset + 4, header.version);
  view.setUint8(offset + 5, header.operation);
  view.setUint16(offset + 6, header.flags, true);
  view.setUint32(offset + 8, header.correlationId, true);
  view.setUint32(offset + 12, header.mapEpoch, true);
  view.setUint32(offset + 16, header.timeoutMs, true);
  view.setUint32(offset + 20, 0, true);
  view.setUint32(offset + 24, header.clientIdLo, true);
  view.setUint32(offset + 28, header.clientIdHi, true);
  writeInt64(view, offset + 32, header.sequence);
}

/**
 * Fills `header` from the frame, every field before any check, so that a refusal can be answered under its
 * correlation id. Throws MALFORMED_REQUEST for flags or reserved bits this version does not know.
 */
export function readRequestHeader(view: DataView, offset: number, header: RequestHeader): void {
  header.frameBytes = view.getUint32(offset, true);
  header.version = view.getUint8(offset + 4);
  header.operation = view.getUint8(offset + 5);
  header.flags = view.getUint16(offset + 6, true);
  header.correlationId = view.getUint32(offset + 8, true);
  header.mapEpoch = view.getUint32(offset + 12, true);
  header.timeoutMs = view.getUint32(offset + 16, true);
  header.clientIdLo = view.getUint32(offset + 24, true);
  header.clientIdHi = view.getUint32(offset + 28, true);
  header.sequence = readUint64(view, offset + 32);
  if (header.flags !== 0 || view.getUint32(offset + 20, true) !== 0 || Number.isNaN(header.sequence)) {
    refuseRequestHeader(header);
  }
}

function refuseRequestHeader(header: RequestHeader): never {
  if (Number.isNaN(header.sequence)) {
    throw new ProtocolError('MALFORMED_REQUEST', 'the idempotency sequence is above 2^53 − 1');
  }
  throw new ProtocolError(
    'MALFORMED_REQUEST',
    `request flags are ${header.flags}; flags and reserved bytes must be 0 in version ${PROTOCOL_VERSION}`,
  );
}

export function writeResponseHeader(
  view: DataView,
  offset: number,
  frameBytes: number,
  operation: number,
  status: number,
  correlationId: number,
  flags: number,
): void {
  view.setUint32(offset, frameBytes, true);
  view.setUint8(offset + 4, PROTOCOL_VERSION);
  view.setUint8(offset + 5, operation);
  view.setUint16(offset + 6, status, true);
  view.setUint32(offset + 8, correlationId, true);
  view.setUint16(offset + 12, flags, true);
  view.setUint16(offset + 14, 0, true);
}

export function readResponseHeader(view: DataView, offset: number, header: ResponseHeader): void {
  header.frameBytes = view.getUint32(offset, true);
  header.version = view.getUint8(offset + 4);
  header.operation = view.getUint8(offset + 5);
  header.status = view.getUint16(offset + 6, true);
  header.correlationId = view.getUint32(offset + 8, true);
  header.flags = view.getUint16(offset + 12, true);
}

/** Appends a request header whose length `endFrame` fills in, and returns where the frame begins. */
export function beginRequest(writer: ByteWriter, operation: number, options: RequestOptions): number {
  const start = writer.reserve(REQUEST_HEADER_BYTES);
  const view = writer.view;
  view.setUint8(start + 4, PROTOCOL_VERSION);
  view.setUint8(start + 5, operation);
  view.setUint32(start + 8, options.correlationId, true);
  view.setUint32(start + 12, options.mapEpoch ?? 0, true);
  view.setUint32(start + 16, options.timeoutMs ?? 0, true);
  view.setUint32(start + 24, options.clientIdLo ?? 0, true);
  view.setUint32(start + 28, options.clientIdHi ?? 0, true);
  writeInt64(view, start + 32, options.sequence ?? 0);
  return start;
}

/** Appends a response header whose length `endFrame` fills in, and returns where the frame begins. */
export function beginResponse(
  writer: ByteWriter,
  operation: number,
  correlationId: number,
  flags: number = 0,
  status: number = 0,
): number {
  const start = writer.reserveUnzeroed(RESPONSE_HEADER_BYTES);
  writeResponseHeader(writer.view, start, 0, operation, status, correlationId, flags);
  return start;
}

/** Writes the length of the frame that began at `start`; a frame over the limit is taken back (FRAME_TOO_LARGE). */
export function endFrame(writer: ByteWriter, start: number): void {
  const frameBytes = writer.length - start;
  if (frameBytes > FRAME_BYTES_MAX) {
    writer.truncate(start);
    throw new ProtocolError(
      'FRAME_TOO_LARGE',
      `the frame takes ${frameBytes} bytes; at most ${FRAME_BYTES_MAX} are allowed`,
    );
  }
  writer.view.setUint32(start, frameBytes, true);
}

/** Where a request's body begins. */
export function requestBody(frame: Frame): number {
  return frame.offset + REQUEST_HEADER_BYTES;
}

/** Where a response's body begins. */
export function responseBody(frame: Frame): number {
  return frame.offset + RESPONSE_HEADER_BYTES;
}
