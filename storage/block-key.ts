/**
 * Keys of the block store: 8 bytes, most significant first, so that LMDB's order is the order of the fields.
 *
 *   high word: group 12 | partition 12 | 0 8      low word: counter
 *
 *   group | partition | counter          | value
 *   ------|-----------|------------------|--------------------------------------------------
 *   0     | 0         | meta id          | meta: 1 is the checkpoint (checkpoint.ts)
 *   0     | 1         | sequence, from 1 | level-0 block (block.ts)
 *   0     | 2         | number, from 1   | level-0 directory (level-zero-directory.ts)
 *   0     | 3, 4, 5   | 1                | partition clocks, state of compaction, last closed read point
 *   0     | 6         | number, from 1   | zeros, while an erasure writes over free pages (free-page-eraser.ts)
 *   ≥ 1   | 0..4095   | counter, from 1  | level-1 block of that group's partition
 *
 * I1  While a process lives no counter is used twice under one high word, so a key once read never means another block. What
 *     a crash left of an unfinished flush is removed before its numbers are used again.
 * I2  Counters stay below 2^32 - 1 (KEY_LO_END), which bounds a range that ends with its high word.
 */

export const CHECKPOINT_KEY_HI: number = 0;
export const CHECKPOINT_KEY_LO: number = 1;
export const LEVEL_ZERO_KEY_HI: number = 1 << 8;
export const LEVEL_ZERO_DIRECTORY_KEY_HI: number = 2 << 8;
export const PARTITION_CLOCKS_KEY_HI: number = 3 << 8;
export const COMPACTION_STATE_KEY_HI: number = 4 << 8;
export const READ_POINT_KEY_HI: number = 5 << 8;
export const ERASE_FILLER_KEY_HI: number = 6 << 8;

/** Past the last counter of any high word, and past the last high word: ends of ranges. */
export const KEY_LO_END: number = 2 ** 32 - 1;
export const KEY_HI_END: number = 2 ** 32 - 1;
export const LEVEL_ONE_KEY_HI_FIRST: number = 1 << 20;

/** The high word of a group's partition in level 1; its blocks are the keys from it to the next. */
export function levelOneKeyHi(group: number, partition: number): number {
  return ((group << 20) | (partition << 8)) >>> 0;
}
