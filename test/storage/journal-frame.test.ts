/** Frames: their bytes, and that nothing but the frame of a place passes for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksum64Parts, loadChecksum } from '../../storage/checksum.ts';
import {
  NO_FRAME,
  readFramePrevious,
  readFrameRecordCount,
  verifyFrame,
  writeFrameChecksum,
  writeFrameHeader,
} from '../../storage/journal-frame.ts';
import { JOURNAL_FRAME_BYTES_MAX } from '../../storage/limits.ts';
import { assertGolden } from '../support/golden-bytes.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

await loadChecksum();

const INCARNATION = { lo: 0x89abcdef, hi: 0x01234567 };
const POSITION = 7 * 2 ** 25 + 3 * 4096;
const PREVIOUS = 7 * 2 ** 25 + 4096;

function encodeFrame(body: Uint8Array, recordCount: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(64 + body.length);
  const view = new DataView(bytes.buffer);
  writeFrameHeader(view, INCARNATION, POSITION, PREVIOUS, body.length, recordCount);
  bytes.set(body, 64);
  const sum = new Uint32Array(2);
  checksum64Parts([bytes.subarray(0, 64), body], sum);
  writeFrameChecksum(view, sum[0]!, sum[1]!);
  return { bytes, view };
}

const BODY = Uint8Array.from({ length: 40 }, (_, index) => index);

test('a frame has its golden bytes', () => {
  assertGolden('journal-frame', encodeFrame(BODY, 3).bytes);
});

test('a frame is found at its own place and read back', () => {
  const { bytes, view } = encodeFrame(BODY, 3);
  const before = bytes.slice();
  assert.equal(verifyFrame(bytes, view, 0, bytes.length, POSITION, INCARNATION), 104);
  assert.equal(verifyFrame(bytes, view, 0, bytes.length, POSITION, undefined), 104);
  assert.deepEqual(bytes, before, 'verifying leaves the bytes as they were');
  assert.equal(readFramePrevious(view, 0), PREVIOUS);
  assert.equal(readFrameRecordCount(view, 0), 3);
});

test('a frame of another position or incarnation is none', () => {
  const { bytes, view } = encodeFrame(BODY, 3);
  assert.equal(verifyFrame(bytes, view, 0, bytes.length, POSITION + 4096, INCARNATION), NO_FRAME);
  assert.equal(verifyFrame(bytes, view, 0, bytes.length, POSITION, { lo: 1, hi: INCARNATION.hi }), NO_FRAME);
  assert.equal(verifyFrame(bytes, view, 0, bytes.length, POSITION, { lo: INCARNATION.lo, hi: 1 }), NO_FRAME);
});

test('a frame with any one byte changed is none', () => {
  for (let at = 0; at < 104; at++) {
    const { bytes, view } = encodeFrame(BODY, 3);
    bytes[at]! ^= 0x10;
    assert.equal(verifyFrame(bytes, view, 0, bytes.length, POSITION, INCARNATION), NO_FRAME, `byte ${at}`);
  }
});

test('a frame cut short anywhere is none', () => {
  const { bytes, view } = encodeFrame(BODY, 3);
  for (let end = 0; end < bytes.length; end++) {
    assert.equal(verifyFrame(bytes, view, 0, end, POSITION, INCARNATION), NO_FRAME, `cut at ${end}`);
  }
});

test('lengths that lie are refused before anything is summed', () => {
  for (const frameBytes of [0, 8, 64, 68, 112, JOURNAL_FRAME_BYTES_MAX + 8, 0xfffffff8]) {
    const { bytes, view } = encodeFrame(BODY, 3);
    view.setUint32(4, frameBytes, true);
    view.setUint32(28, frameBytes - 64, true);
    assert.equal(
      verifyFrame(bytes, view, 0, bytes.length, POSITION, INCARNATION),
      NO_FRAME,
      String(frameBytes),
    );
  }
});

test('random bytes behind a true magic never make the verifier read outside its range', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 5000; round++) {
    const { bytes, view } = encodeFrame(BODY, 3);
    for (let change = random.below(8); change >= 0; change--) bytes[4 + random.below(100)] = random.uint32();
    const found = verifyFrame(bytes, view, 0, bytes.length, POSITION, INCARNATION);
    assert.ok(found === NO_FRAME || found === bytes.length);
  }
});
