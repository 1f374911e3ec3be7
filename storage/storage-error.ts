/**
 * The one error class of storage/: what the disk or a request did wrong, by a code of a closed union.
 *
 * The codes are a subset of the protocol's error codes; server/ alone turns them into the wire's numbers. A missing
 * key is a result and never an error; a broken invariant of ours is an `assert` and never a StorageError.
 */
import { ERROR_CODES, type ErrorCodeName } from '../protocol/index.ts';

export type StorageErrorCode = Extract<
  ErrorCodeName,
  | 'GROUP_NOT_FOUND'
  | 'BATCH_TOO_LARGE'
  | 'KEY_TOO_LARGE'
  | 'ROW_TOO_LARGE'
  | 'EVENT_TIME_INVALID'
  | 'EVENT_TIME_IN_FUTURE'
  | 'TOO_LATE'
  | 'LIMIT_EXCEEDED'
  | 'VERSION_MISMATCH'
  | 'LATE_PATCH'
  | 'PATCH_INVALID'
  | 'IDEMPOTENCY_EXPIRED'
  | 'HISTORY_EXPIRED'
  | 'READ_POINT_INVALID'
  | 'NOT_OWNER'
  | 'OVERLOADED'
  | 'SHUTTING_DOWN'
  | 'STORAGE_FULL'
  | 'MEMORY_FULL'
  | 'BLOCK_CORRUPT'
  | 'INTERNAL'
  | 'DATA_DIRECTORY_LOCKED'
  | 'DATA_DIRECTORY_NEWER'
  | 'DATA_DIRECTORY_INVALID'
  | 'SHARD_COUNT_MISMATCH'
  | 'JOURNAL_CORRUPT'
  | 'BACKUP_INVALID'
>;

/** A block that failed its check, and how. */
export interface CorruptBlock {
  readonly keyHi: number;
  readonly keyLo: number;
  readonly fault: string;
}

export class StorageError extends Error {
  readonly code: StorageErrorCode;
  readonly retryable: boolean;
  /** The block that is damaged, in a BLOCK_CORRUPT that one block is the cause of. */
  readonly block: CorruptBlock | undefined;

  constructor(code: StorageErrorCode, message: string, options?: { cause?: unknown; block?: CorruptBlock }) {
    super(message, options);
    this.block = options?.block;
    this.name = 'StorageError';
    this.code = code;
    this.retryable = ERROR_CODES[code].retryable;
  }
}
