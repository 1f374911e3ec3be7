/** Splitting keys over shards and requests: nothing is lost, nothing is doubled, every key lands on its owner. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitKeys } from '../../client/split-keys.ts';
import { encodeKeys, type KeyBatch, PARTITION_COUNT, partitionOf } from '../../protocol/index.ts';
import { announcedSeed } from '../protocol/seed.ts';
import { SeededRandom } from '../support/random-source.ts';

interface Part {
  shard: number;
  pick: Uint32Array | null;
}

function keysOf(count: number): KeyBatch {
  const keys = encodeKeys(
    [{ name: 'id', type: 'int64' }],
    Array.from({ length: count }, (_, i) => i * 7919),
  );
  keys.digest(1, 2);
  return keys;
}

function ownersOver(shardCount: number): Uint16Array {
  return Uint16Array.from({ length: PARTITION_COUNT }, (_, partition) => partition % shardCount);
}

function split(keys: KeyBatch, pick: Uint32Array | null, shardCount: number, keysMax: number): Part[] {
  const parts: Part[] = [];
  splitKeys(keys, pick, ownersOver(shardCount), shardCount, keysMax, (shard, picked) =>
    parts.push({ shard, pick: picked }),
  );
  return parts;
}

test('one shard and one request need no list of positions', () => {
  assert.deepEqual(split(keysOf(10), null, 1, 10), [{ shard: 0, pick: null }]);
});

test('more keys than a request may have go out in slices, in order', () => {
  const parts = split(keysOf(25), null, 1, 10);
  assert.deepEqual(
    parts.map(({ pick }) => pick!.length),
    [10, 10, 5],
  );
  assert.deepEqual(
    parts.flatMap(({ pick }) => [...pick!]),
    Array.from({ length: 25 }, (_, i) => i),
  );
});

test('every key goes to its owner exactly once, in its order, within the bound', () => {
  const random = new SeededRandom(announcedSeed('split keys'));
  for (let round = 0; round < 50; round++) {
    const count = 1 + random.below(300);
    const shardCount = 1 + random.below(6);
    const keysMax = 1 + random.below(64);
    const keys = keysOf(count);
    const picked =
      random.below(2) === 0
        ? null
        : Uint32Array.from({ length: count }, (_, i) => i).filter((i) => i % 3 > 0);
    if (picked?.length === 0) continue;
    const owners = ownersOver(shardCount);
    const seen: number[] = [];
    for (const { shard, pick } of split(keys, picked, shardCount, keysMax)) {
      const positions = pick === null ? Array.from({ length: count }, (_, i) => i) : [...pick];
      assert.ok(positions.length > 0 && positions.length <= keysMax);
      assert.deepEqual(
        positions,
        [...positions].sort((a, b) => a - b),
      );
      for (const position of positions) {
        assert.equal(owners[partitionOf(keys.digests[2 * position]!)], shard);
      }
      seen.push(...positions);
    }
    const expected = picked === null ? Array.from({ length: count }, (_, i) => i) : [...picked];
    assert.deepEqual(
      seen.sort((a, b) => a - b),
      expected,
    );
  }
});
