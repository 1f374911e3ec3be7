/**
 * READ_POINT: closes a read point on a shard. Sent to each shard's own port.
 *
 *   request   0 i64 the read point is to be at least this, µs; 0 any
 *   response  0 i64 the read point, µs
 *
 * What is committed up to a closed read point never changes, so a scan that names one can be repeated (SCAN).
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
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';

export function encodeReadPointRequest(
  writer: ByteWriter,
  options: RequestOptions,
  atLeastMicros: number,
): void {
  const start = beginRequest(writer, OPERATIONS.READ_POINT, options);
  writer.i64(atLeastMicros);
  endFrame(writer, start);
}

export function decodeReadPointRequest(frame: Frame): number {
  return readMicros(frame, requestBody(frame));
}

export function encodeReadPointResponse(writer: ByteWriter, correlationId: number, micros: number): void {
  const start = beginResponse(writer, OPERATIONS.READ_POINT, correlationId);
  writer.i64(micros);
  endFrame(writer, start);
}

export function decodeReadPointResponse(frame: Frame): number {
  return readMicros(frame, responseBody(frame));
}

function readMicros(frame: Frame, body: number): number {
  const reader = new ByteReader(frame.bytes, body, frame.end, frame.view);
  const micros = reader.i64();
  if (reader.remaining === 0) return micros;
  throw new ProtocolError('MALFORMED_REQUEST', `${reader.remaining} bytes follow the read point`);
}
