/**
 * Which chunks make up each table of the index, and which tables make up a partition.
 *
 *   partition ─┬─ one table, while it is small
 *              └─ directory → table, table, table, …        chosen by the top bits of the spread digest
 *   table      shape | chunk | chunk | … 7                   32 bytes in `tables`, half a cache line
 *   shape      chunks (bits 0–2) | order of the chunks (3–7) | depth (8–12) | wrapped entries (13–31)
 *
 * I1  A table is 1 to 7 chunks of 2^order pages, and 4 to 7 unless its chunks are single pages. Its sizes in pages are
 *     therefore 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, …: from 4 on each is at most a quarter larger
 *     than the one before, and finding a slot's chunk takes a shift and one word of the table's line.
 * I2  A table of depth d holds the rows whose spread digest starts with its d bits, and stands in 2^(n-d)
 *     neighbouring places of a directory of 2^n: extendible hashing. Depth 0 needs no directory.
 *
 * Splitting bounds the pause of one growth by a table instead of a partition. Allocating chunks and moving
 * entries is index-growth.ts's business.
 */

import { strict as assert } from 'node:assert';
import { PAGE_ENTRIES_SHIFT } from './index-memory.ts';

/** Words of a table's line. */
export const TABLE_WORDS: number = 8;
/** Where the chunks' page numbers start in it. */
export const TABLE_CHUNKS: number = 1;
const TABLE_SHIFT = 3;

const CHUNKS_MAX = 7;
/** Fewest chunks of more than one page. */
const CHUNKS_MIN = 4;
const COUNT_MASK = 7;
const ORDER_SHIFT = 3;
const ORDER_MASK = 31;
const DEPTH_SHIFT = 8;
const DEPTH_MASK = 31;
const WRAPPED_SHIFT = 13;
const WRAPPED_MAX = 2 ** 19 - 1;

export function shapeOf(count: number, order: number, depth: number): number {
  return count | (order << ORDER_SHIFT) | (depth << DEPTH_SHIFT);
}

export function shapeCount(shape: number): number {
  return shape & COUNT_MASK;
}

export function shapeOrder(shape: number): number {
  return (shape >>> ORDER_SHIFT) & ORDER_MASK;
}

export function shapeDepth(shape: number): number {
  return (shape >>> DEPTH_SHIFT) & DEPTH_MASK;
}

/** Entries that went past the table's end and stand in its first slots. */
export function shapeWrapped(shape: number): number {
  return shape >>> WRAPPED_SHIFT;
}

export function shapeWithWrapped(shape: number, wrapped: number): number {
  assert(wrapped >= 0 && wrapped <= WRAPPED_MAX, 'wrapped entries fit their 19 bits');
  return (shape & (2 ** WRAPPED_SHIFT - 1)) | (wrapped << WRAPPED_SHIFT);
}

/** Slots of a table. */
export function shapeSlots(shape: number): number {
  return shapeCount(shape) << (shapeOrder(shape) + PAGE_ENTRIES_SHIFT);
}

/** The smallest shape of at least so many pages. */
export function shapeFor(pages: number, depth: number): number {
  let order = 0;
  while (CHUNKS_MAX << order < pages) order += 1;
  return shapeOf(Math.ceil(pages / 2 ** order), order, depth);
}

/** The next larger shape. */
export function shapeAfter(shape: number): number {
  const count = shapeCount(shape);
  const order = shapeOrder(shape);
  if (count < CHUNKS_MAX) return shapeOf(count + 1, order, shapeDepth(shape));
  return shapeOf(CHUNKS_MIN, order + 1, shapeDepth(shape));
}

export function shapePages(shape: number): number {
  return shapeCount(shape) << shapeOrder(shape);
}

export class IndexSegments {
  readonly partitionCount: number;
  /** Lines of all tables; the first `partitionCount` are the partitions' first tables. */
  tables: Int32Array;
  /** By table: its rows. Apart from the lines, since lookups do not need them. */
  rows: Int32Array;
  /** By partition: the lines of its tables, a power of two of them; none while it has one table. */
  private readonly directories: (Int32Array | undefined)[];
  private directoryBytes = 0;
  private tableCount: number;

  constructor(partitionCount: number) {
    this.partitionCount = partitionCount;
    this.tableCount = partitionCount;
    this.tables = new Int32Array(partitionCount * TABLE_WORDS);
    this.rows = new Int32Array(partitionCount);
    this.directories = new Array<Int32Array | undefined>(partitionCount).fill(undefined);
  }

  /** Where the line of the table stands that a row with this spread digest belongs to. */
  tableOf(partition: number, spread: number): number {
    const directory = this.directories[partition];
    if (directory === undefined) return partition << TABLE_SHIFT;
    return directory[spread >>> (Math.clz32(directory.length) + 1)] as number;
  }

  rowsOf(table: number): number {
    return this.rows[table >>> TABLE_SHIFT] as number;
  }

  setRows(table: number, rows: number): void {
    this.rows[table >>> TABLE_SHIFT] = rows;
  }

  /** Calls `visit` with each table of a partition, once. */
  visitTables(partition: number, visit: (table: number) => void): void {
    const directory = this.directories[partition];
    if (directory === undefined) {
      visit(partition << TABLE_SHIFT);
      return;
    }
    let last = -1;
    for (const table of directory) {
      if (table !== last) visit(table);
      last = table;
    }
  }

  /**
   * Halves what the table of this spread digest, of depth `depth - 1`, stands for: it keeps the lower half. Answers a
   * new table, without chunks, for the upper half. Doubles the directory if no bit is left in it.
   */
  split(partition: number, spread: number, depth: number): number {
    const right = this.addTable();
    let directory = this.directories[partition] ?? Int32Array.of(partition << TABLE_SHIFT);
    if (directory.length < 2 ** depth) {
      const doubled = new Int32Array(2 * directory.length);
      for (let place = 0; place < doubled.length; place += 1)
        doubled[place] = directory[place >>> 1] as number;
      this.directoryBytes += doubled.byteLength - (this.directories[partition]?.byteLength ?? 0);
      directory = doubled;
      this.directories[partition] = doubled;
    }
    const places = directory.length / 2 ** (depth - 1);
    const first = (depth === 1 ? 0 : spread >>> (33 - depth)) * places;
    directory.fill(right, first + places / 2, first + places);
    return right;
  }

  get bytes(): number {
    return this.tables.byteLength + this.rows.byteLength + this.directoryBytes;
  }

  private addTable(): number {
    const table = this.tableCount;
    if (table === this.rows.length) {
      const room = table + Math.max(1, table >>> 2);
      const tables = new Int32Array(room * TABLE_WORDS);
      tables.set(this.tables);
      this.tables = tables;
      const rows = new Int32Array(room);
      rows.set(this.rows);
      this.rows = rows;
    }
    this.tableCount += 1;
    return table << TABLE_SHIFT;
  }
}
