/** Each loop of Arrow encoding against its slow twin: bytes read one by one, at any offset, width and position. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import * as kernels from '../../server/arrow-kernels.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const ROW_BYTES = 512;
const seed = testSeed();
console.log(`seed ${seed}`);

interface Arena {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where rows start, in words; in no order. */
  readonly rows: Uint32Array;
  readonly count: number;
}

/** Rows of random bytes at 8-aligned places. */
function arenaOf(random: SeededRandom): Arena {
  const count = 1 + random.below(70);
  const bytes = random.bytes((count + 1) * ROW_BYTES);
  const rows = Uint32Array.from({ length: count }, (_, row) => (row * ROW_BYTES + 8 * random.below(8)) >>> 2);
  rows.sort(() => (random.chance(0.5) ? 1 : -1));
  return { words: new Uint32Array(bytes.buffer), bytes, view: new DataView(bytes.buffer), rows, count };
}

/** Runs `check` over many random arenas and output positions. */
function forArenas(check: (arena: Arena, at: number, random: SeededRandom) => void): void {
  const random = new SeededRandom(seed);
  for (let round = 0; round < 200; round++) check(arenaOf(random), random.below(50), random);
}

test('values of 1, 2, 4 and 8 bytes are copied from any slot', () => {
  forArenas(({ words, bytes, rows, count }, at, random) => {
    const out = new Uint8Array((at + count) * 8);
    const gather: Record<number, (offset: number) => void> = {
      1: (offset) => kernels.gather1(words, rows, offset, count, out, at),
      2: (offset) => kernels.gather2(words, rows, offset, count, new Uint16Array(out.buffer), at),
      4: (offset) => kernels.gather4(words, rows, offset, count, new Uint32Array(out.buffer), at),
      8: (offset) => kernels.gather8(words, rows, offset, count, new Uint32Array(out.buffer), at),
    };
    for (const width of [1, 2, 4, 8]) {
      const offset = width * random.below(64 / width);
      gather[width]!(offset);
      for (let i = 0; i < count; i++) {
        const from = rows[i]! * 4 + offset;
        assert.deepEqual(out.slice((at + i) * width, (at + i + 1) * width), bytes.slice(from, from + width));
      }
    }
  });
});

test('vectors are copied whole, short and long', () => {
  forArenas(({ words, rows, count }, at, random) => {
    const length = 1 + random.below(60);
    const offset = 4 * random.below(16);
    const out = new Uint32Array((at + count) * length);
    kernels.gatherWords(words, rows, offset, length, count, out, at);
    for (let i = 0; i < count; i++) {
      const from = rows[i]! + offset / 4;
      assert.deepEqual(out.slice((at + i) * length, (at + i + 1) * length), words.slice(from, from + length));
    }
  });
});

test('bits are set behind those that are there, and counted', () => {
  forArenas(({ words, rows, count }, at, random) => {
    const word = random.below(16);
    const bit = random.below(32);
    const out = new Uint8Array((at + count + 7) >> 3);
    kernels.setBits(out, 0, at);
    const ones = kernels.gatherBits(words, rows, word, bit, count, out, at);
    let expectedOnes = 0;
    let common = 0xffffffff;
    for (let i = 0; i < at + count; i++) {
      const expected = i < at ? 1 : (words[rows[i - at]! + word]! >>> bit) & 1;
      assert.equal((out[i >> 3]! >> (i & 7)) & 1, expected);
      if (i >= at) expectedOnes += expected;
      if (i >= at) common &= words[rows[i - at]! + word]!;
    }
    assert.equal(ones, expectedOnes);
    assert.equal(kernels.commonBits(words, rows, word, count), common);
    assert.equal(out.at(-1)! >> (((at + count - 1) & 7) + 1), 0, 'and none behind');
  });
});

test('a range of bits is set and nothing beside it', () => {
  const random = new SeededRandom(seed);
  for (let round = 0; round < 500; round++) {
    const from = random.below(80);
    const to = from + random.below(80);
    const out = new Uint8Array(20);
    kernels.setBits(out, from, to);
    for (let i = 0; i < 160; i++) assert.equal((out[i >> 3]! >> (i & 7)) & 1, i >= from && i < to ? 1 : 0);
  }
});

test('variable values are found by their slots, of any length and alignment', () => {
  forArenas(({ words, bytes, view, rows, count }, at, random) => {
    const offset = 8 * random.below(8);
    const ends = new Uint32Array(at + count + 1).fill(17, 0, at + 1);
    const expected: Uint8Array[] = [];
    for (const row of rows) {
      const length = random.chance(0.2) ? 0 : random.below(random.chance(0.2) ? 200 : 40);
      view.setUint32(row * 4 + offset, 100 + random.below(100), true);
      view.setUint32(row * 4 + offset + 4, length, true);
    }
    // Slots of later rows may lie in the values of earlier ones, so the twin reads when all are written.
    for (const row of rows) {
      const from = row * 4 + view.getUint32(row * 4 + offset, true);
      expected.push(bytes.slice(from, from + view.getUint32(row * 4 + offset + 4, true)));
    }
    const end = kernels.gatherEnds(words, rows, offset, count, ends, at);
    const out = new Uint8Array(end);
    kernels.gatherBytes(words, bytes, rows, offset, count, ends, at, out);
    assert.equal(end, ends[at + count]);
    assert.deepEqual(Buffer.from(out.subarray(17)), Buffer.concat(expected));
  });
});

test('lists are counted by what they say, and a null one is empty', () => {
  forArenas(({ words, view, rows, count }, at, random) => {
    const ends = new Uint32Array(at + count + 1);
    ends[at] = 5;
    const lengths: number[] = [];
    for (const row of rows) {
      const isNull = random.chance(0.3);
      const list = 64 + 8 * random.below(8);
      const length = random.below(10);
      view.setUint32(row * 4, isNull ? 0 : list, true);
      view.setUint32(row * 4 + 4, isNull ? 0 : 8 + length * 4, true);
      view.setUint32(row * 4 + list, length, true);
      lengths.push(isNull ? 0 : length);
    }
    const end = kernels.gatherListEnds(words, rows, 0, count, ends, at);
    assert.equal(end, 5 + lengths.reduce((sum, length) => sum + length, 0));
    for (const [i, length] of lengths.entries()) assert.equal(ends[at + i + 1]! - ends[at + i]!, length);
  });
});

test('key columns are walked from one to the next, aligned or not', () => {
  forArenas(({ words, bytes, rows, count }, at, random) => {
    const positions = Uint32Array.from(rows, (row) => row * 4 + random.below(8));
    const before = positions.slice();
    const width = random.chance(0.5) ? 8 : 16;
    const out = new Uint8Array((at + count) * width);
    kernels.gatherKeyFixed(words, bytes, positions, width, count, out, new Uint32Array(out.buffer), at);
    kernels.skipKeyFixed(positions, width, count);
    const expected: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      assert.deepEqual(
        out.slice((at + i) * width, (at + i + 1) * width),
        bytes.slice(before[i], before[i]! + width),
      );
      assert.equal(positions[i], before[i]! + width);
      const length = random.below(random.chance(0.1) ? 300 : 20);
      bytes[positions[i]!] = length & 255;
      bytes[positions[i]! + 1] = length >> 8;
      expected.push(bytes.slice(positions[i]! + 2, positions[i]! + 2 + length));
    }
    const ends = new Uint32Array(at + count + 1);
    const end = kernels.gatherKeyEnds(bytes, positions, count, ends, at);
    const values = new Uint8Array(end);
    kernels.gatherKeyBytes(bytes, positions, count, ends, at, values);
    assert.deepEqual(Buffer.from(values), Buffer.concat(expected));
    const ahead = positions.slice();
    kernels.skipKeyVariable(bytes, positions, count);
    for (let i = 0; i < count; i++) assert.equal(positions[i], ahead[i]! + 2 + expected[i]!.length);
  });
});
