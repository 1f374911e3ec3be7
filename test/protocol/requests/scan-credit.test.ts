/** SCAN_CREDIT carries a scan's id and bytes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeScanCreditRequest, encodeScanCreditRequest } from '../../../protocol/index.ts';
import { cutTo, frameOf, refusal } from '../frames.ts';

test('credit survives; a body of another length is refused', () => {
  const credit = { scanCorrelationId: 0xfffffffe, bytes: 0xffffffff };
  const frame = frameOf((w) => encodeScanCreditRequest(w, { correlationId: 1 }, credit));
  assert.deepEqual(decodeScanCreditRequest(frame), credit);
  for (const length of [40, 47]) {
    assert.throws(
      () => decodeScanCreditRequest(cutTo(frame, length)),
      refusal('MALFORMED_REQUEST', /8 bytes/),
    );
  }
});
