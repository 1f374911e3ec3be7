/** What a memory limit leaves for the index, and which limits are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INDEX_BYTES_LEAST, MEMORY_NODE_BYTES, MEMORY_SHARD_BYTES } from '../../server/limits.ts';
import { planMemory } from '../../server/memory-plan.ts';

const MIB = 1024 * 1024;
const REQUEST = {
  memoryLimitBytes: 4096 * MIB,
  machineBytes: 16_384 * MIB,
  shardCount: 2,
  writeBufferBytes: 64 * MIB,
  cacheBytes: 1024 * MIB,
};

test('what the other parts may take is taken off, and the rest is the index’s, evenly', () => {
  const { cacheBytes, indexBytesMax } = planMemory(REQUEST);
  assert.equal(cacheBytes, 1024 * MIB);
  const sum = MEMORY_NODE_BYTES + cacheBytes + 2 * (MEMORY_SHARD_BYTES + 96 * MIB + indexBytesMax);
  assert.equal(sum, REQUEST.memoryLimitBytes);
});

test('without a limit the cache is a quarter of the machine, with one a quarter of the limit', () => {
  const free = planMemory({ ...REQUEST, memoryLimitBytes: 0, cacheBytes: undefined });
  assert.deepEqual(free, { cacheBytes: 4096 * MIB, indexBytesMax: 0 });
  assert.equal(planMemory({ ...REQUEST, cacheBytes: undefined }).cacheBytes, 1024 * MIB);
});

for (const cacheBytes of [undefined, 0, 100 * MIB]) {
  test(`a limit that is too small is refused with the least that works; cache ${cacheBytes}`, () => {
    const request = { ...REQUEST, cacheBytes, memoryLimitBytes: 1 };
    let least = 0;
    assert.throws(
      () => planMemory(request),
      (error: Error & { code?: string }) => {
        least = Number(/bytes: (\d+) \(\d+MiB\) is the least/.exec(error.message)?.[1]);
        return error.code === 'CONFIG_INVALID';
      },
    );
    assert.ok(planMemory({ ...request, memoryLimitBytes: least }).indexBytesMax >= INDEX_BYTES_LEAST);
    assert.throws(() => planMemory({ ...request, memoryLimitBytes: least - 4 }), { code: 'CONFIG_INVALID' });
  });
}
