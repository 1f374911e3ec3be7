/**
 * Tables of the index as plain runs of entries, in the order of their spread digests: how an index checkpoint takes them out,
 * and how a start puts them back.
 *
 *   copy   | d |   | a |   | b | c |      wrapped entries stand first, empty slots anywhere
 *   run    | a | b | c | d |              what is written
 *   load   | a |   | b |   | c |   | d |  a table of the right size at once: nothing grows, nothing is probed
 *
 * I1  A run names its table: partition, the first spread digest of its range, and its depth. Ranges nest, so the runs of a partition
 *     that are copied in different turns, while tables split, still cover each spread digest once.
 * I2  What a run must hold for `loadTable` to trust it is checked: its range, ascending order, its table being empty. Bytes are the
 *     caller's business, which has compared their checksum.
 * I3  An entry that points at the write buffer is copied without a place: the buffer does not outlive the process.
 */
import {
  ENTRY_WORDS,
  GROUP_MASK,
  readWhere,
  WHERE_BUFFER,
  WHERE_UNKNOWN,
  writePlace,
} from './index-entry.ts';
import { DEPTH_MAX, type IndexGrowth } from './index-growth.ts';
import type { IndexMemory } from './index-memory.ts';
import { PAGE_ENTRIES_SHIFT } from './index-memory.ts';
import { copyWords, entrySlab, entryWord, handleAt } from './index-probe.ts';
import {
  type IndexSegments,
  shapeDepth,
  shapeOf,
  shapeOrder,
  shapeSlots,
  shapeWrapped,
} from './index-segments.ts';

const SPREADS = 2 ** 32;

/** Where the range of a table of this depth ends that holds `spread`: 2^32 for the last. */
export function rangeEnd(spread: number, depth: number): number {
  const width = 2 ** (32 - depth);
  return (Math.floor(spread / width) + 1) * width;
}

/** Copies the table's entries to `into` from word `at` on; answers where they end. */
export function copyRun(
  memory: IndexMemory,
  segments: IndexSegments,
  table: number,
  into: Uint32Array,
  at: number,
): number {
  const shape = segments.tables[table] as number;
  const wrapped = shapeWrapped(shape);
  const end = copySlots(memory, segments, table, wrapped, shapeSlots(shape), into, at);
  return copySlots(memory, segments, table, 0, wrapped, into, end);
}

function copySlots(
  memory: IndexMemory,
  segments: IndexSegments,
  table: number,
  fromSlot: number,
  toSlot: number,
  into: Uint32Array,
  at: number,
): number {
  const chunkSlots = 1 << (shapeOrder(segments.tables[table] as number) + PAGE_ENTRIES_SHIFT);
  let to = at;
  for (let slot = fromSlot; slot < toSlot; ) {
    const stop = Math.min(toSlot, (slot & -chunkSlots) + chunkSlots);
    const handle = handleAt(segments.tables, table, slot);
    to = copyEntries(entrySlab(memory.slabs, handle), entryWord(handle), stop - slot, into, to);
    slot = stop;
  }
  return to;
}

function copyEntries(slab: Uint32Array, from: number, slots: number, into: Uint32Array, at: number): number {
  let to = at;
  for (let word = from; word < from + slots * ENTRY_WORDS; word += ENTRY_WORDS) {
    if (((slab[word + 1] as number) & GROUP_MASK) === 0) continue;
    copyWords(slab, word, into, to);
    if (readWhere(into, to) === WHERE_BUFFER) writePlace(into, to, WHERE_UNKNOWN, 0, 0);
    to += ENTRY_WORDS;
  }
  return to;
}

/** Whether the words are entries of a table of this range, in order. */
function isRun(words: Uint32Array, at: number, rows: number, first: number, end: number): boolean {
  let last = first;
  for (let word = at; word < at + rows * ENTRY_WORDS; word += ENTRY_WORDS) {
    const spread = words[word] as number;
    if (spread < last || ((words[word + 1] as number) & GROUP_MASK) === 0) return false;
    last = spread;
  }
  return last < end;
}

/** Makes the table that the run names and fills it; false if the run is none, or meets rows that are there already. */
export function loadRun(
  growth: IndexGrowth,
  segments: IndexSegments,
  partition: number,
  first: number,
  depth: number,
  words: Uint32Array,
  at: number,
  rows: number,
): boolean {
  if (partition >= segments.partitionCount || depth > DEPTH_MAX || first >= SPREADS) return false;
  if (first % 2 ** (32 - depth) !== 0 || !isRun(words, at, rows, first, rangeEnd(first, depth))) return false;
  let table = segments.tableOf(partition, first);
  while (shapeDepth(segments.tables[table] as number) < depth) {
    if (segments.rowsOf(table) > 0) return false;
    const next = shapeDepth(segments.tables[table] as number) + 1;
    const right = segments.split(partition, first, next);
    segments.tables[table] = shapeOf(0, 0, next);
    segments.tables[right] = shapeOf(0, 0, next);
    table = segments.tableOf(partition, first);
  }
  if (shapeDepth(segments.tables[table] as number) !== depth || segments.rowsOf(table) > 0) return false;
  growth.fill(table, words.subarray(at, at + rows * ENTRY_WORDS), rows);
  return true;
}
