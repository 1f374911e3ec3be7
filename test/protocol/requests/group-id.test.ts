/** The group of every data request is read before the rest. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGroupId, readSchemaVersion } from '../../../protocol/index.ts';
import { cutTo, frameOf, refusal } from '../frames.ts';
import { SAMPLE_MESSAGES } from '../sample-messages.ts';

test('GET, GET_MATRIX, PUT and DELETE have it in the same place', () => {
  for (const name of ['get-request', 'get-matrix-request', 'put-request', 'delete-request']) {
    assert.equal(readGroupId(frameOf(SAMPLE_MESSAGES[name]!)), 5, name);
  }
  assert.equal(readSchemaVersion(frameOf(SAMPLE_MESSAGES['put-request']!)), 1);
});

test('a body too short for it is refused', () => {
  const frame = frameOf(SAMPLE_MESSAGES['get-request']!);
  for (const length of [40, 47]) {
    assert.throws(() => readGroupId(cutTo(frame, length)), refusal('MALFORMED_REQUEST', /at least 8 bytes/));
  }
});
