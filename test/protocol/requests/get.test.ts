/** GET survives in both directions; what does not add up is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  beginGetResponse,
  compileLayout,
  decodeGetRequest,
  decodeGetResponse,
  decodeKey,
  decodeRow,
  encodeGetRequest,
  encodeKeys,
  endFrame,
  GET_KEYS_MAX,
  getRowsAt,
  KeyBatch,
} from '../../../protocol/index.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';
import { EVENT_TIME, OPTIONS, routeKeys, SAMPLE_MESSAGES } from '../sample-messages.ts';
import { ROUTE, ROUTE_ROW } from '../sample-schemas.ts';

const REQUEST = frameOf(SAMPLE_MESSAGES['get-request']!);
const ANSWER = frameOf(SAMPLE_MESSAGES['get-response']!);

test('keys survive, into a batch used before', () => {
  const keys = new KeyBatch(100);
  const request = decodeGetRequest(REQUEST, ROUTE.key, keys);
  assert.equal(request.groupId, 5);
  assert.equal(request.keys, keys);
  assert.equal(keys.count, 2);
  assert.deepEqual(decodeKey(ROUTE.key, keys.bytes, keys.offsets[1]!, 10), {
    origin: 'LAX',
    destination: 'EWR',
  });
});

test('picked keys go in the order picked', () => {
  const frame = frameOf((w) => encodeGetRequest(w, OPTIONS, 5, routeKeys(), Uint32Array.of(1)));
  const { keys } = decodeGetRequest(frame, ROUTE.key);
  assert.equal(keys.count, 1);
  assert.deepEqual(decodeKey(ROUTE.key, keys.bytes, keys.offsets[0]!, 10)['origin'], 'LAX');
});

test('flags, bytes at the end and cut requests are refused', () => {
  for (const at of [42, 44]) {
    const frame = damaged(REQUEST, (view) => view.setUint8(at, 1));
    assert.throws(() => decodeGetRequest(frame, ROUTE.key), refusal('MALFORMED_REQUEST', /flags/));
  }
  for (let length = 48; length < REQUEST.end - REQUEST.offset; length++) {
    assert.throws(() => decodeGetRequest(cutTo(REQUEST, length), ROUTE.key), refusal('MALFORMED_REQUEST'));
  }
  const longer = frameOf((w) => {
    SAMPLE_MESSAGES['get-request']!(w);
    w.u8(0);
  });
  assert.throws(() => decodeGetRequest(longer, ROUTE.key), refusal('MALFORMED_REQUEST', /1 bytes follow/));
});

test('empty and too large batches are refused', () => {
  const key = [{ name: 'k', type: 'int64' as const }];
  const sent = (count: number) =>
    frameOf((w) =>
      encodeGetRequest(
        w,
        OPTIONS,
        5,
        encodeKeys(
          key,
          Array.from({ length: count }, (_, k) => k),
        ),
      ),
    );
  assert.throws(() => decodeGetRequest(sent(0), key), refusal('BATCH_EMPTY'));
  assert.throws(
    () => decodeGetRequest(sent(GET_KEYS_MAX + 1), key),
    refusal('BATCH_TOO_LARGE', /16385 keys; at most 16384/),
  );
  assert.equal(decodeGetRequest(sent(GET_KEYS_MAX), key).keys.count, GET_KEYS_MAX);
});

test('rows, their times and LSNs survive; missing ones are missing', () => {
  const answer = decodeGetResponse(ANSWER);
  assert.equal(answer.count, 3);
  assert.deepEqual(
    [0, 1, 2].map((row) => answer.isMissing(row)),
    [false, true, false],
  );
  assert.deepEqual(
    [0, 1, 2].map((row) => answer.eventTime(row)),
    [EVENT_TIME, 0, -1],
  );
  assert.deepEqual(
    [0, 1, 2].map((row) => answer.lsn(row)),
    [42, 0, 43],
  );
  const layout = compileLayout(ROUTE);
  assert.deepEqual(decodeRow(layout, answer.view, answer.rowAt(0)), ROUTE_ROW);
  assert.equal(answer.rowBytes(2), 40);
});

test('an answer of missing rows alone is legal', () => {
  const frame = frameOf((w) => endFrame(w, beginGetResponse(w, 7, 5)));
  const answer = decodeGetResponse(frame);
  assert.equal(frame.end - frame.offset, 16 + getRowsAt(5));
  assert.ok([0, 1, 2, 3, 4].every((row) => answer.isMissing(row)));
});

test('an answer whose offsets do not add up is refused', () => {
  for (let length = 16; length < ANSWER.end - ANSWER.offset; length++) {
    assert.throws(() => decodeGetResponse(cutTo(ANSWER, length)), refusal('MALFORMED_REQUEST'));
  }
  const refuses = (change: (view: DataView) => void, message: RegExp): void => {
    assert.throws(() => decodeGetResponse(damaged(ANSWER, change)), refusal('MALFORMED_REQUEST', message));
  };
  refuses((view) => view.setUint32(16, 0xffffffff, true), /4294967295 keys/);
  refuses((view) => view.setUint32(24, 8, true), /begins at 8/);
  refuses((view) => view.setUint32(32, 16, true), /row 1 reaches from 48 to 16/);
  refuses((view) => view.setUint32(36, 0xfffffff0, true), /reaches from 48 to 4294967280/);
  refuses((view) => view.setUint32(36, 80, true), /rows end at 80 of 88/);
});
