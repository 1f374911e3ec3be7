/** Lists of every item type, empty ones among them, keep their items. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter, compileLayout, LIST_ITEM_TYPES } from '../../protocol/index.ts';
import { appendList, readList } from '../../protocol/list-codec.ts';
import { EVERY_VALUE, schemaOf } from './sample-schemas.ts';

test('lists of every item type come back', () => {
  for (const item of LIST_ITEM_TYPES) {
    const slot = compileLayout(schemaOf([{ name: 'l', type: 'list', item }])).slots[0]!;
    for (const items of [[], EVERY_VALUE[`a_list_${item}`] as unknown[]]) {
      const writer = new ByteWriter();
      writer.reserve(8);
      appendList(writer, slot, items);
      assert.deepEqual(readList(writer.view, writer.bytes, 8, slot), items, item);
      assert.equal(writer.view.getUint32(8, true), items.length);
    }
  }
});

test('an empty list is not null: it takes its header', () => {
  const slot = compileLayout(schemaOf([{ name: 'l', type: 'list', item: 'string' }])).slots[0]!;
  const writer = new ByteWriter();
  appendList(writer, slot, []);
  assert.equal(writer.length, 8);
});
