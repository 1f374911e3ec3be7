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
import { keyBatchOf, TestShard, temporaryDirectory } from '../support/shard.ts';

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
