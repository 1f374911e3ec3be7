/** ByteReader reads what ByteWriter wrote and never leaves its bounds. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, ByteWriter } from '../../protocol/index.ts';
import { refusal } from './frames.ts';

test('it reads back what was written', () => {
  const writer = new ByteWriter();
  writer.u8(200);
  writer.u16(40_000);
  writer.u32(4_000_000_000);
  writer.align8();
  writer.i64(-(2 ** 40));
  writer.u64(2 ** 50);
  writer.f32(0.5);
  writer.f64(-0.1);
  writer.raw(Uint8Array.of(1, 2, 3));
  const reader = new ByteReader(writer.finish());
  assert.equal(reader.u8(), 200);
  assert.equal(reader.u16(), 40_000);
  assert.equal(reader.u32(), 4_000_000_000);
  reader.align8();
  assert.equal(reader.i64(), -(2 ** 40));
  assert.equal(reader.u64(), 2 ** 50);
  assert.equal(reader.f32(), 0.5);
  assert.equal(reader.f64(), -0.1);
  assert.deepEqual([...reader.raw(3)], [1, 2, 3]);
  reader.expectEnd();
});

test('reading past the end says what was needed and what was there', () => {
  const reader = new ByteReader(Uint8Array.of(1, 2, 3, 4, 5), 1, 4);
  reader.u8();
  assert.throws(() => reader.u32(), refusal('MALFORMED_REQUEST', /4 bytes needed at byte 1, 2 there/));
  assert.throws(() => reader.raw(2 ** 31), refusal('MALFORMED_REQUEST'));
  assert.equal(reader.remaining, 2);
});

test('padding must be zero and counts from the frame', () => {
  const bytes = Uint8Array.of(9, 1, 0, 0, 0, 0, 0, 0, 0);
  const reader = new ByteReader(bytes, 2, 9, undefined, 1);
  reader.align8();
  assert.equal(reader.offset, 9);
  const bad = new ByteReader(Uint8Array.of(1, 0, 5, 0, 0, 0, 0, 0), 1, 8, undefined, 0);
  assert.throws(() => bad.align8(), refusal('MALFORMED_REQUEST', /padding at byte 2/));
});

test('a 64-bit integer that a number cannot hold is refused', () => {
  const bytes = new Uint8Array(8).fill(0xff, 0, 7);
  bytes[7] = 0x7f;
  assert.throws(() => new ByteReader(bytes).i64(), refusal('MALFORMED_REQUEST', /2\^53/));
  assert.throws(() => new ByteReader(bytes).u64(), refusal('MALFORMED_REQUEST', /2\^53/));
});

test('bytes after the message are refused', () => {
  assert.throws(
    () => new ByteReader(Uint8Array.of(1)).expectEnd(),
    refusal('MALFORMED_REQUEST', /1 bytes follow/),
  );
});
