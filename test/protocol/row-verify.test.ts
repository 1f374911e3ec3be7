/** Rows from outside: each rule of the format, broken alone, is found and named. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileLayout, encodeRow, type FeatureSpec, verifyRow } from '../../protocol/index.ts';
import { bytesOf, refusal } from './frames.ts';
import { SAMPLE_ROWS, sampleRowBytes } from './sample-rows.ts';
import { ROUTE, ROUTE_ROW, schemaOf } from './sample-schemas.ts';

function verify(schema: typeof ROUTE, bytes: Uint8Array, length: number = bytes.length): void {
  const padded = Buffer.concat([Buffer.alloc(5, 0xaa), bytes, Buffer.alloc(16, 0xaa)]);
  const view = new DataView(padded.buffer, padded.byteOffset, padded.length);
  verifyRow(compileLayout(schema), view, padded, 5, length);
}

/** Encodes `values` of one feature of `type`, changes the bytes and expects the refusal. */
function refusesChanged(
  feature: Omit<FeatureSpec, 'name'>,
  value: unknown,
  change: (bytes: Uint8Array, view: DataView) => void,
  message: RegExp,
): void {
  const schema = schemaOf([{ name: 'f', ...feature }]);
  const bytes = Buffer.from(bytesOf((writer) => encodeRow(compileLayout(schema), [value], writer)));
  verify(schema, bytes);
  change(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  assert.throws(() => verify(schema, bytes), refusal('ROW_INVALID', message));
}

function routeRow(): Buffer {
  return Buffer.from(bytesOf((writer) => encodeRow(compileLayout(ROUTE), ROUTE_ROW, writer)));
}

test('every sample row passes', () => {
  for (const row of Object.values(SAMPLE_ROWS)) verify(row.schema, sampleRowBytes(row));
});

test('a row of another length than its header says is refused', () => {
  const row = routeRow();
  assert.throws(() => verify(ROUTE, row, 8), refusal('ROW_INVALID', /8 bytes; the schema needs at least 40/));
  assert.throws(() => verify(ROUTE, row, 40), refusal('ROW_INVALID', /header says 48 bytes; it has 40/));
  row.writeUInt32LE(0xffffffff, 4);
  assert.throws(() => verify(ROUTE, row), refusal('ROW_INVALID', /header says 4294967295/));
  assert.throws(() => verify(ROUTE, new Uint8Array(1048584), 1048584), refusal('ROW_TOO_LARGE', /1048584/));
});

test('a row of another schema version is refused', () => {
  const row = routeRow();
  row.writeUInt16LE(2, 0);
  assert.throws(
    () => verify(ROUTE, row),
    refusal('SCHEMA_VERSION_UNKNOWN', /version 2; the request names 1/),
  );
});

test('header, bitmap and padding hold nothing but what they say', () => {
  const refuses = (at: number, value: number, message: RegExp): void => {
    const row = routeRow();
    row[at] = value;
    assert.throws(() => verify(ROUTE, row), refusal('ROW_INVALID', message));
  };
  refuses(2, 1, /header/);
  refuses(8, 0x1f, /bits beyond the 4 features/);
  refuses(9, 1, /validity bitmap is not zero/);
  refuses(15, 1, /validity bitmap is not zero/);
  refuses(38, 1, /fixed section is not zero/);
  refuses(47, 1, /variable section is not zero/);
});

test('a null feature has a slot of zeroes', () => {
  const row = routeRow();
  row[8] = 0x0e;
  assert.throws(
    () => verify(ROUTE, row),
    refusal('ROW_INVALID', /"delay" \(int16\) is null but its slot is not zero/),
  );
  row[8] = 0x0b;
  assert.throws(() => verify(ROUTE, row), refusal('ROW_INVALID', /"carrier" \(string\) is null|"delay"/));
});

test('variable values follow each other and end with the row', () => {
  const changed = (from: number, count: number): Buffer => {
    const row = routeRow();
    row.writeUInt32LE(from, 16);
    row.writeUInt32LE(count, 20);
    return row;
  };
  for (const [from, count, message] of [
    [41, 2, /begins at byte 41; .*40 is due/],
    [0, 2, /begins at byte 0/],
    [0xffffffff, 2, /begins at byte/],
    [40, 9, /has 9 bytes at 40; the row has 48/],
    [40, 0xffffffff, /has 4294967295 bytes/],
    [40, 0, /its values end after 40/],
    [40, 1, /variable section is not zero/],
  ] as const) {
    assert.throws(() => verify(ROUTE, changed(from, count)), refusal('ROW_INVALID', message));
  }
});

test('values that their type does not have are refused', () => {
  refusesChanged({ type: 'bool' }, true, (bytes) => bytes.fill(2, 16, 17), /the byte 2; a bool is 0 or 1/);
  refusesChanged({ type: 'timestamp' }, 5, (bytes) => bytes.fill(0x7f, 16, 24), /outside/);
  refusesChanged({ type: 'string' }, 'abc', (bytes) => bytes.fill(0xff, 24, 25), /not UTF-8/);
  refusesChanged(
    { type: 'msgpack' },
    [1],
    (bytes) => bytes.fill(0x95, 24, 25),
    /not MessagePack: it ends early/,
  );
  refusesChanged(
    { type: 'msgpack' },
    5,
    (_, view) => view.setUint32(20, 0, true),
    /not MessagePack|values end/,
  );
});

test('lists must add up', () => {
  const list = (item: 'bool' | 'int32' | 'string' | 'timestamp'): Omit<FeatureSpec, 'name'> => ({
    type: 'list',
    item,
  });
  const setCount = (count: number) => (_: Uint8Array, view: DataView) => view.setUint32(24, count, true);
  refusesChanged(list('int32'), [1, 2], setCount(3), /3 items in 8 bytes; they take 12/);
  refusesChanged(list('int32'), [1, 2], setCount(1), /1 items in 8 bytes/);
  refusesChanged(list('int32'), [1, 2], setCount(0xffffffff), /4294967295 items; at most 65536/);
  refusesChanged(list('int32'), [1], (_, view) => view.setUint32(28, 1, true), /second word is not zero/);
  refusesChanged(
    list('int32'),
    [],
    (_, view) => view.setUint32(20, 4, true),
    /4 bytes; a list has at least 8/,
  );
  refusesChanged(list('bool'), [true], (bytes) => bytes.fill(7, 32, 33), /the byte 7 as item 0/);
  refusesChanged(list('timestamp'), [1], (bytes) => bytes.fill(0x7f, 32, 40), /item 0 outside/);
  refusesChanged(list('string'), ['ab', 'c'], setCount(9), /9 items/);
  refusesChanged(
    list('string'),
    ['ab', 'c'],
    (_, view) => view.setUint32(32, 4, true),
    /item 0 from 0 to 4 of 3/,
  );
  refusesChanged(list('string'), ['ab', 'c'], (_, view) => view.setUint32(36, 1, true), /item 1 from 2 to 1/);
  refusesChanged(list('string'), ['ab', 'c'], (_, view) => view.setUint32(36, 2, true), /end at 2 of 3/);
  refusesChanged(
    list('string'),
    ['ab', 'c'],
    (bytes) => bytes.fill(0xc3, 41, 42),
    /item 0 that is not UTF-8/,
  );
});

test('the padding before a list is zero', () => {
  const schema = schemaOf([
    { name: 's', type: 'string' },
    { name: 'l', type: 'list', item: 'bool' },
  ]);
  const bytes = Buffer.from(bytesOf((writer) => encodeRow(compileLayout(schema), ['abc', [true]], writer)));
  verify(schema, bytes);
  bytes[36] = 1;
  assert.throws(() => verify(schema, bytes), refusal('ROW_INVALID', /preceded by padding that is not zero/));
});
