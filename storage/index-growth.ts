/**
 * Growth of the index: gives a full table one chunk more, or chunks of twice the size, or splits it.
 *
 *   | a | b | c | d |  → copied out, in slot order → placed again: | a | b | c | d | e |      one chunk more
 *                                                               | A | B | C | D |          seven of n → four of 2n
 *                                                               | left … | right … |       when it would exceed 512 KiB
 *
 * I1  The entries come out in the order of their ranks and go in again in that order: each to its home slot, or to
 *     the one after the entry before. So placing does not probe, and memory is walked in sequence.
 * I2  The whole is one pause: half a millisecond for the largest table, however many rows the partition has.
 */
import { ENTRY_WORDS, GROUP_MASK } from './index-entry.ts';
import { type IndexMemory, PAGE_ENTRIES, PAGE_ENTRIES_SHIFT } from './index-memory.ts';
import { copyWords, entrySlab, entryWord, handleAt, openSlot } from './index-probe.ts';
import {
  type IndexSegments,
  shapeAfter,
  shapeCount,
  shapeDepth,
  shapeFor,
  shapeOrder,
  shapePages,
  shapeSlots,
  shapeWrapped,
  TABLE_CHUNKS,
  TABLE_WORDS,
} from './index-segments.ts';
import { INDEX_LOAD_MAX } from './limits.ts';

/** 512 KiB, 14 k entries: what is moved in one go. */
const TABLE_PAGES_MAX = 512;
/** With 2^16 tables a partition, tables grow without a bound: only equal digests can bring that about. */
export const DEPTH_MAX = 16;
/** Rows that a page of a table may hold on average. */
export const ROWS_PER_PAGE: number = PAGE_ENTRIES * INDEX_LOAD_MAX;

export class IndexGrowth {
  private readonly memory: IndexMemory;
  private readonly segments: IndexSegments;
  /** The slots of the table that grows, as they were. */
  private copy: Uint32Array = new Uint32Array(0);

  constructor(memory: IndexMemory, segments: IndexSegments) {
    this.memory = memory;
    this.segments = segments;
  }

  /** DRAM held for copying: the size of the largest table that has grown. */
  get bytes(): number {
    return this.copy.byteLength;
  }

  /** Makes room for a row with this spread digest in its table, which is full. */
  enlarge(partition: number, table: number, spread: number): void {
    const { segments, memory } = this;
    const shape = segments.tables[table] as number;
    const next = shapeAfter(shape);
    const slots = shapeSlots(shape);
    this.copyOut(table, shape);
    if (shapePages(next) > TABLE_PAGES_MAX && shapeDepth(shape) < DEPTH_MAX) {
      this.split(partition, table, spread);
      return;
    }
    if (shapeOrder(next) === shapeOrder(shape)) this.addChunk(table, next);
    else this.replaceChunks(table, shape, next);
    placeEntries(this.copy, 0, slots, memory.slabs, segments.tables, table);
  }

  /** Gives an empty table, of chunks for so many rows and one more, the entries: they come in the order of their spread digests. */
  fill(table: number, entries: Uint32Array, rows: number): void {
    const { segments, memory } = this;
    const shape = segments.tables[table] as number;
    this.replaceChunks(table, shape, shapeFor(pagesFor(rows + 1), shapeDepth(shape)));
    placeEntries(entries, 0, rows, memory.slabs, segments.tables, table);
    segments.setRows(table, rows);
  }

  private split(partition: number, table: number, spread: number): void {
    const { segments, memory } = this;
    const shape = segments.tables[table] as number;
    const slots = shapeSlots(shape);
    const depth = shapeDepth(shape) + 1;
    const leftSlots = slotsOfLowerHalf(this.copy, slots, depth);
    const leftRows = rowsIn(this.copy, leftSlots);
    const rightRows = segments.rowsOf(table) - leftRows;
    const right = segments.split(partition, spread, depth);
    this.replaceChunks(table, shape, shapeFor(pagesFor(leftRows + 1), depth));
    this.replaceChunks(right, 0, shapeFor(pagesFor(rightRows + 1), depth));
    placeEntries(this.copy, 0, leftSlots, memory.slabs, segments.tables, table);
    placeEntries(this.copy, leftSlots, slots, memory.slabs, segments.tables, right);
    segments.setRows(table, leftRows);
    segments.setRows(right, rightRows);
  }

  /** Empties the chunks that the table has and gives it one more. */
  private addChunk(table: number, shape: number): void {
    const { segments, memory } = this;
    const last = shapeCount(shape) - 1;
    const chunkSlots = 1 << (shapeOrder(shape) + PAGE_ENTRIES_SHIFT);
    for (let chunk = 0; chunk < last; chunk += 1) {
      const handle = handleAt(segments.tables, table, chunk * chunkSlots);
      const word = entryWord(handle);
      entrySlab(memory.slabs, handle).fill(0, word, word + chunkSlots * ENTRY_WORDS);
    }
    segments.tables[table] = shape;
    segments.tables[table + TABLE_CHUNKS + last] = memory.allocate(shapeOrder(shape));
  }

  private replaceChunks(table: number, shape: number, next: number): void {
    const { tables } = this.segments;
    for (let chunk = 0; chunk < shapeCount(shape); chunk += 1) {
      this.memory.free(tables[table + TABLE_CHUNKS + chunk] as number, shapeOrder(shape));
    }
    tables.fill(0, table, table + TABLE_WORDS);
    tables[table] = next;
    for (let chunk = 0; chunk < shapeCount(next); chunk += 1) {
      tables[table + TABLE_CHUNKS + chunk] = this.memory.allocate(shapeOrder(next));
    }
  }

  /** Copies the slots out in the order of ranks: the wrapped entries, which stand first, come last. */
  private copyOut(table: number, shape: number): void {
    const words = shapeSlots(shape) * ENTRY_WORDS;
    const chunkWords = ENTRY_WORDS * (1 << (shapeOrder(shape) + PAGE_ENTRIES_SHIFT));
    if (this.copy.length < words) this.copy = new Uint32Array(words);
    const { copy } = this;
    let to = -shapeWrapped(shape) * ENTRY_WORDS;
    for (let chunk = 0; chunk < shapeCount(shape); chunk += 1) {
      const handle = handleAt(this.segments.tables, table, (chunk * chunkWords) / ENTRY_WORDS);
      const first = entryWord(handle);
      const slots = entrySlab(this.memory.slabs, handle).subarray(first, first + chunkWords);
      const early = Math.min(Math.max(-to, 0), chunkWords);
      if (early > 0) copy.set(slots.subarray(0, early), words + to);
      if (early < chunkWords) copy.set(slots.subarray(early), to + early);
      to += chunkWords;
    }
  }
}

/** Puts entries that come in the order of their ranks into an empty table. The chunk is looked up once, not each time. */
function placeEntries(
  copy: Uint32Array,
  fromSlot: number,
  toSlot: number,
  slabs: readonly Uint32Array[],
  tables: Int32Array,
  table: number,
): void {
  const shape = tables[table] as number;
  const slots = shapeSlots(shape);
  const depth = shapeDepth(shape);
  const slotsPerRank = slots / 2 ** 32;
  const chunkSlots = 1 << (shapeOrder(shape) + PAGE_ENTRIES_SHIFT);
  let slab = copy;
  let base = 0;
  let chunkEnd = 0;
  let next = 0;
  for (let word = fromSlot * ENTRY_WORDS; word < toSlot * ENTRY_WORDS; word += ENTRY_WORDS) {
    if (((copy[word + 1] as number) & GROUP_MASK) === 0) continue;
    const spread = (copy[word] as number) | 0;
    const slot = Math.max((((spread << depth) >>> 0) * slotsPerRank) | 0, next);
    next = slot + 1;
    if (slot >= slots) {
      // What goes past the end wraps, which the slow way knows how to do.
      const handle = openSlot(slabs, tables, table, spread);
      copyWords(copy, word, entrySlab(slabs, handle), entryWord(handle));
      continue;
    }
    if (slot >= chunkEnd) {
      const handle = handleAt(tables, table, slot);
      slab = entrySlab(slabs, handle);
      base = entryWord(handle) - slot * ENTRY_WORDS;
      chunkEnd = (slot & -chunkSlots) + chunkSlots;
    }
    copyWords(copy, word, slab, base + slot * ENTRY_WORDS);
  }
}

/** Slots until the first entry whose spread digest has a 1 after `depth - 1` bits. */
function slotsOfLowerHalf(copy: Uint32Array, slots: number, depth: number): number {
  for (let word = 0; word < slots * ENTRY_WORDS; word += ENTRY_WORDS) {
    const isEntry = ((copy[word + 1] as number) & GROUP_MASK) !== 0;
    if (isEntry && (copy[word] as number) << (depth - 1) < 0) return word / ENTRY_WORDS;
  }
  return slots;
}

function rowsIn(copy: Uint32Array, slots: number): number {
  let rows = 0;
  for (let word = 1; word < slots * ENTRY_WORDS; word += ENTRY_WORDS) {
    if (((copy[word] as number) & GROUP_MASK) !== 0) rows += 1;
  }
  return rows;
}

function pagesFor(rows: number): number {
  return Math.ceil(rows / ROWS_PER_PAGE);
}
