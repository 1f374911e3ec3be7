/** PUT survives, and one bad row, key or time refuses all of it, named. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compileLayout,
  decodePutRequest,
  decodePutResponse,
  decodeRow,
  encodePutRequest,
  PUT_ROWS_MAX,
  type PutRequest,
  RESULT_APPLIED,
  RESULT_SUPERSEDED,
  readSchemaVersion,
} from '../../../protocol/index.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';
import { EVENT_TIME, OPTIONS, routeKeys, routeRows, SAMPLE_MESSAGES } from '../sample-messages.ts';
import { ROUTE, ROUTE_ROW } from '../sample-schemas.ts';

const REQUEST = frameOf(SAMPLE_MESSAGES['put-request']!);
const LAYOUT = compileLayout(ROUTE);

// Body: fixed 16, two event times, batch head 8 and two keys of 10 padded to 24, offsets 12 padded to 16, rows.
const EVENT_TIMES_AT = 56;
const KEYS_AT = 72;
const ROW_OFFSETS_AT = 104;
const ROWS_AT = 120;

function decode(frame = REQUEST): PutRequest {
  return decodePutRequest(frame, ROUTE.key, LAYOUT);
}

test('rows survive with their keys and times', () => {
  const request = decode();
  assert.equal(request.groupId, 5);
  assert.equal(request.schemaVersion, 1);
  assert.equal(readSchemaVersion(REQUEST), 1);
  assert.equal(request.count, 2);
  assert.deepEqual([...request.eventTimes], [EVENT_TIME, -1]);
  assert.equal(request.keys.count, 2);
  assert.deepEqual(decodeRow(LAYOUT, REQUEST.view, request.rowOffsets[0]!), ROUTE_ROW);
  assert.equal(request.rowOffsets[2]! - request.rowOffsets[1]!, 40);
  assert.equal(request.rows, REQUEST.bytes);
});

test('picked rows go in the order picked', () => {
  const parts = {
    groupId: 5,
    schemaVersion: 1,
    eventTimes: Float64Array.of(1, 2),
    keys: routeKeys(),
    ...routeRows(),
  };
  const request = decode(frameOf((w) => encodePutRequest(w, OPTIONS, parts, Uint32Array.of(1, 0, 1))));
  assert.deepEqual([...request.eventTimes], [2, 1, 2]);
  assert.deepEqual(
    [0, 1, 2].map((row) => request.rowOffsets[row + 1]! - request.rowOffsets[row]!),
    [40, 48, 40],
  );
});

test('every cut of a request is refused', () => {
  for (let length = 48; length < REQUEST.end - REQUEST.offset; length++) {
    // A cut inside the rows is seen by the offset of the first row that it takes from.
    const code = length < ROWS_AT ? 'MALFORMED_REQUEST' : 'ROW_INVALID';
    assert.throws(() => decode(cutTo(REQUEST, length)), refusal(code));
  }
});

test('counts are checked before anything is allocated', () => {
  const counted = (count: number) => damaged(REQUEST, (view) => view.setUint32(44, count, true));
  assert.throws(() => decode(counted(0)), refusal('BATCH_EMPTY'));
  assert.throws(
    () => decode(counted(PUT_ROWS_MAX + 1)),
    refusal('BATCH_TOO_LARGE', /65537 rows; at most 65536/),
  );
  assert.throws(
    () => decode(counted(PUT_ROWS_MAX)),
    refusal('MALFORMED_REQUEST', /65536 event times do not fit/),
  );
  const keys = damaged(REQUEST, (view) => view.setUint32(KEYS_AT, 1, true));
  assert.throws(() => decode(keys), refusal('MALFORMED_REQUEST', /padding|2 rows and 1 keys/));
});

test('one bad row, key or time refuses all, and is named', () => {
  const refuses = (change: (view: DataView) => void, code: string, message: RegExp): void => {
    assert.throws(() => decode(damaged(REQUEST, change)), refusal(code, message));
  };
  refuses((view) => view.setUint8(EVENT_TIMES_AT + 15, 0x7f), 'EVENT_TIME_INVALID', /^row 1: event time/);
  refuses((view) => view.setUint8(KEYS_AT + 8 + 12, 0xff), 'KEY_INVALID', /^key 1: .*UTF-8/);
  refuses((view) => view.setUint8(ROWS_AT + 48 + 16, 1), 'ROW_INVALID', /^row 1: feature "carrier"/);
  refuses((view) => view.setUint8(ROWS_AT, 9), 'SCHEMA_VERSION_UNKNOWN', /^row 0: .*version 9/);
  refuses((view) => view.setUint32(ROW_OFFSETS_AT, 8, true), 'MALFORMED_REQUEST', /do not start at 0/);
  refuses(
    (view) => view.setUint32(ROW_OFFSETS_AT + 4, 44, true),
    'ROW_INVALID',
    /^row 0: it reaches from 0 to 44/,
  );
  refuses(
    (view) => view.setUint32(ROW_OFFSETS_AT + 4, 0, true),
    'ROW_INVALID',
    /^row 0: it reaches from 0 to 0/,
  );
  refuses(
    (view) => view.setUint32(ROW_OFFSETS_AT + 8, 80, true),
    'MALFORMED_REQUEST',
    /rows end at 80 of 88/,
  );
  refuses((view) => view.setUint32(ROW_OFFSETS_AT + 8, 0xfffffff8, true), 'ROW_INVALID', /^row 1/);
});

test('results survive', () => {
  assert.deepEqual(decodePutResponse(frameOf(SAMPLE_MESSAGES['put-response']!)), {
    results: Uint8Array.of(RESULT_APPLIED, RESULT_SUPERSEDED),
    lsns: Float64Array.of(44, 45),
  });
});
