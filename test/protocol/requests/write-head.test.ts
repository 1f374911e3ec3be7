/** What writes say of their rows survives, on every operation; what cannot be meant is refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS } from '../../../protocol/index.ts';
import {
  encodeWriteHead,
  readWriteFlags,
  readWriteHead,
  WRITE_BACKFILL,
  WRITE_IF_VERSION,
  WRITE_TIME_FLOOR,
  type WriteHead,
  type WriteHeadInput,
  writeReader,
} from '../../../protocol/requests/write-head.ts';
import { cutTo, damaged, frameOf, refusal } from '../frames.ts';
import { EVENT_TIME, OPTIONS, routeKeys } from '../sample-messages.ts';
import { ROUTE } from '../sample-schemas.ts';

const HEAD: WriteHeadInput = {
  groupId: 5,
  eventTimes: [EVENT_TIME, -1],
  keys: routeKeys(),
  ifVersions: [2 ** 53 - 1, 0],
};
const ALL = WRITE_BACKFILL | WRITE_IF_VERSION | WRITE_TIME_FLOOR;

function headOf(head: WriteHeadInput, flags: number = 0, pick: Uint32Array | null = null) {
  return frameOf((writer) => {
    const start = encodeWriteHead(writer, OPERATIONS.PUT, OPTIONS, head, 9, flags, pick);
    writer.view.setUint32(start, writer.length - start, true);
  });
}

function read(frame: ReturnType<typeof headOf>, allowed: number = ALL): WriteHead {
  const reader = writeReader(frame);
  const head = readWriteHead(frame, reader, ROUTE.key, 2, allowed);
  reader.expectEnd();
  return head;
}

test('times, versions and flags survive', () => {
  const frame = headOf(HEAD, WRITE_TIME_FLOOR);
  const head = read(frame);
  assert.equal(head.groupId, 5);
  assert.deepEqual([...head.eventTimes], [EVENT_TIME, -1]);
  assert.deepEqual([...head.ifVersions!], [2 ** 53 - 1, 0]);
  assert.equal(head.isBackfill, false);
  assert.equal(readWriteFlags(frame), WRITE_IF_VERSION | WRITE_TIME_FLOOR);
  const backfill = read(headOf({ ...HEAD, ifVersions: null, isBackfill: true }));
  assert.deepEqual([backfill.isBackfill, backfill.ifVersions], [true, null]);
});

test('picked rows take their versions with them', () => {
  const head = read(headOf(HEAD, 0, Uint32Array.of(1, 0)));
  assert.deepEqual([...head.eventTimes], [-1, EVENT_TIME]);
  assert.deepEqual([...head.ifVersions!], [0, 2 ** 53 - 1]);
});

test('every cut is refused', () => {
  const frame = headOf(HEAD);
  for (let length = 48; length < frame.end - frame.offset; length++) {
    assert.throws(() => read(cutTo(frame, length)), refusal('MALFORMED_REQUEST'));
  }
});

test('a flag that the operation does not know is refused, not dropped', () => {
  assert.throws(() => read(headOf(HEAD), WRITE_BACKFILL), refusal('MALFORMED_REQUEST', /flags are 2/));
  const unknown = damaged(headOf(HEAD), (view) => view.setUint32(48, 8, true));
  assert.throws(() => read(unknown), refusal('MALFORMED_REQUEST', /flags are 8/));
  const reserved = damaged(headOf(HEAD), (view) => view.setUint8(52, 1));
  assert.throws(() => read(reserved), refusal('MALFORMED_REQUEST', /reserved/));
  assert.throws(
    () => read(headOf({ ...HEAD, isBackfill: true })),
    refusal('MALFORMED_REQUEST', /no conditions/),
  );
});

test('a version that no row can have is refused on both sides', () => {
  for (const version of [-1, 0.5, 2 ** 53, Number.NaN]) {
    assert.throws(
      () => headOf({ ...HEAD, ifVersions: [1, version] }),
      refusal('MALFORMED_REQUEST', /^row 1: ifVersion/),
    );
  }
  const bad = damaged(headOf(HEAD), (view) => view.setUint8(56 + 16 + 15, 0x7f));
  assert.throws(() => read(bad), refusal('MALFORMED_REQUEST', /^row 1: ifVersion is above/));
});

test('counts are checked before anything is allocated', () => {
  const counted = (count: number) => damaged(headOf(HEAD), (view) => view.setUint32(44, count, true));
  assert.throws(() => read(counted(0)), refusal('BATCH_EMPTY'));
  assert.throws(() => read(counted(3)), refusal('BATCH_TOO_LARGE', /3 rows; at most 2/));
  const many = damaged(headOf(HEAD), (view) => view.setUint32(44, 60_000, true));
  assert.throws(
    () => readWriteHead(many, writeReader(many), ROUTE.key, 65_536, ALL),
    refusal('MALFORMED_REQUEST', /60000 event times and versions do not fit/),
  );
});
