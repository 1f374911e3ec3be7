/** HELLO survives, and a greeting that is none is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeHelloRequest,
  decodeHelloResponse,
  encodeHelloRequest,
  encodeHelloResponse,
  type HelloResponse,
} from '../../../protocol/index.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';
import { OPTIONS, SAMPLE_MESSAGES } from '../sample-messages.ts';

const REQUEST = frameOf((w) => encodeHelloRequest(w, OPTIONS, { client: 'c/1', token: 't', maxVersion: 4 }));
const ANSWER: HelloResponse = {
  version: 1,
  server: 's/1',
  clusterId: 'c',
  nodeId: 'n',
  seedLo: 0xfedcba98,
  seedHi: 0x76543210,
  role: 'scan',
  shardIndex: 3,
  shardCount: 4,
  frameBytesMax: 1 << 24,
};

test('a greeting survives', () => {
  assert.deepEqual(decodeHelloRequest(REQUEST), { minVersion: 1, maxVersion: 4, client: 'c/1', token: 't' });
  assert.deepEqual(decodeHelloRequest(frameOf(SAMPLE_MESSAGES['hello-request']!)), {
    minVersion: 1,
    maxVersion: 1,
    client: 'example/1.0',
  });
});

test('its answer survives', () => {
  assert.deepEqual(decodeHelloResponse(frameOf((w) => encodeHelloResponse(w, 7, ANSWER))), ANSWER);
});

test('a body without the magic, or cut, is refused', () => {
  const noMagic = damaged(REQUEST, (view) => view.setUint8(47, 0x46));
  assert.throws(() => decodeHelloRequest(noMagic), refusal('MALFORMED_REQUEST', /begins with "MILLRACE"/));
  for (const length of [40, 47, 55, 56, 60]) {
    assert.throws(() => decodeHelloRequest(cutTo(REQUEST, length)), refusal('MALFORMED_REQUEST'));
  }
  const answer = frameOf((w) => encodeHelloResponse(w, 7, ANSWER));
  for (const length of [16, 23, 24, 40]) {
    assert.throws(() => decodeHelloResponse(cutTo(answer, length)), refusal('MALFORMED_REQUEST'));
  }
});

test('fields of the wrong type are refused by name', () => {
  const bad = { ...ANSWER, role: 'king' as 'scan' };
  assert.throws(
    () => decodeHelloResponse(frameOf((w) => encodeHelloResponse(w, 7, bad))),
    refusal('MALFORMED_REQUEST', /field "role" holds "king"/),
  );
  const request = frameOf((w) => encodeHelloRequest(w, OPTIONS, { client: 5 as unknown as string }));
  assert.throws(() => decodeHelloRequest(request), refusal('MALFORMED_REQUEST', /field "client"/));
});
