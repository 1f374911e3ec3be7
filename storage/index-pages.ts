/**
 * The memory of the index: pages of 32 entries cut from slabs, handed out and taken back.
 *
 *   slab (64 MiB)  | page | page | page | … |      page (1 KiB)  | entry | entry | … 32 |
 *   handle of an entry = page number × 32 + slot in the page
 *
 * I1  A page handed out is all zero, that is, 32 empty slots.
 * I2  Freed pages are handed out again before untouched ones; they are chained through their first word,
 *     so the pool itself costs nothing.
 * I3  `bytes` counts each page that was ever handed out. The untouched rest of the last slab is address
 *     space, not DRAM: large buffers come zeroed from the kernel, which gives memory on first touch.
 */
import { strict as assert } from 'node:assert';
import { INDEX_ENTRY_BYTES, INDEX_PAGE_BYTES, INDEX_SLAB_BYTES } from './limits.ts';

export const PAGE_ENTRIES: number = INDEX_PAGE_BYTES / INDEX_ENTRY_BYTES;
export const PAGE_ENTRIES_SHIFT: number = 5;
export const PAGE_WORDS: number = INDEX_PAGE_BYTES / 4;
export const PAGE_WORDS_SHIFT: number = 8;
export const SLAB_PAGES: number = INDEX_SLAB_BYTES / INDEX_PAGE_BYTES;
export const SLAB_PAGES_SHIFT: number = 16;

/** Handles stay below 2^31, so they are small integers: 2 billion rows, 64 GiB of index, a shard. */
export const PAGES_MAX: number = 2 ** 26;

export class IndexPages {
  readonly slabs: Uint32Array[] = [];
  private pagesTouched = 0;
  private freeHead = -1;
  private freePages = 0;

  /** A zeroed page's number. */
  allocate(): number {
    const page = this.freeHead;
    if (page < 0) return this.touch();
    const slab = this.slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
    const word = (page & (SLAB_PAGES - 1)) << PAGE_WORDS_SHIFT;
    this.freeHead = (slab[word] as number) - 1;
    this.freePages -= 1;
    slab.fill(0, word, word + PAGE_WORDS);
    return page;
  }

  free(page: number): void {
    assert(page < this.pagesTouched, 'a page that was handed out');
    const slab = this.slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
    slab[(page & (SLAB_PAGES - 1)) << PAGE_WORDS_SHIFT] = this.freeHead + 1;
    this.freeHead = page;
    this.freePages += 1;
  }

  /** DRAM held by pages, those in the pool included. */
  get bytes(): number {
    return this.pagesTouched * INDEX_PAGE_BYTES;
  }

  get pagesInUse(): number {
    return this.pagesTouched - this.freePages;
  }

  /** Calls `visit` with each page in the pool: for `verify`. */
  visitFree(visit: (page: number) => void): void {
    let page = this.freeHead;
    for (let count = 0; count < this.freePages; count += 1) {
      assert(page >= 0, 'the pool holds as many pages as it counts');
      visit(page);
      const slab = this.slabs[page >>> SLAB_PAGES_SHIFT] as Uint32Array;
      page = (slab[(page & (SLAB_PAGES - 1)) << PAGE_WORDS_SHIFT] as number) - 1;
    }
    assert(page === -1, 'the pool ends where its count does');
  }

  private touch(): number {
    const page = this.pagesTouched;
    assert(page < PAGES_MAX, 'index full');
    if (page >>> SLAB_PAGES_SHIFT === this.slabs.length) {
      this.slabs.push(new Uint32Array(SLAB_PAGES * PAGE_WORDS));
    }
    this.pagesTouched += 1;
    return page;
  }
}
