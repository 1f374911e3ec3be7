/**
 * Blocks: what records are packed into on disk, each one LMDB value.
 *
 *   offset | size | field
 *   -------|------|------------------------------------------------------------------------
 *   0      | 4    | magic 'MRB1'
 *   4      | 1    | level: 0 or 1
 *   5      | 1    | 0
 *   6      | 2    | group
 *   8      | 2    | lowest partition
 *   10     | 2    | highest partition
 *   12     | 4    | records
 *   16     | 4    | used bytes, header included
 *   20     | 4    | flush number
 *   24     | 8    | XXH64 (seed 0) of the used bytes, this field taken as zero
 *   32     | 8    | lowest digest (low word, high word); level 1, else 0
 *   40     | 8    | highest digest; level 1, else 0
 *   48     |      | records, each 8-aligned, to the used bytes; then zero
 *
 * I1  A block holds records of one group; level 0 in ascending partition order, level 1 of one partition
 *     in ascending digest order.
 * I2  A block is BLOCK_BYTES long, one LMDB overflow page with its header; a record that does not fit takes
 *     a block of its own, again in whole pages.
 * I3  A block never changes once its checksum is written.
 *
 * Who packs them is block-builder.ts. Which block is where, and what a record means, is not known here.
 */
import type { Arena } from './arena.ts';
import { checksum64 } from './checksum.ts';
import { BLOCK_BYTES, BLOCK_HEADER_BYTES, LMDB_PAGE_HEADER_BYTES, PAGE_BYTES } from './limits.ts';
import { StorageError } from './storage-error.ts';

export const BLOCK_MAGIC: number = 0x3142524d;
export const LEVEL_ZERO: number = 0;
export const LEVEL_ONE: number = 1;

export const BLOCK_CHECKSUM_OFFSET: number = 24;

// Fields by word, from the block's first.
export const BLOCK_WORD_LEVEL_GROUP: number = 1;
export const BLOCK_WORD_PARTITIONS: number = 2;
export const BLOCK_WORD_RECORDS: number = 3;
export const BLOCK_WORD_USED: number = 4;
export const BLOCK_WORD_FLUSH: number = 5;
export const BLOCK_WORD_CHECKSUM: number = 6;
export const BLOCK_WORD_DIGEST_MIN: number = 8;
export const BLOCK_WORD_DIGEST_MAX: number = 10;

/** Bytes of the block that a record of this size needs: BLOCK_BYTES, or whole pages less LMDB's header. */
export function blockBytesFor(recordBytes: number): number {
  const needed = BLOCK_HEADER_BYTES + recordBytes;
  if (needed <= BLOCK_BYTES) return BLOCK_BYTES;
  return Math.ceil((needed + LMDB_PAGE_HEADER_BYTES) / PAGE_BYTES) * PAGE_BYTES - LMDB_PAGE_HEADER_BYTES;
}

export function blockLevel(arena: Arena, offset: number): number {
  return (arena.words[(offset >>> 2) + BLOCK_WORD_LEVEL_GROUP] as number) & 0xff;
}

export function blockGroup(arena: Arena, offset: number): number {
  return (arena.words[(offset >>> 2) + BLOCK_WORD_LEVEL_GROUP] as number) >>> 16;
}

export function blockPartitionMin(arena: Arena, offset: number): number {
  return (arena.words[(offset >>> 2) + BLOCK_WORD_PARTITIONS] as number) & 0xffff;
}

export function blockPartitionMax(arena: Arena, offset: number): number {
  return (arena.words[(offset >>> 2) + BLOCK_WORD_PARTITIONS] as number) >>> 16;
}

export function blockRecordCount(arena: Arena, offset: number): number {
  return arena.words[(offset >>> 2) + BLOCK_WORD_RECORDS] as number;
}

export function blockFlushNumber(arena: Arena, offset: number): number {
  return arena.words[(offset >>> 2) + BLOCK_WORD_FLUSH] as number;
}

/** Where the block's first record starts in the arena. */
export function recordsStart(offset: number): number {
  return offset + BLOCK_HEADER_BYTES;
}

/** Where the block's records end in the arena. */
export function recordsEnd(arena: Arena, offset: number): number {
  return offset + (arena.words[(offset >>> 2) + BLOCK_WORD_USED] as number);
}

/** Where the record after this one starts: `recordsEnd` after the last. */
export function nextRecord(arena: Arena, recordOffset: number): number {
  return recordOffset + (arena.words[recordOffset >>> 2] as number);
}

const checksumScratch = new Uint32Array(2);

/**
 * What is wrong with the `length` bytes at `offset` as a block, or undefined: header and checksum. The
 * checksum field is zeroed and restored meanwhile, so the bytes must be writable and not shared.
 */
export function blockFault(arena: Arena, offset: number, length: number): string | undefined {
  const { words } = arena;
  const word = offset >>> 2;
  if (length < BLOCK_BYTES || offset + length > arena.bytes.length) return 'shorter than a block';
  if (words[word] !== BLOCK_MAGIC) return 'no block magic';
  const used = words[word + BLOCK_WORD_USED] as number;
  if (used < BLOCK_HEADER_BYTES || used > length || used % 8 !== 0) return 'used bytes out of bounds';
  const low = words[word + BLOCK_WORD_CHECKSUM] as number;
  const high = words[word + BLOCK_WORD_CHECKSUM + 1] as number;
  words[word + BLOCK_WORD_CHECKSUM] = 0;
  words[word + BLOCK_WORD_CHECKSUM + 1] = 0;
  checksum64(arena.bytes, offset, used, checksumScratch);
  words[word + BLOCK_WORD_CHECKSUM] = low;
  words[word + BLOCK_WORD_CHECKSUM + 1] = high;
  if (checksumScratch[0] !== low || checksumScratch[1] !== high) return 'checksum differs';
  return undefined;
}

/** Throws BLOCK_CORRUPT, naming the key, unless the bytes are a block with a right checksum. */
export function verifyBlock(
  arena: Arena,
  offset: number,
  length: number,
  keyHi: number,
  keyLo: number,
): void {
  const fault = blockFault(arena, offset, length);
  if (fault !== undefined) throw corruptBlock(keyHi, keyLo, fault);
}

export function corruptBlock(keyHi: number, keyLo: number, fault: string): StorageError {
  const key = `${keyHi.toString(16).padStart(8, '0')}${keyLo.toString(16).padStart(8, '0')}`;
  return new StorageError(
    'BLOCK_CORRUPT',
    `block ${key} (group ${keyHi >>> 20}, partition ${(keyHi >>> 8) & 0xfff}, counter ${keyLo}): ${fault}`,
    { block: { keyHi, keyLo, fault } },
  );
}
