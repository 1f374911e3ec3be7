/** LZ4 frames: stored and compressed blocks, and malformed ones, which must throw and never read or write outside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLz4Frame } from '../../../connectors/files/lz4-frame.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';

/** A frame of the given blocks: [bytes, isStored]. */
function frame(...blocks: [bytes: number[], isStored: boolean][]): Uint8Array {
  const parts: number[] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
  for (const [bytes, isStored] of blocks) {
    const word = (bytes.length | (isStored ? 0x8000_0000 : 0)) >>> 0;
    parts.push(word & 255, (word >> 8) & 255, (word >> 16) & 255, word >>> 24, ...bytes);
  }
  return Uint8Array.from([...parts, 0, 0, 0, 0]);
}

test('stored blocks, literals and overlapping matches decode', () => {
  const stored = frame([[1, 2, 3], true]);
  assert.deepEqual([...decodeLz4Frame(stored)], [1, 2, 3]);
  // One literal 'a', a match of 8 at distance 1, then the last literal 'b'.
  const run = frame([[0x14, 97, 1, 0, 0x10, 98], false]);
  assert.equal(Buffer.from(decodeLz4Frame(run)).toString(), 'aaaaaaaaab');
  // The second block's match reaches back into the first block.
  const linked = frame([[97, 98, 99, 100], true], [[0x00, 4, 0, 0x10, 101], false]);
  assert.equal(Buffer.from(decodeLz4Frame(linked)).toString(), 'abcdabcde');
});

test('lengths above 15 go on in further bytes', () => {
  const literals = Array.from({ length: 15 + 255 + 5 }, (_, i) => i & 255);
  assert.deepEqual([...decodeLz4Frame(frame([[0xf0, 255, 5, ...literals], false]))], literals);
});

test('a malformed frame throws', () => {
  const cases = [
    Uint8Array.of(1, 2, 3),
    frame([[0x14, 97, 0, 0, 0x10, 98], false]), // distance 0
    frame([[0x14, 97, 9, 0, 0x10, 98], false]), // before the beginning
    frame([[0xf0, 255], false]), // ends in a length
    frame([[0x50, 1, 2], false]), // literals past the block
    frame([[0x14, 97, 1], false]), // ends in a distance
    frame([[1], true]).subarray(0, 10), // no end mark
  ];
  for (const bytes of cases) assert.throws(() => decodeLz4Frame(bytes), /LZ4/);
});

test('random bytes never do more than throw', () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  for (let i = 0; i < 2000; i++) {
    const block = [...random.bytes(random.below(60))];
    try {
      decodeLz4Frame(frame([block, false]));
    } catch (error) {
      assert.match((error as Error).message, /LZ4/, `seed ${seed}, case ${i}`);
    }
  }
});
