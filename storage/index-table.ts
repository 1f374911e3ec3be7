/**
 * The index: for every row of the shard, where its newest version lies. One open-addressing table a
 * partition, all groups together, in pages of 32 entries of 32 bytes (index-entry.ts has the bits).
 *
 * I1  Linear probing: from a row's home slot to its entry there is no empty slot.
 * I2  home slot = floor(h × slots / 2^32), h = digestHi + group × GOLDEN mod 2^32. It rises with h, so a
 *     grown table is filled in almost sequential order; and rows of one entity in many groups, which
 *     share their digest, start far apart instead of in one long run.
 * I3  A table grows by a quarter (at least one page, whole pages) before its load would exceed 0.85. From four
 *     pages on the load is therefore never below 0.68, and an entry costs at most 32 / 0.68 = 47.06 bytes;
 *     the page lists add half a percent. Tables do not shrink; what is removed makes room for what comes.
 * I4  No call allocates, except for the pages that an insert may add.
 * I5  A handle (entry number) is valid until the next `insert` or `remove`.
 *
 * Growing one table is one pause: docs/decisions/0001-index-entry.md has the figures. What `block` means
 * beyond its 32 bits, and comparing full keys, is the reader's and writer's business.
 */
import { strict as assert } from 'node:assert';
import {
  ENTRY_WORDS,
  entryTag,
  GROUP_MASK,
  readEventTimeMicros,
  readExpiryHours,
  readIsTombstone,
  readLsn,
  readOffset,
  readWhere,
  writePlace,
  writeVersion,
} from './index-entry.ts';
import {
  IndexPageLists,
  TABLE_PAGES,
  TABLE_ROWS,
  TABLE_START,
  TABLE_STRIDE_SHIFT,
} from './index-page-lists.ts';
import { IndexPages, PAGE_ENTRIES_SHIFT } from './index-pages.ts';
import {
  copyEntry,
  emptyFrom,
  entrySlab,
  entryWord,
  handleAt,
  homeSlot,
  movePage,
  NONE,
  probe,
} from './index-probe.ts';
import { verifyIndex } from './index-verify.ts';
import { INDEX_LOAD_MAX } from './limits.ts';

export class IndexTable {
  private readonly pages: IndexPages = new IndexPages();
  private readonly lists: IndexPageLists;
  private rows = 0;

  constructor(options: { partitionCount: number }) {
    this.lists = new IndexPageLists(options.partitionCount);
  }

  get rowCount(): number {
    return this.rows;
  }

  /** All DRAM held: pages, free ones included, and page lists. */
  get bytes(): number {
    return this.pages.bytes + this.lists.bytes;
  }

  partitionRowCount(localPartition: number): number {
    return this.lists.tables[(localPartition << TABLE_STRIDE_SHIFT) + TABLE_ROWS] as number;
  }

  /**
   * The first entry with this digest and group, or -1. It compares 52 bits of the digest beside the group
   * and what the partition implies, so the reader compares the key and calls `next` if it differs.
   * Digest halves may be given signed (`| 0`), which spares a boxed number where the call is not inlined.
   */
  find(localPartition: number, digestHi: number, digestLo: number, group: number): number {
    return this.lookUp(localPartition, digestHi, digestLo, group, 0, false, NONE);
  }

  /** The next such entry after `handle`, or -1. Walks from the home slot again: digests rarely collide. */
  next(handle: number, localPartition: number, digestHi: number, digestLo: number, group: number): number {
    return this.lookUp(localPartition, digestHi, digestLo, group, 0, false, handle);
  }

  /** The entry with this digest, group and second hash, 96 hash bits in all, or -1. */
  findForWrite(
    localPartition: number,
    digestHi: number,
    digestLo: number,
    group: number,
    hash2: number,
  ): number {
    return this.lookUp(localPartition, digestHi, digestLo, group, hash2, true, NONE);
  }

  /** The entry that still points at this place, or -1: what a flush or a compaction moves. */
  findPlace(
    localPartition: number,
    digestHi: number,
    digestLo: number,
    group: number,
    where: number,
    block: number,
    offset: number,
  ): number {
    let handle = this.find(localPartition, digestHi, digestLo, group);
    while (handle !== NONE) {
      if (
        this.where(handle) === where &&
        this.block(handle) === block >>> 0 &&
        this.offset(handle) === offset
      ) {
        return handle;
      }
      handle = this.next(handle, localPartition, digestHi, digestLo, group);
    }
    return NONE;
  }

  /**
   * Adds an entry that `findForWrite` did not find; the caller then calls `set`. May grow the table: one
   * pause of about 10 ns an entry it holds.
   */
  insert(localPartition: number, digestHi: number, digestLo: number, group: number, hash2: number): number {
    assert(group > 0 && group <= GROUP_MASK, 'group 0 marks an empty slot');
    const { tables } = this.lists;
    const table = localPartition << TABLE_STRIDE_SHIFT;
    const rows = (tables[table + TABLE_ROWS] as number) + 1;
    if (rows > ((tables[table + TABLE_PAGES] as number) << PAGE_ENTRIES_SHIFT) * INDEX_LOAD_MAX) {
      this.grow(localPartition);
    }
    tables[table + TABLE_ROWS] = rows;
    this.rows += 1;
    const slots = (tables[table + TABLE_PAGES] as number) << PAGE_ENTRIES_SHIFT;
    const handle = emptyFrom(
      this.pages.slabs,
      this.lists.pages,
      tables[table + TABLE_START] as number,
      slots,
      homeSlot(digestHi, group, slots),
    );
    const slab = this.slab(handle);
    const word = this.word(handle);
    slab[word] = digestHi;
    slab[word + 1] = entryTag(digestLo, group);
    slab[word + 2] = hash2;
    return handle;
  }

  /** Writes everything that `find` does not compare: which version is the newest, and where it lies. */
  set(
    handle: number,
    where: number,
    block: number,
    offset: number,
    eventTimeMicros: number,
    lsn: number,
    isTombstone: boolean,
    expiryHours: number,
  ): void {
    const slab = this.slab(handle);
    writeVersion(
      slab,
      this.word(handle),
      where,
      block,
      offset,
      eventTimeMicros,
      lsn,
      isTombstone,
      expiryHours,
    );
  }

  /** Moves the version to another place. */
  setPlace(handle: number, where: number, block: number, offset: number): void {
    writePlace(this.slab(handle), this.word(handle), where, block, offset);
  }

  /**
   * Takes an entry out and closes the gap, so that no tombstones lengthen probes: entries behind it move
   * up as far as their homes allow. Bounded by the run of filled slots behind it.
   */
  remove(handle: number, localPartition: number): void {
    const { tables, pages } = this.lists;
    const { slabs } = this.pages;
    const table = localPartition << TABLE_STRIDE_SHIFT;
    const start = tables[table + TABLE_START] as number;
    const slots = (tables[table + TABLE_PAGES] as number) << PAGE_ENTRIES_SHIFT;
    let gap = this.slotOf(handle, start, slots);
    let slot = gap;
    for (;;) {
      slot = slot + 1 === slots ? 0 : slot + 1;
      const from = handleAt(pages, start, slot);
      const group = this.group(from);
      if (group === 0) break;
      const home = homeSlot(this.digestHi(from), group, slots);
      const stays = gap < slot ? home > gap && home <= slot : home > gap || home <= slot;
      if (stays) continue;
      copyEntry(slabs, from, handleAt(pages, start, gap));
      gap = slot;
    }
    const emptied = handleAt(pages, start, gap);
    const word = entryWord(emptied);
    entrySlab(slabs, emptied).fill(0, word, word + ENTRY_WORDS);
    tables[table + TABLE_ROWS] = (tables[table + TABLE_ROWS] as number) - 1;
    this.rows -= 1;
  }

  /** Calls `visit` with each entry of a partition, in slot order. It must not insert or remove. */
  visit(localPartition: number, visit: (handle: number) => void): void {
    const { tables, pages } = this.lists;
    const table = localPartition << TABLE_STRIDE_SHIFT;
    const start = tables[table + TABLE_START] as number;
    const slots = (tables[table + TABLE_PAGES] as number) << PAGE_ENTRIES_SHIFT;
    for (let slot = 0; slot < slots; slot += 1) {
      const handle = handleAt(pages, start, slot);
      if (this.group(handle) !== 0) visit(handle);
    }
  }

  slab(handle: number): Uint32Array {
    return entrySlab(this.pages.slabs, handle);
  }

  /** Where the entry's first word stands in its slab. */
  word(handle: number): number {
    return entryWord(handle);
  }

  digestHi(handle: number): number {
    return this.slab(handle)[this.word(handle)] as number;
  }

  /** The low half of the digest, its 12 partition bits zero. */
  digestLo(handle: number): number {
    return ((this.slab(handle)[this.word(handle) + 1] as number) & ~GROUP_MASK) >>> 0;
  }

  group(handle: number): number {
    return (this.slab(handle)[this.word(handle) + 1] as number) & GROUP_MASK;
  }

  hash2(handle: number): number {
    return this.slab(handle)[this.word(handle) + 2] as number;
  }

  block(handle: number): number {
    return this.slab(handle)[this.word(handle) + 3] as number;
  }

  /** Byte offset of the record in its block. */
  offset(handle: number): number {
    return readOffset(this.slab(handle), this.word(handle));
  }

  where(handle: number): number {
    return readWhere(this.slab(handle), this.word(handle));
  }

  eventTimeMicros(handle: number): number {
    return readEventTimeMicros(this.slab(handle), this.word(handle));
  }

  lsn(handle: number): number {
    return readLsn(this.slab(handle), this.word(handle));
  }

  isTombstone(handle: number): boolean {
    return readIsTombstone(this.slab(handle), this.word(handle));
  }

  expiryHours(handle: number): number {
    return readExpiryHours(this.slab(handle), this.word(handle));
  }

  /** Checks I1–I3, that no entry stands twice, and that each page has one owner. */
  verify(): void {
    verifyIndex(this, this.pages, this.lists);
  }

  private lookUp(
    localPartition: number,
    digestHi: number,
    digestLo: number,
    group: number,
    hash2: number,
    comparesHash2: boolean,
    after: number,
  ): number {
    const { tables, pages } = this.lists;
    const table = localPartition << TABLE_STRIDE_SHIFT;
    const slots = (tables[table + TABLE_PAGES] as number) << PAGE_ENTRIES_SHIFT;
    if (slots === 0) return NONE;
    const start = tables[table + TABLE_START] as number;
    return probe(
      this.pages.slabs,
      pages,
      start,
      slots,
      digestHi,
      digestLo,
      group,
      hash2,
      comparesHash2,
      after,
    );
  }

  /** Gives the partition a table a quarter larger and moves its entries there. */
  private grow(localPartition: number): void {
    const { lists, pages } = this;
    const table = localPartition << TABLE_STRIDE_SHIFT;
    const count = lists.tables[table + TABLE_PAGES] as number;
    const grownCount = count + Math.max(1, count >>> 2);
    const grownStart = lists.reserve(grownCount);
    const start = lists.tables[table + TABLE_START] as number;
    for (let index = 0; index < grownCount; index += 1) {
      lists.pages[grownStart + index] = pages.allocate();
    }
    const slots = grownCount << PAGE_ENTRIES_SHIFT;
    for (let index = 0; index < count; index += 1) {
      const page = lists.pages[start + index] as number;
      movePage(pages.slabs, lists.pages, page, grownStart, slots);
      pages.free(page);
    }
    lists.assign(localPartition, grownStart, grownCount);
  }

  /** The slot of an entry in its partition: an entry knows its page, but a page not its place in the list. */
  private slotOf(handle: number, start: number, slots: number): number {
    const group = this.group(handle);
    assert(group !== 0, 'an entry in use');
    let slot = homeSlot(this.digestHi(handle), group, slots);
    while (handleAt(this.lists.pages, start, slot) !== handle) slot = slot + 1 === slots ? 0 : slot + 1;
    return slot;
  }
}
