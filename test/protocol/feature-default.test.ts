/** Defaults: which literals a type takes, what they read as, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkDefault,
  defaultValue,
  type FeatureDefault,
  type FeatureType,
  validateGroupSpec,
} from '../../protocol/index.ts';
import { refusal } from './frames.ts';

const TAKEN: readonly [FeatureType, unknown, FeatureDefault, unknown][] = [
  ['bool', false, false, false],
  ['int8', -128, -128, -128],
  ['int16', 32767n, 32767, 32767],
  ['int32', 0, 0, 0],
  ['int64', 9007199254740991n, 9007199254740991, 9007199254740991n],
  ['float32', 0.1, 0.1, Math.fround(0.1)],
  ['float64', 0.1, 0.1, 0.1],
  ['timestamp', new Date(5), 5000, 5000],
  ['timestamp', -1, -1, -1],
  ['string', '', '', ''],
  ['string', 'Zürich', 'Zürich', 'Zürich'],
];

test('a literal of the type is held, and reads as the type does', () => {
  for (const [type, given, held, read] of TAKEN) {
    assert.equal(checkDefault(given, 'at', type), held);
    assert.equal(defaultValue({ name: 'f', type, default: held }), read, type);
  }
  assert.equal(defaultValue({ name: 'f', type: 'int8' }), null);
});

test('what the type does not hold is refused, with what it holds', () => {
  const refused: readonly [FeatureType, unknown, RegExp][] = [
    ['bool', 1, /^at: got 1 \(number\); allowed: true or false/],
    ['int8', 128, /a finite number that int8 holds/],
    ['int32', 1.5, /a finite number that int32 holds/],
    ['int64', 2n ** 60n, /a finite number that int64 holds/],
    ['float32', Number.NaN, /a finite number that float32 holds/],
    ['float64', Number.POSITIVE_INFINITY, /a finite number that float64 holds/],
    ['float64', '1', /a finite number/],
    ['timestamp', 'today', /a Date, or microseconds since 1970/],
    ['string', 5, /well-formed text/],
    ['string', '\ud800', /well-formed text/],
    ['string', 'x'.repeat(1025), /at most 1024 bytes of UTF-8, this has 1025/],
    ['vector', [1], /no default beside type vector/],
    ['list', [], /no default beside type list/],
    ['bytes', new Uint8Array(1), /no default beside type bytes/],
    ['msgpack', {}, /no default beside type msgpack/],
  ];
  for (const [type, value, message] of refused) {
    assert.throws(() => checkDefault(value, 'at', type), refusal('SCHEMA_INVALID', message), type);
  }
});

test('a spec keeps its defaults, and names the feature whose default is wrong', () => {
  const spec = (value: unknown): unknown => ({
    name: 'g',
    key: [{ name: 'k', type: 'int64' }],
    features: [
      { name: 'a', type: 'int8' },
      { name: 'b', type: 'bool', default: value },
    ],
  });
  assert.equal(validateGroupSpec(spec(true)).features[1]?.default, true);
  assert.equal('default' in validateGroupSpec(spec(null)).features[1]!, false);
  assert.throws(() => validateGroupSpec(spec('yes')), refusal('SCHEMA_INVALID', /^features\[1\]\.default/));
});
