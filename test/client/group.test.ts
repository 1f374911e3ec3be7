/** Groups: what is compiled from a schema, and what is refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matrixKeysMax } from '../../client/group.ts';
import { Group } from '../../client/index.ts';
import { READERS_KEPT_MAX } from '../../client/limits.ts';
import {
  DTYPE_FLOAT32,
  DTYPE_FLOAT64,
  FRAME_BYTES_MAX,
  GET_KEYS_MAX,
  matrixShape,
  schemaFromSpec,
} from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';

const GROUP = new Group(
  schemaFromSpec(
    {
      name: 'g',
      key: [{ name: 'id', type: 'string' }],
      features: [
        { name: 'flag', type: 'bool' },
        { name: 'v', type: 'vector', length: 2 },
        { name: 'text', type: 'string' },
        { name: 'at', type: 'timestamp' },
      ],
    },
    1,
    0,
  ),
);

test('a projection names one column a scalar and one an item of a vector', () => {
  const { columnNames, featureIds } = GROUP.projection(['at', 'v', 'flag']);
  assert.deepEqual(columnNames, ['at', 'v[0]', 'v[1]', 'flag']);
  assert.deepEqual([...featureIds], [4, 2, 1]);
});

test('the last projection is kept by its names, not by the array that held them', () => {
  const features = ['at', 'v'];
  const first = GROUP.projection(features);
  assert.equal(GROUP.projection(['at', 'v']), first);
  features[1] = 'flag';
  assert.deepEqual(GROUP.projection(features).columnNames, ['at', 'flag']);
});

test('a reader is made once for a choice of features, and choices kept are bounded', () => {
  const both = GROUP.reader(['text', 'at']);
  assert.equal(GROUP.reader(['text', 'at']), both);
  assert.notEqual(GROUP.reader(['at', 'text']), both, 'the order is part of the choice');
  assert.equal(GROUP.reader(['text', 'at']), both);
  assert.equal(GROUP.reader(undefined), GROUP.reader(undefined));
  for (let i = 0; i < READERS_KEPT_MAX; i++) GROUP.reader(Array.from({ length: i }, () => 'at'));
  assert.notEqual(GROUP.reader(['text', 'at']), both);
  assert.throws(() => GROUP.reader(['nope']), { code: 'FEATURE_NOT_FOUND' });
});

test('what has no numbers, or is not there, is refused', () => {
  assert.throws(() => GROUP.projection(['text']), failure('TYPE_MISMATCH', /"text".*is string/));
  assert.throws(() => GROUP.projection(['nope']), failure('FEATURE_NOT_FOUND', /flag, v, text, at/));
  assert.throws(() => GROUP.projection([]), failure('BATCH_EMPTY'));
});

test('a matrix request names so many keys that its answer fits a frame', () => {
  for (const dtype of [DTYPE_FLOAT32, DTYPE_FLOAT64]) {
    for (const columns of [1, 50, 255, 256, 257, 5000, 1_000_000]) {
      const keys = matrixKeysMax(columns, dtype, true);
      assert.ok(keys >= 1 && keys <= GET_KEYS_MAX);
      assert.ok(matrixShape(keys, columns, dtype, true).bytes + 16 <= FRAME_BYTES_MAX, `${columns} columns`);
      const isLargest =
        keys === GET_KEYS_MAX || matrixShape(keys + 8, columns, dtype, true).bytes > FRAME_BYTES_MAX - 200;
      assert.ok(isLargest, `${keys} keys of ${columns} columns could be more`);
    }
  }
});
