/** Results of writes survive from arrays longer than the count, and a count that does not fit is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS } from '../../../protocol/index.ts';
import { appendWriteResponse, readWriteResponse } from '../../../protocol/requests/write-response.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';

const results = Uint8Array.of(0, 1, 2, 16, 255, 0, 28, 0, 1, 9, 9);
const lsns = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 2 ** 50, -1, -1);

test('any count survives', () => {
  for (let count = 1; count <= 9; count++) {
    const frame = frameOf((w) => appendWriteResponse(w, OPERATIONS.PUT, 7, count, results, lsns));
    assert.deepEqual(readWriteResponse(frame), {
      results: results.slice(0, count),
      lsns: lsns.slice(0, count),
    });
    assert.equal((frame.end - frame.offset) % 8, 0);
  }
});

test('a count that does not fit is refused', () => {
  const frame = frameOf((w) => appendWriteResponse(w, OPERATIONS.PUT, 7, 3, results, lsns));
  for (let length = 16; length < frame.end - frame.offset; length++) {
    assert.throws(() => readWriteResponse(cutTo(frame, length)), refusal('MALFORMED_REQUEST'));
  }
  for (const count of [0, 4, 0xffffffff]) {
    const bad = damaged(frame, (view) => view.setUint32(16, count, true));
    assert.throws(() => readWriteResponse(bad), refusal('MALFORMED_REQUEST', /does not fit/));
  }
});

test('a result that is neither one of this version nor a refusal is not taken for either', () => {
  const frame = frameOf((w) => appendWriteResponse(w, OPERATIONS.PUT, 7, 2, Uint8Array.of(0, 3), lsns));
  assert.throws(() => readWriteResponse(frame), refusal('MALFORMED_REQUEST', /row 1 .* result 3/));
});
