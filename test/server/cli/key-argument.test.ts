/** Keys as people type them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyType } from '../../../protocol/index.ts';
import { parseKey } from '../../../server/cli/key-argument.ts';

function key(text: string, ...types: KeyType[]): unknown {
  return parseKey(
    text,
    types.map((type, i) => ({ name: `k${i}`, type })),
  );
}

test('one column takes the whole text, commas included', () => {
  assert.equal(key('ORD', 'string'), 'ORD');
  assert.equal(key('a,b', 'string'), 'a,b');
  assert.equal(key('[x', 'string'), '[x');
  assert.equal(key('', 'string'), '');
  assert.equal(key('-9223372036854775808', 'int64'), -9223372036854775808n);
  assert.deepEqual(key('0xff00', 'bytes'), Uint8Array.of(255, 0));
  assert.equal(key('123e4567-e89b-12d3-a456-426614174000', 'uuid'), '123e4567-e89b-12d3-a456-426614174000');
});

test('several columns are separated by commas, or a JSON array', () => {
  assert.deepEqual(key('ORD,7', 'string', 'int64'), ['ORD', 7n]);
  assert.deepEqual(key('["a,b",7]', 'string', 'int64'), ['a,b', 7n]);
});

test('an integer beyond 2^53 in a JSON key is not rounded to its neighbour', () => {
  assert.deepEqual(key('[9007199254740993, 1]', 'int64', 'int64'), [9_007_199_254_740_993n, 1n]);
  assert.deepEqual(key('[-9223372036854775808,"1,\\"2"]', 'int64', 'string'), [-(2n ** 63n), '1,"2']);
  assert.deepEqual(key('[1e3, "7"]', 'int64', 'int64'), [1000n, 7n]);
  assert.equal(key('[9007199254740993]', 'int64'), 9_007_199_254_740_993n);
  assert.throws(() => key('[9007199254740993]', 'timestamp'), { code: 'USAGE', message: /key column k0/ });
  assert.throws(() => key('[9223372036854775808]', 'bytes'), { code: 'USAGE', message: /key column k0/ });
});

test('a time is ISO 8601, UTC without a zone, or microseconds', () => {
  assert.equal(key('1600000000000001', 'timestamp'), 1_600_000_000_000_001);
  assert.equal(key('2020-09-13T12:26:40.000001Z', 'timestamp'), 1_600_000_000_000_001);
  assert.equal(key('2020-09-13 12:26', 'timestamp'), 1_599_999_960_000_000);
  assert.equal(key('2020-09-13', 'timestamp'), 1_599_955_200_000_000);
  assert.equal(key('2020-09-13T14:26:40+02:00', 'timestamp'), 1_600_000_000_000_000);
});

test('what does not fit is USAGE and names the column', () => {
  for (const [text, type] of [
    ['1.5', 'int64'],
    ['', 'int64'],
    ['soon', 'timestamp'],
    ['2020-13-40', 'timestamp'],
    ['ff', 'bytes'],
    ['0xf', 'bytes'],
  ] as const) {
    assert.throws(() => key(text, type), { code: 'USAGE', message: /key column k0/ }, text);
  }
  assert.throws(() => key('a,b', 'string', 'string', 'string'), { code: 'USAGE', message: /k0,k1,k2/ });
});
