/** Stored values as JSON and CSV: nothing lost, nothing invented. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvField, isoMicros, jsonValue, shortFloat32, shownValue } from '../../../server/cli/value-text.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';

test('a float32 is the shortest decimal that reads back as it', () => {
  assert.equal(shortFloat32(Math.fround(0.1)), 0.1);
  assert.equal(shortFloat32(Math.fround(64.26)), 64.26);
  assert.equal(shortFloat32(16_777_216), 16_777_216);
  assert.ok(Number.isNaN(shortFloat32(Number.NaN)));
  assert.equal(shortFloat32(Number.NEGATIVE_INFINITY), Number.NEGATIVE_INFINITY);
  const seed = testSeed();
  const random = new SeededRandom(seed);
  const view = new DataView(new ArrayBuffer(4));
  for (let i = 0; i < 20_000; i++) {
    view.setUint32(0, random.uint32());
    const value = view.getFloat32(0);
    if (Number.isFinite(value)) assert.equal(Math.fround(shortFloat32(value)), value, `seed ${seed}`);
  }
});

test('times have as many digits as they need, before and after 1970', () => {
  assert.equal(isoMicros(0), '1970-01-01T00:00:00Z');
  assert.equal(isoMicros(1_600_000_000_000_001), '2020-09-13T12:26:40.000001Z');
  assert.equal(isoMicros(1_600_000_000_500_000), '2020-09-13T12:26:40.5Z');
  assert.equal(isoMicros(-1), '1969-12-31T23:59:59.999999Z');
  assert.equal(isoMicros(Number.MAX_SAFE_INTEGER), '2255-06-05T23:47:34.740991Z');
});

test('int64 beyond 2^53 and numbers that are not finite are strings', () => {
  assert.equal(jsonValue({ type: 'int64' }, 2n ** 53n - 1n), 9_007_199_254_740_991);
  assert.equal(jsonValue({ type: 'int64' }, 2n ** 53n), '9007199254740992');
  assert.equal(jsonValue({ type: 'float64' }, Number.POSITIVE_INFINITY), 'Infinity');
  assert.deepEqual(jsonValue({ type: 'vector' }, Float32Array.of(0.1, Number.NaN)), [0.1, 'NaN']);
  assert.deepEqual(jsonValue({ type: 'list', item: 'int64' }, [1n, 2n ** 60n]), [1, '1152921504606846976']);
});

test('a CSV field is quoted where a reader needs it; null and the empty text differ', () => {
  assert.deepEqual([null, '', 'a', 'a,b', 'a"b', 'a\nb', 5, [1, 2]].map(csvField), [
    '',
    '""',
    'a',
    '"a,b"',
    '"a""b"',
    '"a\nb"',
    '5',
    '"[1,2]"',
  ]);
});

test('a person sees a dash for null and text without quotes', () => {
  assert.equal(shownValue({ type: 'string' }, null), '–');
  assert.equal(shownValue({ type: 'string' }, 'ORD'), 'ORD');
  assert.equal(shownValue({ type: 'msgpack' }, { a: [1] }), '{"a":[1]}');
});
