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
 * I3  What is known of free chunks stands apart, in 9 bytes a page: free memory is not read or written, so a chunk that
 *     was left long ago costs no cache miss when its neighbour is freed.
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

const PAGE_MASK = SLAB_PAGES - 1;

/** A chunk is a slab at most. */
const ORDER_MAX = SLAB_PAGES_SHIFT;
/** Entry numbers stay below 2^31, so they are small integers: 2 billion rows, 64 GiB of index, a shard. */
const SLABS_MAX = 2 ** (31 - PAGE_ENTRIES_SHIFT - SLAB_PAGES_SHIFT);
const NO_PAGE = -1;
/** Bytes that stand beside each page: its mark and its two links. */
const PAGE_MARK_BYTES = 9;

/** One slab and what is known of its pages, by page in the slab. */
interface Slab {
  /** Order + 1 if a free chunk starts here, else 0. */
  readonly freeOrders: Uint8Array;
  /** The pages before and after it in the chain of free chunks of its order. */
  readonly previous: Int32Array;
  readonly next: Int32Array;
  /** The end of what was ever handed out. */
  touchedPages: number;
}

export class IndexMemory {
  readonly slabs: Uint32Array[] = [];
  private readonly marks: Slab[] = [];
  private readonly freeHeads: Int32Array = new Int32Array(ORDER_MAX + 1).fill(NO_PAGE);
  private usedPages = 0;
  private touchedPages = 0;

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
      this.link(page + (1 << from), from);
    }
    this.usedPages += 1 << order;
    this.clear(page, order);
    return page;
  }

  free(page: number, order: number): void {
    let first = page;
    let grown = order;
    this.usedPages -= 1 << order;
    while (grown < ORDER_MAX) {
      const buddy = first ^ (1 << grown);
      if (this.slabOf(buddy).freeOrders[buddy & PAGE_MASK] !== grown + 1) break;
      this.unlink(buddy, grown);
      first = Math.min(first, buddy);
      grown += 1;
    }
    this.link(first, grown);
  }

  /** DRAM held, free chunks included. */
  get bytes(): number {
    return this.touchedPages * (INDEX_PAGE_BYTES + PAGE_MARK_BYTES);
  }

  get pagesInUse(): number {
    return this.usedPages;
  }

  /** Calls `visit` with each free chunk, and checks the chains: for `verify`. */
  visitFree(visit: (page: number, order: number) => void): void {
    for (let order = 0; order <= ORDER_MAX; order += 1) {
      let previous = NO_PAGE;
      for (let page = this.freeHeads[order] as number; page !== NO_PAGE; ) {
        const slab = this.slabOf(page);
        assert(slab.freeOrders[page & PAGE_MASK] === order + 1, 'a free chunk is marked');
        assert(slab.previous[page & PAGE_MASK] === previous, 'chains run both ways');
        visit(page, order);
        previous = page;
        page = slab.next[page & PAGE_MASK] as number;
      }
    }
  }

  private slabOf(page: number): Slab {
    return this.marks[page >>> SLAB_PAGES_SHIFT] as Slab;
  }

  private addSlab(): number {
    const slab = this.slabs.length;
    assert(slab < SLABS_MAX, 'the index of one shard is full');
    this.slabs.push(new Uint32Array(INDEX_SLAB_BYTES / 4));
    this.marks.push({
      freeOrders: new Uint8Array(SLAB_PAGES),
      previous: new Int32Array(SLAB_PAGES),
      next: new Int32Array(SLAB_PAGES),
      touchedPages: 0,
    });
    this.link(slab << SLAB_PAGES_SHIFT, ORDER_MAX);
    return ORDER_MAX;
  }

  /** Memory that was never handed out is zero already. */
  private clear(page: number, order: number): void {
    const slab = this.slabOf(page);
    const first = page & PAGE_MASK;
    const end = first + (1 << order);
    if (first < slab.touchedPages) {
      const words = this.slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
      words.fill(0, first << PAGE_WORDS_SHIFT, end << PAGE_WORDS_SHIFT);
    }
    if (end > slab.touchedPages) {
      this.touchedPages += end - slab.touchedPages;
      slab.touchedPages = end;
    }
  }

  private link(page: number, order: number): void {
    const head = this.freeHeads[order] as number;
    const slab = this.slabOf(page);
    slab.freeOrders[page & PAGE_MASK] = order + 1;
    slab.previous[page & PAGE_MASK] = NO_PAGE;
    slab.next[page & PAGE_MASK] = head;
    if (head !== NO_PAGE) this.slabOf(head).previous[head & PAGE_MASK] = page;
    this.freeHeads[order] = page;
  }

  private unlink(page: number, order: number): void {
    const slab = this.slabOf(page);
    const next = slab.next[page & PAGE_MASK] as number;
    const previous = slab.previous[page & PAGE_MASK] as number;
    if (next !== NO_PAGE) this.slabOf(next).previous[next & PAGE_MASK] = previous;
    if (previous === NO_PAGE) this.freeHeads[order] = next;
    else this.slabOf(previous).next[previous & PAGE_MASK] = next;
    slab.freeOrders[page & PAGE_MASK] = 0;
  }
}
