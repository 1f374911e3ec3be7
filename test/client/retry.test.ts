/** The retry policy: what is safe to repeat, how long to wait, when to stop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../client/errors.ts';
import type { ErrorCodeName } from '../../client/index.ts';
import { ATTEMPTS_MAX, RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN } from '../../client/limits.ts';
import { type RequestKind, retryDelayMs } from '../../client/retry.ts';

const LONG_MS = 1e9;

function isRetried(kind: RequestKind, code: ErrorCodeName, retryWrites: boolean = false): boolean {
  return retryDelayMs(kind, new MillraceError(code, code), 1, LONG_MS, retryWrites) >= 0;
}

test('what was certainly not carried out is repeated, whatever it is', () => {
  for (const code of ['OVERLOADED', 'SHUTTING_DOWN', 'NOT_OWNER', 'CONNECT_FAILED'] as const) {
    for (const kind of ['read', 'keyed', 'write', 'once'] as const)
      assert.ok(isRetried(kind, code), `${kind} ${code}`);
  }
});

test('after a lost connection reads and keyed writes are repeated, others only when the caller allows it', () => {
  assert.ok(isRetried('read', 'CONNECTION_LOST'));
  assert.ok(isRetried('keyed', 'CONNECTION_LOST'));
  assert.ok(!isRetried('write', 'CONNECTION_LOST'));
  assert.ok(isRetried('write', 'CONNECTION_LOST', true));
  assert.ok(!isRetried('once', 'CONNECTION_LOST', true));
});

test('a keyed write whose end is unclear goes on to its deadline, other requests give up', () => {
  const lost = new MillraceError('CONNECTION_LOST', 'a test');
  assert.ok(retryDelayMs('keyed', lost, 50, LONG_MS, false) > 0);
  assert.equal(retryDelayMs('keyed', lost, 50, 1, false), -1);
  assert.equal(retryDelayMs('read', lost, ATTEMPTS_MAX, LONG_MS, false), -1);
  const busy = new MillraceError('OVERLOADED', 'a test');
  assert.equal(retryDelayMs('keyed', busy, ATTEMPTS_MAX, LONG_MS, false), -1);
});

test('an error that will come again is final', () => {
  for (const code of ['GROUP_NOT_FOUND', 'KEY_INVALID', 'TIMEOUT', 'INTERNAL', 'CLIENT_CLOSED'] as const) {
    assert.ok(!isRetried('read', code), code);
  }
});

test('what the server says of an error counts over the table of codes', () => {
  const error = new MillraceError('INTERNAL', 'passing', { retryable: true, indeterminate: false });
  assert.ok(retryDelayMs('write', error, 1, LONG_MS, false) >= 0);
});

test('waits double up to the maximum and keep at least half', () => {
  const error = new MillraceError('OVERLOADED', 'busy');
  for (let attempts = 1; attempts < ATTEMPTS_MAX; attempts++) {
    const full = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** (attempts - 1));
    for (let i = 0; i < 20; i++) {
      const delayMs = retryDelayMs('read', error, attempts, LONG_MS, false);
      assert.ok(delayMs >= full / 2 && delayMs <= full, `${delayMs} of ${full}`);
    }
  }
  assert.equal(retryDelayMs('read', error, ATTEMPTS_MAX, LONG_MS, false), -1);
});

test('the wait that the server asks for is kept, and one past the deadline is none', () => {
  const error = new MillraceError('OVERLOADED', 'busy', { retryAfterMs: 500 });
  assert.equal(retryDelayMs('read', error, 1, LONG_MS, false), 500);
  assert.equal(retryDelayMs('read', error, 1, 400, false), -1);
});
