/** Scalars keep their value or are refused; each kind at its edges. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  KIND_BOOL,
  KIND_FLOAT32,
  KIND_FLOAT64,
  KIND_INT8,
  KIND_INT16,
  KIND_INT32,
  KIND_INT64,
  KIND_STRING,
  KIND_TIMESTAMP,
} from '../../protocol/index.ts';
import { readScalar, writeNumber, writeScalar } from '../../protocol/scalar-codec.ts';

const view = new DataView(new ArrayBuffer(16));

test('values at the edges come back', () => {
  const cases: [number, unknown[]][] = [
    [KIND_BOOL, [true, false]],
    [KIND_INT8, [-128, 127, 0]],
    [KIND_INT16, [-32768, 32767]],
    [KIND_INT32, [-(2 ** 31), 2 ** 31 - 1]],
    [KIND_INT64, [-(2n ** 63n), 2n ** 63n - 1n, 0n]],
    [KIND_TIMESTAMP, [-(2 ** 53) + 1, 2 ** 53 - 1]],
    [KIND_FLOAT32, [Number.POSITIVE_INFINITY, -0, 2 ** -149]],
    [KIND_FLOAT64, [Number.MAX_VALUE, Number.MIN_VALUE, -0]],
  ];
  for (const [kind, values] of cases) {
    for (const value of values) {
      assert.ok(writeScalar(view, 3, kind, value));
      assert.ok(Object.is(readScalar(view, 3, kind), value), `${kind}: ${String(value)}`);
    }
  }
});

test('numbers serve int64 when they are exact', () => {
  assert.ok(writeNumber(view, 0, KIND_INT64, -(2 ** 53) + 1));
  assert.equal(readScalar(view, 0, KIND_INT64), -(2n ** 53n) + 1n);
  assert.ok(!writeNumber(view, 0, KIND_INT64, 2 ** 53));
});

test('negative zero is the integer zero', () => {
  for (const kind of [KIND_INT8, KIND_INT16, KIND_INT32, KIND_INT64, KIND_TIMESTAMP]) {
    view.setBigInt64(0, -1n, true);
    assert.ok(writeScalar(view, 0, kind, -0));
    assert.equal(view.getUint8(0), 0);
  }
});

test('a refused value writes nothing', () => {
  view.setBigUint64(0, 0x0123456789abcdefn, true);
  for (const [kind, value] of [
    [KIND_BOOL, 1],
    [KIND_INT8, 128],
    [KIND_INT16, 0.5],
    [KIND_INT32, Number.NaN],
    [KIND_INT64, 2n ** 63n],
    [KIND_TIMESTAMP, new Date(Number.NaN)],
    [KIND_FLOAT32, 1n],
    [KIND_FLOAT64, '1'],
    [KIND_STRING, 1],
  ] as const) {
    assert.ok(!writeScalar(view, 0, kind, value));
  }
  assert.equal(view.getBigUint64(0, true), 0x0123456789abcdefn);
});
