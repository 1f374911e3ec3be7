/**
 * One entry of the index: 32 bytes that say which row this is and where its newest version lies.
 *
 *   word | bits   | field
 *   -----|--------|------------------------------------------------------------------------------
 *   0    | 32     | spread digest: high word of the digest + group × GOLDEN, modulo 2^32
 *   1    | 31..12 | digest, low word, without the 12 bits that name the partition
 *        | 11..0  | group, 1 to 4095; 0 marks an empty slot
 *   2    | 32     | second hash of the entity key
 *   3    | 32     | block (meaning depends on `where`)
 *   4    | 32     | event time + 2^53, low word
 *   5    | 31..10 | event time + 2^53, high word
 *        | 9..0   | offset in the block, in units of 8 bytes
 *   6    | 32     | LSN, low word
 *   7    | 31..25 | LSN, high word
 *        | 24     | tombstone
 *        | 23..22 | where: 1 write buffer, 2 level 0, 3 level 1; 0 in index checkpoints only: to be found
 *        | 21..0  | expiry in whole hours since 2020-01-01, rounded up; 0 never
 *
 * I1  The identity (words 0–2) and the version (words 3–7) share no word: moving a row to another
 *     place never touches what probes compare.
 * I2  All functions are pure over (slab, word); none allocates.
 *
 * An event time of ±(2^53 - 1) µs takes 54 bits. The sum t + 2^53 itself is not a safe integer, so the
 * words are split before the bias is added.
 */
import { strict as assert } from 'node:assert';
import { INDEX_ENTRY_BYTES, LSN_MAX } from './limits.ts';

export const ENTRY_WORDS: number = INDEX_ENTRY_BYTES / 4;

/** A place that is to be found: only in an index checkpoint, and until a start has read what came after it. */
export const WHERE_UNKNOWN: number = 0;
export const WHERE_BUFFER: number = 1;
export const WHERE_LEVEL_ZERO: number = 2;
export const WHERE_LEVEL_ONE: number = 3;

export const GROUP_MASK: number = 0xfff;
const DIGEST_LO_MASK = 0xfffff000;
const OFFSET_MASK = 0x3ff;
const EVENT_TIME_HIGH_SHIFT = 10;
const EVENT_TIME_HIGH_BIAS = 2 ** 21;
const LSN_HIGH_SHIFT = 25;
const TOMBSTONE_BIT = 1 << 24;
const WHERE_SHIFT = 22;
const EXPIRY_MASK = 2 ** 22 - 1;
const PLACE_KEPT_MASK = ~(3 << WHERE_SHIFT);
const TWO_32 = 2 ** 32;

const SECONDS_PER_HOUR = 3600;
/** 2020-01-01T00:00:00Z: 22 bits of hours from there last until the year 2498. */
const EXPIRY_EPOCH_SECONDS = 1_577_836_800;

/** 2^32 / golden ratio: its multiples are spread evenly over the circle, whatever groups are in use. */
const GOLDEN = 0x9e3779b1;

/**
 * Word 0, signed. What orders rows: those of one entity in many groups share their digest, and would stand in one long
 * run if the digest alone ordered them.
 */
export function spreadOf(digestHi: number, group: number): number {
  return (digestHi + Math.imul(group, GOLDEN)) | 0;
}

export function digestHiOf(spread: number, group: number): number {
  return (spread - Math.imul(group, GOLDEN)) >>> 0;
}

/** Word 1, signed. */
export function tagOf(digestLo: number, group: number): number {
  return (digestLo & DIGEST_LO_MASK) | group;
}

/**
 * Hours for an absolute expiry in seconds (0 never), rounded up: the index never calls a row expired
 * that is not. An expiry before 2020 becomes the first hour.
 */
export function expiryHoursOf(expirySeconds: number): number {
  if (expirySeconds === 0) return 0;
  const hours = Math.ceil((expirySeconds - EXPIRY_EPOCH_SECONDS) / SECONDS_PER_HOUR);
  return Math.min(Math.max(hours, 1), EXPIRY_MASK);
}

/** The hour that `nowSeconds` lies in, for comparison: a row has expired for certain when this is ≥ its expiry hours. */
export function hoursNow(nowSeconds: number): number {
  return Math.floor((nowSeconds - EXPIRY_EPOCH_SECONDS) / SECONDS_PER_HOUR);
}

export function writeVersion(
  slab: Uint32Array,
  word: number,
  where: number,
  block: number,
  offset: number,
  eventTimeMicros: number,
  lsn: number,
  isTombstone: boolean,
  expiryHours: number,
): void {
  assert(offset >>> 3 <= OFFSET_MASK && (offset & 7) === 0, 'offset fits its 10 bits');
  assert(lsn >= 0 && lsn <= LSN_MAX, 'LSN fits its 39 bits');
  const timeHigh = Math.floor(eventTimeMicros / TWO_32);
  const lsnHigh = Math.floor(lsn / TWO_32);
  slab[word + 3] = block;
  slab[word + 4] = eventTimeMicros - timeHigh * TWO_32;
  slab[word + 5] = ((timeHigh + EVENT_TIME_HIGH_BIAS) << EVENT_TIME_HIGH_SHIFT) | (offset >>> 3);
  slab[word + 6] = lsn - lsnHigh * TWO_32;
  slab[word + 7] =
    (lsnHigh << LSN_HIGH_SHIFT) |
    (isTombstone ? TOMBSTONE_BIT : 0) |
    (where << WHERE_SHIFT) |
    (expiryHours & EXPIRY_MASK);
}

export function writePlace(
  slab: Uint32Array,
  word: number,
  where: number,
  block: number,
  offset: number,
): void {
  assert(offset >>> 3 <= OFFSET_MASK && (offset & 7) === 0, 'offset fits its 10 bits');
  slab[word + 3] = block;
  slab[word + 5] = ((slab[word + 5] as number) & ~OFFSET_MASK) | (offset >>> 3);
  slab[word + 7] = ((slab[word + 7] as number) & PLACE_KEPT_MASK) | (where << WHERE_SHIFT);
}

export function readOffset(slab: Uint32Array, word: number): number {
  return ((slab[word + 5] as number) & OFFSET_MASK) << 3;
}

export function readWhere(slab: Uint32Array, word: number): number {
  return ((slab[word + 7] as number) >>> WHERE_SHIFT) & 3;
}

export function readEventTimeMicros(slab: Uint32Array, word: number): number {
  const high = ((slab[word + 5] as number) >>> EVENT_TIME_HIGH_SHIFT) - EVENT_TIME_HIGH_BIAS;
  return high * TWO_32 + (slab[word + 4] as number);
}

export function readLsn(slab: Uint32Array, word: number): number {
  return ((slab[word + 7] as number) >>> LSN_HIGH_SHIFT) * TWO_32 + (slab[word + 6] as number);
}

export function readIsTombstone(slab: Uint32Array, word: number): boolean {
  return ((slab[word + 7] as number) & TOMBSTONE_BIT) !== 0;
}

/** A tombstone, or expired by the hour `hours` (`hoursNow`): one word tells both. */
export function readIsGone(slab: Uint32Array, word: number, hours: number): boolean {
  const flags = slab[word + 7] as number;
  const expiryHours = flags & EXPIRY_MASK;
  return (flags & TOMBSTONE_BIT) !== 0 || (expiryHours !== 0 && expiryHours <= hours);
}

export function readExpiryHours(slab: Uint32Array, word: number): number {
  return (slab[word + 7] as number) & EXPIRY_MASK;
}
