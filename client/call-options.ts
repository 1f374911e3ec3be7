/** What the client's calls take beside groups, keys and rows. */
import type { FeatureMatrix } from './feature-matrix.ts';
import type { PutColumns } from './row-chunk.ts';
import type { TimeInput } from './row-types.ts';

export interface CallOptions {
  /** The longest that this call may take, its retries included, in ms. Default: the client's `timeoutMs`. */
  readonly timeoutMs?: number;
}

export interface CreateGroupOptions extends CallOptions {
  /** Answer the group that is there, when it was declared the same, instead of rejecting. Default false. */
  readonly ifNotExists?: boolean;
}

export interface ReadOptions extends CallOptions {
  /** Features to give; key columns and event time come always. Default: all. */
  readonly features?: readonly string[];
}

export interface MatrixOptions extends CallOptions {
  /** Features as columns, in this order: bool, numbers, timestamps (µs) and vectors. */
  readonly features: readonly string[];
  /** Numbers of the matrix. Default float32; float64 is exact for int32, timestamps and int64 up to 2^53. */
  readonly dtype?: 'float32' | 'float64';
  /** Also give each row's event time. */
  readonly eventTimes?: boolean;
}

export interface WriteOptions extends CallOptions {
  /** Also give each row's LSN. */
  readonly lsns?: boolean;
  /**
   * Write a row only when the row that is there has this LSN, and 0: only when there is none. One for all rows, or one a
   * row. Rows for which it is not so are refused (VERSION_MISMATCH). `getVersioned` reads LSNs, `lsns` answers them.
   */
  readonly ifVersion?: number | ArrayLike<number>;
  /**
   * Carry an idempotency key, so that the call is repeated after a lost connection and still applied once. Default false:
   * see `retryWrites`. Calls with `ifVersion`, and all patches, carry one anyhow.
   */
  readonly idempotent?: boolean;
}

export type PatchOptions = Omit<WriteOptions, 'idempotent'>;

export interface PutOptions extends WriteOptions {
  /**
   * The rows enter history only: training reads see them, lookups never do, and no row is too late. For loading the past
   * beside the present. Default false.
   */
  readonly backfill?: boolean;
}

export interface DeleteOptions extends PutOptions {
  /** The moment from which the rows are gone; a row with a newer event stays. Default: now. */
  readonly eventTime?: TimeInput;
}

/** Rows as columns: key columns, event times and features by name, each with one value a row. */
export interface ColumnRows {
  /** Arrays or typed arrays. A vector of length n may be one Float32Array of rows × n. */
  readonly columns: PutColumns;
}

/** The matrix that these options give. */
export type MatrixOf<O extends MatrixOptions> = FeatureMatrix<
  O extends { readonly dtype: 'float64' } ? Float64Array : Float32Array
>;
