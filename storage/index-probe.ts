/**
 * The kernels of the index: the loops over slots that lookups, inserts and removals spend their time in.
 *
 * They are free functions over typed arrays: the lines of the tables, the slabs that their chunks lie in. No
 * `this`, no closure, no allocation. test/storage/index-table.test.ts holds them to a map.
 *
 *   slot of a table → chunk = tables[table + 1 + (slot >>> shift)] → slab, word
 *
 * I1  In slot order the entries are in the order of their ranks (the spread digest without the bits that chose the
 *     table); but those that went past the end stand in the first `wrapped` slots.
 * I2  Between an entry's home slot, floor(rank × slots / 2^32), and the entry there is no empty slot.
 *
 * So a probe ends at the first entry of a higher rank: what is not there is not found as fast as what is.
 *
 * A lookup of a row that is in no cache costs a cache miss (200 ns on the machine measured), and its branches
 * depend on what comes back, so the processor cannot start on the next one meanwhile. `touchHomes` has no such branch: called
 * for a batch of rows first, it overlaps their misses at 20 ns each.
 */
import { ENTRY_WORDS, GROUP_MASK } from './index-entry.ts';
import { PAGE_ENTRIES_SHIFT, PAGE_WORDS_SHIFT, SLAB_PAGES, SLAB_PAGES_SHIFT } from './index-memory.ts';
import {
  shapeCount,
  shapeDepth,
  shapeOrder,
  shapeSlots,
  shapeWithWrapped,
  shapeWrapped,
  TABLE_CHUNKS,
} from './index-segments.ts';

export const NONE: number = -1;
export const UNDECIDED: number = -2;

const TWO_NEGATIVE_32 = 2 ** -32;
/** Added to both sides, it makes a signed comparison an unsigned one. */
const SIGN = 1 << 31;

const PAGE_MASK = SLAB_PAGES - 1;
const ENTRY_SHIFT = 3;
const LINE_WORDS = 16;
const SLAB_ENTRIES_SHIFT = SLAB_PAGES_SHIFT + PAGE_ENTRIES_SHIFT;
const SLAB_ENTRIES_MASK = 2 ** SLAB_ENTRIES_SHIFT - 1;
const SLAB_WORD_MASK = SLAB_PAGES * 2 ** PAGE_WORDS_SHIFT - 1;

/** The slot that a row's probe begins at, in a table of this shape. */
export function homeSlot(spread: number, shape: number): number {
  return (((spread << shapeDepth(shape)) >>> 0) * shapeSlots(shape) * TWO_NEGATIVE_32) | 0;
}

export function entrySlab(slabs: readonly Uint32Array[], handle: number): Uint32Array {
  return slabs[handle >>> SLAB_ENTRIES_SHIFT] as Uint32Array;
}

export function entryWord(handle: number): number {
  return (handle & SLAB_ENTRIES_MASK) << ENTRY_SHIFT;
}

export function handleAt(tables: Int32Array, table: number, slot: number): number {
  const shift = shapeOrder(tables[table] as number) + PAGE_ENTRIES_SHIFT;
  const page = tables[table + TABLE_CHUNKS + (slot >>> shift)] as number;
  return (page << PAGE_ENTRIES_SHIFT) + (slot & ((1 << shift) - 1));
}

/** The handle of the home slot, whatever stands there; NONE in a table without slots. */
export function homeHandle(tables: Int32Array, table: number, spread: number): number {
  const shape = tables[table] as number;
  return shapeCount(shape) === 0 ? NONE : handleAt(tables, table, homeSlot(spread, shape));
}

/**
 * Loads the lines of these entries and the three after each: nineteen of twenty probes end there, and so do most runs that
 * an insert moves. The result only keeps the loads alive.
 */
export function touchHomes(
  slabs: readonly Uint32Array[],
  handles: Int32Array,
  from: number,
  to: number,
): number {
  let sum = 0;
  for (let index = from; index < to; index += 1) {
    const handle = handles[index] as number;
    if (handle === NONE) continue;
    const slab = slabs[handle >>> SLAB_ENTRIES_SHIFT] as Uint32Array;
    const word = (handle & SLAB_ENTRIES_MASK) << ENTRY_SHIFT;
    sum ^=
      (slab[word] as number) ^
      (slab[(word + LINE_WORDS) & SLAB_WORD_MASK] as number) ^
      (slab[(word + 2 * LINE_WORDS) & SLAB_WORD_MASK] as number) ^
      (slab[(word + 3 * LINE_WORDS) & SLAB_WORD_MASK] as number);
  }
  return sum;
}

/**
 * The first part of `probe`, without its generality: half its time when the line is near. It answers UNDECIDED where the
 * probe leaves the chunk, meets wrapped entries, or a row whose second hash differs.
 */
export function probeChunk(
  slabs: readonly Uint32Array[],
  tables: Int32Array,
  table: number,
  spread: number,
  tag: number,
  hash2: number,
  comparesHash2: boolean,
): number {
  const shape = tables[table] as number;
  const shift = shapeOrder(shape) + PAGE_ENTRIES_SHIFT;
  const depth = shapeDepth(shape);
  const rank = (spread << depth) ^ SIGN;
  const slot = homeSlot(spread, shape);
  if (slot < shapeWrapped(shape) || shapeCount(shape) === 0) return UNDECIDED;
  const page = tables[table + TABLE_CHUNKS + (slot >>> shift)] as number;
  const slab = slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
  const first = (page & PAGE_MASK) << PAGE_WORDS_SHIFT;
  const end = first + (ENTRY_WORDS << shift);
  for (let word = first + ((slot & ((1 << shift) - 1)) << ENTRY_SHIFT); word < end; word += ENTRY_WORDS) {
    const found = (slab[word] as number) | 0;
    if (found === spread) {
      if (((slab[word + 1] as number) | 0) === tag) {
        if (comparesHash2 && ((slab[word + 2] as number) | 0) !== hash2) return UNDECIDED;
        return ((page >>> SLAB_PAGES_SHIFT) << SLAB_ENTRIES_SHIFT) + (word >>> ENTRY_SHIFT);
      }
    } else if (((found << depth) ^ SIGN) > rank) {
      return NONE;
    }
    // Only an empty slot and an entry of digest 0 have a first word of 0.
    if (found === 0 && ((slab[word + 1] as number) & GROUP_MASK) === 0) return NONE;
  }
  return UNDECIDED;
}

/**
 * The handle of the first entry with this spread digest and tag, or NONE. `hash2` (signed) is compared when
 * `comparesHash2`; an `after` ≥ 0 skips the matches up to that handle.
 */
export function probe(
  slabs: readonly Uint32Array[],
  tables: Int32Array,
  table: number,
  spread: number,
  tag: number,
  hash2: number,
  comparesHash2: boolean,
  after: number,
): number {
  const shape = tables[table] as number;
  const shift = shapeOrder(shape) + PAGE_ENTRIES_SHIFT;
  const depth = shapeDepth(shape);
  const rank = (spread << depth) ^ SIGN;
  const wrapped = shapeWrapped(shape);
  let slot = homeSlot(spread, shape);
  if (slot < wrapped) slot = wrapped;
  let end = shapeSlots(shape);
  let skipTo = after;
  for (;;) {
    while (slot < end) {
      const chunk = slot >>> shift;
      const page = tables[table + TABLE_CHUNKS + chunk] as number;
      const slab = slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
      const first = ((page & PAGE_MASK) << PAGE_WORDS_SHIFT) - (chunk << (shift + ENTRY_SHIFT));
      const chunkEnd = (chunk + 1) << shift;
      const lastWord = first + ((chunkEnd < end ? chunkEnd : end) << ENTRY_SHIFT);
      for (let word = first + (slot << ENTRY_SHIFT); word < lastWord; word += ENTRY_WORDS) {
        const foundSpread = (slab[word] as number) | 0;
        const foundTag = (slab[word + 1] as number) | 0;
        if (foundSpread === spread && foundTag === tag) {
          const handle = ((page >>> SLAB_PAGES_SHIFT) << SLAB_ENTRIES_SHIFT) + (word >>> ENTRY_SHIFT);
          if (skipTo === NONE) {
            if (!comparesHash2 || ((slab[word + 2] as number) | 0) === hash2) return handle;
          } else if (handle === skipTo) {
            skipTo = NONE;
          }
        } else if ((foundTag & GROUP_MASK) === 0 || ((foundSpread << depth) ^ SIGN) > rank) {
          return NONE;
        }
      }
      slot = chunkEnd;
    }
    if (end === wrapped) return NONE;
    slot = 0;
    end = wrapped;
  }
}

/**
 * Empties the slot where an entry of this rank belongs, behind all of its rank, and answers its handle: entries from
 * there on move up by one to the first empty slot, which the load leaves. Bounded by that run. The words of
 * the slot keep what was there. A run often ends in the chunk, and nearly always in the next.
 */
export function openSlot(
  slabs: readonly Uint32Array[],
  tables: Int32Array,
  table: number,
  spread: number,
): number {
  const shape = tables[table] as number;
  const shift = shapeOrder(shape) + PAGE_ENTRIES_SHIFT;
  const depth = shapeDepth(shape);
  const rank = (spread << depth) ^ SIGN;
  const slot = Math.max(homeSlot(spread, shape), shapeWrapped(shape));
  const chunk = slot >>> shift;
  const page = tables[table + TABLE_CHUNKS + chunk] as number;
  const slab = slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
  const first = (page & PAGE_MASK) << PAGE_WORDS_SHIFT;
  const end = first + (ENTRY_WORDS << shift);
  let opened = first + ((slot & ((1 << shift) - 1)) << ENTRY_SHIFT);
  while (opened < end && ((slab[opened + 1] as number) & GROUP_MASK) !== 0) {
    if ((((slab[opened] as number) << depth) ^ SIGN) > rank) break;
    opened += ENTRY_WORDS;
  }
  let empty = opened;
  while (empty < end && ((slab[empty + 1] as number) & GROUP_MASK) !== 0) empty += ENTRY_WORDS;
  if (empty >= end) {
    const isNear =
      opened < end && chunk + 1 < shapeCount(shape) && openFirst(slabs, tables, table, chunk + 1);
    if (!isNear) return openSlotAcross(slabs, tables, table, spread);
    empty = end - ENTRY_WORDS;
    const next = tables[table + TABLE_CHUNKS + chunk + 1] as number;
    const nextSlab = slabs[next >>> SLAB_PAGES_SHIFT] as Uint32Array;
    copyWords(slab, empty, nextSlab, (next & PAGE_MASK) << PAGE_WORDS_SHIFT);
  }
  if (empty > opened) slab.copyWithin(opened + ENTRY_WORDS, opened, empty);
  return ((page >>> SLAB_PAGES_SHIFT) << SLAB_ENTRIES_SHIFT) + (opened >>> ENTRY_SHIFT);
}

/** Empties the first slot of a chunk, if a slot of that chunk is empty: answers whether it is. */
function openFirst(slabs: readonly Uint32Array[], tables: Int32Array, table: number, chunk: number): boolean {
  const page = tables[table + TABLE_CHUNKS + chunk] as number;
  const slab = slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
  const first = (page & PAGE_MASK) << PAGE_WORDS_SHIFT;
  const end = first + (ENTRY_WORDS << (shapeOrder(tables[table] as number) + PAGE_ENTRIES_SHIFT));
  let empty = first;
  while (empty < end && ((slab[empty + 1] as number) & GROUP_MASK) !== 0) empty += ENTRY_WORDS;
  if (empty >= end) return false;
  if (empty > first) slab.copyWithin(first + ENTRY_WORDS, first, empty);
  return true;
}

/** The same, slot by slot, where the run goes on past the table's end or over a whole chunk. */
function openSlotAcross(
  slabs: readonly Uint32Array[],
  tables: Int32Array,
  table: number,
  spread: number,
): number {
  const shape = tables[table] as number;
  const slots = shapeSlots(shape);
  const position = seek(slabs, tables, table, spread);
  let empty = position;
  while (!isEmpty(slabs, handleAt(tables, table, empty < slots ? empty : empty - slots))) empty += 1;
  let to = handleAt(tables, table, empty < slots ? empty : empty - slots);
  for (let slot = empty - 1; slot >= position; slot -= 1) {
    const from = handleAt(tables, table, slot < slots ? slot : slot - slots);
    copyEntry(slabs, from, to);
    to = from;
  }
  if (empty >= slots) tables[table] = shapeWithWrapped(shape, shapeWrapped(shape) + 1);
  return to;
}

/** The first slot that is empty or has an entry of a higher rank; plus the table's slots if it is a wrapped one. */
function seek(slabs: readonly Uint32Array[], tables: Int32Array, table: number, spread: number): number {
  const shape = tables[table] as number;
  const depth = shapeDepth(shape);
  const rank = (spread << depth) ^ SIGN;
  const slots = shapeSlots(shape);
  const wrapped = shapeWrapped(shape);
  let slot = homeSlot(spread, shape);
  if (slot < wrapped) slot = wrapped;
  for (; slot < slots; slot += 1) {
    const handle = handleAt(tables, table, slot);
    if (isEmpty(slabs, handle)) return slot;
    if ((((entrySlab(slabs, handle)[entryWord(handle)] as number) << depth) ^ SIGN) > rank) return slot;
  }
  for (slot = 0; slot < wrapped; slot += 1) {
    const handle = handleAt(tables, table, slot);
    if ((((entrySlab(slabs, handle)[entryWord(handle)] as number) << depth) ^ SIGN) > rank) break;
  }
  return slots + slot;
}

/** Takes out the entry of a slot: those behind it that are not at home move down by one. */
export function closeSlot(
  slabs: readonly Uint32Array[],
  tables: Int32Array,
  table: number,
  closed: number,
): void {
  const shape = tables[table] as number;
  const slots = shapeSlots(shape);
  const wrapped = shapeWrapped(shape);
  let unwraps = closed < wrapped;
  let slot = closed;
  let to = handleAt(tables, table, slot);
  for (;;) {
    slot = slot + 1 === slots ? 0 : slot + 1;
    const from = handleAt(tables, table, slot);
    if (isEmpty(slabs, from)) break;
    if (slot >= wrapped && homeSlot(entrySlab(slabs, from)[entryWord(from)] as number, shape) === slot) break;
    if (slot === 0) unwraps = true;
    copyEntry(slabs, from, to);
    to = from;
  }
  const word = entryWord(to);
  entrySlab(slabs, to).fill(0, word, word + ENTRY_WORDS);
  if (unwraps) tables[table] = shapeWithWrapped(shape, wrapped - 1);
}

function isEmpty(slabs: readonly Uint32Array[], handle: number): boolean {
  return ((entrySlab(slabs, handle)[entryWord(handle) + 1] as number) & GROUP_MASK) === 0;
}

function copyEntry(slabs: readonly Uint32Array[], from: number, to: number): void {
  copyWords(entrySlab(slabs, from), entryWord(from), entrySlab(slabs, to), entryWord(to));
}

export function copyWords(from: Uint32Array, fromWord: number, to: Uint32Array, toWord: number): void {
  to[toWord] = from[fromWord] as number;
  to[toWord + 1] = from[fromWord + 1] as number;
  to[toWord + 2] = from[fromWord + 2] as number;
  to[toWord + 3] = from[fromWord + 3] as number;
  to[toWord + 4] = from[fromWord + 4] as number;
  to[toWord + 5] = from[fromWord + 5] as number;
  to[toWord + 6] = from[fromWord + 6] as number;
  to[toWord + 7] = from[fromWord + 7] as number;
}
