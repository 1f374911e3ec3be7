/**
 * A session's input out of a buffer that is used again for every read: whatever the chunks, and wherever a hold cuts in,
 * the frames are those that were sent.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HELLO_FRAME_BYTES_MAX, PARTIAL_FRAMES_BYTES_MAX } from '../../server/limits.ts';
import { SessionInput } from '../../server/session-input.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const HEADER_BYTES = 40;

function frameOf(number: number, bodyBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + bodyBytes).fill(number & 0xff);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint8(4, 1);
  view.setUint32(8, number, true);
  return bytes;
}

test('frames come out whole and in order, for any chunks and any holds', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 300; round++) {
    const frames = Array.from({ length: 1 + random.below(20) }, (_, number) =>
      frameOf(number, random.below(random.chance(0.2) ? 3000 : 60)),
    );
    const sent = Buffer.concat(frames);
    const shared = new Uint8Array(1 + random.below(500));
    const input = new SessionInput({ bytes: 0 });
    const received: Uint8Array[] = [];
    for (let at = 0; at < sent.length; ) {
      const count = Math.min(shared.length, sent.length - at);
      shared.set(sent.subarray(at, at + count));
      at += count;
      input.push(shared.subarray(0, count));
      // A hold may cut in after any frame, several times in a chunk; then the buffer is overwritten.
      for (let isDone = false; !isDone; ) {
        const frame = input.next();
        isDone = frame === null;
        if (frame !== null) received.push(new Uint8Array(frame.bytes.subarray(frame.offset, frame.end)));
        if (random.chance(0.3)) {
          input.keep();
          shared.fill(0xee);
        }
      }
      shared.fill(0xee);
    }
    assert.deepEqual(received, frames, `seed ${seed}, round ${round}`);
    assert.equal(input.pendingBytes, 0);
  }
});

test('unfinished frames count against the budget of all, and are given back', () => {
  const budget = { bytes: 0 };
  const inputs = Array.from({ length: 3 }, () => new SessionInput(budget));
  for (const input of inputs) {
    input.push(frameOf(1, 1000).subarray(0, 500));
    assert.equal(input.next(), null);
    input.checkBudget(false);
    input.checkBudget(false);
  }
  assert.equal(budget.bytes, 1500);
  inputs[0]!.push(frameOf(1, 1000).subarray(500));
  assert.notEqual(inputs[0]!.next(), null);
  inputs[0]!.checkBudget(false);
  assert.equal(budget.bytes, 1000);
  for (const input of inputs) input.close();
  assert.equal(budget.bytes, 0);
});

test('over the budget a session is refused, and before its greeting much earlier', () => {
  const crowded = new SessionInput({ bytes: PARTIAL_FRAMES_BYTES_MAX });
  crowded.push(frameOf(1, 1000).subarray(0, 500));
  crowded.next();
  assert.throws(() => crowded.checkBudget(false), { code: 'OVERLOADED' });
  const stranger = new SessionInput({ bytes: 0 });
  stranger.push(frameOf(1, HELLO_FRAME_BYTES_MAX * 2).subarray(0, HELLO_FRAME_BYTES_MAX + 1));
  stranger.next();
  assert.throws(() => stranger.checkBudget(true), { code: 'FRAME_TOO_LARGE' });
  stranger.close();
  stranger.push(frameOf(1, HELLO_FRAME_BYTES_MAX * 2).subarray(0, HELLO_FRAME_BYTES_MAX + 1));
  stranger.next();
  stranger.checkBudget(false);
});
