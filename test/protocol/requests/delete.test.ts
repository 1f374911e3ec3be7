/** DELETE survives, and what does not add up is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeDeleteRequest,
  decodeDeleteResponse,
  encodeDeleteRequest,
  encodeKeys,
  GET_KEYS_MAX,
} from '../../../protocol/index.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';
import { EVENT_TIME, OPTIONS, SAMPLE_MESSAGES } from '../sample-messages.ts';
import { ROUTE } from '../sample-schemas.ts';

const REQUEST = frameOf(SAMPLE_MESSAGES['delete-request']!);

test('keys and times survive', () => {
  const request = decodeDeleteRequest(REQUEST, ROUTE.key);
  assert.equal(request.groupId, 5);
  assert.equal(request.count, 2);
  assert.deepEqual([...request.eventTimes], [EVENT_TIME, -1]);
  assert.equal(request.keys.count, 2);
});

test('every cut, and bytes at the end, are refused', () => {
  for (let length = 48; length < REQUEST.end - REQUEST.offset; length++) {
    assert.throws(() => decodeDeleteRequest(cutTo(REQUEST, length), ROUTE.key), refusal('MALFORMED_REQUEST'));
  }
  const longer = frameOf((w) => {
    SAMPLE_MESSAGES['delete-request']!(w);
    w.u8(0);
  });
  assert.throws(() => decodeDeleteRequest(longer, ROUTE.key), refusal('MALFORMED_REQUEST', /1 bytes follow/));
});

test('counts are checked', () => {
  const refuses = (at: number, value: number, code: string, message: RegExp): void => {
    const frame = damaged(REQUEST, (view) => view.setUint32(at, value, true));
    assert.throws(() => decodeDeleteRequest(frame, ROUTE.key), refusal(code, message));
  };
  refuses(44, 0, 'BATCH_EMPTY', /no rows/);
  refuses(44, GET_KEYS_MAX + 1, 'BATCH_TOO_LARGE', /16385/);
  refuses(44, GET_KEYS_MAX, 'MALFORMED_REQUEST', /16384 event times do not fit/);
  refuses(40, 0x10005, 'MALFORMED_REQUEST', /reserved/);
  const keys = encodeKeys(ROUTE.key, [['SFO', 'JFK']]);
  const other = damaged(
    frameOf((w) =>
      encodeDeleteRequest(w, OPTIONS, { groupId: 5, eventTimes: [1, 2], keys }, Uint32Array.of(0, 0)),
    ),
    (view) => view.setUint32(72, 3, true),
  );
  assert.throws(() => decodeDeleteRequest(other, ROUTE.key), refusal('MALFORMED_REQUEST'));
});

test('results survive', () => {
  assert.deepEqual(decodeDeleteResponse(frameOf(SAMPLE_MESSAGES['delete-response']!)), {
    results: Uint8Array.of(0, 30),
    lsns: Float64Array.of(46, 0),
  });
});
