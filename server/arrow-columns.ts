/**
 * One Arrow column being filled: its buffers in the order that Arrow's format gives them, its field nodes, and how many
 * rows it holds. Scalars, bools, strings and vectors, of features or keys; lists are arrow-lists.ts.
 *
 * A column never looks into another one's slot, and copies bits without reading them (arrow-kernels.ts).
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

/** Values of 1, 2, 4 or 8 bytes, or keys of 8 or 16. */
export class FixedColumn implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #values = new GrowingBuffer();
  readonly #width: number;
  readonly buffers: readonly GrowingBuffer[] = [this.#validity.buffer, this.#values];

  constructor(width: number) {
    this.#width = width;
  }

  append(chunk: RowChunk, slot: FeatureSlot): void {
    this.appendWords(chunk.words, chunk.rows, slot.offset, chunk.count, false);
    this.#validity.append(chunk, slot);
  }

  /** Values at byte `offset` of what starts at `starts`, in words; none is null when `isValid`. */
  appendWords(
    words: Uint32Array,
    starts: Uint32Array,
    offset: number,
    count: number,
    isValid: boolean,
  ): void {
    const at = this.#validity.length;
    const values = this.#values;
    values.ensure((at + count) * this.#width);
    if (this.#width === 8) kernels.gather8(words, starts, offset, count, values.words, at);
    else if (this.#width === 4) kernels.gather4(words, starts, offset, count, values.words, at);
    else if (this.#width === 2) kernels.gather2(words, starts, offset, count, values.halves, at);
    else kernels.gather1(words, starts, offset, count, values.bytes, at);
    values.used = (at + count) * this.#width;
    if (isValid) this.#validity.appendValid(count);
  }

  appendKeys(words: Uint32Array, bytes: Uint8Array, positions: Uint32Array, count: number): void {
    const at = this.#validity.length;
    const values = this.#values;
    values.ensure((at + count) * this.#width);
    kernels.gatherKeyFixed(words, bytes, positions, this.#width, count, values.bytes, values.words, at);
    values.used = (at + count) * this.#width;
    this.#validity.appendValid(count);
  }

  appendNulls(count: number): void {
    this.#values.extendZeroed((this.#validity.length + count) * this.#width);
    this.#validity.appendNulls(count);
  }

  nodes(): FieldCount[] {
    return [this.#validity.node()];
  }

  reset(): void {
    this.#validity.reset();
    this.#values.used = 0;
  }
}

export class BoolColumn implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #values = new GrowingBuffer();
  readonly buffers: readonly GrowingBuffer[] = [this.#validity.buffer, this.#values];

  append(chunk: RowChunk, slot: FeatureSlot): void {
    const at = this.#validity.length;
    const { words, rows, count } = chunk;
    this.#values.extendZeroed((at + count + 7) >>> 3);
    kernels.gatherBits(words, rows, slot.offset >>> 2, (slot.offset & 3) << 3, count, this.#values.bytes, at);
    this.#validity.append(chunk, slot);
  }

  appendNulls(count: number): void {
    this.#values.extendZeroed((this.#validity.length + count + 7) >>> 3);
    this.#validity.appendNulls(count);
  }

  nodes(): FieldCount[] {
    return [this.#validity.node()];
  }

  reset(): void {
    this.#validity.reset();
    this.#values.used = 0;
  }
}

/** Strings and bytes, of features or keys: n + 1 offsets, then the bytes. */
export class VariableColumn implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #ends = new GrowingBuffer();
  readonly #values = new GrowingBuffer();
  readonly buffers: readonly GrowingBuffer[] = [this.#validity.buffer, this.#ends, this.#values];

  constructor() {
    this.reset();
  }

  append(chunk: RowChunk, slot: FeatureSlot): void {
    const { words, bytes, rows, count } = chunk;
    const at = this.#validity.length;
    this.#ends.ensure((at + count + 1) * 4);
    const ends = this.#ends.words;
    const end = kernels.gatherEnds(words, rows, slot.offset, count, ends, at);
    this.#values.ensure(end);
    kernels.gatherBytes(words, bytes, rows, slot.offset, count, ends, at, this.#values.bytes);
    this.#filled(at + count, end);
    this.#validity.append(chunk, slot);
  }

  appendKeys(_words: Uint32Array, bytes: Uint8Array, positions: Uint32Array, count: number): void {
    const at = this.#validity.length;
    this.#ends.ensure((at + count + 1) * 4);
    const ends = this.#ends.words;
    const end = kernels.gatherKeyEnds(bytes, positions, count, ends, at);
    this.#values.ensure(end);
    kernels.gatherKeyBytes(bytes, positions, count, ends, at, this.#values.bytes);
    this.#filled(at + count, end);
    this.#validity.appendValid(count);
  }

  appendNulls(count: number): void {
    const at = this.#validity.length;
    appendEqualEnds(this.#ends, at, count);
    this.#validity.appendNulls(count);
  }

  nodes(): FieldCount[] {
    return [this.#validity.node()];
  }

  reset(): void {
    this.#validity.reset();
    resetEnds(this.#ends);
    this.#values.used = 0;
  }

  #filled(rowCount: number, end: number): void {
    this.#ends.used = (rowCount + 1) * 4;
    this.#values.used = end;
  }
}

/** `length` float32 a row. */
export class VectorColumn implements ColumnBuilder {
  readonly #validity = new Validity();
  readonly #items = new GrowingBuffer();
  readonly #length: number;
  readonly buffers: readonly GrowingBuffer[] = [this.#validity.buffer, new GrowingBuffer(), this.#items];

  constructor(length: number) {
    this.#length = length;
  }

  append(chunk: RowChunk, slot: FeatureSlot): void {
    const { words, rows, count } = chunk;
    const at = this.#validity.length;
    const bytes = (at + count) * this.#length * 4;
    this.#items.ensure(bytes);
    kernels.gatherWords(words, rows, slot.offset, this.#length, count, this.#items.words, at);
    this.#items.used = bytes;
    this.#validity.append(chunk, slot);
  }

  appendNulls(count: number): void {
    this.#items.extendZeroed((this.#validity.length + count) * this.#length * 4);
    this.#validity.appendNulls(count);
  }

  nodes(): FieldCount[] {
    return [this.#validity.node(), { length: this.#validity.length * this.#length, nullCount: 0 }];
  }

  reset(): void {
    this.#validity.reset();
    this.#items.used = 0;
  }
}
