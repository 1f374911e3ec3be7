/** Key batches survive the wire in both forms, and bad ones are refused before anything is allocated. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ByteReader,
  ByteWriter,
  decodeKey,
  decodeKeyBatch,
  encodeKeyBatch,
  encodeKeys,
  KeyBatch,
  type KeyColumn,
  xxh64,
} from '../../protocol/index.ts';
import { refusal } from './frames.ts';
import { announcedSeed } from './seed.ts';

const TEXT: KeyColumn[] = [{ name: 'k', type: 'string' }];
const NUMBER: KeyColumn[] = [{ name: 'k', type: 'int64' }];

function wire(batch: KeyBatch, pick: Uint32Array | null = null): Uint8Array {
  const writer = new ByteWriter();
  encodeKeyBatch(writer, 0, batch, pick);
  return writer.finish();
}

function decoded(bytes: Uint8Array, columns: KeyColumn[], limit: number = 100, into?: KeyBatch): KeyBatch {
  const reader = new ByteReader(bytes);
  const batch = decodeKeyBatch(reader, columns, limit, into);
  reader.expectEnd();
  return batch;
}

function keysOf(batch: KeyBatch, columns: KeyColumn[]): unknown[] {
  return Array.from({ length: batch.count }, (_, index) => {
    const from = batch.offsets[index]!;
    return decodeKey(columns, batch.bytes, from, batch.offsets[index + 1]! - from)['k'];
  });
}

test('any batch survives, whole and picked, into a fresh or used batch', () => {
  const seed = announcedSeed('key batch round trip');
  const used = new KeyBatch();
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { minLength: 1, maxLength: 30 }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 10 }),
      (texts, picks) => {
        const batch = encodeKeys(TEXT, texts);
        assert.deepEqual(keysOf(decoded(wire(batch), TEXT, 100, used), TEXT), texts);
        const pick = Uint32Array.from(picks, (value) => value % texts.length);
        const picked = decoded(wire(batch, pick), TEXT);
        assert.deepEqual(
          keysOf(picked, TEXT),
          Array.from(pick, (index) => texts[index]),
        );
      },
    ),
    { seed, numRuns: 400 },
  );
});

test('keys of one length go without offsets', () => {
  const bytes = wire(encodeKeys(NUMBER, [1, 2, 3]));
  assert.equal(bytes.length, 8 + 24);
  assert.equal(new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true), 8);
  assert.deepEqual(keysOf(decoded(bytes, NUMBER), NUMBER), [1n, 2n, 3n]);
});

test('either form is legal for any group', () => {
  const equal = wire(encodeKeys(TEXT, ['ab', 'cd']));
  assert.deepEqual(keysOf(decoded(equal, TEXT), TEXT), ['ab', 'cd']);
  const writer = new ByteWriter();
  for (const word of [2, 0, 0, 8, 16, 0]) writer.u32(word);
  writer.i64(1);
  writer.i64(2);
  assert.deepEqual(keysOf(decoded(writer.finish(), NUMBER), NUMBER), [1n, 2n]);
});

test('digests are those of the keys, one by one', () => {
  const batch = encodeKeys(TEXT, ['a', '', 'a longer key than one stripe of thirty-two bytes']);
  batch.digest(5, 6);
  const out = new Uint32Array(2);
  for (let index = 0; index < batch.count; index++) {
    const from = batch.offsets[index]!;
    xxh64(batch.bytes, from, batch.offsets[index + 1]! - from, 5, 6, out, 0);
    assert.deepEqual([...batch.digests.subarray(2 * index, 2 * index + 2)], [...out]);
  }
});

test('a bad key is named by its position', () => {
  assert.throws(() => encodeKeys(NUMBER, [1, Number.NaN]), refusal('KEY_INVALID', /^key 1: .*NaN/));
  const bytes = Buffer.from(wire(encodeKeys(TEXT, ['ab', 'cd'])));
  bytes[14] = 0xff;
  assert.throws(() => decoded(bytes, TEXT), refusal('KEY_INVALID', /^key 1: .*not UTF-8/));
});

test('counts are checked before anything else', () => {
  const head = (count: number, stride: number, ...rest: number[]): Uint8Array => {
    const writer = new ByteWriter();
    writer.u32(count);
    writer.u32(stride);
    for (const word of rest) writer.u32(word);
    return writer.finish();
  };
  assert.throws(() => decoded(head(0, 8), NUMBER), refusal('BATCH_EMPTY'));
  assert.throws(() => decoded(head(101, 8), NUMBER), refusal('BATCH_TOO_LARGE', /101 keys; at most 100/));
  assert.throws(() => decoded(head(0xffffffff, 8), NUMBER), refusal('BATCH_TOO_LARGE'));
  const used = new KeyBatch();
  assert.throws(
    () => decoded(head(100, 8), NUMBER, 100, used),
    refusal('MALFORMED_REQUEST', /800 bytes needed/),
  );
  assert.throws(
    () => decoded(head(100, 0), NUMBER, 100, used),
    refusal('MALFORMED_REQUEST', /404 bytes needed/),
  );
  assert.equal(used.offsets.length, 1, 'nothing was allocated');
  assert.throws(() => decoded(head(1, 0xffffffff), NUMBER), refusal('KEY_TOO_LARGE'));
  assert.throws(() => decoded(head(1, 4, 0, 0), NUMBER), refusal('KEY_INVALID', /^key 0/));
});

test('offsets must rise from 0 and stay inside the keys', () => {
  const offsets = (...words: number[]): Uint8Array => {
    const writer = new ByteWriter();
    writer.u32(words.length - 1);
    writer.u32(0);
    for (const word of words) writer.u32(word);
    writer.align8();
    writer.reserve(16);
    return writer.finish();
  };
  assert.throws(() => decoded(offsets(1, 8), NUMBER), refusal('MALFORMED_REQUEST', /do not start at 0/));
  assert.throws(
    () => decoded(offsets(0, 8, 4), NUMBER),
    refusal('MALFORMED_REQUEST', /key 1 ends at byte 4/),
  );
  assert.throws(() => decoded(offsets(0, 17), NUMBER), refusal('MALFORMED_REQUEST', /17/));
  assert.throws(() => decoded(offsets(0, 0), NUMBER), refusal('KEY_INVALID', /key 0/));
  assert.deepEqual(keysOf(decoded(offsets(0, 8, 16), NUMBER), NUMBER), [0n, 0n]);
});

test('a batch grows and keeps its room', () => {
  const batch = new KeyBatch(2);
  assert.equal(batch.offsets.length, 3);
  batch.ensure(2);
  assert.equal(batch.offsets.length, 3);
  batch.ensure(3);
  assert.ok(batch.offsets.length >= 4 && batch.digests.length >= 6);
});
