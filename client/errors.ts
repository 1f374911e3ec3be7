/**
 * The one error class of the client.
 *
 * Every promise and iterator of this package rejects with a `MillraceError` and nothing else. Its `code` comes from
 * the closed set in protocol/error-code.ts, the same names that the server logs, so that a program can decide by
 * code and a person can search for it.
 *
 * I1  `retryable` says that the same request may succeed later, unchanged.
 * I2  `indeterminate` says that the request may have been carried out although no answer came. A read that is
 *     indeterminate may simply be repeated; a write may be there or not.
 */
import { ERROR_CODES, type ErrorCodeName, ProtocolError } from '../protocol/index.ts';

export interface MillraceErrorOptions {
  /** What led to this error, when something else did. */
  cause?: unknown;
  /** Replace the code's own answers: a newer server may know better, and a request never sent is not indeterminate. */
  retryable?: boolean;
  indeterminate?: boolean;
  /** How long the server asks the caller to wait before trying again, in ms. */
  retryAfterMs?: number;
}

export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  readonly code: ErrorCodeName;
  readonly retryable: boolean;
  readonly indeterminate: boolean;
  readonly retryAfterMs: number;

  constructor(code: ErrorCodeName, message: string, options: MillraceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    this.indeterminate = options.indeterminate ?? ERROR_CODES[code].indeterminate;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** The same trouble as a `MillraceError`: what protocol/ throws keeps its code, anything else is our own fault. */
export function toMillraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  if (error instanceof ProtocolError) return new MillraceError(error.code, error.message, { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new MillraceError('INTERNAL', message, { cause: error });
}
