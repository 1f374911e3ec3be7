/** PATCH survives; one bad patch refuses all, and row and step are named. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compileLayout,
  decodePatchRequest,
  decodePatchResponse,
  GET_KEYS_MAX,
  type PatchRequest,
  RESULT_APPLIED,
  verifyPatch,
} from '../../../protocol/index.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';
import { EVENT_TIME, SAMPLE_MESSAGES } from '../sample-messages.ts';
import { ROUTE } from '../sample-schemas.ts';

const REQUEST = frameOf(SAMPLE_MESSAGES['patch-request']!);
const LAYOUT = compileLayout(ROUTE);

// Body: fixed 16, two event times, batch head 8 and two keys of 10 padded to 24, offsets 12 padded to 16, patches.
const FLAGS_AT = 48;
const PATCHES_AT = 120;

function decode(frame = REQUEST): PatchRequest {
  return decodePatchRequest(frame, ROUTE.key, LAYOUT);
}

test('patches survive with their keys, times and flags', () => {
  const request = decode();
  assert.equal(request.groupId, 5);
  assert.deepEqual([...request.eventTimes], [EVENT_TIME, -1]);
  assert.deepEqual([request.isTimeFloor, request.ifVersions], [true, null]);
  assert.deepEqual(
    [0, 1].map((row) => request.rowOffsets[row + 1]! - request.rowOffsets[row]!),
    [48, 24],
  );
  const [from, to] = request.rowOffsets;
  verifyPatch(LAYOUT, REQUEST.view, request.rows, from!, to!);
});

test('every cut of a request is refused', () => {
  for (let length = 48; length < REQUEST.end - REQUEST.offset; length++) {
    const code = length < PATCHES_AT ? 'MALFORMED_REQUEST' : 'PATCH_INVALID';
    assert.throws(() => decode(cutTo(REQUEST, length)), refusal(code));
  }
});

test('a bad step refuses all, and row and step are named', () => {
  const refuses = (at: number, value: number, code: string, message: RegExp): void => {
    const frame = damaged(REQUEST, (view) => view.setUint8(at, value));
    assert.throws(() => decode(frame), refusal(code, message));
  };
  refuses(PATCHES_AT + 10, 6, 'PATCH_INVALID', /^row 0: step 0: append on feature "mean_delay" \(float32\)/);
  refuses(PATCHES_AT + 26, 3, 'PATCH_INVALID', /^row 0: step 1: add on feature "carrier" \(string\)/);
  refuses(PATCHES_AT + 48 + 8, 77, 'FEATURE_NOT_FOUND', /^row 1: step 0: the group has no feature 77/);
});

test('a patch knows neither backfill nor a schema version', () => {
  const flagged = damaged(REQUEST, (view) => view.setUint8(FLAGS_AT, 1));
  assert.throws(() => decode(flagged), refusal('MALFORMED_REQUEST', /flags are 1/));
  const versioned = damaged(REQUEST, (view) => view.setUint16(42, 1, true));
  assert.throws(() => decode(versioned), refusal('MALFORMED_REQUEST', /reserved/));
});

test('counts are checked', () => {
  const many = damaged(REQUEST, (view) => view.setUint32(44, GET_KEYS_MAX + 1, true));
  assert.throws(() => decode(many), refusal('BATCH_TOO_LARGE', /16385/));
});

test('results survive', () => {
  assert.deepEqual(decodePatchResponse(frameOf(SAMPLE_MESSAGES['patch-response']!)), {
    results: Uint8Array.of(RESULT_APPLIED, 31),
    lsns: Float64Array.of(48, 0),
  });
});
