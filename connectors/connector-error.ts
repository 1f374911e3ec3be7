/**
 * The one error of the connectors: the world outside (a file, a directory, an argument) disappointed us.
 *
 * Promises: `code` is one of Millrace's stable codes, so a caller can branch on it and the command line can print it.
 * The message says what was tried, what was seen and what is allowed, naming row and column where there is one.
 *
 * Leaves to others: errors of the node and of the connection are the client's own and pass through unchanged.
 */

export type ConnectorErrorCode = 'FILE_UNREADABLE' | 'FILE_FORMAT_INVALID' | 'USAGE';

export class ConnectorError extends Error {
  readonly code: ConnectorErrorCode;
  /** The same file and arguments give the same error again. */
  readonly retryable: boolean = false;

  constructor(code: ConnectorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectorError';
    this.code = code;
  }
}

/** The file is there but is not what it should be. */
export function formatInvalid(message: string, cause?: unknown): ConnectorError {
  return new ConnectorError('FILE_FORMAT_INVALID', message, { cause });
}

/** The command line asks for something that cannot be. */
export function usage(message: string): ConnectorError {
  return new ConnectorError('USAGE', message);
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
