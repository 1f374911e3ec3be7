/**
 * What Arrow columns are made of: growing buffers, validity bitmaps, and the interface of a column being filled.
 *
 * I1  After `append` or `appendNulls` of n rows every buffer of a column covers n rows more, padding aside.
 * I2  A validity bitmap exists from the first null on; a column without nulls sends none.
 * I3  Bytes of a null row's slot are zero, as they are in a row, and offsets stand still.
 *
 * Buffers keep their memory over `reset`: a scan sends batches of one size, so it is allocated once.
 *
 * Left to others: the columns themselves (arrow-columns.ts, arrow-lists.ts), which rows and how many (arrow-writer.ts).
 */
import type { FeatureSlot } from '../protocol/index.ts';
import * as kernels from './arrow-kernels.ts';

/** Rows of an arena that one call appends: where they are, and the features they all have. */
export interface RowChunk {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  /** Where each row starts, in words. */
  readonly rows: Uint32Array;
  readonly count: number;
  /** By word of the validity bitmap: the features that all rows have. */
  readonly common: Uint32Array;
}

export interface FieldCount {
  readonly length: number;
  readonly nullCount: number;
}

export interface ColumnBuilder {
  readonly buffers: readonly GrowingBuffer[];
  /** The column's field node and, before a list's or vector's item, its own. */
  nodes(): FieldCount[];
  append(chunk: RowChunk, slot: FeatureSlot): void;
  appendNulls(count: number): void;
  reset(): void;
}

/** The validity bitmap's first word, after a row's header. */
export const BITMAP_WORD = 2;

/** Bytes that grow by doubling, seen at three widths. */
export class GrowingBuffer {
  bytes: Uint8Array = new Uint8Array(0);
  halves: Uint16Array = new Uint16Array(0);
  words: Uint32Array = new Uint32Array(0);
  /** What is filled, in bytes. */
  used = 0;

  ensure(bytes: number): void {
    if (bytes <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(64, (bytes + 7) & ~7, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.used));
    this.bytes = grown;
    this.halves = new Uint16Array(grown.buffer);
    this.words = new Uint32Array(grown.buffer);
  }

  /** Grows to `bytes` filled, the new ones zero. */
  extendZeroed(bytes: number): void {
    this.ensure(bytes);
    if (bytes > this.used) this.bytes.fill(0, this.used, bytes);
    this.used = bytes;
  }
}

/** Which rows are there; materialised by the first null. */
export class Validity {
  readonly buffer: GrowingBuffer = new GrowingBuffer();
  length = 0;
  nullCount = 0;

  append(chunk: RowChunk, slot: FeatureSlot): void {
    const { count } = chunk;
    const word = slot.index >>> 5;
    const bit = slot.index & 31;
    if (((chunk.common[word]! >>> bit) & 1) === 1) {
      this.appendValid(count);
      return;
    }
    this.#materialise(count);
    const { bytes } = this.buffer;
    const ones = kernels.gatherBits(
      chunk.words,
      chunk.rows,
      BITMAP_WORD + word,
      bit,
      count,
      bytes,
      this.length,
    );
    this.nullCount += count - ones;
    this.length += count;
  }

  appendValid(count: number): void {
    const end = this.length + count;
    if (this.nullCount > 0) {
      this.buffer.extendZeroed((end + 7) >>> 3);
      kernels.setBits(this.buffer.bytes, this.length, end);
    }
    this.length = end;
  }

  appendNulls(count: number): void {
    if (count === 0) return;
    this.#materialise(count);
    this.nullCount += count;
    this.length += count;
  }

  reset(): void {
    this.buffer.used = 0;
    this.length = 0;
    this.nullCount = 0;
  }

  node(): FieldCount {
    return { length: this.length, nullCount: this.nullCount };
  }

  #materialise(more: number): void {
    const isFirst = this.buffer.used === 0;
    this.buffer.extendZeroed((this.length + more + 7) >>> 3);
    if (isFirst) kernels.setBits(this.buffer.bytes, 0, this.length);
  }
}

/** Offsets begin with a 0, whether or not a row follows. */
export function resetEnds(ends: GrowingBuffer): void {
  ends.ensure(4);
  ends.words[0] = 0;
  ends.used = 4;
}

/** `count` rows without bytes. */
export function appendEqualEnds(ends: GrowingBuffer, at: number, count: number): void {
  ends.ensure((at + count + 1) * 4);
  ends.words.fill(ends.words[at]!, at + 1, at + count + 1);
  ends.used = (at + count + 1) * 4;
}
