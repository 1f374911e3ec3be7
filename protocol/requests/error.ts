/**
 * Error responses, to any operation: the header's status is the code's number, the body a MessagePack map
 *
 *   {message: string, retryable: bool, indeterminate: bool, retryAfterMs?: integer}
 *
 * An error that belongs to no request (the framing itself broke) goes out with correlation id 0.
 */

import type { ByteWriter } from '../byte-writer.ts';
import { ERROR_CODES, type ErrorCodeName, errorName, errorNumber } from '../error-code.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginResponse, endFrame } from '../frame-header.ts';
import { encodeMessagePack } from '../message-pack.ts';
import { readControlResponse } from './control.ts';

/** Longer messages are cut: an error must fit a frame whatever it quotes. */
const MESSAGE_LENGTH_MAX = 4096;

export interface ErrorResponse {
  code: ErrorCodeName;
  message: string;
  retryable: boolean;
  indeterminate: boolean;
  /** How long to wait before the same request again, when the server knows. */
  retryAfterMs?: number;
}

export function encodeErrorResponse(
  writer: ByteWriter,
  operation: number,
  correlationId: number,
  code: ErrorCodeName,
  message: string,
  retryAfterMs: number | null = null,
): void {
  const start = beginResponse(writer, operation, correlationId, 0, errorNumber(code));
  const body = {
    message: message.slice(0, MESSAGE_LENGTH_MAX),
    retryable: ERROR_CODES[code].retryable,
    indeterminate: ERROR_CODES[code].indeterminate,
  };
  writer.raw(encodeMessagePack(retryAfterMs === null ? body : { ...body, retryAfterMs }));
  endFrame(writer, start);
}

/** `status` is the response header's. What a newer server says of its code is believed over this build's table. */
export function decodeErrorResponse(frame: Frame, status: number): ErrorResponse {
  const body = readControlResponse(frame);
  const code = errorName(status);
  const error: ErrorResponse = {
    code,
    message: typeof body['message'] === 'string' ? body['message'] : `the server answered status ${status}`,
    retryable: typeof body['retryable'] === 'boolean' ? body['retryable'] : ERROR_CODES[code].retryable,
    indeterminate:
      typeof body['indeterminate'] === 'boolean' ? body['indeterminate'] : ERROR_CODES[code].indeterminate,
  };
  if (typeof body['retryAfterMs'] === 'number') error.retryAfterMs = body['retryAfterMs'];
  return error;
}
