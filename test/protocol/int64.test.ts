/** 64-bit integers as numbers agree with BigInt where they are exact, and are refused where they are not. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readInt64, readUint64, writeInt64 } from '../../protocol/index.ts';
import { announcedSeed } from './seed.ts';

const view = new DataView(new ArrayBuffer(8));

test('every safe integer is written as BigInt would and read back', () => {
  const seed = announcedSeed('int64 round trip');
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      writeInt64(view, 0, value);
      assert.equal(view.getBigInt64(0, true), BigInt(value));
      assert.equal(readInt64(view, 0), value);
    }),
    { seed, numRuns: 1000 },
  );
});

test('the edges are exact', () => {
  for (const value of [0, -1, 2 ** 31, -(2 ** 31), 2 ** 32, -(2 ** 32), 2 ** 53 - 1, -(2 ** 53) + 1]) {
    writeInt64(view, 0, value);
    assert.equal(view.getBigInt64(0, true), BigInt(value));
    assert.equal(readInt64(view, 0), value);
  }
});

test('what a double cannot hold exactly reads as NaN', () => {
  for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) {
    view.setBigInt64(0, value, true);
    assert.ok(Number.isNaN(readInt64(view, 0)), `${value}`);
  }
  for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    view.setBigUint64(0, value, true);
    assert.ok(Number.isNaN(readUint64(view, 0)), `${value}`);
  }
  view.setBigUint64(0, 2n ** 53n - 1n, true);
  assert.equal(readUint64(view, 0), 2 ** 53 - 1);
});
