/**
 * What waits for the journal: groups of records, oldest first, the first of them perhaps on its way to disk.
 *
 *   take ◀── [ group 7, in flight ] [ group 8, full ] [ group 9, open: takes records ]
 *
 * I1  Groups leave in the order in which they were opened, so whoever waits for a group has waited for all before it.
 * I2  A group in flight takes no more records.
 * I3  A group has at most WRITE_GROUP_RECORDS_MAX records and, unless one alone is larger, WRITE_GROUP_BYTES_MAX: it is applied
 *     in one turn.
 * I4  Of a group with immediate records the chunks are held: their bytes stay until the journal has them.
 */
import { strict as assert } from 'node:assert';
import type { BufferChunk, BufferChunks } from './buffer-chunks.ts';
import { placeOf } from './buffer-chunks.ts';
import { RECORD_GROUP_MAX, WRITE_GROUP_BYTES_MAX, WRITE_GROUP_RECORDS_MAX } from './limits.ts';
import { type PendingWrite, type Range, WriteGroup } from './write-group.ts';

export class WriteQueue {
  readonly groups: WriteGroup[] = [];
  bytes = 0;
  private readonly chunks: BufferChunks;
  /** By feature group: records that are neither durable nor applied. */
  private readonly unapplied: Uint32Array = new Uint32Array(RECORD_GROUP_MAX + 1);
  private nextNumber = 0;
  private inFlight = false;

  constructor(chunks: BufferChunks) {
    this.chunks = chunks;
  }

  get isEmpty(): boolean {
    return this.groups.length === 0;
  }

  get isCommitting(): boolean {
    return this.inFlight;
  }

  /** The group that whoever waits for everything so far waits for. */
  get last(): WriteGroup | undefined {
    return this.groups[this.groups.length - 1];
  }

  /** Something waits, and all of it was acknowledged before and found no room in the journal. */
  get isStalled(): boolean {
    return !this.inFlight && this.groups.length > 0 && this.groups.every(({ wasRefused }) => wasRefused);
  }

  /** Whether the group with this number still waits. */
  holds(number: number): boolean {
    return this.groups.some((group) => group.number === number);
  }

  /** True while records of the feature group wait to be durable before they are applied. */
  holdsUnapplied(featureGroup: number): boolean {
    return this.unapplied[featureGroup] !== 0;
  }

  /** Appends the record at `from` in `chunk`, which holds row `row` of `write`. */
  add(write: PendingWrite, row: number, chunk: BufferChunk, from: number, recordBytes: number): void {
    const group = this.openGroup(recordBytes);
    const range = group.add(write, row, chunk, from, recordBytes);
    this.bytes += recordBytes;
    if (write.isImmediate) this.hold(range);
    else this.count(write, 1);
  }

  /** The oldest group, to be committed; it stays the first until `finish`. */
  start(): WriteGroup | undefined {
    assert(!this.inFlight);
    const group = this.groups[0];
    this.inFlight = group !== undefined;
    return group;
  }

  /** The group in flight is durable, and applied. */
  finish(): void {
    assert(this.inFlight);
    this.inFlight = false;
    const group = this.groups.shift();
    assert(group !== undefined);
    this.bytes -= group.bytes;
    this.letGo(group);
    for (const { write, fromRow, toRow } of group.slices) {
      if (!write.isImmediate) this.count(write, fromRow - toRow);
    }
  }

  /**
   * Gives up all that is not applied yet, and its memory; `onDropped` is told each such record before. Immediate records
   * stay, in groups of the same numbers. Answers the groups as they were.
   */
  drop(onDropped: (chunk: BufferChunk, at: number) => void): WriteGroup[] {
    this.inFlight = false;
    const dropped = this.groups.splice(0);
    this.bytes = 0;
    this.unapplied.fill(0);
    for (const group of dropped) {
      const kept = new WriteGroup(group.number);
      this.sift(group, kept, onDropped);
      this.letGo(group);
      if (kept.recordCount === 0) continue;
      kept.wasRefused = true;
      this.groups.push(kept);
      this.bytes += kept.bytes;
    }
    return dropped;
  }

  /** Forgets everything, as it is: the shard has failed. */
  abandon(): WriteGroup[] {
    this.inFlight = false;
    this.bytes = 0;
    return this.groups.splice(0);
  }

  /** Calls `visit` with each record that is neither durable nor applied. */
  visitUnapplied(visit: (view: DataView, at: number) => void): void {
    for (const group of this.groups) {
      visitRecords(group, (write, _row, chunk, at) => {
        if (!write.isImmediate) visit(chunk.arena.view, at);
      });
    }
  }

  private sift(
    group: WriteGroup,
    kept: WriteGroup,
    onDropped: (chunk: BufferChunk, at: number) => void,
  ): void {
    visitRecords(group, (write, row, chunk, at) => {
      if (write.isImmediate) {
        this.hold(kept.add(write, row, chunk, at, chunk.arena.words[at >>> 2] as number));
        return;
      }
      onDropped(chunk, at);
      this.chunks.release(placeOf(chunk.slot, at));
    });
  }

  private openGroup(recordBytes: number): WriteGroup {
    const { last } = this;
    const isOpen = last !== undefined && !last.wasRefused && !(this.inFlight && this.groups.length === 1);
    const hasRoom =
      isOpen &&
      last.recordCount < WRITE_GROUP_RECORDS_MAX &&
      last.bytes + recordBytes <= WRITE_GROUP_BYTES_MAX;
    if (hasRoom) return last;
    const group = new WriteGroup(this.nextNumber);
    this.nextNumber = (this.nextNumber + 1) >>> 0;
    this.groups.push(group);
    return group;
  }

  private hold(range: Range): void {
    if (range.isHeld) return;
    range.isHeld = true;
    this.chunks.hold(range.chunk);
  }

  private letGo(group: WriteGroup): void {
    if (group.immediateCount === 0) return;
    for (const { chunk, isHeld } of group.ranges) if (isHeld) this.chunks.letGo(chunk);
  }

  private count(write: PendingWrite, rows: number): void {
    const { group } = write.request;
    this.unapplied[group] = (this.unapplied[group] as number) + rows;
  }
}

/** Calls `visit` with each record and the row that it holds. */
function visitRecords(
  group: WriteGroup,
  visit: (write: PendingWrite, row: number, chunk: BufferChunk, at: number) => void,
): void {
  let rangeIndex = 0;
  let range = group.ranges[0];
  let at = range?.from ?? 0;
  for (const { write, fromRow, toRow } of group.slices) {
    for (let row = fromRow; row < toRow; row++) {
      if (range !== undefined && at === range.to) {
        rangeIndex += 1;
        range = group.ranges[rangeIndex];
        at = range?.from ?? 0;
      }
      assert(range !== undefined);
      const { chunk } = range;
      const recordBytes = chunk.arena.words[at >>> 2] as number;
      visit(write, row, chunk, at);
      at += recordBytes;
    }
  }
}
