/**
 * The memory of the index: chunks of 1, 2, 4, … pages cut from slabs, handed out and taken back.
 *
 *   slab (64 MiB)   | page | page | page | …                page (1 KiB)   | entry | entry | … 32 |
 *   chunk           2^order neighbouring pages, starting at a multiple of 2^order: a buddy allocator
 *   entry number    page number × 32 + entry in the page: neighbouring in a chunk, as the pages are
 *
 * I1  A chunk handed out is all zero, that is, empty slots.
 * I2  Two free halves of one chunk become that chunk again at once, so what small tables leave behind serves
 *     larger ones when all tables have grown.
 * I3  Free chunks are chained through their first two words; one byte a page says which pages start one.
 * I4  `bytes` counts each page up to the last that was ever handed out of its slab. What lies behind is address
 *     space, not DRAM: large buffers come zeroed from the kernel, which gives memory on first touch.
 */
import { strict as assert } from 'node:assert';
import { INDEX_ENTRY_BYTES, INDEX_PAGE_BYTES, INDEX_SLAB_BYTES } from './limits.ts';

export const PAGE_ENTRIES: number = INDEX_PAGE_BYTES / INDEX_ENTRY_BYTES;
export const PAGE_ENTRIES_SHIFT: number = 5;
export const PAGE_WORDS_SHIFT: number = 8;
export const SLAB_PAGES: number = INDEX_SLAB_BYTES / INDEX_PAGE_BYTES;
export const SLAB_PAGES_SHIFT: number = 16;

/** A chunk is a slab at most. */
const ORDER_MAX = SLAB_PAGES_SHIFT;
/** Entry numbers stay below 2^31, so they are small integers: 2 billion rows, 64 GiB of index, a shard. */
const SLABS_MAX = 2 ** (31 - PAGE_ENTRIES_SHIFT - SLAB_PAGES_SHIFT);
const NO_PAGE = -1;
const NEXT = 0;
const PREVIOUS = 1;

export class IndexMemory {
  readonly slabs: Uint32Array[] = [];
  /** By slab: for each page, order + 1 if a free chunk starts there, else 0. */
  private readonly freeOrders: Uint8Array[] = [];
  /** By slab: the end of what was ever handed out. */
  private readonly touchedPages: number[] = [];
  private readonly freeHeads: Int32Array = new Int32Array(ORDER_MAX + 1).fill(NO_PAGE);
  private usedPages = 0;

  /** A zeroed chunk of 2^order pages: answers its first page. */
  allocate(order: number): number {
    assert(order <= ORDER_MAX, 'a chunk is a slab at most');
    let from = order;
    while (from <= ORDER_MAX && this.freeHeads[from] === NO_PAGE) from += 1;
    if (from > ORDER_MAX) from = this.addSlab();
    const page = this.freeHeads[from] as number;
    this.unlink(page, from);
    while (from > order) {
      from -= 1;
      this.link(page + 2 ** from, from);
    }
    this.usedPages += 2 ** order;
    this.clear(page, order);
    return page;
  }

  free(page: number, order: number): void {
    let first = page;
    let grown = order;
    this.usedPages -= 2 ** order;
    while (grown < ORDER_MAX) {
      const buddy = first ^ (2 ** grown);
      const freeOrders = this.freeOrders[buddy >>> SLAB_PAGES_SHIFT] as Uint8Array;
      if (freeOrders[buddy & (SLAB_PAGES - 1)] !== grown + 1) break;
      this.unlink(buddy, grown);
      first = Math.min(first, buddy);
      grown += 1;
    }
    this.link(first, grown);
  }

  /** DRAM held, free chunks included. */
  get bytes(): number {
    let bytes = this.slabs.length * SLAB_PAGES;
    for (const pages of this.touchedPages) bytes += pages * INDEX_PAGE_BYTES;
    return bytes;
  }

  get pagesInUse(): number {
    return this.usedPages;
  }

  /** Calls `visit` with each free chunk, and checks the chains: for `verify`. */
  visitFree(visit: (page: number, order: number) => void): void {
    for (let order = 0; order <= ORDER_MAX; order += 1) {
      let previous = NO_PAGE;
      for (let page = this.freeHeads[order] as number; page !== NO_PAGE; ) {
        const freeOrders = this.freeOrders[page >>> SLAB_PAGES_SHIFT] as Uint8Array;
        assert(freeOrders[page & (SLAB_PAGES - 1)] === order + 1, 'a free chunk is marked');
        assert(this.readLink(page, PREVIOUS) === previous, 'chains run both ways');
        visit(page, order);
        previous = page;
        page = this.readLink(page, NEXT);
      }
    }
  }

  private addSlab(): number {
    const slab = this.slabs.length;
    assert(slab < SLABS_MAX, 'the index of one shard is full');
    this.slabs.push(new Uint32Array(INDEX_SLAB_BYTES / 4));
    this.freeOrders.push(new Uint8Array(SLAB_PAGES));
    this.touchedPages.push(0);
    this.link(slab << SLAB_PAGES_SHIFT, ORDER_MAX);
    return ORDER_MAX;
  }

  /** Memory that was never handed out is zero but for the links of free chunks. */
  private clear(page: number, order: number): void {
    const slab = page >>> SLAB_PAGES_SHIFT;
    const inSlab = page & (SLAB_PAGES - 1);
    const touched = this.touchedPages[slab] as number;
    const first = inSlab << PAGE_WORDS_SHIFT;
    const end = inSlab + 2 ** order;
    const dirtyEnd = inSlab >= touched ? first + 2 : end << PAGE_WORDS_SHIFT;
    (this.slabs[slab] as Uint32Array).fill(0, first, dirtyEnd);
    if (end > touched) this.touchedPages[slab] = end;
  }

  private link(page: number, order: number): void {
    const head = this.freeHeads[order] as number;
    this.writeLink(page, NEXT, head);
    this.writeLink(page, PREVIOUS, NO_PAGE);
    if (head !== NO_PAGE) this.writeLink(head, PREVIOUS, page);
    this.freeHeads[order] = page;
    (this.freeOrders[page >>> SLAB_PAGES_SHIFT] as Uint8Array)[page & (SLAB_PAGES - 1)] = order + 1;
  }

  private unlink(page: number, order: number): void {
    const next = this.readLink(page, NEXT);
    const previous = this.readLink(page, PREVIOUS);
    if (next !== NO_PAGE) this.writeLink(next, PREVIOUS, previous);
    if (previous === NO_PAGE) this.freeHeads[order] = next;
    else this.writeLink(previous, NEXT, next);
    (this.freeOrders[page >>> SLAB_PAGES_SHIFT] as Uint8Array)[page & (SLAB_PAGES - 1)] = 0;
  }

  /** Links are stored plus one, so that none is 0. */
  private readLink(page: number, link: number): number {
    const slab = this.slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
    return (slab[((page & (SLAB_PAGES - 1)) << PAGE_WORDS_SHIFT) + link] as number) - 1;
  }

  private writeLink(page: number, link: number, to: number): void {
    const slab = this.slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
    slab[((page & (SLAB_PAGES - 1)) << PAGE_WORDS_SHIFT) + link] = to + 1;
  }
}
