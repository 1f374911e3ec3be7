/**
 * The kernels of the index: the loops over entries that lookups, inserts and growth spend their time in.
 *
 * They are free functions over typed arrays: a list of page numbers, the slabs that the pages lie in. No
 * `this`, no closure, no allocation. test/storage/index-table.test.ts holds them to a map.
 *
 *   slot of a partition → page number = pages[start + slot / 32] → slab, word
 */
import { ENTRY_WORDS, GROUP_MASK } from './index-entry.ts';
import {
  PAGE_ENTRIES,
  PAGE_ENTRIES_SHIFT,
  PAGE_WORDS,
  PAGE_WORDS_SHIFT,
  SLAB_PAGES,
  SLAB_PAGES_SHIFT,
} from './index-pages.ts';

export const NONE: number = -1;

/** 2^32 / golden ratio: its multiples are spread evenly over the circle, whatever groups are in use. */
const GOLDEN = 0x9e3779b1;
const TWO_NEGATIVE_32 = 2 ** -32;

const SLOT_MASK = PAGE_ENTRIES - 1;
const PAGE_MASK = SLAB_PAGES - 1;
const WORD_MASK = PAGE_WORDS - 1;
const ENTRY_SHIFT = 3;
const SLAB_ENTRIES_SHIFT = SLAB_PAGES_SHIFT + PAGE_ENTRIES_SHIFT;
const SLAB_ENTRIES_MASK = SLAB_PAGES * PAGE_ENTRIES - 1;

/** The slot that a row's probe begins at: I2 of index-table.ts. */
export function homeSlot(digestHi: number, group: number, slots: number): number {
  return (((digestHi + Math.imul(group, GOLDEN)) >>> 0) * slots * TWO_NEGATIVE_32) | 0;
}

export function entrySlab(slabs: readonly Uint32Array[], handle: number): Uint32Array {
  return slabs[handle >>> SLAB_ENTRIES_SHIFT] as Uint32Array;
}

export function entryWord(handle: number): number {
  return (handle & SLAB_ENTRIES_MASK) << ENTRY_SHIFT;
}

export function handleAt(pages: Int32Array, start: number, slot: number): number {
  const page = pages[start + (slot >>> PAGE_ENTRIES_SHIFT)] as number;
  return (page << PAGE_ENTRIES_SHIFT) + (slot & SLOT_MASK);
}

/**
 * The handle of the first match from the home slot on, or NONE at the first empty slot; the load leaves
 * some. Compares two words a slot, on the line that the entry begins on. `hash2` is compared when
 * `comparesHash2`; an `after` ≥ 0 skips the matches up to and including that handle.
 */
export function probe(
  slabs: readonly Uint32Array[],
  pages: Int32Array,
  start: number,
  slots: number,
  digestHi: number,
  digestLo: number,
  group: number,
  hash2: number,
  comparesHash2: boolean,
  after: number,
): number {
  const tag = (digestLo & ~GROUP_MASK) | group;
  const high = digestHi | 0;
  let skipTo = after;
  let slot = homeSlot(digestHi, group, slots);
  for (;;) {
    const page = pages[start + (slot >>> PAGE_ENTRIES_SHIFT)] as number;
    const slab = slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
    let word = ((page & PAGE_MASK) << PAGE_WORDS_SHIFT) + ((slot & SLOT_MASK) << ENTRY_SHIFT);
    do {
      const found = (slab[word + 1] as number) | 0;
      if (found === tag && ((slab[word] as number) | 0) === high) {
        const handle = (page << PAGE_ENTRIES_SHIFT) + ((word & WORD_MASK) >>> ENTRY_SHIFT);
        if (skipTo === NONE) {
          if (!comparesHash2 || ((slab[word + 2] as number) | 0) === (hash2 | 0)) return handle;
        } else if (handle === skipTo) {
          skipTo = NONE;
        }
      }
      if ((found & GROUP_MASK) === 0) return NONE;
      word += ENTRY_WORDS;
    } while ((word & WORD_MASK) !== 0);
    slot = (slot | SLOT_MASK) + 1;
    if (slot === slots) slot = 0;
  }
}

/** Handle of the first empty slot at or after `slot`. */
export function emptyFrom(
  slabs: readonly Uint32Array[],
  pages: Int32Array,
  start: number,
  slots: number,
  home: number,
): number {
  let slot = home;
  for (;;) {
    const page = pages[start + (slot >>> PAGE_ENTRIES_SHIFT)] as number;
    const slab = slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
    let word = ((page & PAGE_MASK) << PAGE_WORDS_SHIFT) + ((slot & SLOT_MASK) << ENTRY_SHIFT);
    do {
      if (((slab[word + 1] as number) & GROUP_MASK) === 0) {
        return (page << PAGE_ENTRIES_SHIFT) + ((word & WORD_MASK) >>> ENTRY_SHIFT);
      }
      word += ENTRY_WORDS;
    } while ((word & WORD_MASK) !== 0);
    slot = (slot | SLOT_MASK) + 1;
    if (slot === slots) slot = 0;
  }
}

/** Puts the entries of one page into the grown table. */
export function movePage(
  slabs: readonly Uint32Array[],
  pages: Int32Array,
  page: number,
  start: number,
  slots: number,
): void {
  const slab = slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
  const first = (page & PAGE_MASK) << PAGE_WORDS_SHIFT;
  for (let word = first; word < first + PAGE_WORDS; word += ENTRY_WORDS) {
    const group = (slab[word + 1] as number) & GROUP_MASK;
    if (group === 0) continue;
    const home = homeSlot(slab[word] as number, group, slots);
    const handle = emptyFrom(slabs, pages, start, slots, home);
    const target = slabs[handle >>> SLAB_ENTRIES_SHIFT] as Uint32Array;
    copyWords(slab, word, target, (handle & SLAB_ENTRIES_MASK) << ENTRY_SHIFT);
  }
}

export function copyEntry(slabs: readonly Uint32Array[], from: number, to: number): void {
  copyWords(entrySlab(slabs, from), entryWord(from), entrySlab(slabs, to), entryWord(to));
}

function copyWords(from: Uint32Array, fromWord: number, to: Uint32Array, toWord: number): void {
  to[toWord] = from[fromWord] as number;
  to[toWord + 1] = from[fromWord + 1] as number;
  to[toWord + 2] = from[fromWord + 2] as number;
  to[toWord + 3] = from[fromWord + 3] as number;
  to[toWord + 4] = from[fromWord + 4] as number;
  to[toWord + 5] = from[fromWord + 5] as number;
  to[toWord + 6] = from[fromWord + 6] as number;
  to[toWord + 7] = from[fromWord + 7] as number;
}
