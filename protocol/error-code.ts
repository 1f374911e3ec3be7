/**
 * The closed set of error codes: what a status number on the wire, an `error.code` in the SDK and a line of the CLI
 * may say. Numbers are stable: a code may be added, never renumbered or reused.
 *
 *   0–15   framing and requests        64–79  raised by the client itself
 *   16–31  what the request asked for  80–95  raised while a node starts
 *   32–47  the node's state            96–111 files and the command line
 *   48–62  what the request asked for, continued
 *
 * retryable: the same request may succeed later, and was certainly not applied unless indeterminate is set too.
 * indeterminate: the request may or may not have been applied.
 */

export interface ErrorCode {
  readonly number: number;
  readonly retryable: boolean;
  readonly indeterminate: boolean;
}

export const ERROR_CODES = {
  OK: { number: 0, retryable: false, indeterminate: false },

  MALFORMED_FRAME: { number: 1, retryable: false, indeterminate: false },
  FRAME_TOO_LARGE: { number: 2, retryable: false, indeterminate: false },
  UNSUPPORTED_VERSION: { number: 3, retryable: false, indeterminate: false },
  UNKNOWN_OPERATION: { number: 4, retryable: false, indeterminate: false },
  HANDSHAKE_REQUIRED: { number: 5, retryable: false, indeterminate: false },
  MALFORMED_REQUEST: { number: 6, retryable: false, indeterminate: false },
  BATCH_EMPTY: { number: 7, retryable: false, indeterminate: false },
  BATCH_TOO_LARGE: { number: 8, retryable: false, indeterminate: false },
  CANCELLED: { number: 9, retryable: false, indeterminate: false },

  GROUP_NOT_FOUND: { number: 16, retryable: false, indeterminate: false },
  GROUP_EXISTS: { number: 17, retryable: false, indeterminate: false },
  SCHEMA_INVALID: { number: 18, retryable: false, indeterminate: false },
  SCHEMA_VERSION_UNKNOWN: { number: 19, retryable: false, indeterminate: false },
  FEATURE_NOT_FOUND: { number: 20, retryable: false, indeterminate: false },
  TYPE_MISMATCH: { number: 21, retryable: false, indeterminate: false },
  KEY_INVALID: { number: 22, retryable: false, indeterminate: false },
  KEY_TOO_LARGE: { number: 23, retryable: false, indeterminate: false },
  ROW_INVALID: { number: 24, retryable: false, indeterminate: false },
  ROW_TOO_LARGE: { number: 25, retryable: false, indeterminate: false },
  EVENT_TIME_INVALID: { number: 26, retryable: false, indeterminate: false },
  EVENT_TIME_IN_FUTURE: { number: 27, retryable: false, indeterminate: false },
  TOO_LATE: { number: 28, retryable: false, indeterminate: false },
  LIMIT_EXCEEDED: { number: 29, retryable: false, indeterminate: false },
  VERSION_MISMATCH: { number: 30, retryable: false, indeterminate: false },
  LATE_PATCH: { number: 31, retryable: false, indeterminate: false },

  NOT_OWNER: { number: 32, retryable: true, indeterminate: false },
  DEADLINE_EXCEEDED: { number: 33, retryable: false, indeterminate: true },
  OVERLOADED: { number: 34, retryable: true, indeterminate: false },
  SHUTTING_DOWN: { number: 35, retryable: true, indeterminate: false },
  STORAGE_FULL: { number: 36, retryable: false, indeterminate: false },
  MEMORY_FULL: { number: 37, retryable: false, indeterminate: false },
  BLOCK_CORRUPT: { number: 38, retryable: false, indeterminate: false },
  PATCH_INVALID: { number: 48, retryable: false, indeterminate: false },
  IDEMPOTENCY_EXPIRED: { number: 49, retryable: false, indeterminate: false },
  HISTORY_EXPIRED: { number: 50, retryable: false, indeterminate: false },
  READ_POINT_INVALID: { number: 51, retryable: false, indeterminate: false },

  INTERNAL: { number: 63, retryable: false, indeterminate: true },

  CONNECTION_LOST: { number: 64, retryable: true, indeterminate: true },
  TIMEOUT: { number: 65, retryable: false, indeterminate: true },
  CLIENT_CLOSED: { number: 66, retryable: false, indeterminate: false },
  CONNECT_FAILED: { number: 67, retryable: true, indeterminate: false },

  PORT_IN_USE: { number: 80, retryable: false, indeterminate: false },
  DATA_DIRECTORY_LOCKED: { number: 81, retryable: false, indeterminate: false },
  DATA_DIRECTORY_NEWER: { number: 82, retryable: false, indeterminate: false },
  SHARD_COUNT_MISMATCH: { number: 83, retryable: false, indeterminate: false },
  CONFIG_INVALID: { number: 84, retryable: false, indeterminate: false },
  JOURNAL_CORRUPT: { number: 85, retryable: false, indeterminate: false },
  DATA_DIRECTORY_INVALID: { number: 86, retryable: false, indeterminate: false },

  FILE_UNREADABLE: { number: 96, retryable: false, indeterminate: false },
  FILE_FORMAT_INVALID: { number: 97, retryable: false, indeterminate: false },
  USAGE: { number: 98, retryable: false, indeterminate: false },
  BACKUP_INVALID: { number: 99, retryable: false, indeterminate: false },
} as const;

export type ErrorCodeName = keyof typeof ERROR_CODES;

const NAME_OF_NUMBER: ReadonlyMap<number, ErrorCodeName> = new Map(
  (Object.keys(ERROR_CODES) as ErrorCodeName[]).map((name) => [ERROR_CODES[name].number, name]),
);

/** The stable number of a code, as it stands in a response header. */
export function errorNumber(name: ErrorCodeName): number {
  return ERROR_CODES[name].number;
}

/** The code of a number. A number this version does not know, sent by a newer peer, reads as INTERNAL. */
export function errorName(number: number): ErrorCodeName {
  return NAME_OF_NUMBER.get(number) ?? 'INTERNAL';
}
