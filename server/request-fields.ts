/** The fields of a request header that handlers read, by their offsets in the frame (protocol/frame-header.ts). */
import { type Frame, ProtocolError, readUint64 } from '../protocol/index.ts';

const OPERATION_AT = 5;
const CORRELATION_ID_AT = 8;
const TIMEOUT_MS_AT = 16;
const CLIENT_ID_AT = 24;
const SEQUENCE_AT = 32;

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

export interface IdempotencyKey {
  /** Both halves 0: the request has none. */
  clientIdLo: number;
  clientIdHi: number;
  sequence: number;
}

/** Fills `key`; throws MALFORMED_REQUEST for a sequence that is no safe integer. */
export function readIdempotencyKey(frame: Frame, key: IdempotencyKey): void {
  const { view, offset } = frame;
  key.clientIdLo = view.getUint32(offset + CLIENT_ID_AT, true);
  key.clientIdHi = view.getUint32(offset + CLIENT_ID_AT + 4, true);
  key.sequence = readUint64(view, offset + SEQUENCE_AT);
  if (Number.isNaN(key.sequence)) {
    throw new ProtocolError('MALFORMED_REQUEST', 'the idempotency sequence is above 2^53 − 1');
  }
}
