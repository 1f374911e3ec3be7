/**
 * Writes over the pages that the block store has freed, which keep their old bytes until they are used again.
 *
 * How: blocks of zeros are put under keys of their own until the file has to grow for them. LMDB takes free pages first, so then
 * every page that was free when this began holds zeros, or something written since. The zeros are removed again.
 *
 * I1  All of it is ordinary puts and removes in ordinary transactions: nothing can be damaged, by a crash neither. What a crash
 *     leaves is removed by the next start (`removeFillers`).
 * I2  Pages that a read transaction still sees are not free: LMDB frees them when it has ended, so the caller looks for what
 *     is left, and asks again.
 *
 * Overwriting free pages in place, behind LMDB's back, was rejected: it takes LMDB's own page lists, and a page that is taken
 * into use in that moment would be destroyed.
 */
import { ERASE_FILLER_KEY_HI, KEY_LO_END } from './block-key.ts';
import type { BlockKey, BlockStore, BlockWrite } from './block-store.ts';
import { BLOCK_BYTES, PAGE_BYTES } from './limits.ts';

/** Pages of one transaction: 4 MiB, a few milliseconds of the device. */
const STEP_PAGES = 1024;
/** Keys of one transaction that removes. */
const REMOVE_KEYS = 8192;

export async function overwriteFreePages(store: BlockStore): Promise<void> {
  await removeFillers(store);
  const zeros = new Uint8Array(BLOCK_BYTES);
  let next = 1;
  for (let isGrowing = false; !isGrowing; ) {
    const batch: BlockWrite[] = [];
    for (let page = 0; page < STEP_PAGES; page++) {
      batch.push({ keyHi: ERASE_FILLER_KEY_HI, keyLo: next++, bytes: zeros });
    }
    const before = store.sizeBytes();
    await store.write(batch);
    // Pages freed by the last transactions cannot be used by the next: a step that grows by most of itself found no others.
    isGrowing = store.sizeBytes() - before >= (STEP_PAGES / 2) * PAGE_BYTES;
  }
  await removeFillers(store);
}

/** Removes zeros that an interrupted erasure has left. */
export async function removeFillers(store: BlockStore): Promise<void> {
  for (let isLast = false; !isLast; ) {
    const removals: BlockKey[] = [];
    store.keys(ERASE_FILLER_KEY_HI, 0, ERASE_FILLER_KEY_HI, KEY_LO_END, (keyHi, keyLo) => {
      removals.push({ keyHi, keyLo });
      return removals.length === REMOVE_KEYS ? false : undefined;
    });
    isLast = removals.length < REMOVE_KEYS;
    if (removals.length > 0) await store.write([], removals);
  }
}
