/** SCAN_CANCEL carries a scan's id. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeScanCancelRequest, encodeScanCancelRequest } from '../../../protocol/index.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';

test('the id survives; anything else in the body is refused', () => {
  const frame = frameOf((w) => encodeScanCancelRequest(w, { correlationId: 1 }, 0xfffffffe));
  assert.equal(decodeScanCancelRequest(frame), 0xfffffffe);
  assert.throws(() => decodeScanCancelRequest(cutTo(frame, 44)), refusal('MALFORMED_REQUEST'));
  const reserved = damaged(frame, (view) => view.setUint32(44, 1, true));
  assert.throws(() => decodeScanCancelRequest(reserved), refusal('MALFORMED_REQUEST'));
});
