/**
 * The whole check of an index: every page, every list and every entry, about 50 ns an entry.
 *
 * It asserts that each page has one owner (one list or the pool); that rows are counted right, in each
 * partition and together, and loads are within bounds; that each entry is reachable from its home slot;
 * that no row stands twice; and that each entry names a place that exists.
 */
import { strict as assert } from 'node:assert';
import { WHERE_BUFFER } from './index-entry.ts';
import {
  type IndexPageLists,
  TABLE_PAGES,
  TABLE_ROWS,
  TABLE_START,
  TABLE_STRIDE_SHIFT,
} from './index-page-lists.ts';
import { type IndexPages, PAGE_ENTRIES } from './index-pages.ts';
import { handleAt } from './index-probe.ts';
import type { IndexTable } from './index-table.ts';
import { INDEX_LOAD_MAX, INDEX_PAGE_BYTES } from './limits.ts';

export function verifyIndex(table: IndexTable, pages: IndexPages, lists: IndexPageLists): void {
  verifyPages(pages, lists);
  let rows = 0;
  for (let partition = 0; partition < lists.partitionCount; partition += 1) {
    const line = partition << TABLE_STRIDE_SHIFT;
    const slots = (lists.tables[line + TABLE_PAGES] as number) * PAGE_ENTRIES;
    const counted = verifyEntries(table, lists, partition, slots);
    assert(counted === lists.tables[line + TABLE_ROWS], 'a partition counts its rows');
    assert(counted <= slots * INDEX_LOAD_MAX, 'a table keeps slots empty');
    rows += counted;
  }
  assert(rows === table.rowCount, 'the index counts its rows');
}

/** Each page that was handed out is in one list, or in the pool, and nowhere else. */
function verifyPages(pages: IndexPages, lists: IndexPageLists): void {
  const owned = new Uint8Array(pages.bytes / INDEX_PAGE_BYTES);
  const claim = (page: number): void => {
    assert(page >= 0 && page < owned.length, 'a page that was handed out');
    assert(owned[page] === 0, 'a page has one owner');
    owned[page] = 1;
  };
  let used = 0;
  for (let line = 0; line < lists.tables.length; line += 1 << TABLE_STRIDE_SHIFT) {
    const start = lists.tables[line + TABLE_START] as number;
    const end = start + (lists.tables[line + TABLE_PAGES] as number);
    for (let index = start; index < end; index += 1) claim(lists.pages[index] as number);
    used += end - start;
  }
  assert(used === pages.pagesInUse, 'lists hold the pages in use');
  pages.visitFree(claim);
  assert(!owned.includes(0), 'no page is lost');
}

function verifyEntries(table: IndexTable, lists: IndexPageLists, partition: number, slots: number): number {
  let counted = 0;
  const start = lists.tables[(partition << TABLE_STRIDE_SHIFT) + TABLE_START] as number;
  for (let slot = 0; slot < slots; slot += 1) {
    const handle = handleAt(lists.pages, start, slot);
    const group = table.group(handle);
    if (group === 0) {
      assert(isZero(table.slab(handle), table.word(handle)), 'an empty slot is zero');
      continue;
    }
    counted += 1;
    const found = table.findForWrite(
      partition,
      table.digestHi(handle),
      table.digestLo(handle),
      group,
      table.hash2(handle),
    );
    assert(found !== -1, 'an entry is reachable from its home slot');
    assert(found === handle, 'a row stands once');
    assert(table.where(handle) >= WHERE_BUFFER, 'an entry names a place');
  }
  return counted;
}

function isZero(slab: Uint32Array, word: number): boolean {
  for (let index = word; index < word + 8; index += 1) if (slab[index] !== 0) return false;
  return true;
}
