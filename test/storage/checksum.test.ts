/** Checksums of bytes on disk: the published XXH64 values, whatever the ranges and parts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xxh64 } from '../../protocol/index.ts';
import { checksum64, checksum64Parts, loadChecksum } from '../../storage/checksum.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

await loadChecksum();

function hexSum(words: Uint32Array): string {
  return words[1]!.toString(16).padStart(8, '0') + words[0]!.toString(16).padStart(8, '0');
}

function sumOf(bytes: Uint8Array, offset = 0, length: number = bytes.length): string {
  const out = new Uint32Array(2);
  checksum64(bytes, offset, length, out);
  return hexSum(out);
}

function sumOfParts(parts: Uint8Array[]): string {
  const out = new Uint32Array(2);
  checksum64Parts(parts, out);
  return hexSum(out);
}

test('the checksum is XXH64 with seed 0', () => {
  assert.equal(sumOf(new Uint8Array(0)), 'ef46db3751d8e999');
  assert.equal(sumOf(Buffer.from('a')), 'd24ec4f1a98c6e5b');
  assert.equal(sumOf(Buffer.from('abc')), '44bc2cf5ad770999');
});

test('the checksum agrees with the plain JavaScript twin on every length and alignment', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const bytes = random.bytes(200_000);
  const expected = new Uint32Array(2);
  for (const length of [0, 1, 7, 8, 31, 32, 33, 4072, 65_535, 65_536, 65_537, 131_072, 190_001]) {
    const offset = random.below(bytes.length - length);
    xxh64(bytes, offset, length, 0, 0, expected, 0);
    assert.equal(sumOf(bytes, offset, length), hexSum(expected), `length ${length}`);
  }
});

test('the sum of parts is the sum of their bytes, however they are cut', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 200; round++) {
    const parts: Uint8Array[] = [];
    const count = random.below(40);
    for (let part = 0; part < count; part++) {
      parts.push(random.bytes(random.below(random.chance(0.1) ? 100_000 : 6000)));
    }
    assert.equal(sumOfParts(parts), sumOf(Buffer.concat(parts)), `round ${round}`);
  }
  assert.equal(sumOfParts([]), 'ef46db3751d8e999');
});

test('gathered parts that fill the gathering buffer exactly are summed once', () => {
  const parts = Array.from({ length: 48 }, (_, index) => new Uint8Array(4095).fill(index));
  assert.equal(sumOfParts(parts), sumOf(Buffer.concat(parts)));
});

test('a range outside its bytes is refused', () => {
  assert.throws(() => sumOf(new Uint8Array(8), 4, 5), /outside/);
  assert.throws(() => sumOf(new Uint8Array(8), -1, 4), /outside/);
});
