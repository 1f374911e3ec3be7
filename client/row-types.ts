/**
 * The types of rows: what a group's declaration says about the objects that are put and read. No code.
 *
 *   const spec = { name: 'airport', key: { origin: 'string' }, features: { delay: 'float32' } } as const
 *   reads   { origin: string, event_time: number, delay: number | null }
 *   puts    { origin: string, event_time?: TimeInput, delay?: number | null }
 *   keys    string | { origin: string }
 *
 * A group that is looked up by name has the loose types `Row`, `PutRow` and `EntityKey`.
 */
import type {
  AddStep,
  AppendStep,
  BoundStep,
  Durability,
  FeatureType,
  KeyType,
  ListItemType,
  ScalarType,
  SetStep,
} from '../protocol/index.ts';

/** A moment: µs since the Unix epoch (UTC) as a number or bigint, or a `Date`. */
export type TimeInput = number | bigint | Date;

/** What a key column is read as. A timestamp is µs since the epoch. */
export interface KeyReads {
  int64: bigint;
  string: string;
  bytes: Uint8Array;
  uuid: string;
  timestamp: number;
}

/** What a key column is given as. A uuid is its usual text form or 16 bytes. */
export interface KeyWrites {
  int64: number | bigint;
  string: string;
  bytes: Uint8Array;
  uuid: string | Uint8Array;
  timestamp: TimeInput;
}

/** What a feature is read as, null aside. A vector is a Float32Array of its declared length. */
export interface FeatureReads {
  bool: boolean;
  int8: number;
  int16: number;
  int32: number;
  int64: bigint;
  float32: number;
  float64: number;
  timestamp: number;
  string: string;
  bytes: Uint8Array;
  vector: Float32Array;
  list: unknown[];
  msgpack: unknown;
}

/** What a feature is given as, null and undefined (both: no value) aside. */
export interface FeatureWrites {
  bool: boolean;
  int8: number;
  int16: number;
  int32: number;
  int64: number | bigint;
  float32: number;
  float64: number;
  timestamp: TimeInput;
  string: string;
  bytes: Uint8Array;
  vector: Float32Array | readonly number[];
  list: readonly unknown[];
  msgpack: unknown;
}

/** A row of a group looked up by name: key columns, the event time (µs) and the features, by column name. */
export type Row = Record<string, unknown>;
export type PutRow = Readonly<Record<string, unknown>>;
/** One column: its value. Several: an array in column order, or an object by column name. */
export type EntityKey = unknown;

/** Types that take a default. */
type Defaulted = ScalarType | 'string';

/** With a default: what rows read as that say nothing of the feature, as those written before it was added. */
export type FeatureDeclaration =
  | Exclude<FeatureType, 'vector' | 'list'>
  | { readonly type: Exclude<FeatureType, 'vector' | 'list' | Defaulted> }
  | { readonly type: Defaulted; readonly default?: boolean | number | bigint | string | Date }
  | { readonly type: 'vector'; readonly length: number }
  | { readonly type: 'list'; readonly item: ListItemType };

/** A group's declaration, in the short form. */
export interface CompactGroupSpec {
  readonly name: string;
  /** The entity key's columns, in order. */
  readonly key: Readonly<Record<string, KeyType>>;
  readonly features: Readonly<Record<string, FeatureDeclaration>>;
  /** The column that holds the event time in rows and scans. Default `event_time`. */
  readonly eventTimeName?: string;
  /** Rows older than this, by event time, are missing. 0 or absent: never. */
  readonly ttlSeconds?: number;
  /** How long superseded versions are kept for training reads. 0 or absent: for ever. */
  readonly retentionSeconds?: number;
  /** How late a write may be by event time, if that is longer than the retention. Default a week. */
  readonly latenessSeconds?: number;
  /** What an acknowledged write has survived. 'journal' by default: a crash of the machine. */
  readonly durability?: Durability;
}

type TypeOf<F> = F extends { readonly type: infer T } ? T : F;
type Reads<F> = TypeOf<F> extends infer T extends FeatureType ? FeatureReads[T] | null : never;
type Writes<F> = TypeOf<F> extends infer T extends FeatureType ? FeatureWrites[T] | null : never;
type EventTimeNameOf<S> = S extends { readonly eventTimeName: infer N extends string } ? N : 'event_time';
type Plain<T> = { [K in keyof T]: T[K] };
type IsUnion<T, U = T> = T extends unknown ? ([U] extends [T] ? false : true) : never;

type KeyColumnsOf<S extends CompactGroupSpec> = {
  -readonly [K in keyof S['key']]: KeyWrites[S['key'][K]];
};

/** What a declared group's rows are read as. */
export type ReadRowOf<S extends CompactGroupSpec> = Plain<
  { -readonly [K in keyof S['key']]: KeyReads[S['key'][K]] } & { [E in EventTimeNameOf<S>]: number } & {
    -readonly [F in keyof S['features']]: Reads<S['features'][F]>;
  }
>;

/** What a declared group's rows are put as: the event time is now when absent, an absent feature is null. */
export type PutRowOf<S extends CompactGroupSpec> = Plain<
  KeyColumnsOf<S> & { [E in EventTimeNameOf<S>]?: TimeInput } & {
    -readonly [F in keyof S['features']]?: Writes<S['features'][F]> | undefined;
  }
>;

/** How one entity of a declared group is named. */
export type EntityKeyOf<S extends CompactGroupSpec> =
  | KeyColumnsOf<S>
  | (IsUnion<keyof S['key']> extends true ? readonly unknown[] : KeyColumnsOf<S>[keyof S['key']]);

/**
 * What a patch of a group with these puts takes: the key, perhaps an event time, and of the features those that change,
 * each as its new value or as a step.
 */
export type PatchRowOf<P> = {
  [N in keyof P]: null extends P[N] ? P[N] | SetStep<P[N]> | StepsOf<NonNullable<P[N]>> : P[N];
};

/** Beside `set`: what a feature with these values takes. A list is told from a vector by taking anything as its items. */
type StepsOf<T> = unknown extends T
  ? unknown
  : Date extends T
    ? BoundStep<T>
    : readonly unknown[] extends T
      ? AppendStep<unknown>
      : [T] extends [number | bigint]
        ? AddStep<number | bigint> | BoundStep<number | bigint>
        : never;
