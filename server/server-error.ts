/**
 * The one error class of server/: what the world did wrong, by a code of the protocol's closed set.
 *
 * A start-up error ends the process with its message and no stack; a request's error becomes an error response.
 */
import { ERROR_CODES, type ErrorCodeName } from '../protocol/index.ts';

export class ServerError extends Error {
  readonly code: ErrorCodeName;
  readonly retryable: boolean;

  constructor(code: ErrorCodeName, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ServerError';
    this.code = code;
    this.retryable = ERROR_CODES[code].retryable;
  }
}

/** The code of any of the folders' error classes, or undefined for what nobody expected. */
export function errorCodeOf(error: unknown): ErrorCodeName | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCodeName) : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
