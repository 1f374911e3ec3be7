/** A step of a scan holds the versions durable at the shard's answer: those in blocks, and those it handed over. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { LEVEL_ZERO_KEY_HI } from '../../storage/block-key.ts';
import { openBlockStore } from '../../storage/block-store.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { SnapshotReader } from '../../storage/snapshot.ts';
import { VersionMerge } from '../../storage/version-merge.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { TestShard, temporaryDirectory } from '../support/shard.ts';
import { encodeRecords, MemoryBlockStore, type StoredRecord } from '../support/stored-records.ts';

before(loadChecksum);

const NOW_SECONDS = 1000;
const NOTHING = new Uint8Array(0);

const row = (
  partition: number,
  key: string,
  lsn: number,
  more: Partial<StoredRecord> = {},
): StoredRecord => ({
  partition,
  digestHi: key.charCodeAt(0),
  key,
  eventTimeMicros: lsn,
  lsn,
  ...more,
});

function keysOf(merge: VersionMerge): string[] {
  const { view, bytes } = merge.arena;
  return Array.from({ length: merge.count }, (_, index) => {
    const at = merge.places[index]! * 8;
    const key = Buffer.from(bytes.subarray(at + 48, at + 48 + view.getUint16(at + 44, true))).toString();
    return `${merge.partitionAt(index)} ${key}@${view.getUint32(at + 24, true)}`;
  });
}

/** All rows of the partitions, step by step, as a scan reads them. */
function scanned(
  reader: SnapshotReader,
  flushNumber: number,
  partitions: readonly number[],
  buffered: readonly StoredRecord[] = [],
  group = 1,
): { rows: string[]; steps: number[]; advances: number } {
  const all = Uint16Array.from(partitions);
  const merge = new VersionMerge();
  const rows: string[] = [];
  const steps: number[] = [];
  let advances = 0;
  for (let at = 0; at < all.length; ) {
    const asked = all.subarray(at, at + reader.plan(group, all, at));
    const bytes = encodeRecords(buffered.filter((record) => asked.includes(record.partition)));
    const step = reader.open(flushNumber, group, asked, bytes, merge);
    assert.ok(step !== undefined, 'the flush numbers agree');
    do advances++;
    while (!step.advance());
    merge.finish(step.partitionCount, NOW_SECONDS);
    rows.push(...keysOf(merge));
    steps.push(step.partitionCount);
    at += step.partitionCount;
  }
  return { rows, steps, advances };
}

test('an empty store has no rows', () => {
  const { rows, steps } = scanned(new SnapshotReader(new MemoryBlockStore(), 1), 0, [0, 1, 4095]);
  assert.deepEqual(rows, []);
  assert.deepEqual(steps, [3]);
});

test('level 0, level 1 and the write buffer are one', () => {
  const store = new MemoryBlockStore();
  store.flush([row(1, 'a', 1), row(1, 'b', 2), row(3, 'c', 3), row(2, 'x', 1, { group: 2 })]);
  store.flush([row(1, 'b', 4, { isDelete: true }), row(2, 'd', 5)]);
  store.levelOne([row(1, 'e', 6), row(2, 'd', 4), row(4095, 'z', 1), row(2, 'y', 2, { group: 4095 })]);
  const buffered = [row(3, 'c', 9), row(2, 'f', 10)];
  const reader = new SnapshotReader(store, 1);
  const { rows } = scanned(reader, 2, [1, 2, 3, 4095], buffered);
  assert.deepEqual(rows, ['1 a@1', '1 e@6', '2 d@5', '2 f@10', '3 c@9', '4095 z@1']);
  assert.deepEqual(scanned(reader, 2, [2], [], 4095).rows, ['2 y@2']);
  assert.equal(store.snapshots, 0, 'no snapshot stays open');
});

test('a snapshot of another flush than the shard answered from is refused', () => {
  const store = new MemoryBlockStore();
  store.flush([row(1, 'a', 1)]);
  const reader = new SnapshotReader(store, 1);
  const merge = new VersionMerge();
  const partitions = Uint16Array.of(1);
  assert.equal(reader.open(0, 1, partitions, NOTHING, merge), undefined);
  assert.equal(reader.open(2, 1, partitions, NOTHING, merge), undefined);
  assert.ok(reader.open(1, 1, partitions, NOTHING, merge));
  assert.equal(store.snapshots, 1, 'a refused snapshot is closed');
});

test('blocks of a flush that did not finish are not read', () => {
  const store = new MemoryBlockStore();
  store.flush([row(1, 'a', 1)]);
  const reader = new SnapshotReader(store, 1);
  store.flush([row(1, 'b', 2)], false);
  assert.deepEqual(scanned(reader, 1, [1]).rows, ['1 a@1']);
  store.flush([row(1, 'b', 2)]);
  assert.deepEqual(scanned(reader, 2, [1]).rows, ['1 a@1', '1 b@2'], 'finished, they are');
});

test('a step keeps its state while a flush goes on beside it', () => {
  const store = new MemoryBlockStore();
  store.flush([row(1, 'a', 1)]);
  const reader = new SnapshotReader(store, 1);
  const merge = new VersionMerge();
  const step = reader.open(1, 1, Uint16Array.of(1), NOTHING, merge);
  store.flush([row(1, 'b', 2)]);
  assert.equal(step?.advance(), true);
  merge.finish(1, NOW_SECONDS);
  assert.deepEqual(keysOf(merge), ['1 a@1']);
});

test('the directory is read anew after a release', () => {
  const store = new MemoryBlockStore();
  store.flush([row(1, 'a', 1)]);
  const reader = new SnapshotReader(store, 1);
  scanned(reader, 1, [1]);
  reader.release();
  assert.deepEqual(scanned(reader, 1, [1]).rows, ['1 a@1']);
});

test('a block of many partitions is read once a step', () => {
  const store = new MemoryBlockStore();
  store.flush(Array.from({ length: 40 }, (_, partition) => row(partition, 'a', 1)));
  const reader = new SnapshotReader(store, 1);
  reader.plan(1, Uint16Array.of(0), 0);
  store.reads = 0;
  const { rows } = scanned(
    reader,
    1,
    Array.from({ length: 40 }, (_, partition) => partition),
  );
  assert.equal(rows.length, 40);
  assert.ok(store.reads <= 3, `${store.reads} reads: the checkpoint, and one or two blocks`);
});

/** 300 blocks' worth of rows a partition. */
function large(partition: number): StoredRecord[] {
  const payload = new Uint8Array(3904);
  return Array.from({ length: 300 }, (_, index) =>
    row(partition, 'r', index + 1, { digestHi: index, key: `r${index}`, payload }),
  );
}

for (const level of ['level 0', 'level 1'] as const) {
  test(`large partitions make short steps of bounded pieces: ${level}`, () => {
    const store = new MemoryBlockStore();
    const partitions = [2, 3, 4, 5, 6, 9, 10];
    const records = partitions.flatMap(large);
    if (level === 'level 0') store.flush(records);
    else store.levelOne(records);
    const reader = new SnapshotReader(store, 1);
    const { rows, steps, advances } = scanned(reader, store.flushNumber, partitions);
    assert.equal(rows.length, partitions.length * 300);
    assert.equal(new Set(rows).size, rows.length);
    assert.ok(steps.length > 1 && steps.every((count) => count >= 1 && count <= 4), `steps of ${steps}`);
    assert.ok(advances > steps.length, 'a step of 4 MiB takes several turns');
  });
}

test('one partition larger than a step is gathered whole', () => {
  const store = new MemoryBlockStore();
  const payload = new Uint8Array(3904);
  const records = Array.from({ length: 3000 }, (_, index) =>
    row(5, 'r', index + 1, { digestHi: index % 1500, key: `r${index % 1500}`, payload }),
  );
  store.flush(records.slice(0, 1500));
  store.levelOne(records.slice(1500));
  const { rows, steps } = scanned(new SnapshotReader(store, 1), 1, [4, 5, 6]);
  assert.deepEqual(steps, [1, 1, 1]);
  assert.equal(rows.length, 1500);
  assert.ok(rows.every((text) => Number(text.split('@')[1]) > 1500));
});

test('rows larger than a page are found', () => {
  const store = new MemoryBlockStore();
  const payload = new Uint8Array(1 << 20);
  store.flush([row(1, 'a', 1, { payload }), row(1, 'b', 2), row(2, 'c', 3, { payload })]);
  assert.deepEqual(scanned(new SnapshotReader(store, 1), 1, [1, 2]).rows, ['1 a@1', '1 b@2', '2 c@3']);
});

test('a shard reads its own partitions’ level 1 without touching those between', () => {
  const store = new MemoryBlockStore();
  store.levelOne([row(1, 'a', 1), row(5, 'b', 2), row(9, 'c', 3), row(401, 'd', 4), row(201, 'no', 5)]);
  const reader = new SnapshotReader(store, 4);
  assert.deepEqual(scanned(reader, 0, [1, 5, 9, 401]).rows, ['1 a@1', '5 b@2', '9 c@3', '401 d@4']);
  store.reads = 0;
  scanned(reader, 0, [1, 401]);
  assert.ok(store.reads <= 5, `${store.reads} reads`);
});

test('a block with a wrong checksum, and a missing one, are named', () => {
  const store = new MemoryBlockStore();
  store.flush([row(1, 'a', 1)]);
  const key = LEVEL_ZERO_KEY_HI * 2 ** 32 + 1;
  store.values.get(key)![60]! ^= 1;
  const refused = { code: 'BLOCK_CORRUPT', message: /0000010000000001/ };
  assert.throws(() => scanned(new SnapshotReader(store, 1), 1, [1]), refused);
  store.values.delete(key);
  assert.throws(() => scanned(new SnapshotReader(store, 1), 1, [1]), {
    code: 'BLOCK_CORRUPT',
    message: /missing/,
  });
});

test('a scan beside a shard that writes and flushes answers what its lookups answer', async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const directory = temporaryDirectory();
  const shard = await new TestShard(directory.path, { writeBufferBytes: 1 << 20 }).open();
  const blocks = openBlockStore({ directory: `${directory.path}/blocks` });
  const reader = new SnapshotReader(blocks, 1);
  const partitions = Uint16Array.from({ length: 4096 }, (_, partition) => partition);
  const merge = new VersionMerge();
  const keys = Array.from({ length: 3000 }, (_, index) => `key-${index}`);
  const scanNow = (): { rows: number; retries: number } => {
    let rows = 0;
    for (let at = 0; at < partitions.length; ) {
      const asked = partitions.subarray(at, at + reader.plan(1, partitions, at));
      const { flushNumber, bytes } = shard.store.bufferedVersions(1, asked);
      const step = reader.open(flushNumber, 1, asked, bytes, merge);
      if (step === undefined) return { rows: -1, retries: 1 };
      while (!step.advance());
      merge.finish(step.partitionCount, Math.floor(shard.nowMicros / 1e6));
      rows += merge.count;
      at += step.partitionCount;
    }
    return { rows, retries: 0 };
  };
  try {
    for (let round = 0; round < 20; round++) {
      const touched = Array.from({ length: 500 }, () => keys[random.below(keys.length)]!);
      const eventTimeMicros = shard.nowMicros - random.below(1000);
      if (random.chance(0.3))
        await shard.delete(
          1,
          touched.slice(0, 100).map((key) => ({ key, eventTimeMicros })),
        );
      else
        await shard.put(
          1,
          touched.map((key) => ({ key, value: `v${round}`, eventTimeMicros })),
        );
      if (random.chance(0.4)) await shard.store.flush();
      const live = shard.get(1, keys).filter((value) => value !== null).length;
      // In the turn of a commit the store may be ahead of the shard: then the scan asks again.
      let answer = scanNow();
      for (; answer.retries > 0; answer = scanNow()) await new Promise(setImmediate);
      assert.equal(answer.rows, live, `round ${round}`);
    }
  } finally {
    await blocks.close();
    await shard.store.close();
    directory.remove();
  }
});
