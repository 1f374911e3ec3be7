/** READ_POINT carries one moment each way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeReadPointRequest,
  decodeReadPointResponse,
  encodeReadPointRequest,
  encodeReadPointResponse,
} from '../../../protocol/index.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';

test('a moment survives each way', () => {
  for (const micros of [0, -1, 1_700_000_000_123_456, Number.MAX_SAFE_INTEGER]) {
    assert.equal(decodeReadPointRequest(frameOf((w) => encodeReadPointRequest(w, OPTIONS, micros))), micros);
    assert.equal(decodeReadPointResponse(frameOf((w) => encodeReadPointResponse(w, 7, micros))), micros);
  }
});

test('a body of another length is refused', () => {
  const frame = frameOf((w) => encodeReadPointRequest(w, OPTIONS, 5));
  const malformed = refusal('MALFORMED_REQUEST', /./);
  assert.throws(() => decodeReadPointRequest({ ...frame, end: frame.end - 1 }), malformed);
  const longer = frameOf((w) => {
    encodeReadPointRequest(w, OPTIONS, 5);
    w.u32(0);
  });
  assert.throws(() => decodeReadPointRequest(longer), malformed);
});
