/** Text in and out of bytes agrees with the runtime's codec, and bad UTF-8 is found. */

import assert from 'node:assert/strict';
import { isUtf8 as isUtf8Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, isUtf8, readText } from '../../protocol/index.ts';
import { appendText, isWellFormed } from '../../protocol/text.ts';
import { announcedSeed } from './seed.ts';

test('any well-formed text survives, and its bytes are UTF-8', () => {
  const seed = announcedSeed('text round trip');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), fc.nat(5), (text, before) => {
      const writer = new ByteWriter(8);
      writer.reserve(before);
      const count = appendText(writer, text);
      assert.equal(writer.length, before + count);
      assert.deepEqual(Buffer.from(writer.bytes.subarray(before, writer.length)), Buffer.from(text, 'utf8'));
      assert.ok(isUtf8(writer.bytes, before, writer.length));
      assert.equal(readText(writer.bytes, before, writer.length), text);
    }),
    { seed, numRuns: 2000 },
  );
});

test('a lone surrogate is refused and nothing is appended', () => {
  for (const text of ['\ud800', 'abc\udc00', `${'x'.repeat(100)}\ud83d`, '\ud83da']) {
    const writer = new ByteWriter();
    writer.u8(1);
    assert.equal(appendText(writer, text), -1);
    assert.equal(writer.length, 1);
    assert.ok(!isWellFormed(text));
  }
  assert.ok(isWellFormed('😀 ok'));
});

test('every two-byte and many longer sequences are judged as the runtime judges them', () => {
  const bytes = new Uint8Array(4);
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      bytes[0] = first;
      bytes[1] = second;
      assert.equal(isUtf8(bytes, 0, 2), isUtf8Buffer(bytes.subarray(0, 2)));
      for (const [third, fourth] of [
        [0x80, 0x80],
        [0xbf, 0x7f],
        [0x41, 0x80],
      ] as const) {
        bytes[2] = third;
        bytes[3] = fourth;
        assert.equal(isUtf8(bytes, 0, 3), isUtf8Buffer(bytes.subarray(0, 3)));
        assert.equal(isUtf8(bytes, 0, 4), isUtf8Buffer(bytes));
      }
    }
  }
});

test('bytes of a plain Uint8Array read as those of a Buffer', () => {
  const text = 'Zürich, long enough to leave the short loop';
  const bytes = Uint8Array.from(Buffer.from(text));
  assert.equal(readText(bytes, 0, bytes.length), text);
  assert.equal(readText(bytes.subarray(1), 1, 5), Buffer.from(text).toString('utf8', 2, 6));
});
