/** The index against a map: every operation, with digests that collide, tables that wrap, grow and split. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IndexTable } from '../../storage/index-table.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

interface Row {
  readonly partition: number;
  readonly digestHi: number;
  readonly digestLo: number;
  readonly group: number;
  readonly hash2: number;
}

function find(index: IndexTable, row: Row): number {
  return index.findForWrite(row.partition, row.digestHi, row.digestLo, row.group, row.hash2);
}

function insert(index: IndexTable, row: Row): number {
  return index.insert(row.partition, row.digestHi, row.digestLo, row.group, row.hash2);
}

/** Every field of the version is derived from one number, so a mix-up of entries shows. */
function setVersion(index: IndexTable, handle: number, version: number): void {
  const offset = (version % 1000) * 8;
  index.set(
    handle,
    1 + (version % 3),
    version,
    offset,
    version - 500,
    version + 1,
    version % 2 === 0,
    version % 97,
  );
}

function assertVersion(index: IndexTable, handle: number, row: Row, version: number): void {
  const actual = [
    index.digestHi(handle),
    index.digestLo(handle),
    index.group(handle),
    index.hash2(handle),
    index.where(handle),
    index.block(handle),
    index.offset(handle),
    index.eventTimeMicros(handle),
    index.lsn(handle),
    index.isTombstone(handle),
    index.expiryHours(handle),
  ];
  assert.deepEqual(actual, [
    row.digestHi,
    (row.digestLo & ~0xfff) >>> 0,
    row.group,
    row.hash2,
    1 + (version % 3),
    version,
    (version % 1000) * 8,
    version - 500,
    version + 1,
    version % 2 === 0,
    version % 97,
  ]);
}

const keyOf = (row: Row): string => Object.values({ ...row, digestLo: row.digestLo >>> 12 }).join();

/** Applies random inserts, updates and removals to both, then compares the whole. */
function runAgainstMap(options: {
  random: SeededRandom;
  steps: number;
  removeChance: number;
  drawRow: () => Row;
}): void {
  const { random, steps, removeChance, drawRow } = options;
  const index = new IndexTable({ partitionCount: 4 });
  const model = new Map<string, { row: Row; version: number }>();
  for (let step = 0; step < steps; step++) {
    const row = drawRow();
    const handle = find(index, row);
    assert.equal(handle >= 0, model.has(keyOf(row)), `step ${step}`);
    if (handle >= 0 && random.chance(removeChance)) {
      index.remove(handle, row.partition);
      model.delete(keyOf(row));
    } else {
      setVersion(index, handle >= 0 ? handle : insert(index, row), step);
      model.set(keyOf(row), { row, version: step });
    }
  }
  index.verify();
  assert.equal(index.rowCount, model.size);
  for (const { row, version } of model.values()) {
    assertVersion(index, find(index, row), row, version);
    const { partition, digestHi, digestLo, group } = row;
    let handle = index.find(partition, digestHi, digestLo, group);
    while (handle >= 0 && handle !== find(index, row)) {
      handle = index.next(handle, partition, digestHi, digestLo, group);
    }
    assert.ok(handle >= 0, 'a reader reaches each entry of a digest');
  }
  let visited = 0;
  for (let partition = 0; partition < 4; partition++) {
    index.visit(partition, (handle) => {
      assert.ok(index.group(handle) > 0);
      visited += 1;
    });
  }
  assert.equal(visited, model.size);
}

for (const [name, digestHis] of [
  ['digests that are all alike', [7]],
  ['digests at the end of the circle, whose entries wrap', [0xffffffff, 0xfffffffe, 0xfffffff0, 0]],
  ['few digests', Array.from({ length: 60 }, (_, index) => (index * 71_582_788) >>> 0)],
  ['spread digests', undefined],
] as const) {
  test(`the index agrees with a map: ${name}`, () => {
    const random = new SeededRandom(SEED);
    for (const [steps, groups] of [
      [300, 1],
      [4000, 3],
      [digestHis === undefined ? 60_000 : 6000, 200],
    ] as const) {
      runAgainstMap({
        random,
        steps,
        removeChance: random.below(3) / 4,
        drawRow: () => ({
          partition: random.below(4),
          digestHi: digestHis === undefined ? random.uint32() : digestHis[random.below(digestHis.length)]!,
          digestLo: (random.below(4) << 12) | random.below(4096),
          group: 1 + random.below(groups),
          hash2: random.below(3),
        }),
      });
    }
  });
}

test('the index agrees with a map on the smallest sequences that break it', () => {
  const row = fc.record({
    partition: fc.constant(0),
    digestHi: fc.constantFrom(0, 1, 0x80000000, 0xfffffffe, 0xffffffff),
    digestLo: fc.constantFrom(0, 4096),
    group: fc.constantFrom(1, 2),
    hash2: fc.constantFrom(0, 0xffffffff),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(row, fc.boolean()), { maxLength: 120 }), (steps) => {
      const index = new IndexTable({ partitionCount: 1 });
      const model = new Set<string>();
      for (const [step, isRemoval] of steps) {
        const handle = find(index, step);
        assert.equal(handle >= 0, model.has(keyOf(step)));
        if (handle < 0) {
          setVersion(index, insert(index, step), 1);
          model.add(keyOf(step));
        } else if (isRemoval) {
          index.remove(handle, 0);
          model.delete(keyOf(step));
        }
        index.verify();
      }
    }),
    { seed: SEED | 0 },
  );
});

test('a batch of lookups answers what single ones do, in any shard', () => {
  const random = new SeededRandom(SEED);
  for (const shardCount of [1, 3]) {
    const index = new IndexTable({ partitionCount: Math.ceil(4096 / shardCount) });
    const digests = Uint32Array.from({ length: 2 * 5000 }, () => random.uint32());
    for (let row = 0; row < 2500; row++) {
      const partition = Math.floor((digests[2 * row]! & 4095) / shardCount);
      setVersion(index, index.insert(partition, digests[2 * row + 1]!, digests[2 * row]!, 5, 1), row);
    }
    const handles = new Int32Array(5000);
    for (const count of [0, 1, 63, 64, 65, 5000]) {
      index.findBatch(5, digests, count, shardCount, handles);
      for (let row = 0; row < count; row++) {
        const partition = Math.floor((digests[2 * row]! & 4095) / shardCount);
        assert.equal(handles[row], index.find(partition, digests[2 * row + 1]!, digests[2 * row]!, 5));
        assert.equal(handles[row]! >= 0, row < 2500);
      }
    }
  }
});

test('only the entry that still points at a place is found by that place', () => {
  const index = new IndexTable({ partitionCount: 1 });
  for (let hash2 = 0; hash2 < 3; hash2++) {
    index.set(index.insert(0, 9, 4096, 2, hash2), 2, 0xfffffff0 + hash2, 64, 1, 1, false, 0);
  }
  const handle = index.findPlace(0, 9, 4096, 2, 2, 0xfffffff1, 64);
  assert.equal(index.hash2(handle), 1);
  assert.equal(index.findPlace(0, 9, 4096, 2, 2, 0xfffffff1, 72), -1);
  assert.equal(index.findPlace(0, 9, 4096, 2, 1, 0xfffffff1, 64), -1);
  index.setPlace(handle, 3, 5, 128);
  assert.equal(index.findPlace(0, 9, 4096, 2, 2, 0xfffffff1, 64), -1);
  assert.equal(index.findPlace(0, 9, 4096, 2, 3, 5, 128), handle);
});

test('signed and unsigned halves of a digest are the same digest', () => {
  const index = new IndexTable({ partitionCount: 1 });
  const handle = index.insert(0, 0xfffffff0, 0xabcde000, 1, 0xffffffff);
  setVersion(index, handle, 3);
  assert.equal(index.find(0, 0xfffffff0 | 0, 0xabcde000 | 0, 1), handle);
  assert.equal(index.findForWrite(0, 0xfffffff0, 0xabcde000, 1, -1), handle);
});

test('a touched home changes nothing, in an empty index too', () => {
  const index = new IndexTable({ partitionCount: 2 });
  const homes = Int32Array.of(index.home(0, 1, 1), index.home(1, 2, 1));
  assert.deepEqual([...homes], [-1, -1]);
  index.touch(homes, 0, 2);
  setVersion(index, index.insert(0, 1, 0, 1, 0), 1);
  homes[0] = index.home(0, 1, 1);
  assert.equal(homes[0], index.find(0, 1, 0, 1));
  index.touch(homes, 0, 2);
  index.verify();
});
