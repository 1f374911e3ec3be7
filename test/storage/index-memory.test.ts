/** The index's memory: a buddy allocator that hands out zeroed chunks and grows them together again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IndexMemory, PAGE_WORDS_SHIFT, SLAB_PAGES } from '../../storage/index-memory.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

function words(memory: IndexMemory, page: number, order: number): Uint32Array {
  const slab = memory.slabs[Math.floor(page / SLAB_PAGES)]!;
  const first = (page % SLAB_PAGES) << PAGE_WORDS_SHIFT;
  return slab.subarray(first, first + 2 ** (order + PAGE_WORDS_SHIFT));
}

/** Each page of the slabs is in one chunk that is in use or in one that is free. */
function verifyPartition(memory: IndexMemory, used: Map<number, number>): void {
  const owned = new Uint8Array(memory.slabs.length * SLAB_PAGES);
  const claim = (page: number, order: number): void => {
    assert.equal(page % 2 ** order, 0);
    for (let at = page; at < page + 2 ** order; at++) assert.equal(owned[at]!++, 0);
  };
  for (const [page, order] of used) claim(page, order);
  memory.visitFree(claim);
  assert.ok(!owned.includes(0));
}

test('chunks are zeroed, do not overlap, and all memory is one chunk again when all are freed', () => {
  const random = new SeededRandom(SEED);
  const memory = new IndexMemory();
  const used = new Map<number, number>();
  for (let step = 0; step < 20_000; step++) {
    if (used.size > 0 && random.chance(0.5)) {
      const [page, order] = [...used][random.below(Math.min(used.size, 8))]!;
      memory.free(page, order);
      used.delete(page);
    } else if (used.size < 500) {
      const order = random.below(8);
      const page = memory.allocate(order);
      assert.ok(words(memory, page, order).every((word) => word === 0));
      words(memory, page, order).fill(0xffffffff);
      used.set(page, order);
    }
  }
  verifyPartition(memory, used);
  assert.equal(
    memory.pagesInUse,
    [...used.values()].reduce((sum, order) => sum + 2 ** order, 0),
  );
  for (const [page, order] of used) memory.free(page, order);
  const free: [number, number][] = [];
  memory.visitFree((page, order) => free.push([page, order]));
  assert.deepEqual(
    free.sort(([a], [b]) => a - b),
    memory.slabs.map((_, slab) => [slab * SLAB_PAGES, 16]),
  );
});

test('bytes count what was handed out, not the address space behind it', () => {
  const memory = new IndexMemory();
  assert.equal(memory.bytes, 0);
  const page = memory.allocate(3);
  assert.equal(memory.bytes, 8 * (1024 + 9));
  memory.free(page, 3);
  memory.allocate(0);
  assert.equal(memory.bytes, 8 * (1024 + 9), 'freed memory is still held');
});

test('a second slab is opened when the first is full', () => {
  const memory = new IndexMemory();
  memory.allocate(16);
  assert.equal(memory.allocate(0), SLAB_PAGES);
  assert.equal(memory.slabs.length, 2);
});
