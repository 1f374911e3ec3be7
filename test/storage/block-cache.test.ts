/** The block cache: what it answers, what it may evict, what it verifies, and how much it holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArenaTable, arenaOf } from '../../storage/arena.ts';
import { LEVEL_ZERO } from '../../storage/block.ts';
import { BlockBuilder } from '../../storage/block-builder.ts';
import { BlockCache } from '../../storage/block-cache.ts';
import { LEVEL_ZERO_KEY_HI, levelOneKeyHi } from '../../storage/block-key.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { encodeRecords } from '../support/stored-records.ts';

await loadChecksum();
const SEED = testSeed();
console.log(`seed ${SEED}`);

/** A block whose first record's event time is `mark`. */
function buildBlock(mark: number, payloadBytes = 8): Uint8Array {
  const builder = new BlockBuilder(LEVEL_ZERO);
  builder.reset(1);
  const payload = new Uint8Array(payloadBytes);
  const row = { partition: 0, digestHi: 0, key: 'k', eventTimeMicros: mark, lsn: 1, payload };
  builder.append(arenaOf(encodeRecords([row])), 0);
  return builder.finish()[0]!.bytes.slice();
}

class TestCache {
  readonly blocks: Map<string, Uint8Array> = new Map();
  readonly arenas: ArenaTable = new ArenaTable();
  readonly cache: BlockCache;
  reads = 0;

  constructor(frames: number) {
    this.cache = new BlockCache({
      budgetBytes: frames * 4096,
      arenas: this.arenas,
      read: (keyHi, keyLo) => {
        this.reads += 1;
        return this.blocks.get(`${keyHi} ${keyLo}`);
      },
    });
  }

  put(keyHi: number, keyLo: number, bytes: Uint8Array): void {
    this.blocks.set(`${keyHi} ${keyLo}`, bytes);
  }

  /** The mark of the block that lies in the frame now. */
  markOf(frame: number): number {
    const { view } = this.arenas.get(this.cache.arenaOf(frame));
    return Number(view.getBigInt64(this.cache.offsetOf(frame) + 48 + 16, true));
  }
}

test('a block is read once and then found in its frame', () => {
  const tested = new TestCache(8);
  tested.put(LEVEL_ZERO_KEY_HI, 1, buildBlock(11));
  tested.put(levelOneKeyHi(4095, 4095), 1, buildBlock(12));
  tested.cache.beginBatch();
  const frame = tested.cache.frame(LEVEL_ZERO_KEY_HI, 1);
  assert.equal(tested.markOf(frame), 11);
  assert.equal(tested.cache.frame(LEVEL_ZERO_KEY_HI, 1), frame);
  assert.equal(tested.markOf(tested.cache.frame(levelOneKeyHi(4095, 4095), 1)), 12);
  assert.equal(tested.cache.frame(LEVEL_ZERO_KEY_HI, 2), -1);
  assert.deepEqual([tested.reads, tested.cache.hits, tested.cache.misses], [3, 1, 3]);
  tested.cache.verify();
});

test('random use within and beyond the budget answers the right block, and never moves one of the batch', () => {
  const random = new SeededRandom(SEED);
  for (const [frames, keys, batchKeys] of [
    [16, 12, 20],
    [16, 200, 10],
    [16, 200, 60],
    [1, 5, 3],
    [5000, 6000, 300],
  ] as const) {
    const tested = new TestCache(frames);
    for (let key = 0; key < keys; key++)
      tested.put(LEVEL_ZERO_KEY_HI, key, buildBlock(key, key % 9 === 8 ? 5000 : 8));
    for (let batch = 0; batch < 300; batch++) {
      tested.cache.beginBatch();
      const places = new Map<number, number>();
      for (let row = 0; row < batchKeys; row++) {
        const key = random.below(keys);
        const frame = tested.cache.frame(LEVEL_ZERO_KEY_HI, key);
        assert.equal(places.get(key) ?? frame, frame, 'a block has one place in a batch');
        places.set(key, frame);
      }
      for (const [key, frame] of places) assert.equal(tested.markOf(frame), key);
      if (batch % 50 === 0) tested.cache.verify();
    }
    tested.cache.verify();
  }
});

test('what fits stays: a second walk over as many blocks as there are frames reads nothing', () => {
  const tested = new TestCache(5000);
  for (let key = 0; key < 5000; key++) tested.put(LEVEL_ZERO_KEY_HI, key, buildBlock(key));
  for (let walk = 0; walk < 2; walk++) {
    for (let key = 0; key < 5000; key++) {
      tested.cache.beginBatch();
      tested.cache.frame(LEVEL_ZERO_KEY_HI, key);
    }
  }
  assert.equal(tested.reads, 5000);
});

test('blocks that are used often outlive those used once', () => {
  const tested = new TestCache(64);
  for (let key = 0; key < 2000; key++) tested.put(LEVEL_ZERO_KEY_HI, key, buildBlock(key));
  for (let key = 0; key < 2000; key++) {
    tested.cache.beginBatch();
    tested.cache.frame(LEVEL_ZERO_KEY_HI, key);
    for (let hot = 0; hot < 16; hot++) tested.cache.frame(LEVEL_ZERO_KEY_HI, hot);
  }
  // Sixteen hot blocks, read once each; all others pass through once.
  assert.equal(tested.cache.misses, 2000);
});

test('blocks of the batch that find no frame, and large ones, lie outside the frames until the next batch', () => {
  const tested = new TestCache(4);
  for (let key = 0; key < 10; key++) tested.put(LEVEL_ZERO_KEY_HI, key, buildBlock(key));
  tested.put(LEVEL_ZERO_KEY_HI, 99, buildBlock(99, 100_000));
  tested.cache.beginBatch();
  const arenasBefore = tested.arenas.count;
  const frames = Array.from({ length: 10 }, (_, key) => tested.cache.frame(LEVEL_ZERO_KEY_HI, key));
  const large = tested.cache.frame(LEVEL_ZERO_KEY_HI, 99);
  assert.equal(tested.cache.frame(LEVEL_ZERO_KEY_HI, 99), large, 'asked again it is not read again');
  assert.deepEqual(
    frames.map((frame) => tested.markOf(frame)),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.equal(tested.markOf(large), 99);
  assert.equal(tested.cache.temporaryBytes, 6 * 4072 + 25 * 4096 - 24);
  assert.equal(tested.reads, 11);
  tested.cache.beginBatch();
  assert.equal(tested.cache.temporaryBytes, 0);
  assert.equal(tested.arenas.count, arenasBefore + 1);
  tested.cache.frame(LEVEL_ZERO_KEY_HI, 99);
  assert.equal(tested.reads, 12, 'a large block is not kept');
});

test('a corrupt block is refused when it enters, its frame is not lost, and a mended one is read', () => {
  const tested = new TestCache(2);
  for (let key = 0; key < 4; key++) tested.put(LEVEL_ZERO_KEY_HI, key, buildBlock(key));
  const damaged = buildBlock(7);
  damaged[64]! ^= 1;
  tested.put(LEVEL_ZERO_KEY_HI, 7, damaged);
  const largeDamaged = buildBlock(8, 9000);
  largeDamaged[5000]! ^= 1;
  tested.put(LEVEL_ZERO_KEY_HI, 8, largeDamaged);
  for (let attempt = 0; attempt < 5; attempt++) {
    tested.cache.beginBatch();
    assert.throws(() => tested.cache.frame(LEVEL_ZERO_KEY_HI, 7), {
      code: 'BLOCK_CORRUPT',
      message: /counter 7/,
    });
    assert.throws(() => tested.cache.frame(LEVEL_ZERO_KEY_HI, 8), { code: 'BLOCK_CORRUPT' });
    tested.cache.verify();
  }
  tested.put(LEVEL_ZERO_KEY_HI, 7, buildBlock(7));
  tested.cache.beginBatch();
  assert.equal(tested.markOf(tested.cache.frame(LEVEL_ZERO_KEY_HI, 7)), 7);
  assert.equal(tested.markOf(tested.cache.frame(LEVEL_ZERO_KEY_HI, 1)), 1);
  assert.equal(tested.cache.temporaryBytes, 0, 'both fit the two frames');
});

test('memory is taken when it is needed, and no more than the budget and its table', () => {
  const tested = new TestCache(10_000);
  const empty = tested.cache.bytes;
  tested.put(LEVEL_ZERO_KEY_HI, 0, buildBlock(0));
  tested.cache.frame(LEVEL_ZERO_KEY_HI, 0);
  assert.equal(tested.cache.bytes - empty, 16 * 2 ** 20);
  for (let key = 1; key < 12_000; key++) {
    tested.cache.beginBatch();
    tested.put(LEVEL_ZERO_KEY_HI, key, buildBlock(key));
    tested.cache.frame(LEVEL_ZERO_KEY_HI, key);
  }
  assert.equal(tested.cache.bytes - empty, 10_000 * 4096);
  assert.ok(empty <= 0.016 * 10_000 * 4096);
});
