/** The level-0 directory: its bytes, and that it names each block that may hold a group's partition. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuiltBlock } from '../../storage/block-builder.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { encodeDirectory, LevelZeroDirectory } from '../../storage/level-zero-directory.ts';
import { assertGolden } from '../support/golden-bytes.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

await loadChecksum();
const SEED = testSeed();
console.log(`seed ${SEED}`);

function block(group: number, partitionMin: number, partitionMax: number, pages = 1): BuiltBlock {
  return { bytes: new Uint8Array(0), group, partitionMin, partitionMax, recordCount: 1, pages };
}

function find(directory: LevelZeroDirectory, group: number, partition: number): number[] {
  const found: number[] = [];
  directory.visit(group, partition, (sequence) => {
    found.push(sequence);
    return undefined;
  });
  return found;
}

test('a directory answers with the blocks that may hold the partition, oldest first', () => {
  const directory = new LevelZeroDirectory();
  assert.deepEqual(find(directory, 1, 0), []);
  directory.add(encodeDirectory(1, 10, [block(1, 0, 5), block(1, 5, 5), block(1, 5, 9), block(2, 0, 4095)]));
  directory.add(encodeDirectory(2, 14, [block(1, 5, 6, 3)]));
  assert.deepEqual(find(directory, 1, 5), [10, 11, 12, 14]);
  assert.deepEqual(find(directory, 1, 0), [10]);
  assert.deepEqual(find(directory, 1, 6), [12, 14]);
  assert.deepEqual(find(directory, 1, 10), []);
  assert.deepEqual(find(directory, 2, 4095), [13]);
  assert.deepEqual(find(directory, 3, 5), []);
  assert.equal(directory.blockCount, 5);
  assert.equal(directory.flushNumber, 2);
  assert.equal(directory.nextSequence, 15);
  const pages: number[] = [];
  directory.visit(1, 5, (_, count) => {
    pages.push(count);
    return pages.length === 4 ? false : undefined;
  });
  assert.deepEqual(pages, [1, 1, 1, 3]);
});

test('a visitor that answers false sees no more', () => {
  const directory = new LevelZeroDirectory();
  for (let flush = 1; flush <= 3; flush++)
    directory.add(encodeDirectory(flush, flush * 2, [block(1, 0, 9), block(1, 9, 9)]));
  let visits = 0;
  directory.visit(1, 9, () => {
    visits += 1;
    return visits === 2 ? false : undefined;
  });
  assert.equal(visits, 2);
});

test('many steps of many flushes answer as a plain list does', () => {
  const random = new SeededRandom(SEED);
  const directory = new LevelZeroDirectory();
  const all: { sequence: number; block: BuiltBlock }[] = [];
  let sequence = 1;
  for (let flush = 1; flush <= 12; flush++) {
    const blocks: BuiltBlock[] = [];
    for (let group = 1; group <= 4; group++) {
      let partition = random.below(50);
      while (partition < 4096 && random.chance(0.99)) {
        const highest = Math.min(4095, partition + random.below(80));
        blocks.push(block(group, partition, highest, 1 + random.below(4)));
        partition = highest + random.below(3);
      }
    }
    // A flush writes its blocks in steps, each with a value of its own.
    for (let from = 0; from < blocks.length; ) {
      const step = blocks.slice(from, from + 1 + random.below(40));
      directory.add(encodeDirectory(flush, sequence, step));
      for (const built of step) all.push({ sequence: sequence++, block: built });
      from += step.length;
    }
  }
  assert.equal(directory.blockCount, all.length);
  for (let query = 0; query < 2000; query++) {
    const group = 1 + random.below(5);
    const partition = random.below(4096);
    const expected = all.filter(
      ({ block: { group: of, partitionMin, partitionMax } }) =>
        of === group && partitionMin <= partition && partition <= partitionMax,
    );
    assert.deepEqual(
      find(directory, group, partition),
      expected.map((entry) => entry.sequence),
    );
  }
});

test('an empty step is a value too', () => {
  const directory = new LevelZeroDirectory();
  assert.equal(directory.add(encodeDirectory(4, 1, [])), 4);
  assert.equal(directory.blockCount, 0);
  assert.equal(directory.flushNumber, 4);
});

test('a damaged or cut value is refused', () => {
  const intact = encodeDirectory(1, 10, [block(1, 0, 5), block(2, 5, 5)]);
  for (let at = 0; at < intact.length; at++) {
    const bytes = intact.slice();
    bytes[at]! ^= 1 << (at % 8);
    assert.throws(() => new LevelZeroDirectory().add(bytes), { code: 'BLOCK_CORRUPT' }, `byte ${at}`);
  }
  for (const length of [0, 15, 16, intact.length - 1]) {
    assert.throws(() => new LevelZeroDirectory().add(intact.slice(0, length)), { code: 'BLOCK_CORRUPT' });
  }
});

test('the directory has its golden bytes, which may lie anywhere in a buffer', () => {
  const bytes = encodeDirectory(258, 70_000, [block(1, 0, 4095), block(4095, 17, 18, 257)]);
  assertGolden('level-zero-directory', bytes);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  assert.equal(new LevelZeroDirectory().add(shifted.subarray(3)), 258);
});
