/** Tables and their shapes: sizes that grow by a quarter at most, and directories that split. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  IndexSegments,
  shapeAfter,
  shapeCount,
  shapeDepth,
  shapeFor,
  shapeOf,
  shapeOrder,
  shapePages,
  shapeSlots,
  shapeWithWrapped,
  shapeWrapped,
} from '../../storage/index-segments.ts';

test('shapes grow by a page, and from four pages on by a quarter at most', () => {
  const sizes: number[] = [];
  let shape = shapeAfter(0);
  while (shapePages(shape) < 100_000) {
    sizes.push(shapePages(shape));
    shape = shapeAfter(shape);
  }
  assert.deepEqual(sizes.slice(0, 15), [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28]);
  for (let index = 1; index < sizes.length; index++) {
    assert.ok(sizes[index]! <= Math.max(sizes[index - 1]! * 1.25, sizes[index - 1]! + 1));
  }
});

test('the shape for so many pages is the smallest that has them', () => {
  const sizes: number[] = [];
  for (let shape = shapeAfter(0); shapePages(shape) <= 1024; shape = shapeAfter(shape))
    sizes.push(shapePages(shape));
  for (let pages = 1; pages <= 900; pages++) {
    assert.equal(
      shapePages(shapeFor(pages, 0)),
      sizes.find((size) => size >= pages),
    );
  }
});

test('a shape keeps its fields apart', () => {
  const shape = shapeWithWrapped(shapeOf(7, 16, 16), 2 ** 19 - 1);
  assert.deepEqual(
    [shapeCount(shape), shapeOrder(shape), shapeDepth(shape), shapeWrapped(shape), shapeSlots(shape)],
    [7, 16, 16, 2 ** 19 - 1, 7 * 2 ** 21],
  );
  assert.equal(shapeWithWrapped(shape, 0), shapeOf(7, 16, 16));
  assert.equal(shapeDepth(shapeAfter(shapeOf(7, 3, 5))), 5);
});

test('a partition has one table until it is split, then the spread digest chooses', () => {
  const segments = new IndexSegments(3);
  const first = segments.tableOf(1, 0xffffffff);
  assert.equal(segments.tableOf(1, 0), first);
  const upper = segments.split(1, 0, 1);
  assert.equal(segments.tableOf(1, 0x7fffffff), first);
  assert.equal(segments.tableOf(1, 0x80000000 | 0), upper);
  const topQuarter = segments.split(1, 0xffffffff, 2);
  assert.equal(segments.tableOf(1, 0), first, 'the directory has doubled, the lower half stands twice in it');
  assert.equal(segments.tableOf(1, 0x7fffffff), first);
  assert.equal(segments.tableOf(1, 0x80000000), upper);
  assert.equal(segments.tableOf(1, 0xc0000000), topQuarter);
  const second = segments.split(1, 0x12345678, 2);
  assert.equal(segments.tableOf(1, 0x40000000), second);
  const seen: number[] = [];
  segments.visitTables(1, (table) => seen.push(table));
  assert.deepEqual(seen, [first, second, upper, topQuarter]);
  assert.notEqual(segments.tableOf(0, 5), segments.tableOf(2, 5));
});

test('tables keep their lines and rows when more are added', () => {
  const segments = new IndexSegments(1);
  segments.tables[0] = 5;
  segments.setRows(0, 9);
  for (let depth = 1; depth <= 10; depth++) segments.split(0, 0, depth);
  assert.equal(segments.tables[0], 5);
  assert.equal(segments.rowsOf(0), 9);
  assert.ok(segments.bytes >= 11 * 36 + 1024 * 4);
});
