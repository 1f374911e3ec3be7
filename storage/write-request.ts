/**
 * What a caller hands to the write path: the rows of one request as columns, and room for the answers.
 *
 * I1  From `write` until its `done`, the request and its buffers belong to the store only until `write` returns:
 *     keys and payload are copied; `results` and `lsns` are filled before `done` and read after it.
 */
import { strict as assert } from 'node:assert';
import { errorNumber, type KeyBatch } from '../protocol/index.ts';
import type { Arena } from './arena.ts';
import type { StorageErrorCode } from './storage-error.ts';

/** The row was the newest of its key when it was applied. */
export const RESULT_APPLIED = 0;
/** A version with a later event time was there: the row is kept as history, lookups do not see it. */
export const RESULT_SUPERSEDED = 1;
/** A backfilled row: it is history, whatever else is there. */
export const RESULT_HISTORY = 2;

/** What a row is answered that was not written: the error code's number, which is above every other result. */
export function refusalResult(code: StorageErrorCode): number {
  const result = errorNumber(code);
  assert(result > RESULT_HISTORY && result < 256);
  return result;
}

/** What a request says that has no conditions: spread it into one. */
export const UNCONDITIONAL: Pick<
  WriteRequest,
  'isBackfill' | 'isTimeFloor' | 'ifVersions' | 'merge' | 'clientIdLo' | 'clientIdHi' | 'sequence'
> = {
  isBackfill: false,
  isTimeFloor: false,
  ifVersions: null,
  merge: null,
  clientIdLo: 0,
  clientIdHi: 0,
  sequence: 0,
};

/**
 * Makes the row that a patch leads to: from `base.bytes[baseFrom, baseTo)`, an encoded row of any schema version of the
 * group, or from no row when `base` is null. The answer holds until the next call, is a multiple of 8 long, and is a
 * row of the newest schema version; or it is a refusal (`PATCH_INVALID`, `ROW_TOO_LARGE`). A pure function: the same
 * input, the same bytes.
 */
export type PatchMerge = (
  base: Arena | null,
  baseFrom: number,
  baseTo: number,
  patch: Uint8Array,
  patchFrom: number,
  patchTo: number,
) => Uint8Array | StorageErrorCode;

export interface WriteRequest {
  readonly group: number;
  /** KIND_PUT or KIND_DELETE, for all rows. */
  readonly kind: number;
  readonly count: number;
  /** `count` keys with their digests; every partition is this shard's. */
  readonly keys: KeyBatch;
  /** µs since the epoch, safe integers. */
  readonly eventTimes: Float64Array;
  /** Seconds from a row's event time to its expiry; 0 means never. */
  readonly ttlSeconds: number;
  /** Encoded rows, each a multiple of 8 bytes long; unused by deletes. */
  readonly payload: Uint8Array;
  /** count + 1 offsets into `payload`; null for deletes. */
  readonly payloadOffsets: Uint32Array | null;
  /** The rows enter history only: lookups never see them, and no row is too late. */
  readonly isBackfill: boolean;
  /** Patches only: a row whose newest version has a later event time keeps that time, so that no patch is late. */
  readonly isTimeFloor: boolean;
  /** By row: the LSN that the row's newest version must have, 0 for a row that must not be there; null: no condition. */
  readonly ifVersions: Float64Array | null;
  /** Given for patches, whose `payload` holds encoded patches. */
  readonly merge: PatchMerge | null;
  /** The request's idempotency key; client id 0 (both halves) means none. */
  readonly clientIdLo: number;
  readonly clientIdHi: number;
  readonly sequence: number;
  /** Filled with RESULT_… or a `refusalResult`. */
  readonly results: Uint8Array;
  /** Filled with each version's LSN; 0 where the row was refused. */
  readonly lsns: Float64Array;
}
