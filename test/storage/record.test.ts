/** Records: their bytes, and that verifying one never trusts what it reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  align8,
  alignPage,
  countRecords,
  FLAG_HISTORY_ONLY,
  FLAG_KEYED,
  isSafeInteger64,
  KIND_DELETE,
  KIND_PUT,
  RECORD_MALFORMED,
  readRecordBytes,
  readRecordCommitTime,
  readRecordDigestHi,
  readRecordDigestLo,
  readRecordEventTime,
  readRecordExpirySeconds,
  readRecordFlags,
  readRecordGroup,
  readRecordKeyBytes,
  readRecordKind,
  readRecordLsn,
  readSafeInteger,
  recordBytesOf,
  recordKeyOffset,
  recordPayloadOffset,
  recordRequestKeyOffset,
  verifyRecord,
  writeRecordHeader,
  writeSafeInteger,
} from '../../storage/record.ts';
import { assertGolden } from '../support/golden-bytes.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SAFE_MAX = Number.MAX_SAFE_INTEGER;

interface Version {
  group: number;
  kind: number;
  digestLo: number;
  digestHi: number;
  eventTimeMicros: number;
  lsn: number;
  commitTimeMicros: number;
  expirySeconds: number;
  key: Uint8Array;
  payload: Uint8Array;
}

const PUT: Version = {
  group: 4095,
  kind: KIND_PUT,
  digestLo: 0xfedcba98,
  digestHi: 0x89abcdef,
  eventTimeMicros: 1_700_000_000_123_456,
  lsn: 2 ** 39 - 1,
  commitTimeMicros: 1_700_000_001_000_000,
  expirySeconds: 0xfffffffe,
  key: Buffer.from('SFO/JFK'),
  payload: Uint8Array.from({ length: 24 }, (_, index) => index + 1),
};

function encode(version: Version): { bytes: Uint8Array; view: DataView } {
  const recordBytes = recordBytesOf(version.key.length, version.payload.length);
  const bytes = new Uint8Array(recordBytes);
  const view = new DataView(bytes.buffer);
  writeRecordHeader(
    view,
    0,
    recordBytes,
    version.group,
    version.kind,
    version.digestLo,
    version.digestHi,
    version.eventTimeMicros,
    version.lsn,
    version.commitTimeMicros,
    version.expirySeconds,
    version.key.length,
  );
  bytes.set(version.key, recordKeyOffset(0));
  bytes.set(version.payload, recordPayloadOffset(view, 0));
  return { bytes, view };
}

test('a keyed record has its golden bytes, and one whose request key is malformed is refused', () => {
  const key = Buffer.from('SFO/JFK');
  const recordBytes = recordBytesOf(key.length, 16, FLAG_KEYED | FLAG_HISTORY_ONLY);
  const bytes = new Uint8Array(recordBytes);
  const view = new DataView(bytes.buffer);
  const flags = FLAG_KEYED | FLAG_HISTORY_ONLY;
  writeRecordHeader(view, 0, recordBytes, 7, KIND_PUT, 5, 6, 1000, 1, 2000, 0, key.length, flags);
  bytes.set(key, recordKeyOffset(0));
  const at = recordRequestKeyOffset(view, 0);
  view.setUint32(at, 0xc11e0001, true);
  view.setUint32(at + 4, 0x1d, true);
  writeSafeInteger(view, at + 8, 41);
  view.setUint32(at + 16, 3, true);
  view.setUint8(at + 20, 1);
  bytes.fill(0xaa, recordPayloadOffset(view, 0));
  assert.equal(recordPayloadOffset(view, 0), recordBytes - 16);
  assert.equal(readRecordFlags(view, 0), flags);
  assert.equal(verifyRecord(view, 0, recordBytes), recordBytes);
  assertGolden('record-keyed', bytes);

  for (const [offset, value] of [
    [at + 21, 1],
    [at + 14, 0xff],
    [7, 4],
  ] as const) {
    const broken = bytes.slice();
    broken[offset] = value;
    assert.equal(verifyRecord(new DataView(broken.buffer), 0, recordBytes), RECORD_MALFORMED);
  }
  const nameless = bytes.slice();
  nameless.fill(0, at, at + 8);
  assert.equal(verifyRecord(new DataView(nameless.buffer), 0, recordBytes), RECORD_MALFORMED);
});

test('a put and a delete have their golden bytes', () => {
  assertGolden('record-put', encode(PUT).bytes);
  const tombstone = encode({
    ...PUT,
    group: 1,
    kind: KIND_DELETE,
    eventTimeMicros: -1,
    lsn: 1,
    expirySeconds: 0,
    key: Buffer.from('a'),
    payload: new Uint8Array(0),
  });
  assertGolden('record-delete', tombstone.bytes);
});

test('every header field is read back as written', () => {
  const { bytes, view } = encode(PUT);
  assert.equal(readRecordBytes(view, 0), bytes.length);
  assert.equal(readRecordGroup(view, 0), PUT.group);
  assert.equal(readRecordKind(view, 0), PUT.kind);
  assert.equal(readRecordDigestLo(view, 0), PUT.digestLo);
  assert.equal(readRecordDigestHi(view, 0), PUT.digestHi);
  assert.equal(readRecordEventTime(view, 0), PUT.eventTimeMicros);
  assert.equal(readRecordLsn(view, 0), PUT.lsn);
  assert.equal(readRecordCommitTime(view, 0), PUT.commitTimeMicros);
  assert.equal(readRecordExpirySeconds(view, 0), PUT.expirySeconds);
  assert.equal(readRecordKeyBytes(view, 0), PUT.key.length);
  assert.equal(verifyRecord(view, 0, bytes.length), bytes.length);
});

test('safe integers agree with BigInt fields, at the edges and in between', () => {
  const view = new DataView(new ArrayBuffer(8));
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const edges = [
    0,
    1,
    -1,
    2 ** 31,
    -(2 ** 31),
    2 ** 32,
    -(2 ** 32),
    2 ** 32 - 1,
    1 - 2 ** 32,
    SAFE_MAX,
    -SAFE_MAX,
  ];
  for (let round = 0; round < 10_000; round++) {
    const sign = random.chance(0.5) ? 1 : -1;
    // Adding 0 turns -0, which no integer field has, into 0.
    const value = edges[round] ?? sign * random.below(2 ** (1 + random.below(53))) + 0;
    writeSafeInteger(view, 0, value);
    assert.equal(view.getBigInt64(0, true), BigInt(value));
    assert.equal(readSafeInteger(view, 0), value);
    assert.ok(isSafeInteger64(view, 0));
  }
});

test('64-bit values that a number cannot hold are told apart', () => {
  const view = new DataView(new ArrayBuffer(8));
  for (const value of [
    2n ** 53n,
    -(2n ** 53n),
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 53n + 1n,
    -(2n ** 53n) - 1n,
  ]) {
    view.setBigInt64(0, value, true);
    assert.equal(isSafeInteger64(view, 0), false, String(value));
  }
});

test('alignment rounds up, and pages do so at any position', () => {
  assert.deepEqual([0, 1, 7, 8, 9].map(align8), [0, 8, 8, 8, 16]);
  assert.equal(alignPage(0, 4096), 0);
  assert.equal(alignPage(1, 4096), 4096);
  assert.equal(alignPage(2 ** 45 + 1, 4096), 2 ** 45 + 4096);
});

test('a record with a wrong field is malformed', () => {
  const damage: [string, (view: DataView) => void][] = [
    ['no group', (view) => view.setUint16(4, 0, true)],
    ['a group above 4095', (view) => view.setUint16(4, 4096, true)],
    ['kind 0', (view) => view.setUint8(6, 0)],
    ['kind 3', (view) => view.setUint8(6, 3)],
    ['a flag that nobody gave a meaning', (view) => view.setUint8(7, 4)],
    ['an event time beyond safe integers', (view) => view.setBigInt64(16, 2n ** 53n, true)],
    ['LSN 0', (view) => view.setBigUint64(24, 0n, true)],
    ['an LSN above 39 bits', (view) => view.setBigUint64(24, 2n ** 39n, true)],
    ['a commit time beyond safe integers', (view) => view.setBigInt64(32, -(2n ** 60n), true)],
    ['no key', (view) => view.setUint16(44, 0, true)],
    ['a key longer than the record', (view) => view.setUint16(44, 200, true)],
    ['a key above the limit', (view) => view.setUint16(44, 1025, true)],
    ['a reserved field in use', (view) => view.setUint16(46, 1, true)],
    ['padding in use', (view) => view.setUint8(48 + 7, 1)],
    ['a delete with a payload', (view) => view.setUint8(6, KIND_DELETE)],
    ['a size that is no multiple of 8', (view) => view.setUint32(0, 84, true)],
    ['a size beyond the range', (view) => view.setUint32(0, 88, true)],
    ['a size of 4 GiB', (view) => view.setUint32(0, 0xfffffff8, true)],
    ['a size of 0', (view) => view.setUint32(0, 0, true)],
    ['a size below its own key', (view) => view.setUint32(0, 48, true)],
  ];
  for (const [name, apply] of damage) {
    const { bytes, view } = encode(PUT);
    apply(view);
    assert.equal(verifyRecord(view, 0, bytes.length), RECORD_MALFORMED, name);
  }
});

test('a record cut short anywhere is malformed', () => {
  const { bytes, view } = encode(PUT);
  for (let end = 0; end < bytes.length; end++) {
    assert.equal(verifyRecord(view, 0, end), RECORD_MALFORMED, `cut at ${end}`);
  }
  assert.equal(verifyRecord(view, 0, bytes.length + 8), RECORD_MALFORMED, 'a range beyond the buffer');
  assert.equal(verifyRecord(view, 4, bytes.length), RECORD_MALFORMED, 'unaligned');
});

test('records back to back are walked to the end of their range', () => {
  const records = [
    PUT,
    { ...PUT, key: Buffer.from('x'.repeat(1024)) },
    { ...PUT, payload: new Uint8Array(0) },
  ];
  const bytes = Buffer.concat(records.map((record) => encode(record).bytes));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  assert.equal(countRecords(view, 0, bytes.length), 3);
  assert.equal(countRecords(view, 0, 0), 0);
  assert.equal(countRecords(view, 0, bytes.length - 8), RECORD_MALFORMED);
});

test('random and damaged bytes never make the verifier read outside its range', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 20_000; round++) {
    const { bytes, view } = encode(PUT);
    const changes = 1 + random.below(6);
    for (let change = 0; change < changes; change++) bytes[random.below(bytes.length)] = random.uint32();
    // A read outside would throw a RangeError: the view ends with the range.
    const end = verifyRecord(view, 0, bytes.length);
    assert.ok(end === RECORD_MALFORMED || (end > 0 && end <= bytes.length && end % 8 === 0));
  }
});
