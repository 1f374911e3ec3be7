/** Options of writes: what they mean, and which make no sense. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PutOptions } from '../../client/index.ts';
import { patchConditions, writeConditions } from '../../client/write-conditions.ts';
import { failure } from './error-expectation.ts';

test('without options a write has no conditions and no key', () => {
  assert.deepEqual(writeConditions({}, 3), {
    isBackfill: false,
    isTimeFloor: false,
    ifVersions: null,
    isKeyed: false,
  });
});

test('one version counts for all rows, and conditional writes carry a key', () => {
  const conditions = writeConditions({ ifVersion: 0 }, 3);
  assert.deepEqual([...conditions.ifVersions!], [0, 0, 0]);
  assert.equal(conditions.isKeyed, true);
  assert.deepEqual([...writeConditions({ ifVersion: Float64Array.of(1, 2) }, 2).ifVersions!], [1, 2]);
});

test('a patch always carries a key', () => {
  assert.equal(patchConditions({}, 1, true).isKeyed, true);
  assert.deepEqual([...patchConditions({ ifVersion: 3 }, 2, true).ifVersions!], [3, 3]);
});

test('what makes no sense is USAGE', () => {
  const refused: [PutOptions, RegExp][] = [
    [{ ifVersion: [1] }, /an array of 2/],
    [{ ifVersion: -1 }, /holds -1/],
    [{ ifVersion: [1, 0.5] }, /holds 0.5/],
    [{ ifVersion: null as unknown as number }, /is null/],
    [{ ifVersion: 1, backfill: true }, /no ifVersion/],
  ];
  for (const [options, message] of refused) {
    assert.throws(() => writeConditions(options, 2), failure('USAGE', message));
  }
});
