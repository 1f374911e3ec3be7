/**
 * What a caller hands to the write path: the rows of one request as columns, and room for the answers.
 *
 * I1  From `write` until its `done`, the request and its buffers belong to the store only until `write` returns:
 *     keys and payload are copied; `results` and `lsns` are filled before `done` and read after it.
 */
import type { KeyBatch } from '../protocol/index.ts';

/** The row was the newest of its key when it was applied. */
export const RESULT_APPLIED = 0;
/** A version with a later event time was there: the row is kept as history, lookups do not see it. */
export const RESULT_SUPERSEDED = 1;

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
  /** Filled with RESULT_… */
  readonly results: Uint8Array;
  /** Filled with each version's LSN. */
  readonly lsns: Float64Array;
}
