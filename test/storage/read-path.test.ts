/** Lookups compare whole keys: rows whose hashes agree and whose keys do not are never mixed up. */
import { strict as assert } from 'node:assert';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { KeyBatch } from '../../protocol/index.ts';
import {
  KIND_DELETE,
  KIND_PUT,
  RECORD_MISSING,
  ReadBatch,
  recordPayloadOffset,
  UNCONDITIONAL,
} from '../../storage/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { keyBatchOf, TestShard, temporaryDirectory } from '../support/shard.ts';

const SEED = testSeed();

/** All keys get one digest, as keys of a 64-bit collision would. */
function colliding(keys: readonly string[]): KeyBatch {
  const batch = keyBatchOf(keys);
  for (let i = 0; i < keys.length; i++) {
    batch.digests[2 * i] = 0xabcd_e007;
    batch.digests[2 * i + 1] = 0x1357_9bdf;
  }
  return batch;
}

describe('read path with colliding digests', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let shard: TestShard;

  beforeEach(async () => {
    directory = temporaryDirectory();
    shard = await new TestShard(directory.path).open();
  });

  afterEach(async () => {
    await shard.store.close();
    directory.remove();
  });

  function write(kind: number, keys: readonly string[], eventTime: number): Promise<void> {
    const payload = new Uint8Array(8 * keys.length);
    for (const [i, key] of keys.entries()) payload[8 * i] = key.charCodeAt(0);
    const request = {
      group: 1,
      kind,
      count: keys.length,
      keys: colliding(keys),
      eventTimes: new Float64Array(keys.length).fill(eventTime),
      ...UNCONDITIONAL,
      ttlSeconds: 0,
      payload,
      payloadOffsets:
        kind === KIND_DELETE ? null : Uint32Array.from({ length: keys.length + 1 }, (_v, i) => 8 * i),
      results: new Uint8Array(keys.length),
      lsns: new Float64Array(keys.length),
    };
    return new Promise((resolve, reject) => {
      shard.store.write(request, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  function read(keys: readonly string[]): (string | null)[] {
    const batch = new ReadBatch(1);
    shard.store.read(1, colliding(keys), 1, batch);
    return keys.map((_key, i) => {
      const offset = batch.offset[i] as number;
      if (offset === RECORD_MISSING) return null;
      const { bytes, view } = shard.store.arenas.get(batch.arena[i] as number);
      return String.fromCharCode(bytes[recordPayloadOffset(view, offset)] as number);
    });
  }

  test('each key finds its own row, in the write buffer and in blocks', async () => {
    await write(KIND_PUT, ['a', 'b', 'c'], 1000);
    assert.deepEqual(read(['c', 'a', 'b', 'd']), ['c', 'a', 'b', null]);
    await shard.store.flush();
    assert.deepEqual(read(['c', 'a', 'b', 'd']), ['c', 'a', 'b', null]);
  });

  test('deleting one key leaves the others', async () => {
    await write(KIND_PUT, ['a', 'b', 'c'], 1000);
    await write(KIND_DELETE, ['a'], 2000);
    assert.deepEqual(read(['a', 'b', 'c']), [null, 'b', 'c']);
  });
});

describe('read path with a cache smaller than a batch', () => {
  test('a batch over more blocks than the cache holds returns every row', async () => {
    const directory = temporaryDirectory();
    const shard = await new TestShard(directory.path, { cacheBytes: 64 * 1024 }).open();
    const rows = Array.from({ length: 400 }, (_value, i) => ({
      key: `key-${i}`,
      value: `${i}:${'y'.repeat(2000)}`,
    }));
    await shard.put(1, rows);
    await shard.store.flush();
    for (let round = 0; round < 3; round++) {
      const found = shard.get(
        1,
        rows.map((row) => row.key),
      );
      for (const [i, value] of found.entries()) assert.equal(value, rows[i]?.value);
    }
    await shard.store.close();
    directory.remove();
  });
});

describe('read path of a store that does not fit in memory', () => {
  /** Every read takes 100 µs on this clock: the device is always needed. */
  function slowShard(path: string, cacheBytes: number): Promise<TestShard> {
    let micros = 0;
    return new TestShard(path, {
      cacheBytes,
      compaction: { levelZeroBytesMax: 512 * 1024 },
      timerMicros: () => {
        micros += 100;
        return micros;
      },
    }).open();
  }

  test('rows are found by waiting, whatever is written, deleted, flushed and compacted meanwhile', async () => {
    console.log(`seed ${SEED}`);
    const random = new SeededRandom(SEED);
    const directory = temporaryDirectory();
    const shard = await slowShard(directory.path, 64 * 1024);
    // By key: its values in the order of writing, null for a deletion, and how many of them are acknowledged.
    const histories = new Map<string, { values: (string | null)[]; acknowledged: number }>();
    for (let id = 0; id < 620; id++) histories.set(`key-${id}`, { values: [null], acknowledged: 1 });
    let eventTimeMicros = shard.nowMicros - 1_000_000;
    const write = async (): Promise<void> => {
      const ids = new Set(Array.from({ length: 40 }, () => random.below(600)));
      const isDelete = random.chance(0.2);
      eventTimeMicros += 1;
      const rows = [...ids].map((id) => {
        const value = `${eventTimeMicros}:${'x'.repeat(900)}`;
        histories.get(`key-${id}`)!.values.push(isDelete ? null : value);
        return { key: `key-${id}`, value, eventTimeMicros };
      });
      await (isDelete ? shard.delete(1, rows) : shard.put(1, rows));
      for (const { key } of rows) histories.get(key)!.acknowledged += 1;
    };
    for (let round = 0; round < 30; round++) await write();
    await shard.store.flush();
    let waits = 0;
    let isReading = true;
    const writing = (async (): Promise<void> => {
      while (isReading) {
        await write();
        if (random.chance(0.2)) await shard.store.flush();
        if (random.chance(0.3)) await shard.store.compact();
      }
    })();
    const reader = async (): Promise<void> => {
      for (let round = 0; round < 40 || shard.store.status().sweeps < 3; round++) {
        await new Promise((resolve) => setImmediate(resolve));
        const keys = Array.from({ length: 1 + random.below(80) }, () => `key-${random.below(620)}`);
        const oldest = keys.map((key) => histories.get(key)!.acknowledged - 1);
        const found = await shard.getCold(1, keys);
        waits += found.waits;
        for (const [index, key] of keys.entries()) {
          const allowed = histories.get(key)!.values.slice(oldest[index]);
          assert.ok(
            allowed.includes(found.values[index]!),
            `${key} is none of its ${allowed.length} versions`,
          );
        }
      }
    };
    await Promise.all([reader(), reader(), reader()]);
    isReading = false;
    await writing;
    assert.ok(waits > 0, 'some lookups waited');
    const keys = [...histories.keys()];
    const { values } = await shard.getCold(1, keys);
    assert.deepEqual(
      values,
      keys.map((key) => histories.get(key)!.values.at(-1)),
    );
    assert.deepEqual(shard.fatal, []);
    await shard.store.close();
    directory.remove();
  });

  test('deleted and expired rows are missing without a read of their blocks', async () => {
    const directory = temporaryDirectory();
    const shard = await slowShard(directory.path, 64 * 1024);
    const rows = Array.from({ length: 100 }, (_value, index) => ({
      key: `gone-${index}`,
      value: 'y'.repeat(2000),
      eventTimeMicros: shard.nowMicros - 10_000_000_000,
    }));
    await shard.put(1, rows, 3600);
    await shard.put(2, rows);
    await shard.delete(
      2,
      rows.map(({ key }) => ({ key, eventTimeMicros: shard.nowMicros })),
    );
    await shard.store.flush();
    const keys = rows.map(({ key }) => key);
    const { cacheMisses, blocksFetched } = shard.store.status();
    for (const group of [1, 2]) {
      assert.ok(shard.get(group, keys).every((value) => value === null));
      assert.ok((await shard.getCold(group, keys)).values.every((value) => value === null));
    }
    const after = shard.store.status();
    assert.deepEqual([after.cacheMisses, after.blocksFetched], [cacheMisses, blocksFetched]);
    await shard.store.close();
    directory.remove();
  });

  test('a cache of one block serves a batch over many', async () => {
    const directory = temporaryDirectory();
    const shard = await slowShard(directory.path, 4096);
    const rows = Array.from({ length: 300 }, (_value, index) => ({
      key: `key-${index}`,
      value: `${index}:${'z'.repeat(1500)}`,
    }));
    await shard.put(1, rows);
    await shard.store.flush();
    for (let round = 0; round < 5; round++) {
      const { values, waits } = await shard.getCold(
        1,
        rows.map(({ key }) => key),
      );
      assert.deepEqual(
        values,
        rows.map(({ value }) => value),
      );
      // Once for what the first look wants, once for what it read itself and lost again.
      assert.ok(waits <= 2, `${waits} waits`);
    }
    await shard.store.close();
    directory.remove();
  });

  test('a store that closes ends the reads that wait', async () => {
    const directory = temporaryDirectory();
    const shard = await slowShard(directory.path, 4096);
    const rows = Array.from({ length: 300 }, (_value, index) => ({
      key: `key-${index}`,
      value: `${index}:${'z'.repeat(1500)}`,
    }));
    await shard.put(1, rows);
    await shard.store.flush();
    const reads = Array.from({ length: 10 }, (_value, index) =>
      shard.getCold(
        1,
        rows.slice(30 * index, 30 * index + 30).map(({ key }) => key),
      ),
    );
    const closed = shard.store.close();
    const ends = await Promise.allSettled(reads);
    await closed;
    assert.ok(ends.some((end) => end.status === 'rejected'));
    for (const end of ends) {
      if (end.status === 'rejected') assert.equal((end.reason as { code: string }).code, 'SHUTTING_DOWN');
    }
    directory.remove();
  });
});
