/**
 * The whole check of an index: every chunk, every table and every entry, about 100 ns an entry.
 *
 * It asserts that each page has one owner (a table's chunk or a free chunk); that rows are counted right, in each
 * table and together, and loads are within bounds; that each entry is in the table of its spread digest and
 * reachable from its home slot; that no row stands twice; and that each entry names a place.
 */
import { strict as assert } from 'node:assert';
import { spreadOf, WHERE_BUFFER } from './index-entry.ts';
import { ROWS_PER_PAGE } from './index-growth.ts';
import { type IndexMemory, SLAB_PAGES } from './index-memory.ts';
import { handleAt, homeSlot } from './index-probe.ts';
import {
  type IndexSegments,
  shapeCount,
  shapeDepth,
  shapeOrder,
  shapePages,
  shapeSlots,
  shapeWrapped,
  TABLE_CHUNKS,
} from './index-segments.ts';
import type { IndexTable } from './index-table.ts';

export function verifyIndex(index: IndexTable, memory: IndexMemory, segments: IndexSegments): void {
  const owned = new Uint8Array(memory.slabs.length * SLAB_PAGES);
  const claim = (page: number, order: number): void => {
    assert(page % 2 ** order === 0 && page + 2 ** order <= owned.length, 'a chunk lies in a slab');
    for (let at = page; at < page + 2 ** order; at += 1) {
      assert(owned[at] === 0, 'a page has one owner');
      owned[at] = 1;
    }
  };
  let rows = 0;
  let used = 0;
  for (let partition = 0; partition < segments.partitionCount; partition += 1) {
    segments.visitTables(partition, (table) => {
      const shape = segments.tables[table] as number;
      for (let chunk = 0; chunk < shapeCount(shape); chunk += 1) {
        claim(segments.tables[table + TABLE_CHUNKS + chunk] as number, shapeOrder(shape));
      }
      const counted = verifyEntries(index, segments, partition, table);
      assert(counted === segments.rowsOf(table), 'a table counts its rows');
      assert(counted <= shapePages(shape) * ROWS_PER_PAGE, 'a table keeps slots empty');
      rows += counted;
      used += shapePages(shape);
    });
  }
  assert(rows === index.rowCount, 'the index counts its rows');
  assert(used === memory.pagesInUse, 'tables hold the pages in use');
  memory.visitFree(claim);
  assert(!owned.includes(0), 'no page is lost');
}

function verifyEntries(index: IndexTable, segments: IndexSegments, partition: number, table: number): number {
  const { tables } = segments;
  const shape = tables[table] as number;
  const slots = shapeSlots(shape);
  const wrapped = shapeWrapped(shape);
  let counted = 0;
  let lastRank = -1;
  let lastPosition = -1;
  // Positions go on past the end: what stands in the wrapped slots comes last.
  for (let position = wrapped; position < slots + wrapped; position += 1) {
    const handle = handleAt(tables, table, position < slots ? position : position - slots);
    const group = index.group(handle);
    if (group === 0) {
      assert(position < slots, 'wrapped slots are filled');
      assert(isZero(index.slab(handle), index.word(handle)), 'an empty slot is zero');
      continue;
    }
    counted += 1;
    const spread = spreadOf(index.digestHi(handle), group);
    assert(segments.tableOf(partition, spread) === table, 'an entry is in the table of its spread digest');
    const rank = (spread << shapeDepth(shape)) >>> 0;
    const home = homeSlot(spread, shape);
    assert(rank >= lastRank, 'entries stand in the order of their ranks');
    assert(position >= home, 'an entry does not stand before its home');
    const isPushed = position === lastPosition + 1 || position === wrapped;
    assert(position === home || isPushed, 'there is no empty slot between an entry and its home');
    lastRank = rank;
    lastPosition = position;
    const digestLo = index.digestLo(handle);
    const found = index.findForWrite(partition, index.digestHi(handle), digestLo, group, index.hash2(handle));
    assert(found === handle, 'a row is found, and stands once');
    assert(index.where(handle) >= WHERE_BUFFER, 'an entry names a place');
  }
  return counted;
}

function isZero(slab: Uint32Array, word: number): boolean {
  for (let index = word; index < word + 8; index += 1) if (slab[index] !== 0) return false;
  return true;
}
