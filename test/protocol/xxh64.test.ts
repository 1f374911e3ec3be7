/** xxh64 gives the bits of the reference implementation, compiled to WebAssembly, for every length and seed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import xxhash from 'xxhash-wasm';
import { xxh64 } from '../../protocol/index.ts';
import { SeededRandom } from '../support/random-source.ts';
import { announcedSeed } from './seed.ts';

const reference = await xxhash();

function digest(bytes: Uint8Array, offset: number, length: number, seedLo: number, seedHi: number): bigint {
  const out = new Uint32Array(4);
  xxh64(bytes, offset, length, seedLo, seedHi, out, 1);
  assert.equal(out[0], 0);
  assert.equal(out[3], 0);
  return (BigInt(out[2]!) << 32n) | BigInt(out[1]!);
}

test('known digests', () => {
  const text = Buffer.from('Nobody inspects the spammish repetition');
  assert.equal(digest(new Uint8Array(0), 0, 0, 0, 0), 0xef46db3751d8e999n);
  assert.equal(digest(text, 0, text.length, 0, 0), 0xfbcea83c8a378bf1n);
});

test('every length up to 300 and many seeds agree with the reference', () => {
  const seed = announcedSeed('xxh64 against the reference');
  const random = new SeededRandom(seed);
  for (let length = 0; length <= 300; length++) {
    for (let round = 0; round < 8; round++) {
      const offset = random.below(9);
      const bytes = random.bytes(offset + length + random.below(9));
      const seedLo = round === 0 ? 0 : random.uint32();
      const seedHi = round === 0 ? 0 : random.uint32();
      const expected = reference.h64Raw(
        bytes.subarray(offset, offset + length),
        (BigInt(seedHi) << 32n) | BigInt(seedLo),
      );
      assert.equal(
        digest(bytes, offset, length, seedLo, seedHi),
        expected,
        `length ${length}, round ${round}`,
      );
    }
  }
});

test('words of all ones and all zeroes carry as they must', () => {
  for (const byte of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
    const bytes = new Uint8Array(200).fill(byte);
    for (const half of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
      for (const length of [1, 4, 8, 12, 31, 32, 33, 63, 64, 200]) {
        const expected = reference.h64Raw(bytes.subarray(0, length), (BigInt(half) << 32n) | BigInt(half));
        assert.equal(digest(bytes, 0, length, half, half), expected);
      }
    }
  }
});

test('a large input agrees with the reference', () => {
  const bytes = new SeededRandom(7).bytes(100_003);
  assert.equal(digest(bytes, 0, bytes.length, 1, 2), reference.h64Raw(bytes, (2n << 32n) | 1n));
});
