/**
 * The order of versions in level 1: by digest, key, event time, LSN. Kernels over a record's words (record.ts); none allocates.
 *
 * Keys of one digest stand by length, then by their words: any fixed order does, as long as one key's versions are neighbours.
 */
import { RECORD_HEADER_BYTES } from './limits.ts';
import {
  RECORD_DIGEST_HI_AT,
  RECORD_DIGEST_LO_AT,
  RECORD_EVENT_TIME_AT,
  RECORD_KEY_BYTES_AT,
  RECORD_LSN_AT,
} from './record.ts';

const WORD_DIGEST_LO: number = RECORD_DIGEST_LO_AT >>> 2;
const WORD_DIGEST_HI: number = RECORD_DIGEST_HI_AT >>> 2;
const WORD_EVENT_TIME: number = RECORD_EVENT_TIME_AT >>> 2;
const WORD_LSN: number = RECORD_LSN_AT >>> 2;
const WORD_KEY_BYTES: number = RECORD_KEY_BYTES_AT >>> 2;
const HEADER_WORDS: number = RECORD_HEADER_BYTES >>> 2;

/** Below 0 when the record at word `a` comes before the one at word `b`; 0 for the same version. */
export function compareRecords(words: Uint32Array, a: number, b: number): number {
  const high = (words[a + WORD_DIGEST_HI] as number) - (words[b + WORD_DIGEST_HI] as number);
  if (high !== 0) return high;
  const low = (words[a + WORD_DIGEST_LO] as number) - (words[b + WORD_DIGEST_LO] as number);
  if (low !== 0) return low;
  const key = compareKeys(words, a, b);
  if (key !== 0) return key;
  const eventTime = compareSigned(words, a + WORD_EVENT_TIME, b + WORD_EVENT_TIME);
  return eventTime !== 0 ? eventTime : compareSigned(words, a + WORD_LSN, b + WORD_LSN);
}

export function isSameKey(words: Uint32Array, a: number, b: number): boolean {
  return (
    words[a + WORD_DIGEST_HI] === words[b + WORD_DIGEST_HI] &&
    words[a + WORD_DIGEST_LO] === words[b + WORD_DIGEST_LO] &&
    compareKeys(words, a, b) === 0
  );
}

/** Padding is zero, so whole words may be compared. */
function compareKeys(words: Uint32Array, a: number, b: number): number {
  const bytes = (words[a + WORD_KEY_BYTES] as number) & 0xffff;
  const difference = bytes - ((words[b + WORD_KEY_BYTES] as number) & 0xffff);
  if (difference !== 0) return difference;
  const end = HEADER_WORDS + ((bytes + 3) >>> 2);
  for (let word = HEADER_WORDS; word < end; word += 1) {
    const unequal = (words[a + word] as number) - (words[b + word] as number);
    if (unequal !== 0) return unequal;
  }
  return 0;
}

/** Two i64, low word first. */
function compareSigned(words: Uint32Array, a: number, b: number): number {
  const high = ((words[a + 1] as number) | 0) - ((words[b + 1] as number) | 0);
  return high !== 0 ? high : (words[a] as number) - (words[b] as number);
}
