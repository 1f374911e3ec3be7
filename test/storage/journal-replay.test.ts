/**
 * Replay: a torn tail is dropped, a lost acknowledged frame stops the start, over rolls, restarts and recycled files.
 *
 * The frames of these tests take one page each. Segment s begins at s × 64 KiB, its first frame at offset 4096.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Journal } from '../../storage/journal.ts';
import {
  commitFrame,
  frameBody,
  numbersOf,
  openTestJournal,
  segmentPath,
  settle,
  TEST_DIRECTORY,
  TEST_SEGMENT_BYTES,
} from '../support/journal-harness.ts';
import { SeededRandom } from '../support/random-source.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const FRAMES_A_SEGMENT = 15;

/** The process dies; what was in flight is lost as a whole. */
function kill(disk: SimulatedDisk): void {
  disk.crash();
  disk.isImmediate = true;
}

async function commitFrames(journal: Journal, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number++) await commitFrame(journal, number, 500);
  await settle();
}

/** A new disk whose journal holds the frames 1 to count, and died. */
async function diskWithFrames(count: number): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  await commitFrames(journal, 1, count);
  kill(disk);
  return disk;
}

/** Opens the journal after a kill, appends the frames, and dies again. */
async function restartAndCommit(disk: SimulatedDisk, from: number, to: number, seed: number): Promise<void> {
  const { journal } = await openTestJournal(disk, { seed });
  await commitFrames(journal, from, to);
  kill(disk);
}

function damage(disk: SimulatedDisk, sequence: number, offset: number): void {
  disk.bytesOf(segmentPath(sequence))[offset]! ^= 0x40;
}

async function replayed(disk: SimulatedDisk, fromPosition = 0): Promise<number[]> {
  return numbersOf((await openTestJournal(disk, { fromPosition, seed: 99 })).frames);
}

function upTo(count: number, from = 1): number[] {
  return Array.from({ length: count - from + 1 }, (_, index) => index + from);
}

/** Where frame n of a journal that was never restarted lies. */
function placeOf(number: number): { sequence: number; offset: number } {
  const index = number - 1;
  const sequence = Math.floor(index / FRAMES_A_SEGMENT) + 1;
  return { sequence, offset: ((index % FRAMES_A_SEGMENT) + 1) * 4096 };
}

test('a damaged last frame is a torn tail: it is dropped and the rest is kept', async () => {
  for (const offset of [0, 4, 20, 60, 64, 3000]) {
    const disk = await diskWithFrames(4);
    damage(disk, 1, 4 * 4096 + offset);
    assert.deepEqual(await replayed(disk), [1, 2, 3], `byte ${offset}`);
  }
});

test('a damaged frame with a valid one behind it is corruption, named by segment and offset', async () => {
  const disk = await diskWithFrames(4);
  damage(disk, 1, 2 * 4096 + 100);
  await assert.rejects(replayed(disk), {
    code: 'JOURNAL_CORRUPT',
    message:
      /segment 00000001\.journal lacks a valid frame at offset 8192, but holds a valid frame at offset 12288/,
  });
});

test('damage to any acknowledged frame but the last is corruption, wherever segments begin and end', async () => {
  const count = 2 * FRAMES_A_SEGMENT + 2;
  for (let number = 1; number <= count; number++) {
    const disk = await diskWithFrames(count);
    const { sequence, offset } = placeOf(number);
    damage(disk, sequence, offset + 80);
    if (number === count) assert.deepEqual(await replayed(disk), upTo(count - 1));
    else await assert.rejects(replayed(disk), { code: 'JOURNAL_CORRUPT' }, `frame ${number}`);
  }
});

test('a lost last frame of a full segment is corruption when the next segment goes on', async () => {
  const disk = await diskWithFrames(FRAMES_A_SEGMENT + 1);
  disk.bytesOf(segmentPath(1)).fill(0, FRAMES_A_SEGMENT * 4096);
  await assert.rejects(replayed(disk), {
    code: 'JOURNAL_CORRUPT',
    message: /segment 00000002\.journal follows/,
  });
});

test('the unused end of a segment before a large frame is no gap', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  await commitFrames(journal, 1, 9);
  await commitFrame(journal, 10, (10 * 4096 - 64) / 8);
  await commitFrames(journal, 11, 12);
  kill(disk);
  assert.deepEqual(await replayed(disk), upTo(12));
});

test('a torn frame keeps torn after a restart, and new frames follow the last whole one', async () => {
  const disk = await diskWithFrames(4);
  damage(disk, 1, 4 * 4096 + 100);
  await restartAndCommit(disk, 5, 6, 2);
  assert.deepEqual(await replayed(disk), [1, 2, 3, 5, 6]);
});

test('a torn frame that reads as whole later stays dropped, for a restart has gone on without it', async () => {
  const disk = await diskWithFrames(4);
  damage(disk, 1, 4 * 4096 + 100);
  await restartAndCommit(disk, 5, 6, 2);
  damage(disk, 1, 4 * 4096 + 100);
  assert.deepEqual(await replayed(disk), [1, 2, 3, 5, 6]);
});

test('a frame that a restart has replayed is missed when it is gone later, even with nothing after it', async () => {
  const disk = await diskWithFrames(4);
  await restartAndCommit(disk, 1, 0, 2);
  damage(disk, 1, 4 * 4096 + 100);
  await assert.rejects(replayed(disk), {
    code: 'JOURNAL_CORRUPT',
    message: /continues after the frame at offset 16384/,
  });
});

test('frames of several incarnations are replayed in order, and damage in any but the last is found', async () => {
  const make = async (): Promise<SimulatedDisk> => {
    const disk = await diskWithFrames(3);
    await restartAndCommit(disk, 4, 5, 2);
    await restartAndCommit(disk, 1, 0, 3);
    await restartAndCommit(disk, 6, 7, 4);
    return disk;
  };
  assert.deepEqual(await replayed(await make()), upTo(7));
  const segments = [...(await make()).files.keys()].sort();
  let torn = 0;
  let corrupt = 0;
  for (const path of segments) {
    for (let offset = 4096; offset < 5 * 4096; offset += 4096) {
      const disk = await make();
      const bytes = disk.bytesOf(path);
      if (bytes[offset] === 0) continue;
      bytes[offset + 90]! ^= 1;
      try {
        assert.deepEqual(await replayed(disk), upTo(6));
        torn += 1;
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'JOURNAL_CORRUPT', `${path} ${offset}: ${error}`);
        corrupt += 1;
      }
    }
  }
  assert.deepEqual({ torn, corrupt }, { torn: 1, corrupt: 6 });
});

test('a missing segment between others is corruption', async () => {
  const disk = await diskWithFrames(3 * FRAMES_A_SEGMENT);
  disk.files.delete(segmentPath(2));
  await assert.rejects(replayed(disk), { code: 'JOURNAL_CORRUPT', message: /segment 00000003/ });
});

test('the first segment missing without a checkpoint is corruption', async () => {
  const disk = await diskWithFrames(FRAMES_A_SEGMENT + 1);
  disk.files.delete(segmentPath(1));
  await assert.rejects(replayed(disk), { code: 'JOURNAL_CORRUPT', message: /up to the beginning only/ });
});

test('a journal that ends below the checkpoint has lost files', async () => {
  const checkpoint = 3 * TEST_SEGMENT_BYTES + 4096;
  await assert.rejects(replayed(new SimulatedDisk(), checkpoint), {
    code: 'JOURNAL_CORRUPT',
    message: /the checkpoint stands in segment 00000003\.journal .* there are no segments/,
  });
  const disk = await diskWithFrames(2);
  await assert.rejects(replayed(disk, checkpoint), {
    code: 'JOURNAL_CORRUPT',
    message: /newest one is 00000002/,
  });
});

test('a checkpoint at the very end of a full segment needs no segment after it', async () => {
  const disk = await diskWithFrames(FRAMES_A_SEGMENT);
  disk.files.delete(segmentPath(2));
  assert.deepEqual(await replayed(disk, 2 * TEST_SEGMENT_BYTES), []);
});

test('a checkpoint that is no frame boundary is refused', async () => {
  const disk = await diskWithFrames(2);
  await assert.rejects(replayed(disk, TEST_SEGMENT_BYTES + 100), { code: 'JOURNAL_CORRUPT' });
});

test('frames below the checkpoint are not read: damage there is no matter', async () => {
  const disk = await diskWithFrames(FRAMES_A_SEGMENT + 4);
  damage(disk, 1, 4096 + 100);
  damage(disk, 2, 4096 + 100);
  assert.deepEqual(await replayed(disk, 2 * TEST_SEGMENT_BYTES + 2 * 4096), [17, 18, 19]);
});

test('the frame at the checkpoint is missed when it is gone', async () => {
  const disk = await diskWithFrames(FRAMES_A_SEGMENT + 4);
  damage(disk, 2, 2 * 4096 + 100);
  await assert.rejects(replayed(disk, 2 * TEST_SEGMENT_BYTES + 2 * 4096), { code: 'JOURNAL_CORRUPT' });
});

test('a segment whose header is torn, as while it was made, holds nothing', async () => {
  for (const content of ['zeros', 'half a header', 'a stale header', 'nothing', 'half a page']) {
    const disk = await diskWithFrames(3);
    const fresh = new Uint8Array(TEST_SEGMENT_BYTES);
    const source = disk.bytesOf(segmentPath(1));
    if (content === 'half a header') fresh.set(source.subarray(0, 32));
    if (content === 'a stale header') fresh.set(source);
    const bytes = content === 'nothing' ? 0 : content === 'half a page' ? 2048 : TEST_SEGMENT_BYTES;
    disk.writeFileDurable(segmentPath(3), fresh.subarray(0, bytes));
    assert.deepEqual(await replayed(disk), [1, 2, 3], content);
  }
});

test('a header that is lost while its segment holds frames is corruption', async () => {
  const disk = await diskWithFrames(3);
  damage(disk, 1, 20);
  await assert.rejects(replayed(disk), { code: 'JOURNAL_CORRUPT', message: /lacks the header page/ });
});

test('a segment cut short loses its last frame as torn, and any other as corrupt', async () => {
  const torn = await diskWithFrames(4);
  torn.writeFileDurable(segmentPath(1), torn.bytesOf(segmentPath(1)).subarray(0, 4 * 4096 + 1000));
  assert.deepEqual(await replayed(torn), [1, 2, 3]);
  const corrupt = await diskWithFrames(FRAMES_A_SEGMENT + 2);
  corrupt.writeFileDurable(segmentPath(1), corrupt.bytesOf(segmentPath(1)).subarray(0, 4 * 4096));
  await assert.rejects(replayed(corrupt), { code: 'JOURNAL_CORRUPT' });
});

test('stale frames of a recycled file are no frames of its new life, even behind a torn header', async () => {
  const disk = await diskWithFrames(FRAMES_A_SEGMENT);
  await disk.rename(segmentPath(1), segmentPath(3));
  assert.deepEqual(await replayed(disk, 2 * TEST_SEGMENT_BYTES), []);
});

test('a frame of a foreign journal at the same position is not taken', async () => {
  const ours = await diskWithFrames(3);
  const theirs = new SimulatedDisk();
  const { journal } = await openTestJournal(theirs, { seed: 77 });
  await commitFrames(journal, 101, 105);
  const foreign = theirs.bytesOf(segmentPath(1)).subarray(4 * 4096);
  ours.bytesOf(segmentPath(1)).set(foreign, 4 * 4096);
  assert.deepEqual(await replayed(ours), [1, 2, 3]);
});

test('the last frame is made durable before the journal goes on', async () => {
  const disk = await diskWithFrames(3);
  disk.isImmediate = false;
  const writes = disk.log.length;
  const opening = openTestJournal(disk, { seed: 2 });
  await settle();
  disk.step();
  assert.deepEqual(disk.log.slice(writes), [{ position: 3 * 4096, bytes: 64 + 4000 }]);
  assert.equal(disk.files.size, 2, 'no fresh segment before that');
  disk.isImmediate = true;
  while (disk.step()) await settle();
  await opening;
});

test('a last frame that cannot be made durable stops the start', async () => {
  const disk = await diskWithFrames(3);
  disk.writeErrors.push(new Error('EIO'));
  await assert.rejects(replayed(disk), /EIO/);
});

test('a segment that cannot be read stops the start', async () => {
  const disk = await diskWithFrames(3);
  const open = disk.openDurable.bind(disk);
  disk.openDurable = (path) => ({
    ...open(path),
    readSync: () => {
      throw new Error('EIO: i/o error, read');
    },
  });
  await assert.rejects(replayed(disk), { code: 'JOURNAL_CORRUPT', message: /cannot be read: EIO/ });
});

test('what a visitor throws stops the start and leaves the files as they were', async () => {
  const disk = await diskWithFrames(3);
  const before = [...disk.files].map(([path, { bytes }]) => [path, bytes.slice()] as const);
  const { openJournal } = await import('../../storage/journal.ts');
  const opening = openJournal({
    disk,
    random: new SeededRandom(3),
    directory: TEST_DIRECTORY,
    fromPosition: 0,
    segmentBytes: TEST_SEGMENT_BYTES,
    onFrame: () => {
      throw new Error('the reader refuses');
    },
  });
  await assert.rejects(opening, /the reader refuses/);
  assert.deepEqual(
    [...disk.files].map(([path, { bytes }]) => [path, bytes] as const),
    before,
  );
});

test('the largest frame that a segment takes is replayed', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  const words = (TEST_SEGMENT_BYTES - 4096 - 64) / 8;
  await commitFrame(journal, 1, words);
  await new Promise<void>((resolve) => journal.commit([frameBody(2, words)], words * 8, 9, () => resolve()));
  kill(disk);
  assert.deepEqual(await replayed(disk), [1, 2]);
});
