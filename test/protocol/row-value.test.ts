/** Refusals read like the schema: type, value and what is allowed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileLayout, type FeatureSlot, type FeatureSpec, typeText } from '../../protocol/index.ts';
import { refuseItem, refuseValue } from '../../protocol/row-value.ts';
import { refusal } from './frames.ts';
import { EVERY_TYPE, schemaOf } from './sample-schemas.ts';

function slot(feature: FeatureSpec): FeatureSlot {
  return compileLayout(schemaOf([feature])).slots[0]!;
}

test('types read as a person would write them', () => {
  assert.equal(typeText(slot({ name: 'f', type: 'int16' })), 'int16');
  assert.equal(typeText(slot({ name: 'f', type: 'vector', length: 8 })), 'vector of 8');
  assert.equal(typeText(slot({ name: 'f', type: 'list', item: 'string' })), 'list of string');
});

test('every type says what it allows', () => {
  for (const feature of EVERY_TYPE) {
    assert.throws(
      () => refuseValue(slot(feature), 'x'),
      refusal('TYPE_MISMATCH', /^feature "\w+" \(.+\) got "x" \(string\); allowed: (?!undefined)/),
    );
  }
});

test('an item is named by its place', () => {
  const list = slot({ name: 'f', type: 'list', item: 'int8' });
  assert.throws(
    () => refuseItem(list, 128, 3),
    refusal('TYPE_MISMATCH', /got 128 \(number\) as item 3; allowed: an integer from -128 to 127/),
  );
  const vector = slot({ name: 'f', type: 'vector', length: 2 });
  assert.throws(() => refuseItem(vector, 'x', 1), refusal('TYPE_MISMATCH', /as item 1; allowed: a number/));
});
