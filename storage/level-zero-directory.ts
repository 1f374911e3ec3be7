/**
 * The level-0 directory: which blocks may hold a group's partition, without reading them.
 *
 * On disk each step of a flush or of a sweep adds one value, beside the blocks it lists, in one transaction:
 *
 *   offset | size | field
 *   -------|------|-------------------------------------------------------------
 *   0      | 4    | flush number
 *   4      | 4    | entries
 *   8      | 8    | XXH64 (seed 0) of the value, this field taken as zero
 *   16     | 4    | run: the flush number, 2^31 + the sweep's number, or 3·2^30 + the value's own: a damaged block that
 *          |      | a sweep has carried along
 *   20     | 4    | 0
 *   24     | 12 each | u32 sequence, u16 group, u16 lowest partition, u16 highest partition, u16 pages
 *
 * I1  Entries stand in ascending (group, lowest partition) order; a group's ranges meet at most in one partition. The values
 *     of one run continue each other in the order of their numbers, so a binary search enters a run.
 * I2  In memory a block costs 14 bytes, in columns; a value half a KiB. Values come and go one by one, by number.
 *
 *   run → values, by number → | block | block | …   unit range, sequence, pages
 */
import { strict as assert } from 'node:assert';
import type { BuiltBlock } from './block-builder.ts';
import { KEY_LO_END } from './block-key.ts';
import { checksum64 } from './checksum.ts';
import { PAGE_BYTES, PARTITION_COUNT } from './limits.ts';
import { StorageError } from './storage-error.ts';

const HEADER_BYTES = 24;
const ENTRY_BYTES = 12;
const CHECKSUM_AT = 8;
/** Runs from here on were written by sweeps, those below by flushes. */
export const SWEEP_RUN_FIRST: number = 2 ** 31;
/** And from here on each holds one damaged block. A sweep a second reaches it in 34 years, and a directory number in a PiB. */
export const CARRIED_RUN_FIRST: number = 3 * 2 ** 30;
const VALUE_BYTES = 512;

/** Return `false` to stop. */
export type LevelZeroVisitor = (sequence: number, pages: number) => undefined | false;

/** A unit (a group's partition) as one number, in the order of blocks. */
export function unitOf(group: number, partition: number): number {
  return group * PARTITION_COUNT + partition;
}

/** What a value says of one block. */
export interface DirectoryEntry {
  readonly sequence: number;
  readonly group: number;
  readonly partitionMin: number;
  readonly partitionMax: number;
  readonly pages: number;
}

/** The value that lists these blocks, whose sequences count from `firstSequence` on. */
export function encodeDirectory(
  flushNumber: number,
  run: number,
  firstSequence: number,
  blocks: readonly BuiltBlock[],
): Uint8Array {
  assert(firstSequence + blocks.length <= KEY_LO_END, 'sequences last for 16 TiB of blocks');
  const entries = blocks.map(({ group, partitionMin, partitionMax, pages }, index) => {
    return { sequence: firstSequence + index, group, partitionMin, partitionMax, pages };
  });
  return encodeDirectoryEntries(flushNumber, run, entries);
}

/** The value that lists these entries, which are in order (I1). */
export function encodeDirectoryEntries(
  flushNumber: number,
  run: number,
  entries: readonly DirectoryEntry[],
): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + entries.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, flushNumber, true);
  view.setUint32(4, entries.length, true);
  view.setUint32(16, run, true);
  for (const [index, entry] of entries.entries()) {
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    view.setUint32(at, entry.sequence, true);
    view.setUint16(at + 4, entry.group, true);
    view.setUint16(at + 6, entry.partitionMin, true);
    view.setUint16(at + 8, entry.partitionMax, true);
    view.setUint16(at + 10, entry.pages, true);
  }
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, bytes.length, checksum);
  view.setUint32(CHECKSUM_AT, checksum[0] as number, true);
  view.setUint32(CHECKSUM_AT + 4, checksum[1] as number, true);
  return bytes;
}

/** One value of the directory: some neighbouring blocks of a run. */
export class DirectoryValue {
  readonly number: number;
  readonly flushNumber: number;
  readonly run: number;
  readonly sequences: Uint32Array;
  /** The lowest and the highest unit of each block: `unitOf`. */
  readonly lowest: Uint32Array;
  readonly highest: Uint32Array;
  readonly pages: Uint16Array;
  /** Of all blocks. */
  readonly pageCount: number;

  constructor(number: number, bytes: Uint8Array) {
    const view = verifyDirectory(bytes);
    const count = view.getUint32(4, true);
    this.number = number;
    this.flushNumber = view.getUint32(0, true);
    this.run = view.getUint32(16, true);
    this.sequences = new Uint32Array(count);
    this.lowest = new Uint32Array(count);
    this.highest = new Uint32Array(count);
    this.pages = new Uint16Array(count);
    let pageCount = 0;
    for (let index = 0; index < count; index += 1) {
      const at = HEADER_BYTES + index * ENTRY_BYTES;
      const group = view.getUint16(at + 4, true);
      this.sequences[index] = view.getUint32(at, true);
      this.lowest[index] = unitOf(group, view.getUint16(at + 6, true));
      this.highest[index] = unitOf(group, view.getUint16(at + 8, true));
      this.pages[index] = view.getUint16(at + 10, true);
      pageCount += this.pages[index] as number;
    }
    this.pageCount = pageCount;
  }

  get count(): number {
    return this.sequences.length;
  }

  /** The last unit that a block of the value may hold; -1 if it lists none. */
  get lastUnit(): number {
    return this.count === 0 ? -1 : (this.highest[this.count - 1] as number);
  }
}

export class LevelZeroDirectory {
  private readonly values: Map<number, DirectoryValue> = new Map();
  /** Of each run the values that list blocks, by number. */
  private readonly valuesOfRun: Map<number, DirectoryValue[]> = new Map();
  private blocks = 0;
  private pages = 0;
  private flushedPages = 0;

  get blockCount(): number {
    return this.blocks;
  }

  get runCount(): number {
    return this.valuesOfRun.size;
  }

  /** Bytes on disk of all blocks, and of those that no sweep has written. */
  get blockBytes(): number {
    return this.pages * PAGE_BYTES;
  }

  get flushedBytes(): number {
    return this.flushedPages * PAGE_BYTES;
  }

  /** Memory held. */
  get bytes(): number {
    return this.blocks * (ENTRY_BYTES + 2) + this.values.size * VALUE_BYTES;
  }

  has(number: number): boolean {
    return this.values.has(number);
  }

  /** Whether some value lists the block. A walk over all values, for when a block is found damaged. */
  lists(sequence: number): boolean {
    for (const { sequences } of this.values.values()) if (sequences.includes(sequence)) return true;
    return false;
  }

  /** The numbers of all values. */
  numbers(): IterableIterator<number> {
    return this.values.keys();
  }

  /** The runs, oldest number first: each one's values, in the order of their blocks. */
  runs(): readonly (readonly DirectoryValue[])[] {
    return [...this.valuesOfRun.values()];
  }

  /** Adds the value `number` as it was read or written. */
  add(number: number, bytes: Uint8Array): DirectoryValue {
    const value = new DirectoryValue(number, bytes);
    this.addValue(value);
    return value;
  }

  addValue(value: DirectoryValue): void {
    const { number } = value;
    assert(!this.values.has(number), 'a directory value comes once');
    this.values.set(number, value);
    if (value.count === 0) return;
    const run = this.valuesOfRun.get(value.run) ?? [];
    if (run.length === 0) this.valuesOfRun.set(value.run, run);
    let at = run.length;
    while (at > 0 && (run[at - 1] as DirectoryValue).number > number) at -= 1;
    run.splice(at, 0, value);
    this.count(value, 1);
  }

  /** Forgets a value whose blocks are gone. */
  remove(number: number): void {
    const value = this.values.get(number);
    assert(value !== undefined, 'a directory value that is there');
    this.values.delete(number);
    if (value.count === 0) return;
    const run = this.valuesOfRun.get(value.run) as DirectoryValue[];
    run.splice(run.indexOf(value), 1);
    if (run.length === 0) this.valuesOfRun.delete(value.run);
    this.count(value, -1);
  }

  clear(): void {
    this.values.clear();
    this.valuesOfRun.clear();
    this.blocks = 0;
    this.pages = 0;
    this.flushedPages = 0;
  }

  /**
   * Visits the blocks that may hold versions of the group's partition, run by run. Two binary searches a run, of
   * which each flush since the last sweep has one, and all sweeps together one or two.
   */
  visit(group: number, partition: number, visit: LevelZeroVisitor): void {
    const unit = unitOf(group, partition);
    for (const run of this.valuesOfRun.values()) {
      for (let at = firstValueReaching(run, unit); at < run.length; at += 1) {
        const value = run[at] as DirectoryValue;
        const { count, lowest } = value;
        let block = firstBlockReaching(value, unit);
        for (; block < count && (lowest[block] as number) <= unit; block += 1) {
          const answer = visit(value.sequences[block] as number, value.pages[block] as number);
          if (answer === false) return;
        }
        if (block < count) break;
      }
    }
  }

  private count(value: DirectoryValue, sign: number): void {
    this.blocks += sign * value.count;
    this.pages += sign * value.pageCount;
    if (value.run < SWEEP_RUN_FIRST) this.flushedPages += sign * value.pageCount;
  }
}

/** The first value of the run whose last block reaches the unit. */
function firstValueReaching(run: readonly DirectoryValue[], unit: number): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((run[middle] as DirectoryValue).lastUnit < unit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first block of the value whose highest unit is not below `unit`. */
export function firstBlockReaching(value: DirectoryValue, unit: number): number {
  let low = 0;
  let high = value.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((value.highest[middle] as number) < unit) low = middle + 1;
    else high = middle;
  }
  return low;
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
