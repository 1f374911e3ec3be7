/**
 * What the model test does to a store: operations as plain data, so that fast-check can shrink a failing sequence and print
 * it as something to paste back.
 *
 * Few keys and few event times, because the interesting cases are versions of one key that meet: late, equal, expired, deleted.
 */
import fc from 'fast-check';

export const KEYS: readonly string[] = Array.from({ length: 10 }, (_, index) => `key-${index}`);
/** Both groups have the same keys. */
export const GROUPS: readonly number[] = [1, 7];

export interface WrittenRow {
  readonly key: number;
  readonly value: number;
  /** Event time: so many seconds from the clock. Negative is late. */
  readonly offsetSeconds: number;
}

export type Operation =
  | {
      readonly do: 'put';
      readonly group: number;
      readonly rows: readonly WrittenRow[];
      readonly ttlSeconds: number;
    }
  | { readonly do: 'delete'; readonly group: number; readonly rows: readonly WrittenRow[] }
  | { readonly do: 'advance'; readonly seconds: number }
  | { readonly do: 'read' }
  | { readonly do: 'flush' }
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
    { weight: 1, arbitrary: fc.integer({ min: -4000, max: 0 }) },
  ),
});

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
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), group, rows }) },
  // Back, too: a clock that was set wrong and then right.
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('advance' as const), seconds: fc.integer({ min: -30, max: 60 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'flush' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);
