/** The error class of storage/: what a caller may rely on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StorageError } from '../../storage/storage-error.ts';

test('an error carries its code, its cause and whether the same request may succeed later', () => {
  const cause = new Error('EIO');
  const error = new StorageError('JOURNAL_CORRUPT', 'segment 3 is damaged', { cause });
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'StorageError');
  assert.equal(error.code, 'JOURNAL_CORRUPT');
  assert.equal(error.cause, cause);
  assert.equal(error.retryable, false);
  assert.equal(new StorageError('OVERLOADED', 'later').retryable, true);
  assert.equal(new StorageError('STORAGE_FULL', 'no room').retryable, false);
});
