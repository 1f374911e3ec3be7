/** PING: an empty body, answered by an empty body. Keeps a connection alive and measures it. */

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

export function encodePingRequest(writer: ByteWriter, options: RequestOptions): void {
  endFrame(writer, beginRequest(writer, OPERATIONS.PING, options));
}

export function decodePingRequest(frame: Frame): void {
  expectEmpty(frame.end - requestBody(frame));
}

export function encodePingResponse(writer: ByteWriter, correlationId: number): void {
  endFrame(writer, beginResponse(writer, OPERATIONS.PING, correlationId));
}

export function decodePingResponse(frame: Frame): void {
  expectEmpty(frame.end - responseBody(frame));
}

function expectEmpty(bytes: number): void {
  if (bytes !== 0)
    throw new ProtocolError('MALFORMED_REQUEST', `a PING has no body; this has ${bytes} bytes`);
}
