/** The journal: what a commit promises, rolling, recycling, failing and closing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
import { SimulatedDisk } from '../support/simulated-disk.ts';

/** 15 pages follow a header; a frame of 500 words takes one, so 15 fill a segment. */
const FRAMES_A_SEGMENT = 15;

async function fill(
  disk: SimulatedDisk,
  count: number,
): Promise<Awaited<ReturnType<typeof openTestJournal>>> {
  const opened = await openTestJournal(disk);
  for (let number = 1; number <= count; number++) await commitFrame(opened.journal, number, 500);
  return opened;
}

test('an empty directory opens, and holds nothing', async () => {
  const { journal, frames } = await openTestJournal(new SimulatedDisk());
  assert.deepEqual(frames, []);
  assert.equal(journal.nextPosition, TEST_SEGMENT_BYTES + 4096);
  assert.equal(journal.bytesHeld, TEST_SEGMENT_BYTES);
  await journal.close();
});

test('a commit is one write of whole pages that starts on a page, from the bytes of all parts', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  await settle();
  const before = disk.log.length;
  const parts = [frameBody(1, 3), frameBody(1, 600), frameBody(1, 1)];
  await new Promise<void>((resolve) => journal.commit(parts, 604 * 8, 3, () => resolve()));
  assert.deepEqual(disk.log.slice(before), [{ position: 4096, bytes: 8192 }]);
  assert.equal(journal.nextPosition, TEST_SEGMENT_BYTES + 4096 + 8192);
  await journal.close();
  const { frames } = await openTestJournal(disk);
  assert.deepEqual(frames, [{ number: 1, bodyBytes: 604 * 8, position: TEST_SEGMENT_BYTES + 4096 }]);
});

test('a commit is acknowledged, and its position passed, only when its write is durable', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  await settle();
  disk.isImmediate = false;
  const position = journal.nextPosition;
  let acknowledged = false;
  journal.commit([frameBody(1, 1)], 8, 1, () => {
    acknowledged = true;
  });
  await settle();
  assert.equal(acknowledged, false);
  assert.equal(journal.nextPosition, position);
  disk.step();
  assert.equal(acknowledged, true);
  assert.equal(journal.nextPosition, position + 4096);
});

test('the next commit may start inside the acknowledgement of the one before', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  await new Promise<void>((resolve) => {
    journal.commit([frameBody(1, 1)], 8, 1, () => {
      journal.commit([frameBody(2, 1)], 8, 1, () => resolve());
    });
  });
  await journal.close();
  assert.deepEqual(numbersOf((await openTestJournal(disk)).frames), [1, 2]);
});

test('frames fill a segment to its last page and go on in the one prepared ahead', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await fill(disk, FRAMES_A_SEGMENT);
  assert.equal(journal.nextPosition, 2 * TEST_SEGMENT_BYTES, 'the segment is full');
  await settle();
  assert.ok(disk.files.has(segmentPath(2)), 'the next one is there before it is needed');
  await commitFrame(journal, 16, 500);
  assert.equal(journal.nextPosition, 2 * TEST_SEGMENT_BYTES + 2 * 4096);
  assert.equal(journal.bytesHeld, 2 * TEST_SEGMENT_BYTES);
  await journal.close();
  assert.deepEqual(
    numbersOf((await openTestJournal(disk)).frames),
    Array.from({ length: 16 }, (_, index) => index + 1),
  );
});

test('a frame never crosses segments: one that does not fit leaves the rest unused', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await fill(disk, 10);
  await commitFrame(journal, 11, (8 * 4096 - 64) / 8);
  assert.equal(journal.nextPosition, 2 * TEST_SEGMENT_BYTES + 9 * 4096);
  await journal.close();
  assert.deepEqual(numbersOf((await openTestJournal(disk)).frames), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test('a commit that must roll waits for a segment that is still being made', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  await settle();
  disk.isImmediate = false;
  const acknowledged: number[] = [];
  const largest = (TEST_SEGMENT_BYTES - 4096 - 64) / 8;
  const commit = (number: number): void => {
    journal.commit([frameBody(number, largest)], largest * 8, 1, (error) => {
      assert.equal(error, null);
      acknowledged.push(number);
      if (number < 4) commit(number + 1);
    });
  };
  commit(1);
  for (let turn = 0; turn < 30; turn++) {
    disk.step();
    await settle();
  }
  assert.deepEqual(acknowledged, [1, 2, 3, 4]);
});

test('segments are recycled only when all their frames lie below the checkpoint', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await fill(disk, 2 * FRAMES_A_SEGMENT + 3);
  assert.equal(journal.bytesHeld, 3 * TEST_SEGMENT_BYTES);
  const lastOfFirst = 2 * TEST_SEGMENT_BYTES - 4096;
  journal.recycleBefore(lastOfFirst);
  assert.equal(journal.bytesHeld, 3 * TEST_SEGMENT_BYTES, 'its last frame is at the checkpoint');
  journal.recycleBefore(lastOfFirst + 4096);
  assert.equal(journal.bytesHeld, 2 * TEST_SEGMENT_BYTES);
  journal.recycleBefore(journal.nextPosition);
  assert.equal(journal.bytesHeld, TEST_SEGMENT_BYTES, 'the active one stays');
  await journal.close();
});

test('a recycled segment becomes the next one, and its stale frames are never replayed', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await fill(disk, 2 * FRAMES_A_SEGMENT + 3);
  await settle();
  const checkpoint = journal.nextPosition;
  const recycled = [disk.bytesOf(segmentPath(1)), disk.bytesOf(segmentPath(2))];
  journal.recycleBefore(checkpoint);
  let number = 2 * FRAMES_A_SEGMENT + 3;
  while (!disk.files.has(segmentPath(5))) {
    number += 1;
    await commitFrame(journal, number, 500);
    await settle();
  }
  assert.ok(recycled.includes(disk.bytesOf(segmentPath(5))), 'a recycled file under a new name');
  disk.crash();
  const { frames } = await openTestJournal(disk, { fromPosition: checkpoint });
  assert.deepEqual(
    numbersOf(frames),
    Array.from({ length: number - 33 }, (_, index) => index + 34),
  );
});

test('at most two spare segments are kept, whatever a flush gives back', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await fill(disk, 6 * FRAMES_A_SEGMENT + 1);
  await settle();
  assert.equal(disk.files.size, 8, 'seven with frames, one ahead');
  journal.recycleBefore(journal.nextPosition);
  assert.equal(disk.files.size, 4, 'the active one, one ahead, two spares');
  await journal.close();
});

test('restarts without a flush keep every frame, and pile up no empty segments', async () => {
  const disk = new SimulatedDisk();
  const expected: number[] = [];
  for (let start = 0; start < 8; start++) {
    const { journal, frames } = await openTestJournal(disk);
    assert.deepEqual(numbersOf(frames), expected, `start ${start}`);
    if (start % 2 === 0) {
      await commitFrame(journal, start + 1, 10);
      expected.push(start + 1);
    }
    await journal.close();
  }
  assert.ok(disk.files.size <= 4 + 4, `${disk.files.size} files for 4 segments with frames`);
});

test('restarts after a flush use a bounded number of files and rising sequences', async () => {
  const disk = new SimulatedDisk();
  let fromPosition = 0;
  for (let start = 0; start < 10; start++) {
    const { journal, frames } = await openTestJournal(disk, { fromPosition });
    assert.deepEqual(frames, []);
    assert.ok(journal.nextPosition > fromPosition);
    await commitFrame(journal, start, 10);
    fromPosition = journal.nextPosition;
    journal.recycleBefore(fromPosition);
    await journal.close();
    assert.ok(disk.files.size <= 4, `${disk.files.size} files after start ${start}`);
  }
});

test('after a failed write every later commit is refused with the same error', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await fill(disk, 2);
  await settle();
  const position = journal.nextPosition;
  disk.writeErrors.push(new Error('EIO: the device is gone'));
  await assert.rejects(commitFrame(journal, 3, 10), /EIO/);
  const writes = disk.log.length;
  await assert.rejects(commitFrame(journal, 4, 10), /EIO/);
  await assert.rejects(commitFrame(journal, 5, 10), /EIO/);
  assert.equal(disk.log.length, writes, 'nothing is written any more');
  assert.equal(journal.nextPosition, position);
  await journal.close();
  assert.deepEqual(numbersOf((await openTestJournal(disk)).frames), [1, 2]);
});

test('a full device refuses only the commit that needs a new segment, and a recycled one heals it', async () => {
  const disk = new SimulatedDisk();
  const full = (): Error => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  const { journal } = await openTestJournal(disk);
  await settle();
  assert.equal(journal.spaceError, null);
  disk.createErrors.push(full(), full(), full());
  for (let number = 1; number <= FRAMES_A_SEGMENT + 1; number++) await commitFrame(journal, number, 500);
  await settle();
  assert.match(String(journal.spaceError), /ENOSPC/, 'said a segment ahead');
  for (let number = 2; number <= FRAMES_A_SEGMENT; number++) await commitFrame(journal, 100 + number, 500);
  await assert.rejects(commitFrame(journal, 200, 500), { code: 'STORAGE_FULL' });
  journal.recycleBefore(2 * TEST_SEGMENT_BYTES);
  await settle();
  assert.equal(journal.spaceError, null);
  await commitFrame(journal, 201, 500);
  await journal.close();
  const { frames } = await openTestJournal(disk, { fromPosition: 2 * TEST_SEGMENT_BYTES });
  assert.equal(frames.at(-1)?.number, 201);
  assert.ok(!numbersOf(frames).includes(200));
});

test('closing waits for the commit in flight, closes every file and refuses what comes later', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await fill(disk, FRAMES_A_SEGMENT);
  disk.isImmediate = false;
  let acknowledged = false;
  journal.commit([frameBody(16, 1)], 8, 1, (error) => {
    assert.equal(error, null);
    acknowledged = true;
  });
  let closed = false;
  const closing = journal.close().then(() => {
    closed = true;
  });
  await settle();
  assert.equal(closed, false);
  while (!closed) {
    disk.step();
    await settle();
  }
  await closing;
  assert.equal(acknowledged, true);
  assert.equal(disk.openHandles, 0);
  await assert.rejects(commitFrame(journal, 17, 1), { code: 'SHUTTING_DOWN' });
});

test('misuse stops the process: two commits at once, bodies that are none, parts that do not add up', async () => {
  const disk = new SimulatedDisk();
  const { journal } = await openTestJournal(disk);
  const done = (): void => undefined;
  assert.throws(() => journal.commit([], 0, 0, done), /multiple of 8/);
  assert.throws(() => journal.commit([new Uint8Array(12)], 12, 1, done), /multiple of 8/);
  assert.throws(() => journal.commit([frameBody(1, 8192)], 65_536, 1, done), /too large/);
  assert.throws(() => journal.recycleBefore(journal.nextPosition + 4096), /within the journal/);
  journal.commit([frameBody(1, 1)], 8, 1, done);
  assert.throws(() => journal.commit([frameBody(1, 1)], 8, 1, done), /one commit in flight/);
  await settle();
  assert.throws(() => journal.commit([frameBody(1, 1)], 16, 1, done), /the parts are the body/);
});

test('what a crash left half made is cleared away', async () => {
  const disk = new SimulatedDisk();
  disk.writeFileDurable(`${TEST_DIRECTORY}/unfinished.journal`, new Uint8Array(5));
  disk.writeFileDurable(`${TEST_DIRECTORY}/notes.txt`, new Uint8Array(5));
  const { journal } = await openTestJournal(disk);
  await settle();
  assert.ok(!disk.files.has(`${TEST_DIRECTORY}/unfinished.journal`));
  assert.ok(disk.files.has(`${TEST_DIRECTORY}/notes.txt`), 'what is not ours stays');
  await journal.close();
});
