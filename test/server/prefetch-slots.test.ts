/** Threads for reads: what is left beside commits, shared by the shards, and never none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefetchSlots } from '../../server/prefetch-slots.ts';

/** What launch.cts sets for so many shards. */
const launched = (shards: number): string =>
  String(Math.min(1024, 10 * shards + 4 + Math.max(16, 8 * shards)));

test('one shard has sixteen, two have eight each, and more have eight each', () => {
  for (const [shards, slots] of [
    [1, 16],
    [2, 8],
    [3, 8],
    [50, 8],
  ] as const) {
    assert.equal(prefetchSlots(shards, launched(shards)), slots);
  }
});

test('threads that commits need are not used, in whatever pool', () => {
  for (let shards = 1; shards <= 128; shards++) {
    for (const pool of [4, 8, 24, 64, 300, 1024]) {
      const slots = prefetchSlots(shards, String(pool));
      assert.ok(slots >= 1);
      assert.ok(slots === 1 || 10 * shards + 4 + slots * shards <= pool, `${shards} shards, ${pool} threads`);
    }
  }
});

test('a pool of the default size, or one that is not a number, leaves one', () => {
  assert.equal(prefetchSlots(1, undefined), 1);
  assert.equal(prefetchSlots(1, 'many'), 1);
  assert.equal(prefetchSlots(1, '0'), 1);
});
