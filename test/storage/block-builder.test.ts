/** The block builder: where records land, when blocks close, and that its memory can be used again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arena, arenaOf } from '../../storage/arena.ts';
import { blockFault, LEVEL_ONE, LEVEL_ZERO, recordsEnd } from '../../storage/block.ts';
import { BlockBuilder, type BuiltBlock } from '../../storage/block-builder.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { BLOCK_BYTES } from '../../storage/limits.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { encodeRecords, type StoredRecord } from '../support/stored-records.ts';

await loadChecksum();
const SEED = testSeed();
console.log(`seed ${SEED}`);

function record(partition: number, digestHi: number, payloadBytes: number, group = 1): Arena {
  const payload = new Uint8Array(payloadBytes).fill(digestHi);
  return arenaOf(
    encodeRecords([{ group, partition, digestHi, key: 'k', eventTimeMicros: 1, lsn: 1, payload }]),
  );
}

/** A record's bytes at the place that `append` answered. */
function bytesAt(blocks: readonly BuiltBlock[], block: number, offset: number, length: number): Uint8Array {
  return blocks[block]!.bytes.subarray(offset, offset + length);
}

test('every record stands where append said, in order, in blocks that verify', () => {
  for (const fillBytes of [BLOCK_BYTES, 1024]) packRandomly(fillBytes);
});

function packRandomly(fillBytes: number): void {
  const random = new SeededRandom(SEED);
  const builder = new BlockBuilder(LEVEL_ZERO, fillBytes);
  for (let round = 0; round < 20; round++) {
    builder.reset(round);
    const places: { source: Arena; block: number; offset: number }[] = [];
    let partition = 0;
    let group = 1;
    for (let row = 0; row < 3000; row++) {
      if (random.chance(0.01)) {
        group += 1;
        partition = 0;
      }
      partition = Math.min(4095, partition + random.below(3));
      const large = random.chance(0.01) ? 4096 * random.below(3) : 0;
      const source = record(partition, random.uint32(), 8 * random.below(60) + large, group);
      const offset = builder.append(source, 0);
      places.push({ source, block: builder.blockIndex, offset });
    }
    const blocks = builder.finish();
    for (const { source, block, offset } of places) {
      assert.deepEqual(bytesAt(blocks, block, offset, source.bytes.length), source.bytes);
    }
    for (const { bytes, group: ofBlock, partitionMin, partitionMax, pages, recordCount } of blocks) {
      const arena = arenaOf(bytes.slice());
      assert.equal(blockFault(arena, 0, bytes.length), undefined);
      assert.equal(bytes.length, pages * 4096 - 24);
      const used = recordsEnd(arena, 0);
      assert.ok(
        bytes.subarray(used).every((byte) => byte === 0),
        'memory used before does not show through',
      );
      const of = places.filter((place) => blocks[place.block]!.bytes === bytes);
      assert.equal(of.length, recordCount);
      assert.ok(used <= fillBytes || recordCount === 1);
      const partitions = of.map(({ source }) => source.words[2]! & 4095);
      assert.equal(partitionMin, Math.min(...partitions));
      assert.equal(partitionMax, Math.max(...partitions));
      assert.ok(of.every(({ source }) => (source.words[1]! & 0xffff) === ofBlock));
    }
  }
}

test('a block is filled to its last eight bytes', () => {
  const builder = new BlockBuilder(LEVEL_ZERO);
  builder.reset(1);
  // 48 + 8 × 503 = 4072: seven records of 56 + 440 bytes and one of what is left.
  for (let row = 0; row < 8; row++) builder.append(record(0, row, row < 7 ? 440 : 4024 - 7 * 496 - 56), 0);
  assert.equal(builder.blockIndex, 0);
  builder.append(record(0, 9, 8), 0);
  assert.equal(builder.blockIndex, 1);
  assert.equal(recordsEnd(arenaOf(builder.finish()[0]!.bytes.slice()), 0), 4072);
});

test('level 1 closes a block at the end of a partition and notes the range of its digests', () => {
  const builder = new BlockBuilder(LEVEL_ONE);
  builder.reset(1);
  builder.append(record(5, 3, 8), 0);
  builder.append(record(5, 3, 8), 0);
  builder.append(record(5, 0xfffffffe, 8), 0);
  builder.append(record(6, 1, 8), 0);
  const blocks = builder.finish();
  assert.deepEqual(
    blocks.map(({ partitionMin, partitionMax, recordCount }) => [partitionMin, partitionMax, recordCount]),
    [
      [5, 5, 3],
      [6, 6, 1],
    ],
  );
  const words = new Uint32Array(blocks[0]!.bytes.slice().buffer);
  assert.deepEqual([...words.subarray(8, 12)], [5, 3, 5, 0xfffffffe]);
});

test('records out of order are refused: of partitions in both levels, of digests in level 1', () => {
  for (const [level, first, second] of [
    [LEVEL_ZERO, record(5, 0, 8), record(4, 0, 8)],
    [LEVEL_ONE, record(5, 0, 8), record(4, 0, 8)],
    [LEVEL_ONE, record(5, 9, 8), record(5, 8, 8)],
  ] as const) {
    const builder = new BlockBuilder(level);
    builder.reset(1);
    builder.append(first, 0);
    assert.throws(() => builder.append(second, 0), /ascending/);
  }
});

test('the bytes of a step are counted in pages, the open block included', () => {
  const builder = new BlockBuilder(LEVEL_ZERO);
  builder.reset(1);
  assert.equal(builder.bytes, 0);
  builder.append(record(0, 0, 8), 0);
  assert.equal(builder.bytes, 4096);
  builder.append(record(0, 0, 8192), 0);
  assert.equal(builder.bytes, 4 * 4096);
  assert.equal(builder.blockIndex, 1);
  builder.reset(2);
  assert.equal(builder.bytes, 0);
  assert.deepEqual(builder.finish(), []);
});

test('records are read from the middle of an arena', () => {
  const rows: StoredRecord[] = [1, 2, 3].map((lsn) => ({
    partition: 9,
    digestHi: lsn,
    key: `key ${lsn}`,
    eventTimeMicros: lsn,
    lsn,
  }));
  const all = encodeRecords(rows);
  const arena = arenaOf(all);
  const builder = new BlockBuilder(LEVEL_ONE);
  builder.reset(1);
  const offset = encodeRecords(rows.slice(0, 1)).length;
  assert.equal(builder.append(arena, offset), 48);
  const [block] = builder.finish();
  assert.deepEqual(block!.bytes.slice(48, 48 + offset), all.slice(offset, 2 * offset));
});
