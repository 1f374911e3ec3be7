/**
 * A patch: what changes in one row, feature by feature, as it travels in a PATCH.
 *
 *   0  u32  patch bytes, a multiple of 8
 *   4  u16  step count, from 1
 *   6  u16  0
 *   8       steps, by rising feature id, each feature at most once:
 *           0  u16  feature id
 *           2  u8   kind
 *           3  u8   0
 *           4  u32  value bytes
 *           8       value, padded to 8
 *
 *   kind           features                          value
 *   1  SET         all                               as in a row: the slot's bytes, or the variable value's
 *   2  SET_NULL    all                               none
 *   3  ADD         int8 … int64, float32, float64    one of the feature's type; not NaN
 *   4  MIN         those and timestamp               as ADD's
 *   5  MAX         those and timestamp               as ADD's
 *   6  APPEND      lists                             u32 bound, u32 0, then a list of the items
 *
 * A null feature counts as 0 for ADD, as absent for MIN and MAX (the operand is taken), and as an empty list for APPEND.
 * After APPEND a list has at most `bound` items: the oldest, which stand first, fall out.
 *
 * row-patch-encode.ts writes patches, row-patch-verify.ts checks them, row-patch-merge.ts applies them.
 */
import { describeValue, ProtocolError } from './protocol-error.ts';

export const STEP_SET = 1;
export const STEP_SET_NULL = 2;
export const STEP_ADD = 3;
export const STEP_MIN = 4;
export const STEP_MAX = 5;
export const STEP_APPEND = 6;

export const PATCH_HEADER_BYTES = 8;
export const STEP_HEADER_BYTES = 8;
/** An APPEND's bound, before its list. */
export const APPEND_BOUND_BYTES = 8;

const STEP_NAMES: readonly string[] = ['', 'set', 'set null', 'add', 'min', 'max', 'append'];

/** How a step's kind reads in a message. */
export function stepName(kind: number): string {
  return STEP_NAMES[kind] || `step of kind ${kind}`;
}

/** One step as a caller builds it; `T` is what the feature must take. */
export class PatchStep<K extends number = number, T = unknown> {
  readonly kind: K;
  readonly value: T;
  /** Items that the list keeps; only of an append. */
  readonly bound: number;

  constructor(kind: K, value: T, bound: number = 0) {
    this.kind = kind;
    this.value = value;
    this.bound = bound;
  }
}

export type SetStep<T> = PatchStep<typeof STEP_SET, T>;
export type AddStep<T> = PatchStep<typeof STEP_ADD, T>;
export type BoundStep<T> = PatchStep<typeof STEP_MIN | typeof STEP_MAX, T>;
export type AppendStep<T> = PatchStep<typeof STEP_APPEND, T>;

/** The feature becomes this value; null: it has none. A value by itself means the same. */
export function set<const T>(value: T): SetStep<T> {
  return new PatchStep(STEP_SET, value);
}

/** The value is added; null counts as 0. An integer that would leave its type's range refuses the row. */
export function add<T extends number | bigint>(value: T): AddStep<T> {
  return new PatchStep(STEP_ADD, value);
}

/** The smaller one stays; null gives way. */
export function min<T>(value: T): BoundStep<T> {
  return new PatchStep(STEP_MIN, value);
}

/** The larger one stays; null gives way. */
export function max<T>(value: T): BoundStep<T> {
  return new PatchStep(STEP_MAX, value);
}

/** One item, or an array of them, comes at the list's end; beyond `max` items the oldest fall out. */
export function append<const T>(items: T, options: { readonly max: number }): AppendStep<T> {
  const bound: unknown = options?.max;
  if (typeof bound !== 'number') {
    throw new ProtocolError('PATCH_INVALID', `append needs { max }; it got ${describeValue(bound)}`);
  }
  return new PatchStep(STEP_APPEND, items, bound);
}
