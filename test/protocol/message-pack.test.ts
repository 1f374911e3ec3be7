/** MessagePack from outside is walked before it is decoded: no length, depth or extension gets past. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMessagePack, decodeMessagePackMap, encodeMessagePack } from '../../protocol/index.ts';
import { findMessagePackProblem } from '../../protocol/message-pack.ts';
import { refusal } from './frames.ts';
import { announcedSeed } from './seed.ts';

function bytes(hex: string): Uint8Array {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

test('any JSON value survives', () => {
  const seed = announcedSeed('message-pack round trip');
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const plain: unknown = JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto'));
      const packed = encodeMessagePack(plain);
      assert.deepEqual(decodeMessagePack(packed, 0, packed.length), plain);
    }),
    { seed, numRuns: 500 },
  );
});

test('bytes, dates and 64-bit integers survive', () => {
  const value = {
    raw: Uint8Array.of(1, 2),
    at: new Date(1_700_000_000_123),
    big: 2n ** 60n,
    low: -(2n ** 60n),
    none: null,
  };
  const packed = encodeMessagePack(value);
  const back = decodeMessagePackMap(packed, 0, packed.length);
  assert.deepEqual({ ...back, raw: [...(back['raw'] as Uint8Array)] }, { ...value, raw: [1, 2] });
});

test('what is decoded does not live in the bytes it came from', () => {
  const packed = Buffer.from(encodeMessagePack({ raw: Uint8Array.of(1, 2) }));
  const back = decodeMessagePackMap(packed, 0, packed.length);
  packed.fill(0);
  assert.deepEqual([...(back['raw'] as Uint8Array)], [1, 2]);
});

test('undefined is nil', () => {
  assert.deepEqual([...encodeMessagePack(undefined)], [0xc0]);
  assert.deepEqual([...encodeMessagePack({ a: undefined })], [0x81, 0xa1, 0x61, 0xc0]);
});

test('a value without a plain form is refused, wherever it stands', () => {
  class Point {
    x = 1;
  }
  const circular: unknown[] = [];
  circular.push(circular);
  const values = [
    2n ** 64n,
    -(2n ** 63n) - 1n,
    () => 1,
    Symbol('s'),
    new Map(),
    new Set(),
    /x/,
    new Error('e'),
    new Point(),
    Float32Array.of(1),
    new ArrayBuffer(1),
    new Date(Number.NaN),
    '\ud800',
    { '\ud800': 1 },
    circular,
  ];
  for (const value of values) {
    for (const place of [value, [value], { a: [{ b: value }] }]) {
      assert.throws(
        () => encodeMessagePack(place, 'TYPE_MISMATCH'),
        refusal('TYPE_MISMATCH', /no MessagePack form/),
      );
    }
  }
});

test('text must be UTF-8', () => {
  for (const hex of ['a1 ff', 'd9 02 c3 28', '81 a1 ff c0', '91 a3 ed a0 80']) {
    const raw = bytes(hex);
    assert.equal(findMessagePackProblem(raw, 0, raw.length), 'text that is not UTF-8');
  }
});

test('announced lengths beyond the bytes are refused before anything is allocated', () => {
  for (const hex of [
    'dd ffffffff',
    'df ffffffff',
    'db ffffffff',
    'c6 ffffffff',
    'dc ffff c0',
    'de ffff c0 c0',
    'd9 05 61',
  ]) {
    assert.throws(
      () => decodeMessagePack(bytes(hex), 0, hex.replaceAll(' ', '').length / 2),
      refusal('MALFORMED_REQUEST', /ends early/),
    );
  }
  // An array of arrays whose announced counts multiply.
  assert.equal(findMessagePackProblem(bytes('dd 00000004 dd 00000004'), 0, 10), 'it ends early');
});

test('nesting has a bound', () => {
  const depth = (count: number): Uint8Array => Buffer.concat([Buffer.alloc(count, 0x91), Buffer.of(0xc0)]);
  assert.equal(findMessagePackProblem(depth(32), 0, 33), null);
  assert.match(findMessagePackProblem(depth(33), 0, 34) ?? '', /deeper than 32/);
  assert.match(findMessagePackProblem(depth(100_000), 0, 100_001) ?? '', /deeper than 32/);
});

test('no extension but the timestamp is taken', () => {
  assert.equal(findMessagePackProblem(bytes('d6 ff 00000000'), 0, 6), null);
  assert.equal(findMessagePackProblem(bytes('d7 ff 0000000000000000'), 0, 10), null);
  assert.equal(findMessagePackProblem(bytes('c7 0c ff 000000000000000000000000'), 0, 15), null);
  for (const hex of [
    'd4 72 40',
    'd6 72 00000000',
    'c7 00 ff',
    'c7 01 42 00',
    'd4 ff 00',
    'd8 ff 00000000000000000000000000000000',
  ]) {
    const raw = bytes(hex);
    assert.match(findMessagePackProblem(raw, 0, raw.length) ?? '', /extension/, hex);
  }
});

test('map keys are text or integers', () => {
  assert.deepEqual(decodeMessagePack(bytes('82 a1 61 00 05 00'), 0, 6), { a: 0, 5: 0 });
  for (const hex of [
    '81 c0 00',
    '81 c3 00',
    '81 90 00',
    '81 80 00',
    '81 c4 00 00',
    '81 ca 00000000 00',
    '81 d6 ff 00000000 00',
  ]) {
    const raw = bytes(hex);
    assert.match(findMessagePackProblem(raw, 0, raw.length) ?? '', /neither text nor an integer/, hex);
  }
});

test('a body is one map and nothing after it', () => {
  assert.throws(
    () => decodeMessagePackMap(bytes('90'), 0, 1),
    refusal('MALFORMED_REQUEST', /must be a MessagePack map/),
  );
  assert.throws(
    () => decodeMessagePackMap(bytes('80 80'), 0, 2),
    refusal('MALFORMED_REQUEST', /1 bytes follow/),
  );
  assert.throws(() => decodeMessagePackMap(bytes(''), 0, 0), refusal('MALFORMED_REQUEST', /ends early/));
  assert.throws(() => decodeMessagePackMap(bytes('c1'), 0, 1), refusal('MALFORMED_REQUEST'));
});

test('random bytes are refused or decoded, never worse', () => {
  const seed = announcedSeed('message-pack random bytes');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (raw) => {
      if (findMessagePackProblem(raw, 0, raw.length) === null) decodeMessagePack(raw, 0, raw.length);
      else assert.throws(() => decodeMessagePack(raw, 0, raw.length), refusal('MALFORMED_REQUEST'));
    }),
    { seed, numRuns: 5000 },
  );
});
