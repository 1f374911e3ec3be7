/** The index's budget: new rows enter until it is reached, and again when rows have gone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IndexTable } from '../../storage/index-table.ts';
import { MemoryBudget } from '../../storage/memory-budget.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);
const MIB = 1024 * 1024;
const PARTITIONS = 64;
const GROUP = 7;

test('without a limit every row may enter', () => {
  const budget = new MemoryBudget({
    indexBytesMax: Number.POSITIVE_INFINITY,
    index: { bytes: 2 ** 50, rowCount: 2 ** 40 },
    pendingBytes: () => 2 ** 40,
    besideBytes: () => 2 ** 40,
  });
  assert.equal(budget.mayInsert(), true);
  assert.equal(budget.indexBytesMax, 0);
});

test('rows enter a real index until its bytes are reached, never beyond them, and again when rows were removed', () => {
  const random = new SeededRandom(SEED);
  const index = new IndexTable({ partitionCount: PARTITIONS });
  const indexBytesMax = 16 * MIB;
  const budget = new MemoryBudget({ indexBytesMax, index, pendingBytes: () => 0, besideBytes: () => 0 });
  const rows: [partition: number, digestHi: number, digestLo: number][] = [];
  const fill = (): number => {
    let entered = 0;
    while (budget.mayInsert()) {
      const row: (typeof rows)[number] = [random.below(PARTITIONS), random.uint32(), random.uint32()];
      index.insert(...row, GROUP, 1);
      rows.push(row);
      entered += 1;
      assert.ok(index.bytes <= indexBytesMax, `${index.bytes} after ${rows.length} rows`);
    }
    return entered;
  };
  const first = fill();
  assert.ok(first * 32 > 0.6 * indexBytesMax, `only ${first} rows`);
  for (const row of rows.splice(0, first / 2)) index.remove(index.find(...row, GROUP), row[0]);
  const second = fill();
  assert.ok(second > 0.4 * (first / 2), `only ${second} rows came in for ${first / 2} removed`);
});

test('what was accepted and is not in the index yet counts', () => {
  let pendingBytes = 0;
  let besideBytes = 0;
  const index = { bytes: 4 * MIB, rowCount: 100_000 };
  const budget = new MemoryBudget({
    indexBytesMax: 8 * MIB,
    index,
    pendingBytes: () => pendingBytes,
    besideBytes: () => besideBytes,
  });
  assert.equal(budget.mayInsert(), true);
  pendingBytes = 4 * MIB;
  assert.equal(budget.mayInsert(), false);
  pendingBytes = 0;
  besideBytes = 4 * MIB;
  assert.equal(budget.mayInsert(), true, 'what is beside the index is looked at now and then');
  budget.refresh();
  assert.equal(budget.mayInsert(), false);
});
