/** Random schemas and rows for fast-check: every type, nulls, empty values, NaN and the edges of integers. */

import fc from 'fast-check';
import {
  FEATURE_TYPES,
  type FeatureSpec,
  type GroupSchema,
  LIST_ITEM_TYPES,
  type ListItemType,
} from '../../protocol/index.ts';
import { schemaOf } from './sample-schemas.ts';

export interface SchemaAndRows {
  schema: GroupSchema;
  rows: Record<string, unknown>[];
}

const text = fc.string({ unit: 'grapheme', maxLength: 20 });

const SCALARS: Record<Exclude<ListItemType, 'string'>, fc.Arbitrary<unknown>> = {
  bool: fc.boolean(),
  int8: fc.integer({ min: -128, max: 127 }),
  int16: fc.integer({ min: -32768, max: 32767 }),
  int32: fc.integer(),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  float32: fc.float(),
  float64: fc.double(),
  timestamp: fc.maxSafeInteger(),
};

function itemOf(item: ListItemType): fc.Arbitrary<unknown> {
  return item === 'string' ? text : SCALARS[item];
}

/** A value of the feature as decodeRow gives it. */
export function arbitraryOf(feature: FeatureSpec): fc.Arbitrary<unknown> {
  switch (feature.type) {
    case 'string':
      return text;
    case 'bytes':
      return fc.uint8Array({ maxLength: 20 });
    case 'vector':
      return fc.float32Array({ minLength: feature.length ?? 1, maxLength: feature.length ?? 1 });
    case 'list':
      return fc.array(itemOf(feature.item ?? 'bool'), { maxLength: 6 });
    case 'msgpack':
      return fc.oneof(
        fc.constant({ a: [1, 'x', null], b: { c: true } }),
        fc.array(fc.oneof(fc.integer(), fc.boolean(), text), { maxLength: 4 }),
        fc.integer(),
        text,
      );
    default:
      return SCALARS[feature.type];
  }
}

const FEATURE: fc.Arbitrary<FeatureSpec> = fc
  .record({
    type: fc.constantFrom(...FEATURE_TYPES),
    length: fc.integer({ min: 1, max: 5 }),
    item: fc.constantFrom(...LIST_ITEM_TYPES),
  })
  .map(({ type, length, item }) => {
    const feature: FeatureSpec = { name: '', type };
    if (type === 'vector') feature.length = length;
    if (type === 'list') feature.item = item;
    return feature;
  });

/** A schema of 1..20 features and a few rows of it, in which any feature may be null. */
export const SCHEMA_AND_ROWS: fc.Arbitrary<SchemaAndRows> = fc
  .array(FEATURE, { minLength: 1, maxLength: 20 })
  .chain((features) => {
    const named = features.map((feature, index) => ({ ...feature, name: `f${index}` }));
    const row = fc.record(
      Object.fromEntries(
        named.map((feature) => [feature.name, fc.option(arbitraryOf(feature), { freq: 4 })]),
      ),
      { noNullPrototype: true },
    );
    return fc.record({
      schema: fc.constant(schemaOf(named)),
      rows: fc.array(row, { minLength: 1, maxLength: 5 }),
    });
  });
