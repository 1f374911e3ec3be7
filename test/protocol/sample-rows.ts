/** One row of every feature type, with fixed values: the golden rows under test/golden/ and the example of row.md. */

import {
  compileLayout,
  type FeatureSpec,
  type GroupSchema,
  LIST_ITEM_TYPES,
  SCALAR_TYPES,
} from '../../protocol/index.ts';
import { encodeRow } from '../../protocol/row-encode.ts';
import { bytesOf } from './frames.ts';
import { EVERY_TYPE, EVERY_VALUE, ROUTE, ROUTE_ROW, schemaOf } from './sample-schemas.ts';

export interface SampleRow {
  schema: GroupSchema;
  values: Record<string, unknown>;
}

function single(feature: FeatureSpec): SampleRow {
  return { schema: schemaOf([feature]), values: { [feature.name]: EVERY_VALUE[feature.name] } };
}

/** Rows by golden name. */
export const SAMPLE_ROWS: Readonly<Record<string, SampleRow>> = {
  'row-route': { schema: ROUTE, values: ROUTE_ROW },
  'row-route-nulls': { schema: ROUTE, values: {} },
  'row-every-type': { schema: schemaOf(EVERY_TYPE), values: EVERY_VALUE },
  ...Object.fromEntries(SCALAR_TYPES.map((type) => [`row-${type}`, single({ name: `a_${type}`, type })])),
  'row-string': single({ name: 'a_string', type: 'string' }),
  'row-bytes': single({ name: 'a_bytes', type: 'bytes' }),
  'row-vector': single({ name: 'a_vector', type: 'vector', length: 3 }),
  'row-msgpack': single({ name: 'a_msgpack', type: 'msgpack' }),
  ...Object.fromEntries(
    LIST_ITEM_TYPES.map((item) => [
      `row-list-${item}`,
      single({ name: `a_list_${item}`, type: 'list', item }),
    ]),
  ),
};

export function sampleRowBytes({ schema, values }: SampleRow): Uint8Array {
  return bytesOf((writer) => {
    encodeRow(compileLayout(schema), values, writer);
  });
}
