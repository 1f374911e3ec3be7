/** Growth of the index: what it may hold at every row count, and that no insert moves more than one table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IndexTable } from '../../storage/index-table.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

/** DESIGN: at most 48 bytes a row at the worst row count. */
const ROW_BYTES_MAX = 48;

function insertRow(index: IndexTable, random: SeededRandom, partition: number, group: number): void {
  const handle = index.insert(partition, random.uint32(), random.uint32(), group, random.uint32());
  index.set(handle, 1, 0, 0, 0, 1, false, 0);
}

test('from 220 rows a partition on, no row count costs more than 48 bytes a row', () => {
  const random = new SeededRandom(SEED);
  const partitionCount = 1024;
  const index = new IndexTable({ partitionCount });
  let worst = 0;
  for (let row = 1; row <= 700 * partitionCount; row++) {
    insertRow(index, random, random.below(partitionCount), 1);
    // The bytes change with growth only; every 64th row sees each of the peaks within 0.1 %.
    if (row >= 220 * partitionCount && row % 64 === 0) worst = Math.max(worst, index.bytes / row);
  }
  assert.ok(worst <= ROW_BYTES_MAX, `${worst} bytes a row`);
  assert.ok(worst >= 32 / 0.85, `${worst} bytes a row is less than full tables take`);
  index.verify();
});

test('one partition may grow without limit: its tables split, and each insert moves one of them at most', () => {
  const random = new SeededRandom(SEED);
  const index = new IndexTable({ partitionCount: 1 });
  const rows = 200_000;
  let worst = 0;
  let largestGrowth = 0;
  let bytes = index.bytes;
  for (let row = 1; row <= rows; row++) {
    insertRow(index, random, 0, 1 + random.below(50));
    largestGrowth = Math.max(largestGrowth, index.bytes - bytes);
    bytes = index.bytes;
    if (row > 20_000) worst = Math.max(worst, bytes / row);
  }
  // What a table of 512 KiB takes when it is split, with the copy that the growth works on.
  assert.ok(largestGrowth <= 1.3 * 2 ** 20, `${largestGrowth} bytes at once`);
  assert.ok(worst <= 80, `${worst} bytes a row, with the copy of one table beside 20,000 rows`);
  assert.ok(bytes / rows <= ROW_BYTES_MAX + 4);
  index.verify();
});

test('rows with one digest make one long table and stay reachable', () => {
  const index = new IndexTable({ partitionCount: 1 });
  for (let row = 0; row < 3000; row++) {
    index.set(index.insert(0, 0xffffffff, 0, 1, row), 1, row, 0, 0, 1, false, 0);
  }
  index.verify();
  for (let row = 0; row < 3000; row += 7) {
    assert.equal(index.block(index.findForWrite(0, 0xffffffff, 0, 1, row)), row);
  }
});

test('rows of one entity in thousands of groups do not stand in one run', () => {
  const index = new IndexTable({ partitionCount: 1 });
  for (let group = 1; group <= 4095; group++) {
    index.set(index.insert(0, 12345, 0, group, 1), 1, 0, 0, 0, 1, false, 0);
  }
  index.verify();
  let farthest = 0;
  for (let group = 1; group <= 4095; group++) {
    const distance = Math.abs(index.find(0, 12345, 0, group) - index.home(0, 12345, group));
    // Handles of neighbouring slots differ by one within a chunk; a far chunk is a far handle.
    if (distance < 1000) farthest = Math.max(farthest, distance);
  }
  assert.ok(farthest <= 8, `${farthest} slots from home`);
});
