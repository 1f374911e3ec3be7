/**
 * One group commit in the making: ranges of write-buffer chunks that hold its records back to back, and the
 * requests whose rows they are, in the same order.
 *
 *   ranges    | chunk 3: 4,000,000 … 4,194,304 | chunk 4: 0 … 120,000 |
 *   slices    | request A rows 0–99 | request B row 0 | request C rows 0–7 | request C rows 9–1023 |
 *
 * I1  The ranges' bytes are the journal frame's body: they are written from where they lie.
 * I2  The slices' rows, in order, are the ranges' records, in order. A row that was refused is in no slice.
 * I3  `waiters` are answered when the group has been committed, or refused.
 */
import type { BufferChunk } from './buffer-chunks.ts';
import type { StorageError } from './storage-error.ts';
import type { WriteRequest } from './write-request.ts';

export interface PendingWrite {
  readonly request: WriteRequest;
  readonly done: (error: StorageError | null) => void;
  /** Its rows are applied and answered before they are durable: the feature group's durability is 'memory'. */
  readonly isImmediate: boolean;
  /** Rows that became records. */
  rowsLaid: number;
  /** Some of its rows are durable. */
  isPartlyWritten: boolean;
  /** A row was decided by a version that is not durable yet: the answer waits until it is. */
  hasSeenPending: boolean;
  /** Why some of its rows were not written. */
  refusal: StorageError | undefined;
}

export interface Slice {
  readonly write: PendingWrite;
  readonly fromRow: number;
  toRow: number;
}

export interface Range {
  readonly chunk: BufferChunk;
  readonly from: number;
  to: number;
  /** The chunk is held for it: its records may be flushed and released before the journal has them. */
  isHeld: boolean;
}

export class WriteGroup {
  /** Rises from group to group; wraps at 2^32. */
  readonly number: number;
  readonly ranges: Range[] = [];
  readonly slices: Slice[] = [];
  readonly waiters: PendingWrite[] = [];
  bytes = 0;
  recordCount = 0;
  /** Records that are applied before they are durable. */
  immediateCount = 0;
  /** A full device refused it, and these records could not be given up. */
  wasRefused = false;
  /** How far the table of pending versions has read: the range, and the offset in it. */
  readRange = 0;
  readTo = -1;

  constructor(number: number) {
    this.number = number;
  }

  /** The record at `from` in `chunk` holds row `row` of `write`. */
  add(write: PendingWrite, row: number, chunk: BufferChunk, from: number, recordBytes: number): Range {
    let range = this.ranges[this.ranges.length - 1];
    if (range !== undefined && range.chunk === chunk && range.to === from) range.to += recordBytes;
    else {
      range = { chunk, from, to: from + recordBytes, isHeld: false };
      this.ranges.push(range);
    }
    const slice = this.slices[this.slices.length - 1];
    if (slice !== undefined && slice.write === write && slice.toRow === row) slice.toRow = row + 1;
    else this.slices.push({ write, fromRow: row, toRow: row + 1 });
    this.bytes += recordBytes;
    this.recordCount += 1;
    if (write.isImmediate) this.immediateCount += 1;
    return range;
  }

  parts(): Uint8Array[] {
    return this.ranges.map(({ chunk, from, to }) => chunk.arena.bytes.subarray(from, to));
  }
}
