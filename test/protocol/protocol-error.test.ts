/** Errors carry their code's properties, and messages show values shortly and on one line. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeValue, ProtocolError } from '../../protocol/index.ts';

test('an error knows its code, whether a retry helps, and its cause', () => {
  const cause = new Error('below');
  const error = new ProtocolError('OVERLOADED', 'busy', { cause });
  assert.equal(error.code, 'OVERLOADED');
  assert.equal(error.message, 'busy');
  assert.equal(error.cause, cause);
  assert.ok(error.retryable && !error.indeterminate);
  assert.ok(new ProtocolError('INTERNAL', 'x').indeterminate);
});

test('values are shown with their type', () => {
  assert.equal(describeValue(null), 'null');
  assert.equal(describeValue(undefined), 'undefined');
  assert.equal(describeValue('a\nb'), '"a\\nb" (string)');
  assert.equal(describeValue(1.5), '1.5 (number)');
  assert.equal(describeValue(7n), '7 (bigint)');
  assert.equal(describeValue([1, 2]), 'an array of 2');
  assert.equal(describeValue(new Uint16Array(3)), 'a Uint16Array of 6 bytes');
  assert.equal(describeValue(new Date(5)), 'a Date (5)');
  assert.equal(describeValue(new Date(Number.NaN)), 'a Date (NaN)');
  assert.equal(describeValue({}), 'a value of type object');
  assert.ok(describeValue('x'.repeat(10_000)).length < 60);
});
