/** Decoding one feature, presence and the header's fields; whole rows are in row-encode.test.ts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compileLayout,
  decodeFeature,
  decodeFeatures,
  decodeRow,
  isPresent,
  rowBytesAt,
  rowSchemaVersionAt,
} from '../../protocol/index.ts';
import { SAMPLE_ROWS, sampleRowBytes } from './sample-rows.ts';
import { EVERY_TYPE, EVERY_VALUE, ROUTE, schemaOf } from './sample-schemas.ts';

function viewOf(name: string): DataView {
  const bytes = sampleRowBytes(SAMPLE_ROWS[name]!);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

test('features can be read one by one and in any choice', () => {
  const layout = compileLayout(schemaOf(EVERY_TYPE));
  const view = viewOf('row-every-type');
  for (const slot of layout.slots) assert.deepEqual(decodeFeature(slot, view, 0), EVERY_VALUE[slot.name]);
  const values: unknown[] = ['kept'];
  decodeFeatures([layout.slots[8]!, layout.slots[0]!], view, 0, values, 1);
  assert.deepEqual(values, ['kept', EVERY_VALUE['a_string'], EVERY_VALUE['a_bool']]);
});

test('null features are null, and the header says version and length', () => {
  const layout = compileLayout(ROUTE);
  const view = viewOf('row-route-nulls');
  assert.deepEqual(decodeRow(layout, view, 0), {
    delay: null,
    mean_delay: null,
    carrier: null,
    departures: null,
  });
  for (let index = 0; index < 4; index++) assert.ok(!isPresent(view, 0, index));
  assert.equal(rowBytesAt(view, 0), 40);
  assert.equal(rowSchemaVersionAt(view, 0), 1);
});

test('properties stand in schema order', () => {
  const row = decodeRow(compileLayout(ROUTE), viewOf('row-route'), 0);
  assert.deepEqual(Object.keys(row), ['delay', 'mean_delay', 'carrier', 'departures']);
});
