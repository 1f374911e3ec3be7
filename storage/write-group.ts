/**
 * One group commit in the making: ranges of write-buffer chunks that hold its records back to back, and the
 * requests whose rows they are, in the same order.
 *
 *   ranges    | chunk 3: 4,000,000 … 4,194,304 | chunk 4: 0 … 120,000 |
 *   slices    | request A rows 0–99 | request B row 0 | request C rows 0–1023 |
 *
 * I1  The ranges' bytes are the journal frame's body: they are written from where they lie.
 * I2  The slices' rows, in order, are the ranges' records, in order.
 */
import type { BufferChunk } from './buffer-chunks.ts';
import type { StorageError } from './storage-error.ts';
import type { WriteRequest } from './write-request.ts';

export interface PendingWrite {
  readonly request: WriteRequest;
  readonly done: (error: StorageError | null) => void;
  /** Why some of its rows were not written. */
  refusal: StorageError | undefined;
}

interface Slice {
  readonly write: PendingWrite;
  readonly fromRow: number;
  toRow: number;
}

interface Range {
  readonly chunk: BufferChunk;
  readonly from: number;
  to: number;
}

export class WriteGroup {
  readonly ranges: Range[] = [];
  readonly slices: Slice[] = [];
  bytes = 0;
  recordCount = 0;

  /** The record just reserved at the end of `chunk` holds row `row` of `write`. */
  add(write: PendingWrite, row: number, chunk: BufferChunk, recordBytes: number): void {
    const range = this.ranges[this.ranges.length - 1];
    if (range !== undefined && range.chunk === chunk) range.to = chunk.usedBytes;
    else this.ranges.push({ chunk, from: chunk.usedBytes - recordBytes, to: chunk.usedBytes });
    const slice = this.slices[this.slices.length - 1];
    if (slice !== undefined && slice.write === write) slice.toRow = row + 1;
    else this.slices.push({ write, fromRow: row, toRow: row + 1 });
    this.bytes += recordBytes;
    this.recordCount += 1;
  }

  parts(): Uint8Array[] {
    return this.ranges.map(({ chunk, from, to }) => chunk.arena.bytes.subarray(from, to));
  }
}
