/**
 * Arrow lists being filled: an outer column of offsets and, within, the items of all rows back to back.
 *
 * In a row a list is 8-aligned: u32 count, u32 0, then the items, scalars at their natural width, strings as u32 ends
 * and then their bytes (row-layout.ts). Items are never null.
 * Invariants: arrow-buffer.ts.
 */
import type { FeatureSlot } from '../protocol/index.ts';
import {
  appendEqualEnds,
  type ColumnBuilder,
  type FieldCount,
  GrowingBuffer,
  type RowChunk,
  resetEnds,
  Validity,
} from './arrow-buffer.ts';
import * as kernels from './arrow-kernels.ts';

/** Lists of scalars: n + 1 offsets, then the items of all. */
export class ListColumn implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #ends = new GrowingBuffer();
  readonly #items: ListItems;
  readonly buffers: readonly GrowingBuffer[];

  constructor(items: ListItems) {
    this.#items = items;
    this.buffers = [this.#validity.buffer, this.#ends, new GrowingBuffer(), ...items.buffers];
    this.reset();
  }

  append(chunk: RowChunk, slot: FeatureSlot): void {
    const { words, bytes, rows, count } = chunk;
    const at = this.#validity.length;
    this.#ends.ensure((at + count + 1) * 4);
    const ends = this.#ends.words;
    kernels.gatherListEnds(words, rows, slot.offset, count, ends, at);
    this.#ends.used = (at + count + 1) * 4;
    this.#items.ensure(ends[at + count]!);
    for (let i = 0; i < count; i++) {
      const itemCount = ends[at + i + 1]! - ends[at + i]!;
      // Items follow the list's own 8 bytes (count, 0).
      if (itemCount > 0) {
        const list = rows[i]! + (words[rows[i]! + (slot.offset >>> 2)]! >>> 2);
        this.#items.append(words, bytes, list + 2, itemCount, ends[at + i]!);
      }
    }
    this.#validity.append(chunk, slot);
  }

  appendNulls(count: number): void {
    const at = this.#validity.length;
    appendEqualEnds(this.#ends, at, count);
    this.#validity.appendNulls(count);
  }

  nodes(): FieldCount[] {
    const items = this.#ends.words[this.#validity.length]!;
    return [this.#validity.node(), { length: items, nullCount: 0 }];
  }

  reset(): void {
    this.#validity.reset();
    resetEnds(this.#ends);
    this.#items.reset();
  }
}

/** The items of all lists of a column; never null. */
export interface ListItems {
  /** After the (always empty) validity bitmap. */
  readonly buffers: readonly GrowingBuffer[];
  ensure(count: number): void;
  /** `count` items from word `from` on, as item number `at`. */
  append(words: Uint32Array, bytes: Uint8Array, from: number, count: number, at: number): void;
  reset(): void;
}

export class FixedItems implements ListItems {
  readonly #values = new GrowingBuffer();
  readonly #width: number;
  readonly buffers: readonly GrowingBuffer[] = [this.#values];

  constructor(width: number) {
    this.#width = width;
  }

  ensure(count: number): void {
    this.#values.ensure(count * this.#width);
  }

  append(_words: Uint32Array, bytes: Uint8Array, from: number, count: number, at: number): void {
    kernels.copyBytes(bytes, from << 2, count * this.#width, this.#values.bytes, at * this.#width);
    this.#values.used = (at + count) * this.#width;
  }

  reset(): void {
    this.#values.used = 0;
  }
}

/** Bools, a byte each in a row, a bit each in Arrow. */
export class BoolItems implements ListItems {
  readonly #values = new GrowingBuffer();
  readonly buffers: readonly GrowingBuffer[] = [this.#values];

  ensure(count: number): void {
    this.#values.ensure((count + 7) >>> 3);
  }

  append(_words: Uint32Array, bytes: Uint8Array, from: number, count: number, at: number): void {
    this.#values.extendZeroed((at + count + 7) >>> 3);
    const out = this.#values.bytes;
    for (let i = 0; i < count; i++) {
      const to = at + i;
      out[to >>> 3] = out[to >>> 3]! | ((bytes[(from << 2) + i]! & 1) << (to & 7));
    }
  }

  reset(): void {
    this.#values.used = 0;
  }
}

/** Strings: in a row the ends of all, then their bytes. */
export class StringItems implements ListItems {
  readonly #ends = new GrowingBuffer();
  readonly #values = new GrowingBuffer();
  readonly buffers: readonly GrowingBuffer[] = [this.#ends, this.#values];

  constructor() {
    this.reset();
  }

  ensure(count: number): void {
    this.#ends.ensure((count + 1) * 4);
  }

  append(words: Uint32Array, bytes: Uint8Array, from: number, count: number, at: number): void {
    const base = this.#ends.words[at]!;
    const length = words[from + count - 1]!;
    for (let i = 0; i < count; i++) this.#ends.words[at + 1 + i] = base + words[from + i]!;
    this.#ends.used = (at + count + 1) * 4;
    this.#values.ensure(base + length);
    kernels.copyBytes(bytes, (from + count) << 2, length, this.#values.bytes, base);
    this.#values.used = base + length;
  }

  reset(): void {
    resetEnds(this.#ends);
    this.#values.used = 0;
  }
}
