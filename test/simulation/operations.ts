/**
 * What the model test does to a store: operations as plain data, so that fast-check can shrink a failing sequence and print
 * it as something to paste back.
 *
 * Few keys and few event times, because the interesting cases are versions of one key that meet: late, equal, expired, deleted.
 */
import fc from 'fast-check';

export const KEYS: readonly string[] = Array.from({ length: 10 }, (_, index) => `key-${index}`);
/** All groups have the same keys. The first keeps all history, the second a minute, the third hardly any. */
export const GROUPS: readonly number[] = [1, 7, 8];
export const RETENTION_SECONDS: Readonly<Record<number, number>> = {
  1: Number.POSITIVE_INFINITY,
  7: 60,
  8: 5,
};
/** How late a write may come, where that is longer than the retention. */
export const LATENESS_SECONDS: Readonly<Record<number, number>> = { 1: 1000, 7: 90, 8: 90 };

export interface WrittenRow {
  readonly key: number;
  readonly value: number;
  /** Event time: so many seconds from the clock. Negative is late. */
  readonly offsetSeconds: number;
}

/** A condition on every row of a request: that its version is the one it has, or another one; null: none. */
export type Condition = 'right' | 'wrong' | null;

export type Operation =
  | {
      readonly do: 'put';
      readonly group: number;
      readonly rows: readonly WrittenRow[];
      readonly ttlSeconds: number;
      readonly isBackfill: boolean;
      readonly condition: Condition;
    }
  | { readonly do: 'delete'; readonly group: number; readonly rows: readonly WrittenRow[] }
  /** Appends to the row's text. */
  | {
      readonly do: 'patch';
      readonly group: number;
      readonly rows: readonly WrittenRow[];
      readonly condition: Condition;
    }
  /** The keyed put or patch made so many ago, sent again. */
  | { readonly do: 'repeat'; readonly back: number }
  | { readonly do: 'advance'; readonly seconds: number }
  | { readonly do: 'read' }
  /** A scan as of so many seconds ago, of what was committed up to so many seconds ago, and since. */
  | {
      readonly do: 'history';
      readonly group: number;
      readonly asOfAgo: number;
      readonly readPointAgo: number;
      readonly sinceAgo: number | null;
    }
  | { readonly do: 'flush' }
  | { readonly do: 'compact' }
  | { readonly do: 'restart' };

const row: fc.Arbitrary<WrittenRow> = fc.record({
  key: fc.nat(KEYS.length - 1),
  // A few are larger than a block.
  value: fc.oneof(
    { weight: 9, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.integer({ min: 4000, max: 9000 }) },
  ),
  offsetSeconds: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.integer({ min: -5, max: 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: -1200, max: 400 }) },
  ),
});

const condition = fc.oneof(
  { weight: 6, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom('right' as const, 'wrong' as const) },
);

const group = fc.constantFrom(...GROUPS);

/** One request may write a key twice. */
const rows = fc.array(row, { minLength: 1, maxLength: 6 });

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      group,
      rows,
      ttlSeconds: fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 50 }) },
      ),
      isBackfill: fc.oneof(
        { weight: 5, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
      condition,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('patch' as const), group, rows, condition }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), back: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), group, rows }) },
  // Back, too: a clock that was set wrong and then right.
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      seconds: fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 60 }) },
        { weight: 1, arbitrary: fc.integer({ min: -30, max: 200 }) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('history' as const),
      group,
      asOfAgo: fc.integer({ min: -3, max: 80 }),
      readPointAgo: fc.integer({ min: -3, max: 80 }),
      sinceAgo: fc.option(fc.integer({ min: -3, max: 80 })),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'compact' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'flush' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);
