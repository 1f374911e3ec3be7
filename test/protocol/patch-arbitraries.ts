/** Random patches for fast-check: steps of every kind that a feature takes, near the edges of integers. */
import fc from 'fast-check';
import {
  add,
  append,
  type Feature,
  type FeatureSpec,
  type GroupSchema,
  max,
  min,
  set,
} from '../../protocol/index.ts';
import { arbitraryOf, SCHEMA_AND_ROWS } from './row-arbitraries.ts';

export type Values = Record<string, unknown>;

const INTEGER_TYPES: readonly string[] = ['int8', 'int16', 'int32', 'int64'];

function isNumber(type: string): boolean {
  return INTEGER_TYPES.includes(type) || type === 'float32' || type === 'float64';
}

/** Small operands as often as any, so that sums stay in range often enough. */
function operandOf(feature: FeatureSpec): fc.Arbitrary<number | bigint> {
  const any = arbitraryOf(feature).filter((value) => !Number.isNaN(value)) as fc.Arbitrary<number | bigint>;
  if (!INTEGER_TYPES.includes(feature.type)) return any;
  const small = fc.integer({ min: -3, max: 3 });
  return fc.oneof(any, feature.type === 'int64' ? small.map(BigInt) : small);
}

export function arbitraryStep(feature: FeatureSpec): fc.Arbitrary<unknown> {
  const value = arbitraryOf(feature);
  const steps: fc.Arbitrary<unknown>[] = [value, value.map((v) => set(v)), fc.constant(null)];
  if (isNumber(feature.type)) steps.push(operandOf(feature).map((operand) => add(operand)));
  if (isNumber(feature.type) || feature.type === 'timestamp') {
    steps.push(
      operandOf(feature).map((operand) => min(operand)),
      operandOf(feature).map((operand) => max(operand)),
    );
  }
  if (feature.type === 'list') {
    const bound = fc.integer({ min: 1, max: 8 });
    steps.push(fc.tuple(value, bound).map(([items, limit]) => append(items, { max: limit })));
  }
  return fc.oneof(...steps);
}

export interface PatchCase {
  /** The newest version. */
  schema: GroupSchema;
  /** An earlier one: without some of its features, with some that were dropped since. */
  earlier: GroupSchema;
  /** Of the version that `isEarlier` says; null: no row. */
  base: Values | null;
  isEarlier: boolean;
  patch: Values;
}

export const PATCH_CASE: fc.Arbitrary<PatchCase> = SCHEMA_AND_ROWS.chain(({ schema, rows }) => {
  const count = schema.features.length;
  return fc
    .record({
      added: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
      dropped: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
      isEarlier: fc.boolean(),
      isMissing: fc.integer({ min: 0, max: 5 }).map((dice) => dice === 0),
      patch: fc.record(
        Object.fromEntries(schema.features.map((feature) => [feature.name, arbitraryStep(feature)])),
        { requiredKeys: [], noNullPrototype: true },
      ),
    })
    .map(({ added, dropped, isEarlier, isMissing, patch }) => {
      const isAdded = (index: number): boolean => added[index]! && !dropped[index]!;
      const pick = (keep: (index: number) => boolean): Feature[] =>
        schema.features.filter((_, index) => keep(index));
      const earlier = { ...schema, version: 1, features: pick((index) => !isAdded(index)) };
      const newest = { ...schema, version: 2, features: pick((index) => !dropped[index]!) };
      const known = new Set(newest.features.map(({ name }) => name));
      return {
        schema: newest,
        earlier,
        base: isMissing ? null : rows[0]!,
        isEarlier,
        patch: Object.fromEntries(Object.entries(patch).filter(([name]) => known.has(name))),
      };
    });
}).filter(
  ({ schema, earlier, patch }) =>
    schema.features.length > 0 && earlier.features.length > 0 && Object.keys(patch).length > 0,
);
