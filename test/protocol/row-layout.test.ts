/** Layouts: slots by descending width, aligned without gaps, in schema order within a width. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { align8, compileLayout, fixedRowBytes, itemBytesOf } from '../../protocol/index.ts';
import { SCHEMA_AND_ROWS } from './row-arbitraries.ts';
import { ROUTE, schemaOf } from './sample-schemas.ts';
import { announcedSeed } from './seed.ts';

test('the layout of the document', () => {
  const layout = compileLayout(ROUTE);
  assert.deepEqual(
    layout.slots.map((slot) => [slot.name, slot.offset, slot.bytes]),
    [
      ['delay', 36, 2],
      ['mean_delay', 32, 4],
      ['carrier', 16, 8],
      ['departures', 24, 8],
    ],
  );
  assert.equal(layout.bitmapBytes, 8);
  assert.equal(layout.fixedStart, 16);
  assert.equal(layout.fixedEnd, 38);
  assert.equal(layout.variableStart, 40);
  assert.ok(layout.hasVariable);
});

test('slots of any schema tile the fixed section, each aligned to its width', () => {
  const seed = announcedSeed('layout tiling');
  fc.assert(
    fc.property(SCHEMA_AND_ROWS, ({ schema }) => {
      const layout = compileLayout(schema);
      assert.equal(layout.variableStart, fixedRowBytes(schema.features));
      assert.equal(layout.variableStart % 8, 0);
      let end = layout.fixedStart;
      let width = 8;
      for (const slot of [...layout.slots].sort((a, b) => a.offset - b.offset)) {
        assert.equal(slot.offset, end);
        const slotWidth = slot.bytes / slot.length;
        assert.ok(slotWidth <= width && slot.offset % slotWidth === 0);
        width = slotWidth;
        end += slot.bytes;
      }
      assert.equal(layout.fixedEnd, end);
      assert.deepEqual(
        layout.slots.map((slot) => slot.index),
        schema.features.map((_, index) => index),
      );
    }),
    { seed, numRuns: 300 },
  );
});

test('a bitmap takes a bit a feature, in words of eight bytes', () => {
  for (const [count, bytes] of [
    [1, 8],
    [64, 8],
    [65, 16],
    [128, 16],
    [4096, 512],
  ] as const) {
    const features = Array.from({ length: count }, (_, index) => ({
      name: `f${index}`,
      type: 'bool' as const,
    }));
    assert.equal(compileLayout(schemaOf(features)).bitmapBytes, bytes);
  }
});

test('widths', () => {
  assert.equal(itemBytesOf('string'), 0);
  assert.equal(itemBytesOf('timestamp'), 8);
  assert.deepEqual([0, 1, 8, 9].map(align8), [0, 8, 8, 16]);
});
