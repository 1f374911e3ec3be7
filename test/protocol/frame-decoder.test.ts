/** The decoder gives the same frames however the stream is cut, and refuses what is no frame before it allocates. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_BYTES_MAX, FrameDecoder } from '../../protocol/index.ts';
import { SeededRandom } from '../support/random-source.ts';
import { refusal } from './frames.ts';
import { announcedSeed } from './seed.ts';

/** A frame of `bytes` whose body bytes are all `fill`. */
function frame(bytes: number, fill: number): Buffer {
  const frame = Buffer.alloc(bytes, fill);
  frame.writeUInt32LE(bytes, 0);
  frame[4] = 1;
  return frame;
}

function take(decoder: FrameDecoder): Buffer[] {
  const frames: Buffer[] = [];
  for (let next = decoder.next(); next !== null; next = decoder.next()) {
    assert.equal(next.view.getUint32(next.offset, true), next.end - next.offset);
    assert.ok(next.view.byteLength === next.bytes.length && next.view.buffer === next.bytes.buffer);
    frames.push(Buffer.from(next.bytes.subarray(next.offset, next.end)));
  }
  return frames;
}

test('frames come out whole however the stream is cut', () => {
  const seed = announcedSeed('frame decoder cuts');
  const random = new SeededRandom(seed);
  for (let round = 0; round < 200; round++) {
    const sent = Array.from({ length: 1 + random.below(12) }, (_, index) =>
      frame(16 + random.below(300), index),
    );
    const stream = Buffer.concat(sent);
    const decoder = new FrameDecoder(FRAME_BYTES_MAX, 16);
    const received: Buffer[] = [];
    for (let at = 0; at < stream.length; ) {
      const to = Math.min(stream.length, at + 1 + random.below(round % 2 === 0 ? 8 : 400));
      const chunk = Buffer.from(stream.subarray(at, to));
      decoder.push(chunk);
      received.push(...take(decoder));
      // The decoder is done with the chunk: its memory may be used for the next.
      chunk.fill(0xee);
      at = to;
    }
    assert.deepEqual(received, sent);
    assert.equal(decoder.pendingBytes, 0);
  }
});

test('a frame inside a chunk is given in place, one that spans chunks in a buffer of its size', () => {
  const decoder = new FrameDecoder(1024, 16);
  const chunk = Buffer.concat([frame(16, 1), frame(24, 2), frame(64, 3).subarray(0, 30)]);
  decoder.push(chunk);
  const first = decoder.next();
  assert.ok(first !== null && first.bytes === chunk && first.offset === 0 && first.end === 16);
  const second = decoder.next();
  assert.ok(second === first && second.offset === 16 && second.end === 40);
  assert.equal(decoder.next(), null);
  assert.equal(decoder.pendingBytes, 30);
  decoder.push(frame(64, 3).subarray(30));
  const third = decoder.next();
  assert.ok(third !== null && third.offset === 0 && third.end === 64 && third.bytes.length === 64);
  assert.equal(third.bytes.byteOffset % 8, 0);
  assert.equal(decoder.next(), null);
});

test('a length outside the bounds is refused, at once and for good', () => {
  for (const [length, code] of [
    [0, 'MALFORMED_FRAME'],
    [39, 'MALFORMED_FRAME'],
    [FRAME_BYTES_MAX + 1, 'FRAME_TOO_LARGE'],
    [0xffffffff, 'FRAME_TOO_LARGE'],
  ] as const) {
    const decoder = new FrameDecoder(FRAME_BYTES_MAX, 40);
    const bytes = Buffer.alloc(5);
    bytes.writeUInt32LE(length, 0);
    bytes[4] = 1;
    // Byte by byte: nothing is decided before the prefix is there.
    for (let at = 0; at < 4; at++) {
      decoder.push(bytes.subarray(at, at + 1));
      assert.equal(decoder.next(), null);
    }
    decoder.push(bytes.subarray(4));
    assert.throws(() => decoder.next(), refusal(code, new RegExp(`${length} bytes.*40 to 16777216`)));
    assert.throws(() => decoder.next(), refusal(code));
  }
});

test('an announced length alone allocates nothing', () => {
  const decoders: FrameDecoder[] = [];
  const before = process.memoryUsage.rss();
  for (let index = 0; index < 64; index++) {
    const decoder = new FrameDecoder(FRAME_BYTES_MAX, 40);
    decoder.push(frame(FRAME_BYTES_MAX, 0).subarray(0, 64));
    assert.equal(decoder.next(), null);
    decoders.push(decoder);
  }
  // A gigabyte is announced; the pages of those buffers are not touched, so they are not there.
  assert.ok(process.memoryUsage.rss() - before < 512 * 1024 * 1024);
  assert.equal(decoders[0]!.pendingBytes, 64);
});

test('another version byte is refused', () => {
  for (const version of [0, 2, 255]) {
    const decoder = new FrameDecoder(FRAME_BYTES_MAX, 40);
    const bytes = frame(40, 0);
    bytes[4] = version;
    decoder.push(bytes);
    assert.throws(
      () => decoder.next(),
      refusal('UNSUPPORTED_VERSION', new RegExp(`version ${version}; spoken here`)),
    );
  }
});

test('a peer of another protocol is told so', () => {
  const decoder = new FrameDecoder(FRAME_BYTES_MAX, 40);
  decoder.push(Buffer.from('GET / HTTP/1.1\r\n'));
  assert.throws(
    () => decoder.next(),
    refusal('FRAME_TOO_LARGE', /"GET ": the peer may speak another protocol/),
  );
});

test('empty chunks change nothing', () => {
  const decoder = new FrameDecoder(FRAME_BYTES_MAX, 16);
  const sent = frame(20, 5);
  decoder.push(sent.subarray(0, 3));
  assert.equal(decoder.next(), null);
  decoder.push(Buffer.alloc(0));
  assert.equal(decoder.next(), null);
  decoder.push(sent.subarray(3));
  assert.deepEqual(take(decoder), [sent]);
});

test('a chunk that was not cut to its end may not be replaced', () => {
  const decoder = new FrameDecoder(FRAME_BYTES_MAX, 16);
  decoder.push(frame(16, 1));
  assert.throws(() => decoder.push(frame(16, 1)), /before next\(\) gave null/);
});
