/** Rows and patches as JSON texts: digits are kept, steps are told from values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, append, Group, max, min, set } from '../../../client/index.ts';
import { parsePatch, parseRow } from '../../../server/cli/row-argument.ts';
import { failure } from '../../client/error-expectation.ts';
import { schemaOf } from '../../protocol/sample-schemas.ts';

const GROUP = new Group(
  schemaOf([
    { name: 'n', type: 'int64' },
    { name: 'f', type: 'float32' },
    { name: 'at', type: 'timestamp' },
    { name: 'raw', type: 'bytes' },
    { name: 'v', type: 'vector', length: 2 },
    { name: 'ids', type: 'list', item: 'int64' },
    { name: 'any', type: 'msgpack' },
    { name: 's', type: 'string' },
  ]),
);

test('integers keep their digits, and texts that look like them stay texts', () => {
  assert.deepEqual(
    parseRow(
      '{"id": 9007199254740993, "n": -9223372036854775808, "ids": [9007199254740993, "7"], "s": "12"}',
      GROUP,
    ),
    { id: 9007199254740993n, n: -(2n ** 63n), ids: [9007199254740993n, 7n], s: '12' },
  );
});

test('values are those of their columns', () => {
  const row = parseRow(
    '{"f": "NaN", "at": "1970-01-01T00:00:01.5Z", "event_time": 5, "raw": "AQI=", "v": [1, "Infinity"], "any": {"add": 1}, "s": null}',
    GROUP,
  );
  assert.deepEqual(row, {
    f: Number.NaN,
    at: 1_500_000,
    event_time: 5n,
    raw: Uint8Array.of(1, 2),
    v: [1, Number.POSITIVE_INFINITY],
    any: { add: 1 },
    s: null,
  });
});

test('an object is a step, but for msgpack features', () => {
  assert.deepEqual(
    parsePatch(
      '{"id": 1, "n": {"add": 9007199254740993}, "f": {"min": 0.5}, "at": {"max": "1970-01-01"}, "ids": {"append": 7, "max": 3}, "s": {"set": "x"}, "any": {"add": 1}}',
      GROUP,
    ),
    {
      id: 1n,
      n: add(9007199254740993n),
      f: min(0.5),
      at: max(0),
      ids: append([7n], { max: 3 }),
      s: set('x'),
      any: { add: 1 },
    },
  );
});

test('what is no step says which there are', () => {
  for (const step of [
    '{}',
    '{"plus": 1}',
    '{"add": 1, "max": 2}',
    '{"append": 1}',
    '{"append": 1, "max": "2"}',
  ]) {
    assert.throws(() => parsePatch(`{"id": 1, "n": ${step}}`, GROUP), failure('USAGE', /"append"/));
  }
});
