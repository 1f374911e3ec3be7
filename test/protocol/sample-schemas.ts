/** Schemas and rows that the protocol's tests share: one feature of every type, and the flights of the documents. */

import {
  type FeatureSpec,
  type GroupSchema,
  type KeyColumn,
  LIST_ITEM_TYPES,
  SCALAR_TYPES,
  schemaFromSpec,
  validateGroupSpec,
} from '../../protocol/index.ts';

export const CREATED_AT_MICROS = 1_700_000_000_000_000;

export function schemaOf(
  features: FeatureSpec[],
  key: KeyColumn[] = [{ name: 'id', type: 'int64' }],
): GroupSchema {
  return schemaFromSpec(validateGroupSpec({ name: 'sample', key, features }), 7, CREATED_AT_MICROS);
}

/** The group of docs/formats/: routes keyed by origin and destination. */
export const ROUTE: GroupSchema = schemaFromSpec(
  validateGroupSpec({
    name: 'route',
    key: [
      { name: 'origin', type: 'string' },
      { name: 'destination', type: 'string' },
    ],
    features: [
      { name: 'delay', type: 'int16' },
      { name: 'mean_delay', type: 'float32' },
      { name: 'carrier', type: 'string' },
      { name: 'departures', type: 'int64' },
    ],
    ttlSeconds: 86_400,
  }),
  5,
  CREATED_AT_MICROS,
);

export const ROUTE_ROW: Record<string, unknown> = {
  delay: -4,
  mean_delay: 12.5,
  carrier: 'WN',
  departures: 1_000_000n,
};

/** Every type once, lists of every item type, and enough features that the bitmap has a second byte. */
export const EVERY_TYPE: FeatureSpec[] = [
  ...SCALAR_TYPES.map((type) => ({ name: `a_${type}`, type })),
  { name: 'a_string', type: 'string' },
  { name: 'a_bytes', type: 'bytes' },
  { name: 'a_vector', type: 'vector', length: 3 },
  ...LIST_ITEM_TYPES.map((item): FeatureSpec => ({ name: `a_list_${item}`, type: 'list', item })),
  { name: 'a_msgpack', type: 'msgpack' },
];

export const EVERY_VALUE: Record<string, unknown> = {
  a_bool: true,
  a_int8: -128,
  a_int16: 32767,
  a_int32: -2147483648,
  a_int64: -9223372036854775808n,
  a_float32: 1.5,
  a_float64: Math.PI,
  a_timestamp: 1_700_000_000_123_456,
  a_string: 'Zürich ✈',
  a_bytes: Uint8Array.of(0, 1, 254, 255),
  a_vector: Float32Array.of(1, -2, 0.5),
  a_list_bool: [true, false],
  a_list_int8: [1, -1],
  a_list_int16: [256, -256, 0],
  a_list_int32: [65536],
  a_list_int64: [1n, -1n],
  a_list_float32: [0.25, Number.NaN],
  a_list_float64: [Number.POSITIVE_INFINITY],
  a_list_timestamp: [0, -1],
  a_list_string: ['', 'ORD', 'Zürich'],
  a_msgpack: { gates: ['B1', 'B2'], open: true, note: null },
};
