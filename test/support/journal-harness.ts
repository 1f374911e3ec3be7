/**
 * A journal on a simulated disk, driven one step at a time, with the model of what it must hold.
 *
 * A frame's body is 8-byte words that all carry the frame's number, so what comes back says what it is and whether it
 * is whole. Segments are small: 16 pages, so a few commits roll.
 */
import assert from 'node:assert/strict';
import { type Journal, openJournal } from '../../storage/journal.ts';
import { SeededRandom } from './random-source.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

export const TEST_SEGMENT_BYTES: number = 65_536;
export const TEST_DIRECTORY = 'shard-0/journal';

export interface ReplayedFrame {
  readonly number: number;
  readonly bodyBytes: number;
  readonly position: number;
}

export interface OpenedJournal {
  readonly journal: Journal;
  readonly frames: ReplayedFrame[];
}

/** A body of `words` words that say `number`. */
export function frameBody(number: number, words: number): Uint8Array {
  const body = new Uint32Array(words * 2).fill(number);
  return new Uint8Array(body.buffer);
}

export async function openTestJournal(
  disk: SimulatedDisk,
  options: { fromPosition?: number; seed?: number } = {},
): Promise<OpenedJournal> {
  const frames: ReplayedFrame[] = [];
  const journal = await openJournal({
    disk,
    random: new SeededRandom(options.seed ?? disk.log.length),
    directory: TEST_DIRECTORY,
    fromPosition: options.fromPosition ?? 0,
    segmentBytes: TEST_SEGMENT_BYTES,
    onFrame: (bytes, offset, end, position) => {
      assert.equal((bytes.byteOffset + offset) % 8, 0, 'records are 8-aligned');
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset + offset, (end - offset) / 4);
      assert.ok(
        words.every((word) => word === words[0]),
        'a frame is replayed as it was written',
      );
      frames.push({ number: words[0]!, bodyBytes: end - offset, position });
    },
  });
  return { journal, frames };
}

/** Commits one frame; resolves with the journal's position behind it when it is durable. */
export function commitFrame(journal: Journal, number: number, words: number): Promise<number> {
  return new Promise((resolve, reject) => {
    journal.commit([frameBody(number, words)], words * 8, 1, (error) => {
      if (error === null) resolve(journal.nextPosition);
      else reject(error);
    });
  });
}

/** Lets everything that runs by itself come to rest: promises only, for the simulated disk needs no event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

export function segmentPath(sequence: number): string {
  return `${TEST_DIRECTORY}/${String(sequence).padStart(8, '0')}.journal`;
}

export function numbersOf(frames: readonly ReplayedFrame[]): number[] {
  return frames.map((frame) => frame.number);
}
