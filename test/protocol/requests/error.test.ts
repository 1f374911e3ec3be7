/** Errors carry code, message and what may be done about them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeErrorResponse,
  encodeErrorResponse,
  errorNumber,
  newResponseHeader,
  OPERATIONS,
  readResponseHeader,
} from '../../../protocol/index.ts';
import { frameOf } from '../frames.ts';

function sent(
  code: Parameters<typeof encodeErrorResponse>[3],
  message: string,
  retryAfterMs: number | null = null,
) {
  const frame = frameOf((w) => encodeErrorResponse(w, OPERATIONS.PUT, 7, code, message, retryAfterMs));
  const header = newResponseHeader();
  readResponseHeader(frame.view, frame.offset, header);
  return { header, error: decodeErrorResponse(frame, header.status) };
}

test('an error survives', () => {
  const { header, error } = sent('OVERLOADED', 'busy', 50);
  assert.equal(header.status, errorNumber('OVERLOADED'));
  assert.equal(header.correlationId, 7);
  assert.deepEqual(error, {
    code: 'OVERLOADED',
    message: 'busy',
    retryable: true,
    indeterminate: false,
    retryAfterMs: 50,
  });
});

test('a long message is cut', () => {
  assert.equal(sent('INTERNAL', 'x'.repeat(100_000)).error.message.length, 4096);
});

test('a code of a newer server reads as INTERNAL with what the server says of it', () => {
  const frame = frameOf((w) => encodeErrorResponse(w, OPERATIONS.PUT, 7, 'OVERLOADED', 'm'));
  assert.deepEqual(decodeErrorResponse(frame, 61), {
    code: 'INTERNAL',
    message: 'm',
    retryable: true,
    indeterminate: false,
  });
});
