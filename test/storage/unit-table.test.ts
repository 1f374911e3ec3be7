/** The unit table: what it says of a unit, when a unit is due, and that it comes back from its bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GroupPolicies } from '../../storage/group-policy.ts';
import { UnitTable } from '../../storage/unit-table.ts';

const USED = 4000;
const POLICIES: GroupPolicies = {
  policyOf: (group) =>
    group === 9
      ? undefined
      : { retentionMicros: group === 1 ? 0 : 100e6, latenessMicros: 0, durability: 'journal' },
};
const NOTHING_DROPPED = (): boolean => false;

function tableOf(): UnitTable {
  return new UnitTable(100, POLICIES);
}

/** `pages` full blocks of ten records each. */
function fill(table: UnitTable, group: number, localPartition: number, pages: number): void {
  for (let page = 0; page < pages; page++) {
    table.addBlock(group, localPartition, 1, USED);
    for (let record = 0; record < 10; record++) table.addRecord(group, localPartition, 400, Infinity, 0);
  }
}

test('pages and bytes are counted by unit and in all', () => {
  const table = tableOf();
  fill(table, 1, 99, 3);
  fill(table, 4000, 0, 1);
  assert.deepEqual([table.pages(1, 99), table.bytes(1, 99)], [3, 12_000]);
  assert.deepEqual([table.pages(1, 98), table.bytes(2, 99)], [0, 0]);
  assert.deepEqual([table.count, table.pageCount, table.recordBytes], [2, 4, 16_000]);
  table.clear(1, 99);
  table.clear(5, 5);
  assert.deepEqual([table.count, table.pageCount, table.recordBytes], [1, 1, 4000]);
});

test('a unit is due when its dead records fill enough pages', () => {
  const table = tableOf();
  fill(table, 1, 3, 10);
  for (let i = 0; i < 39; i++) table.supersede(1, 3, 50e6);
  assert.ok(!table.isDue(1, 3, 0, 60));
  table.supersede(1, 3, 50e6);
  assert.equal(table.deadBytes(1, 3, 60), 16_000);
  assert.ok(table.isDue(1, 3, 0, 60));
});

test('what is superseded dies after the retention, evenly in between', () => {
  const table = tableOf();
  fill(table, 2, 3, 10);
  for (let i = 0; i < 50; i++) table.supersede(2, 3, i < 25 ? 1000e6 : 1050e6);
  assert.equal(table.deadBytes(2, 3, 1099), 0);
  assert.equal(table.deadBytes(2, 3, 1125), 10_000);
  assert.equal(table.deadBytes(2, 3, 1200), 20_000);
  // What had died stays dead when later deaths are added.
  table.addRecord(2, 3, 400, 9000, 1200);
  assert.equal(table.deadBytes(2, 3, 1200), 20_000);
  assert.equal(table.deadBytes(2, 3, 9000), 20_400);
});

test('expiries alone make a unit due, without a write', () => {
  const table = tableOf();
  for (let page = 0; page < 4; page++) {
    table.addBlock(1, 0, 1, USED);
    for (let record = 0; record < 10; record++) table.addRecord(1, 0, 400, 1000 + page * 100, 0);
  }
  assert.equal(table.findDue(0, 1000, 1050, NOTHING_DROPPED), -1);
  const place = table.findDue(0, 1000, 1300, NOTHING_DROPPED);
  assert.deepEqual([table.groupAt(place), table.localPartitionAt(place)], [1, 0]);
});

test('almost empty blocks make a unit due, and a rewrite that cannot do better does not', () => {
  const table = tableOf();
  for (let i = 0; i < 6; i++) table.addBlock(1, 0, 1, 500);
  assert.ok(table.isDue(1, 0, 0, 0));
  table.clear(1, 0);
  for (let i = 0; i < 6; i++) table.addBlock(1, 0, 1, 500);
  table.markDense(1, 0);
  table.addRecord(1, 0, 3000, Infinity, 0);
  assert.ok(!table.isDue(1, 0, 0, 0));
});

test('a round over the units finds each that is due, in bounded looks', () => {
  const table = tableOf();
  fill(table, 1, 7, 1);
  fill(table, 2, 90, 4);
  fill(table, 9, 50, 2);
  for (let i = 0; i < 40; i++) table.supersede(2, 90, 0);
  const found: string[] = [];
  let looks = 0;
  for (let place = 0; place !== -1; looks++) {
    const next = table.findDue(place, 10, 5000, (group) => group === 9);
    if (next >= 0) found.push(`${table.groupAt(next)} ${table.localPartitionAt(next)}`);
    place = next >= 0 ? next + 1 : next === -1 ? -1 : -1 - next;
  }
  assert.deepEqual(found, ['2 90', '9 50']);
  assert.ok(looks > 5);
});

test('the table comes back from its bytes, and no cut one is taken', () => {
  const table = tableOf();
  fill(table, 1, 99, 3);
  fill(table, 4000, 0, 2);
  table.supersede(1, 99, 500e6);
  const bytes = table.encode();
  const back = tableOf();
  back.decode(bytes);
  assert.deepEqual(back.encode(), bytes);
  assert.deepEqual([back.count, back.pageCount, back.recordBytes], [2, 5, 20_000]);
  assert.equal(back.totalDeadBytes(600), table.totalDeadBytes(600));
  for (const length of [0, 7, bytes.length - 1]) {
    assert.throws(() => tableOf().decode(bytes.slice(0, length)), { code: 'BLOCK_CORRUPT' });
  }
  assert.throws(() => new UnitTable(50, POLICIES).decode(bytes), { code: 'BLOCK_CORRUPT' });
});
