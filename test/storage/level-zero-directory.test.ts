/** The level-0 directory: its bytes, and that it names each block that may hold a group's partition. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuiltBlock } from '../../storage/block-builder.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { encodeDirectory, LevelZeroDirectory, SWEEP_RUN_FIRST } from '../../storage/level-zero-directory.ts';
import { assertGolden } from '../support/golden-bytes.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

await loadChecksum();
const SEED = testSeed();
console.log(`seed ${SEED}`);

function block(group: number, partitionMin: number, partitionMax: number, pages = 1): BuiltBlock {
  const bytes = new Uint8Array(0);
  return { bytes, group, partitionMin, partitionMax, recordCount: 1, usedBytes: 128, pages };
}

function find(directory: LevelZeroDirectory, group: number, partition: number): number[] {
  const found: number[] = [];
  directory.visit(group, partition, (sequence) => {
    found.push(sequence);
    return undefined;
  });
  return found;
}

/** The value of a flush. */
function flushed(flush: number, firstSequence: number, blocks: readonly BuiltBlock[]): Uint8Array {
  return encodeDirectory(flush, flush, firstSequence, blocks);
}

test('a directory answers with the blocks that may hold the partition, oldest run first', () => {
  const directory = new LevelZeroDirectory();
  assert.deepEqual(find(directory, 1, 0), []);
  directory.add(1, flushed(1, 10, [block(1, 0, 5), block(1, 5, 5), block(1, 5, 9), block(2, 0, 4095)]));
  directory.add(2, flushed(2, 14, [block(1, 5, 6, 3)]));
  assert.deepEqual(find(directory, 1, 5), [10, 11, 12, 14]);
  assert.deepEqual(find(directory, 1, 0), [10]);
  assert.deepEqual(find(directory, 1, 6), [12, 14]);
  assert.deepEqual(find(directory, 1, 10), []);
  assert.deepEqual(find(directory, 2, 4095), [13]);
  assert.deepEqual(find(directory, 3, 5), []);
  assert.equal(directory.blockCount, 5);
  assert.equal(directory.runCount, 2);
  assert.equal(directory.blockBytes, 7 * 4096);
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
    directory.add(flush, flushed(flush, flush * 2, [block(1, 0, 9), block(1, 9, 9)]));
  let visits = 0;
  directory.visit(1, 9, () => {
    visits += 1;
    return visits === 2 ? false : undefined;
  });
  assert.equal(visits, 2);
});

test('values that come in any order and go again answer as a plain list does', () => {
  const random = new SeededRandom(SEED);
  const directory = new LevelZeroDirectory();
  let all: { number: number; sequence: number; block: BuiltBlock; isSwept: boolean }[] = [];
  const values: { number: number; bytes: Uint8Array }[] = [];
  let sequence = 1;
  for (let flush = 1; flush <= 12; flush++) {
    const isSwept = flush % 4 === 0;
    const blocks: BuiltBlock[] = [];
    for (let group = 1; group <= 4; group++) {
      let partition = random.below(50);
      while (partition < 4096 && random.chance(0.99)) {
        const highest = Math.min(4095, partition + random.below(80));
        blocks.push(block(group, partition, highest, 1 + random.below(4)));
        partition = highest + random.below(3);
      }
    }
    // A flush writes its blocks in steps, each with a value of its own; other steps may come between two of them.
    for (let from = 0; from < blocks.length; ) {
      const step = blocks.slice(from, from + 1 + random.below(40));
      const number = values.length + 1;
      const run = isSwept ? SWEEP_RUN_FIRST + flush : flush;
      values.push({ number, bytes: encodeDirectory(flush, run, sequence, step) });
      for (const built of step) all.push({ number, sequence: sequence++, block: built, isSwept });
      sequence += random.below(3);
      from += step.length;
    }
  }
  for (let left = values.length; left > 0; left--) {
    const at = random.below(left);
    const [value] = values.splice(at, 1);
    directory.add(value!.number, value!.bytes);
  }
  function check(): void {
    const pages = (listed: typeof all): number => listed.reduce((sum, entry) => sum + entry.block.pages, 0);
    assert.equal(directory.blockCount, all.length);
    assert.equal(directory.blockBytes, 4096 * pages(all));
    assert.equal(directory.flushedBytes, 4096 * pages(all.filter(({ isSwept }) => !isSwept)));
    for (let query = 0; query < 500; query++) {
      const group = 1 + random.below(5);
      const partition = random.below(4096);
      const expected = all.filter(
        ({ block: { group: of, partitionMin, partitionMax } }) =>
          of === group && partitionMin <= partition && partition <= partitionMax,
      );
      assert.deepEqual(
        find(directory, group, partition).sort((a, b) => a - b),
        expected.map((entry) => entry.sequence),
      );
    }
  }
  check();
  while (directory.blockCount > 0) {
    const gone = new Set([...directory.numbers()].filter(() => random.chance(0.4)));
    for (const number of gone) directory.remove(number);
    all = all.filter(({ number }) => !gone.has(number));
    check();
  }
  assert.equal(directory.runCount, 0);
});

test('an empty step is a value too', () => {
  const directory = new LevelZeroDirectory();
  assert.equal(directory.add(7, flushed(4, 1, [])).flushNumber, 4);
  assert.ok(directory.has(7));
  assert.equal(directory.blockCount, 0);
  directory.remove(7);
  assert.ok(!directory.has(7));
});

test('a damaged or cut value is refused', () => {
  const intact = flushed(1, 10, [block(1, 0, 5), block(2, 5, 5)]);
  for (let at = 0; at < intact.length; at++) {
    const bytes = intact.slice();
    bytes[at]! ^= 1 << (at % 8);
    assert.throws(() => new LevelZeroDirectory().add(1, bytes), { code: 'BLOCK_CORRUPT' }, `byte ${at}`);
  }
  for (const length of [0, 15, 16, 24, intact.length - 1]) {
    assert.throws(() => new LevelZeroDirectory().add(1, intact.slice(0, length)), { code: 'BLOCK_CORRUPT' });
  }
});

test('the directory has its golden bytes, which may lie anywhere in a buffer', () => {
  const bytes = encodeDirectory(258, SWEEP_RUN_FIRST + 3, 70_000, [
    block(1, 0, 4095),
    block(4095, 17, 18, 257),
  ]);
  assertGolden('level-zero-directory', bytes);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  assert.equal(new LevelZeroDirectory().add(1, shifted.subarray(3)).flushNumber, 258);
});
