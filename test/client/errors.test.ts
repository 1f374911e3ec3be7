/** One error class: codes and what they say, whatever the source. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError, toMillraceError } from '../../client/errors.ts';
import { ProtocolError } from '../../protocol/index.ts';

test('a code says whether trying again may help, unless the error knows better', () => {
  const lost = new MillraceError('CONNECTION_LOST', 'gone');
  assert.deepEqual([lost.retryable, lost.indeterminate], [true, true]);
  const unsent = new MillraceError('TIMEOUT', 'never sent', { indeterminate: false });
  assert.deepEqual([unsent.retryable, unsent.indeterminate], [false, false]);
  assert.equal(unsent.name, 'MillraceError');
});

test('errors of the protocol keep their code, others are internal, ours stay themselves', () => {
  const protocol = new ProtocolError('KEY_INVALID', 'bad key');
  const converted = toMillraceError(protocol);
  assert.equal(converted.code, 'KEY_INVALID');
  assert.equal(converted.cause, protocol);
  assert.equal(toMillraceError(converted), converted);
  assert.equal(toMillraceError(new TypeError('oops')).code, 'INTERNAL');
  assert.equal(toMillraceError('text').message, 'text');
});
