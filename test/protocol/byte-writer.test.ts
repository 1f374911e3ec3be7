/** ByteWriter grows, gives zeroed space, takes back, and hands over. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter, copyBytes } from '../../protocol/index.ts';
import { refusal } from './frames.ts';

test('scalars are little-endian', () => {
  const writer = new ByteWriter(8);
  writer.u8(0x01);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.i64(-2);
  writer.u64(2 ** 53 - 1);
  writer.f32(1);
  writer.f64(-2);
  writer.raw(Uint8Array.of(9, 8));
  writer.rawRange(Uint8Array.of(1, 2, 3, 4), 1, 3);
  assert.equal(
    Buffer.from(writer.finish()).toString('hex'),
    '01' +
      '0302' +
      '07060504' +
      'feffffffffffffff' +
      'ffffffffffff1f00' +
      '0000803f' +
      '00000000000000c0' +
      '0908' +
      '0203',
  );
});

test('reserved space is zero, also where something was written and taken back', () => {
  const writer = new ByteWriter(64);
  for (let round = 0; round < 3; round++) {
    const at = writer.reserve(48);
    assert.ok(writer.bytes.subarray(at, at + 48).every((byte) => byte === 0));
    writer.bytes.fill(0xff, at, at + 48);
    writer.truncate(8);
    const again = writer.reserve(100);
    assert.equal(again, 8);
    assert.ok(writer.bytes.subarray(8, 108).every((byte) => byte === 0));
    writer.bytes.fill(0xee, 8, 108);
    writer.reset();
  }
});

test('alignment counts from where the caller says', () => {
  const writer = new ByteWriter();
  writer.u8(1);
  writer.u8(2);
  writer.align8(1);
  assert.equal(writer.length, 9);
  writer.align8();
  assert.equal(writer.length, 16);
  writer.align8();
  assert.equal(writer.length, 16);
});

test('growing keeps what was written', () => {
  const writer = new ByteWriter(8);
  for (let value = 0; value < 10_000; value++) writer.u32(value);
  for (let value = 0; value < 10_000; value++) assert.equal(writer.view.getUint32(4 * value, true), value);
});

test('a writer refuses what is over its bound and stays as it was', () => {
  const writer = new ByteWriter(8, 100);
  writer.reserve(96);
  assert.throws(() => writer.reserve(5), refusal('FRAME_TOO_LARGE', /101 bytes.*at most 100/));
  assert.equal(writer.length, 96);
  writer.reserve(4);
  assert.equal(writer.length, 100);
});

test('what finish handed over is not written to again', () => {
  const writer = new ByteWriter();
  writer.u32(1);
  const first = writer.finish();
  assert.equal(writer.length, 0);
  writer.u32(2);
  const second = writer.finish();
  assert.equal(first[0], 1);
  assert.equal(second[0], 2);
  assert.equal(new ByteWriter().finish().length, 0);
});

test('copyBytes copies short and long ranges', () => {
  const source = Uint8Array.from({ length: 300 }, (_, index) => index);
  for (const count of [0, 1, 64, 65, 290]) {
    const target = new Uint8Array(300);
    copyBytes(source, 5, target, 3, count);
    assert.deepEqual(target.subarray(3, 3 + count), source.subarray(5, 5 + count));
    assert.ok(target.subarray(3 + count).every((byte) => byte === 0));
  }
});
