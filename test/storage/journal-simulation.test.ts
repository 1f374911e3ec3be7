/**
 * A journal's whole life, by chance: commits of all sizes, power failures in the middle of any write, restarts,
 * checkpoints and recycling, on a disk that tears writes by the sector. One seed replays a life.
 *
 * What must hold after every restart: each acknowledged frame at or above the checkpoint is replayed once, in order; at
 * most the one commit in flight may come on top; and what was once replayed stays. At the end copies of the disk are
 * damaged: whatever byte of a needed frame changes, the start is refused.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Journal } from '../../storage/journal.ts';
import {
  frameBody,
  openTestJournal,
  type ReplayedFrame,
  segmentPath,
  settle,
  TEST_SEGMENT_BYTES,
} from '../support/journal-harness.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const LIVES = 60;
const RESTARTS = 25;
const BODY_WORDS_MAX = (TEST_SEGMENT_BYTES - 4096 - 64) / 8;

class Life {
  readonly disk = new SimulatedDisk();
  private readonly random: SeededRandom;
  /** Acknowledged frames, oldest first. */
  private readonly acknowledged: ReplayedFrame[] = [];
  private inFlight: ReplayedFrame | null = null;
  private checkpoint = 0;
  private nextNumber = 1;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  async restart(): Promise<void> {
    this.disk.isImmediate = true;
    const { journal, frames } = await openTestJournal(this.disk, {
      fromPosition: this.checkpoint,
      seed: this.random.uint32(),
    });
    const needed = this.acknowledged.filter((frame) => frame.position >= this.checkpoint);
    const { inFlight } = this;
    if (inFlight !== null && frames.length === needed.length + 1) {
      // The crash came after the write and before its report. From now on readers have seen it, so it must stay.
      needed.push(inFlight);
      this.acknowledged.push(inFlight);
    }
    assert.deepEqual(frames, needed);
    this.inFlight = null;
    await settle();
    this.disk.isImmediate = false;
    await this.run(journal);
  }

  /** A few commits with the disk let through step by step, then a crash or a clean close. */
  private async run(journal: Journal): Promise<void> {
    const steps = this.random.below(60);
    for (let step = 0; step < steps; step++) {
      if (this.inFlight === null && this.random.chance(0.7)) this.commit(journal);
      if (this.inFlight === null && this.random.chance(0.08)) this.recycle(journal);
      if (this.random.chance(0.6)) this.disk.step();
      await settle();
    }
    if (this.random.chance(0.2)) {
      this.disk.isImmediate = true;
      while (this.disk.step()) await settle();
      await journal.close();
      assert.equal(this.disk.openHandles, 0);
    } else {
      this.disk.crash(this.random);
    }
  }

  private commit(journal: Journal): void {
    const words = 1 + this.random.below(this.random.chance(0.1) ? BODY_WORDS_MAX : 1500);
    const number = this.nextNumber++;
    const body = frameBody(number, words);
    const cut = this.random.below(body.length);
    const frame = { number, bodyBytes: body.length, position: 0 };
    this.inFlight = frame;
    journal.commit([body.subarray(0, cut), body.subarray(cut)], body.length, 1, (error) => {
      assert.equal(error, null);
      const pages = Math.ceil((64 + body.length) / 4096);
      this.acknowledged.push({ ...frame, position: journal.nextPosition - pages * 4096 });
      this.inFlight = null;
    });
    // The frame that is in flight goes where the journal stands, or to the start of a later segment.
    const offset = journal.nextPosition % TEST_SEGMENT_BYTES;
    const fits = offset !== 0 && offset + 64 + body.length <= TEST_SEGMENT_BYTES;
    this.inFlight = { ...frame, position: fits ? journal.nextPosition : this.nextSegment(journal) };
  }

  /** The segment prepared ahead has the highest sequence there is. */
  private nextSegment(journal: Journal): number {
    const current = Math.floor((journal.nextPosition - 1) / TEST_SEGMENT_BYTES);
    let sequence = current + 1;
    while (this.disk.files.has(segmentPath(sequence + 1))) sequence += 1;
    return sequence * TEST_SEGMENT_BYTES + 4096;
  }

  private recycle(journal: Journal): void {
    const candidates = this.acknowledged.filter((frame) => frame.position >= this.checkpoint);
    if (candidates.length === 0) return;
    const frame = candidates[this.random.below(candidates.length)]!;
    this.checkpoint = this.random.chance(0.3) ? journal.nextPosition : frame.position;
    journal.recycleBefore(this.checkpoint);
  }

  /**
   * Damages each of the last needed frames in a copy of the disk. A restart has noted where the chain stands before, so
   * not even the very last frame may be missing.
   */
  async damage(): Promise<void> {
    this.disk.isImmediate = true;
    const { journal, frames } = await openTestJournal(this.disk, { fromPosition: this.checkpoint, seed: 1 });
    await journal.close();
    for (const frame of frames.slice(-6)) {
      const copy = copyOf(this.disk);
      const offset = frame.position % TEST_SEGMENT_BYTES;
      const bytes = copy.bytesOf(segmentPath((frame.position - offset) / TEST_SEGMENT_BYTES));
      bytes[offset + this.random.below(64 + frame.bodyBytes)]! ^= 1 + this.random.below(255);
      const opening = openTestJournal(copy, { fromPosition: this.checkpoint, seed: 2 });
      await assert.rejects(opening, { code: 'JOURNAL_CORRUPT' });
    }
  }
}

function copyOf(disk: SimulatedDisk): SimulatedDisk {
  const copy = new SimulatedDisk();
  for (const [path, { bytes }] of disk.files) copy.writeFileDurable(path, bytes);
  return copy;
}

test('whatever the order of commits, crashes and recycling, no acknowledged frame is lost', async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  for (let life = 0; life < LIVES; life++) {
    const lived = new Life(seed + life);
    for (let restart = 0; restart < RESTARTS; restart++) await lived.restart();
    await lived.damage();
  }
});
