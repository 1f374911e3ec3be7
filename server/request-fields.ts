/** The fields of a request header that handlers read, by their offsets in the frame (protocol/frame-header.ts). */
import type { Frame } from '../protocol/index.ts';

const OPERATION_AT = 5;
const CORRELATION_ID_AT = 8;
const TIMEOUT_MS_AT = 16;

export function operationOf(frame: Frame): number {
  return frame.view.getUint8(frame.offset + OPERATION_AT);
}

export function correlationIdOf(frame: Frame): number {
  return frame.view.getUint32(frame.offset + CORRELATION_ID_AT, true);
}

/** 0: the request has all the time there is. */
export function timeoutMsOf(frame: Frame): number {
  return frame.view.getUint32(frame.offset + TIMEOUT_MS_AT, true);
}
