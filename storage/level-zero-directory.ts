/**
 * The level-0 directory: which blocks may hold a group's partition, without reading them.
 *
 * On disk each flush step adds one value, beside the blocks it lists, in one transaction:
 *
 *   offset | size | field
 *   -------|------|-------------------------------------------------------------
 *   0      | 4    | flush number
 *   4      | 4    | entries
 *   8      | 8    | XXH64 (seed 0) of the value, this field taken as zero
 *   16     | 12 each | u32 sequence, u16 group, u16 lowest partition, u16 highest partition, u16 pages
 *
 * I1  Entries stand in ascending (group, lowest partition) order; a group's ranges meet at most in one
 *     partition. The steps of one flush continue each other, so its blocks of one group are one run, which
 *     a binary search enters.
 * I2  In memory a block costs 12 bytes, in columns that grow by doubling; a run 3 numbers.
 *
 *   group → runs, oldest first → | block | block | …   sequences, partition ranges, pages
 */
import { strict as assert } from 'node:assert';
import type { BuiltBlock } from './block-builder.ts';
import { KEY_LO_END } from './block-key.ts';
import { checksum64 } from './checksum.ts';
import { PARTITION_COUNT } from './limits.ts';
import { StorageError } from './storage-error.ts';

const HEADER_BYTES = 16;
const ENTRY_BYTES = 12;
const CHECKSUM_AT = 8;
const ROOM_MIN = 1024;

/** Return `false` to stop. */
export type LevelZeroVisitor = (sequence: number, pages: number) => undefined | false;

/** The value that lists these blocks, whose sequences count from `firstSequence` on. */
export function encodeDirectory(
  flushNumber: number,
  firstSequence: number,
  blocks: readonly BuiltBlock[],
): Uint8Array {
  assert(firstSequence + blocks.length <= KEY_LO_END, 'sequences last for 16 TiB of blocks');
  const bytes = new Uint8Array(HEADER_BYTES + blocks.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, flushNumber, true);
  view.setUint32(4, blocks.length, true);
  for (const [index, block] of blocks.entries()) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    view.setUint32(at, firstSequence + index, true);
    view.setUint16(at + 4, block.group, true);
    view.setUint16(at + 6, block.partitionMin, true);
    view.setUint16(at + 8, block.partitionMax, true);
    view.setUint16(at + 10, block.pages, true);
  }
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, bytes.length, checksum);
  view.setUint32(CHECKSUM_AT, checksum[0] as number, true);
  view.setUint32(CHECKSUM_AT + 4, checksum[1] as number, true);
  return bytes;
}

interface Runs {
  /** First block of each run, and where the last one ends. */
  readonly starts: number[];
  readonly ends: number[];
}

export class LevelZeroDirectory {
  private sequences: Uint32Array = new Uint32Array(ROOM_MIN);
  /** Lowest partition, highest partition, pages: three a block. */
  private ranges: Uint16Array = new Uint16Array(3 * ROOM_MIN);
  private readonly runsOfGroup: Map<number, Runs> = new Map();
  private count = 0;
  private newestFlush = 0;
  private afterLastSequence = 1;

  get blockCount(): number {
    return this.count;
  }

  /** The highest flush number that was added; 0 before the first. */
  get flushNumber(): number {
    return this.newestFlush;
  }

  /** One above the highest sequence that was added. */
  get nextSequence(): number {
    return this.afterLastSequence;
  }

  get bytes(): number {
    return this.sequences.byteLength + this.ranges.byteLength;
  }

  /** Adds one value as it was read or written; returns its flush number. Values come in rising order. */
  add(bytes: Uint8Array): number {
    const view = verifyDirectory(bytes);
    const entryCount = view.getUint32(4, true);
    const flushNumber = view.getUint32(0, true);
    assert(flushNumber >= this.newestFlush, 'directory values come in rising order');
    this.reserve(this.count + entryCount);
    for (let index = 0; index < entryCount; index += 1) {
      const at = HEADER_BYTES + index * ENTRY_BYTES;
      const lowest = view.getUint16(at + 6, true);
      const runs = this.runFor(flushNumber, view.getUint16(at + 4, true), lowest);
      this.sequences[this.count] = view.getUint32(at, true);
      this.ranges[3 * this.count] = lowest;
      this.ranges[3 * this.count + 1] = view.getUint16(at + 8, true);
      this.ranges[3 * this.count + 2] = view.getUint16(at + 10, true);
      this.count += 1;
      this.newestFlush = flushNumber;
      runs.ends[runs.ends.length - 1] = this.count;
    }
    if (entryCount > 0) this.afterLastSequence = (this.sequences[this.count - 1] as number) + 1;
    this.newestFlush = flushNumber;
    return flushNumber;
  }

  /**
   * Visits the blocks that may hold versions of the group's partition, oldest first. One binary search a
   * run, of which each flush that held the group has one.
   */
  visit(group: number, partition: number, visit: LevelZeroVisitor): void {
    const runs = this.runsOfGroup.get(group);
    if (runs === undefined) return;
    for (const [run, start] of runs.starts.entries()) {
      const end = runs.ends[run] as number;
      for (let block = this.firstReaching(start, end, partition); block < end; block += 1) {
        if ((this.ranges[3 * block] as number) > partition) break;
        const answer = visit(this.sequences[block] as number, this.ranges[3 * block + 2] as number);
        if (answer === false) return;
      }
    }
  }

  /** The first block of the run whose highest partition is not below `partition`. */
  private firstReaching(start: number, end: number, partition: number): number {
    let low = start;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.ranges[3 * middle + 1] as number) < partition) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The runs of the group, the last of them ready for a block: continued, or opened. */
  private runFor(flushNumber: number, group: number, lowest: number): Runs {
    let runs = this.runsOfGroup.get(group);
    if (runs === undefined) {
      runs = { starts: [], ends: [] };
      this.runsOfGroup.set(group, runs);
    }
    const continues =
      this.newestFlush === flushNumber &&
      runs.ends.at(-1) === this.count &&
      lowest >= (this.ranges[3 * this.count - 2] as number);
    if (!continues) {
      runs.starts.push(this.count);
      runs.ends.push(this.count);
    }
    return runs;
  }

  private reserve(count: number): void {
    if (count <= this.sequences.length) return;
    const room = Math.max(count, 2 * this.sequences.length);
    const sequences = new Uint32Array(room);
    sequences.set(this.sequences);
    this.sequences = sequences;
    const ranges = new Uint16Array(3 * room);
    ranges.set(this.ranges);
    this.ranges = ranges;
  }
}

const checkedScratch = new Uint32Array(2);

/** Checks length, checksum and I1; returns a view over a copy-free, verified value. */
function verifyDirectory(bytes: Uint8Array): DataView {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entryCount = bytes.length >= HEADER_BYTES ? view.getUint32(4, true) : 0;
  if (bytes.length < HEADER_BYTES || bytes.length !== HEADER_BYTES + entryCount * ENTRY_BYTES) {
    throw new StorageError('BLOCK_CORRUPT', `a level-0 directory value of ${bytes.length} bytes is cut`);
  }
  const copy = bytes.slice();
  copy.fill(0, CHECKSUM_AT, CHECKSUM_AT + 8);
  checksum64(copy, 0, copy.length, checkedScratch);
  if (
    view.getUint32(CHECKSUM_AT, true) !== checkedScratch[0] ||
    view.getUint32(CHECKSUM_AT + 4, true) !== checkedScratch[1]
  ) {
    throw new StorageError('BLOCK_CORRUPT', 'the checksum of a level-0 directory value differs');
  }
  let group = 0;
  let reached = 0;
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const entryGroup = view.getUint16(at + 4, true);
    const lowest = view.getUint16(at + 6, true);
    const highest = view.getUint16(at + 8, true);
    if (entryGroup !== group) reached = 0;
    assert(entryGroup >= group && lowest >= reached && lowest <= highest, 'a directory is in order');
    assert(highest < PARTITION_COUNT, 'a directory names partitions');
    group = entryGroup;
    reached = highest;
  }
  return view;
}
