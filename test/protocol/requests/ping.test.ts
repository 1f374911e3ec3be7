/** PING is a header and nothing else. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodePingRequest,
  decodePingResponse,
  encodePingRequest,
  encodePingResponse,
} from '../../../protocol/index.ts';
import { frameOf, refusal } from '../frames.ts';
import { OPTIONS } from '../sample-messages.ts';

test('request and answer are empty', () => {
  const request = frameOf((w) => encodePingRequest(w, OPTIONS));
  const answer = frameOf((w) => encodePingResponse(w, 7));
  decodePingRequest(request);
  decodePingResponse(answer);
  assert.equal(request.end - request.offset, 40);
  assert.equal(answer.end - answer.offset, 16);
});

test('a body is refused', () => {
  const request = frameOf((w) => {
    encodePingRequest(w, OPTIONS);
    w.u8(1);
  });
  assert.throws(() => decodePingRequest(request), refusal('MALFORMED_REQUEST', /1 bytes/));
});
