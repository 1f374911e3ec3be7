/**
 * The kernels of a version merge: note the records of a byte range, and put the newest version of each key in order.
 *
 * They know a record's layout (record.ts, as 32-bit words) and nothing else, and work on plain typed arrays:
 *
 *   place[i]  where noted record i starts in the arena, in 8-byte units
 *   high[i]   the high half of its key's digest
 *   slot[i]   which of the wanted partitions it belongs to
 *
 * Order without comparing everything with everything: digests are uniform, so record i belongs near position
 * `high[i] / 2^32` of its partition's records. One counting pass puts it into a bucket there (as many buckets as
 * records), and a bucket of one or two is then ordered by insertion, which also drops a version when a newer one of the
 * same key is there. All versions of one key share a bucket and are compared with at most its distinct keys, so a
 * partition of 10 keys and a million versions costs as little a record as one of a million keys. (m) 36 ns a
 * record of flights, 8 of them for the walk; sorting (digest, record) pairs as a Float64Array took 49 for the sort alone.
 *
 * Left to others: where the bytes come from (snapshot.ts) and who holds them (version-merge.ts).
 */

import { PARTITION_COUNT, RECORD_HEADER_BYTES } from './limits.ts';
import {
  align8,
  FLAG_HISTORY_ONLY,
  KIND_DELETE,
  RECORD_BYTES_MIN,
  RECORD_COMMIT_TIME_AT,
  RECORD_DIGEST_LO_AT,
  RECORD_EVENT_TIME_AT,
  RECORD_EXPIRY_AT,
  RECORD_GROUP_AT,
  RECORD_KEY_BYTES_AT,
  RECORD_LSN_AT,
} from './record.ts';

/** Fields of a record as word offsets. */
const WORD_GROUP_AND_KIND: number = RECORD_GROUP_AT >>> 2;
const WORD_DIGEST_LOW: number = RECORD_DIGEST_LO_AT >>> 2;
const WORD_EVENT_TIME: number = RECORD_EVENT_TIME_AT >>> 2;
const WORD_COMMIT_TIME: number = RECORD_COMMIT_TIME_AT >>> 2;
const WORD_LSN: number = RECORD_LSN_AT >>> 2;
const WORD_EXPIRY: number = RECORD_EXPIRY_AT >>> 2;
const WORD_KEY_BYTES: number = RECORD_KEY_BYTES_AT >>> 2;
const HEADER_WORDS: number = RECORD_HEADER_BYTES >>> 2;
const RECORD_WORDS_MIN: number = RECORD_BYTES_MIN >>> 2;
const PARTITION_MASK: number = PARTITION_COUNT - 1;
const TWO_POW_32 = 4294967296;

/** Indexes into the tally that `noteRecords` keeps. */
export const TALLY_COUNT = 0;
/** Not 0: a tombstone or an expiring record was noted, so the order must be filtered. */
export const TALLY_MORTAL = 1;

/** What of a record's group, kind and flags must equal the group: history-only versions have a bit more, and so are none. */
export const GROUP_MASK_LATEST: number = 0xffff | (FLAG_HISTORY_ONLY << 24);
export const GROUP_MASK_HISTORY = 0xffff;

export interface NotedRecords {
  readonly place: Uint32Array;
  readonly high: Uint32Array;
  readonly slot: Uint16Array;
}

/**
 * Walks the records of `words[from, to)` and notes those of `group` (by `groupMask`) in a wanted partition (`slotOf[partition]` ≥ 0), from
 * `firstPartition` on.
 * False when the range does not hold whole records. The caller made room for (to - from) / RECORD_WORDS_MIN records.
 */
export function noteRecords(
  words: Uint32Array,
  from: number,
  to: number,
  group: number,
  firstPartition: number,
  groupMask: number,
  slotOf: Int16Array,
  noted: NotedRecords,
  slotCounts: Uint32Array,
  tally: Uint32Array,
): boolean {
  const { place, high, slot } = noted;
  let count = tally[TALLY_COUNT]!;
  let mortal = 0;
  let at = from;
  while (at < to) {
    const bytes = words[at]!;
    const recordWords = bytes >>> 2;
    if ((bytes & 7) !== 0 || recordWords < RECORD_WORDS_MIN || recordWords > to - at) return false;
    const groupAndKind = words[at + WORD_GROUP_AND_KIND]!;
    const partition = words[at + WORD_DIGEST_LOW]! & PARTITION_MASK;
    const wanted = slotOf[partition]!;
    if (wanted >= 0 && partition >= firstPartition && (groupAndKind & groupMask) === group) {
      const keyWords = align8(words[at + WORD_KEY_BYTES]! & 0xffff) >>> 2;
      if (HEADER_WORDS + keyWords > recordWords) return false;
      place[count] = at >>> 1;
      high[count] = words[at + WORD_DIGEST_LOW + 1]!;
      slot[count] = wanted;
      slotCounts[wanted]!++;
      mortal |= words[at + WORD_EXPIRY]! | ((groupAndKind >>> 17) & 0x7f);
      count++;
    }
    at += recordWords;
  }
  tally[TALLY_COUNT] = count;
  tally[TALLY_MORTAL] = tally[TALLY_MORTAL]! | mortal;
  return true;
}

/**
 * Forgets, of the records noted from number `from` on, those whose event time or commit time is above the bounds, which
 * are given as the high words, signed, and the low ones. A pass of its own: only reads as of a moment need it.
 */
export function dropUnseen(
  words: Uint32Array,
  noted: NotedRecords,
  from: number,
  slotCounts: Uint32Array,
  tally: Uint32Array,
  asOfHigh: number,
  asOfLow: number,
  readPointHigh: number,
  readPointLow: number,
): void {
  const { place, high, slot } = noted;
  const count = tally[TALLY_COUNT]!;
  let kept = from;
  for (let i = from; i < count; i++) {
    const at = place[i]! << 1;
    if (
      isAbove(words, at + WORD_EVENT_TIME, asOfHigh, asOfLow) ||
      isAbove(words, at + WORD_COMMIT_TIME, readPointHigh, readPointLow)
    ) {
      slotCounts[slot[i]!]!--;
      continue;
    }
    place[kept] = place[i]!;
    high[kept] = high[i]!;
    slot[kept] = slot[i]!;
    kept++;
  }
  tally[TALLY_COUNT] = kept;
}

/** Keeps of `places` what was committed after the moment. Answers how many that are. */
export function keepCommittedAfter(
  words: Uint32Array,
  places: Uint32Array,
  count: number,
  sinceHigh: number,
  sinceLow: number,
): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (isAbove(words, (places[i]! << 1) + WORD_COMMIT_TIME, sinceHigh, sinceLow))
      places[kept++] = places[i]!;
  }
  return kept;
}

function isAbove(words: Uint32Array, at: number, high: number, low: number): boolean {
  const itsHigh = words[at + 1]! | 0;
  return itsHigh > high || (itsHigh === high && words[at]! > low);
}

/**
 * Puts the noted records' numbers into `order`, grouped into buckets that ascend by (slot, digest high), and each
 * bucket's end into `bucketEnds`. Slots from `slotLimit` on are left out. Answers how many records that is.
 *
 * `bucketEnds` has room for one more than all records.
 */
export function scatter(
  noted: NotedRecords,
  count: number,
  slotCounts: Uint32Array,
  slotStarts: Uint32Array,
  slotLimit: number,
  order: Uint32Array,
  bucketEnds: Uint32Array,
  bucketOf: Uint32Array,
): number {
  const { high, slot } = noted;
  let total = 0;
  for (let s = 0; s < slotLimit; s++) {
    slotStarts[s] = total;
    total += slotCounts[s]!;
  }
  bucketEnds.fill(0, 0, total + 1);
  for (let i = 0; i < count; i++) {
    const s = slot[i]!;
    if (s >= slotLimit) continue;
    const bucket = slotStarts[s]! + Math.floor((high[i]! * slotCounts[s]!) / TWO_POW_32);
    bucketOf[i] = bucket;
    bucketEnds[bucket + 1]!++;
  }
  for (let b = 1; b <= total; b++) bucketEnds[b] = bucketEnds[b]! + bucketEnds[b - 1]!;
  // bucketEnds[b] is now where bucket b starts; filling moves it to where bucket b ends.
  for (let i = 0; i < count; i++) {
    if (slot[i]! >= slotLimit) continue;
    const bucket = bucketOf[i]!;
    const position = bucketEnds[bucket]!;
    order[position] = i;
    bucketEnds[bucket] = position + 1;
  }
  return total;
}

/**
 * Orders each bucket by (digest, key), keeps of each key the newest version, and writes those versions' places into
 * `places`. Answers how many there are.
 */
export function settle(
  words: Uint32Array,
  noted: NotedRecords,
  order: Uint32Array,
  bucketEnds: Uint32Array,
  total: number,
  places: Uint32Array,
): number {
  const { place, high } = noted;
  let kept = 0;
  let from = 0;
  for (let bucket = 0; from < total; bucket++) {
    const end = bucketEnds[bucket]!;
    const first = kept;
    for (; from < end; from++) {
      const record = order[from]!;
      const recordHigh = high[record]!;
      let at = kept - 1;
      let difference = 1;
      for (; at >= first; at--) {
        const other = order[at]!;
        difference = recordHigh - high[other]!;
        if (difference === 0) difference = compareKeys(words, place[record]! << 1, words, place[other]! << 1);
        if (difference >= 0) break;
      }
      if (difference === 0 && at >= first) {
        if (isNewer(words, place[record]! << 1, place[order[at]!]! << 1)) order[at] = record;
        continue;
      }
      for (let move = kept; move > at + 1; move--) order[move] = order[move - 1]!;
      order[at + 1] = record;
      kept++;
    }
  }
  for (let i = 0; i < kept; i++) places[i] = place[order[i]!]!;
  return kept;
}

/** Keeps of `places` what is neither a tombstone nor expired at `nowSeconds`. Answers how many that are. */
export function dropMortal(
  words: Uint32Array,
  places: Uint32Array,
  count: number,
  nowSeconds: number,
): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const at = places[i]! << 1;
    if (((words[at + WORD_GROUP_AND_KIND]! >>> 16) & 0xff) === KIND_DELETE) continue;
    const expirySeconds = words[at + WORD_EXPIRY]!;
    if (expirySeconds !== 0 && expirySeconds <= nowSeconds) continue;
    places[kept++] = places[i]!;
  }
  return kept;
}

/** By digest low, then by key bytes as unsigned numbers, a prefix first; the digests' high halves are equal. */
function compareKeys(words: Uint32Array, a: number, others: Uint32Array, b: number): number {
  const low = words[a + WORD_DIGEST_LOW]! - others[b + WORD_DIGEST_LOW]!;
  if (low !== 0) return low;
  const aBytes = words[a + WORD_KEY_BYTES]! & 0xffff;
  const bBytes = others[b + WORD_KEY_BYTES]! & 0xffff;
  // Padding is zero, so whole words may be compared as far as the shorter key's padding reaches.
  const sharedWords = (Math.min(aBytes, bBytes) + 3) >>> 2;
  for (let i = 0; i < sharedWords; i++) {
    const x = words[a + HEADER_WORDS + i]!;
    const y = others[b + HEADER_WORDS + i]!;
    if (x !== y) return compareBytesOfWords(x, y);
  }
  return aBytes - bBytes;
}

export function partitionAt(words: Uint32Array, at: number): number {
  return words[at + WORD_DIGEST_LOW]! & PARTITION_MASK;
}

/** By digest high, digest low, key: two records of one partition. */
export function comparePlaces(words: Uint32Array, a: number, others: Uint32Array, b: number): number {
  const high = words[a + WORD_DIGEST_LOW + 1]! - others[b + WORD_DIGEST_LOW + 1]!;
  return high !== 0 ? high : compareKeys(words, a, others, b);
}

/** A copy of a record as far as its key. */
export function copyPrefix(words: Uint32Array, at: number): Uint32Array {
  const keyBytes = words[at + WORD_KEY_BYTES]! & 0xffff;
  return words.slice(at, at + HEADER_WORDS + (align8(keyBytes) >>> 2));
}

/** Two unequal little-endian words, by their first unequal byte. */
function compareBytesOfWords(x: number, y: number): number {
  const shift = (31 - Math.clz32((x ^ y) & -(x ^ y))) & 24;
  return ((x >>> shift) & 0xff) - ((y >>> shift) & 0xff);
}

/** Whether record `a` is newer than record `b` by (event time, LSN). */
function isNewer(words: Uint32Array, a: number, b: number): boolean {
  const timeHigh = (words[a + WORD_EVENT_TIME + 1]! | 0) - (words[b + WORD_EVENT_TIME + 1]! | 0);
  if (timeHigh !== 0) return timeHigh > 0;
  const timeLow = words[a + WORD_EVENT_TIME]! - words[b + WORD_EVENT_TIME]!;
  if (timeLow !== 0) return timeLow > 0;
  const lsnHigh = words[a + WORD_LSN + 1]! - words[b + WORD_LSN + 1]!;
  if (lsnHigh !== 0) return lsnHigh > 0;
  return words[a + WORD_LSN]! > words[b + WORD_LSN]!;
}
