/** For assert.rejects and assert.throws: a MillraceError of this code whose message matches. */
import assert from 'node:assert/strict';
import { type ErrorCodeName, MillraceError } from '../../client/index.ts';

export function failure(code: ErrorCodeName, message: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof MillraceError, `not a MillraceError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}
