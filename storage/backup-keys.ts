/**
 * Lists of block keys, as backups keep them: which values a shard's store held at one moment.
 *
 *   offset | size   | field
 *   -------|--------|--------------------------------------------
 *   0      | 4      | magic 'MRBK'
 *   4      | 4      | format, 1
 *   8      | 4      | shard
 *   12     | 4      | keys
 *   16     | 8 each | high word, low word: ascending by both
 *   end    | 8      | XXH64 (seed 0) of everything before
 *
 * In memory two words a key, the high one first. All work is linear in the lists, a search is logarithmic.
 */
import { checksum64 } from './checksum.ts';
import { StorageError } from './storage-error.ts';

export const BACKUP_FORMAT = 1;
const KEYS_MAGIC = 0x4b42524d;
const HEADER_BYTES = 16;
const CHECKSUM_BYTES = 8;

/** Ascending keys, two words each. */
export type KeyWords = Uint32Array<ArrayBufferLike>;

export const NO_KEYS: KeyWords = new Uint32Array(0);

export function encodeKeyList(shard: number, words: KeyWords): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + words.byteLength + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, KEYS_MAGIC, true);
  view.setUint32(4, BACKUP_FORMAT, true);
  view.setUint32(8, shard, true);
  view.setUint32(12, words.length / 2, true);
  // Like every typed array view here this takes a little-endian machine.
  new Uint32Array(bytes.buffer, HEADER_BYTES, words.length).set(words);
  const sum = new Uint32Array(2);
  checksum64(bytes, 0, bytes.length - CHECKSUM_BYTES, sum);
  view.setUint32(bytes.length - 8, sum[0]!, true);
  view.setUint32(bytes.length - 4, sum[1]!, true);
  return bytes;
}

/** Throws BACKUP_INVALID, naming `path`. */
export function decodeKeyList(path: string, shard: number, bytes: Uint8Array): KeyWords {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isHeaded = bytes.length >= HEADER_BYTES + CHECKSUM_BYTES && view.getUint32(0, true) === KEYS_MAGIC;
  if (!isHeaded) throw invalid(path, 'it is no list of keys');
  if (view.getUint32(4, true) > BACKUP_FORMAT) throw invalid(path, 'a newer version wrote it');
  const count = view.getUint32(12, true);
  if (bytes.length !== HEADER_BYTES + 8 * count + CHECKSUM_BYTES) {
    throw invalid(path, `it has ${bytes.length} bytes for ${count} keys`);
  }
  const sum = new Uint32Array(2);
  checksum64(bytes, 0, bytes.length - CHECKSUM_BYTES, sum);
  if (
    view.getUint32(bytes.length - 8, true) !== sum[0] ||
    view.getUint32(bytes.length - 4, true) !== sum[1]
  ) {
    throw invalid(path, 'its checksum differs');
  }
  if (view.getUint32(8, true) !== shard) throw invalid(path, `it is of shard ${view.getUint32(8, true)}`);
  const words = new Uint32Array(2 * count);
  for (let word = 0; word < words.length; word++) words[word] = view.getUint32(HEADER_BYTES + 4 * word, true);
  for (let key = 1; key < count; key++) {
    if (compareAt(words, key - 1, words, key) >= 0) throw invalid(path, 'its keys do not ascend');
  }
  return words;
}

/** Below 0 when key `a` of `left` comes before key `b` of `right`, 0 when they are one. */
function compareAt(left: KeyWords, a: number, right: KeyWords, b: number): number {
  const high = left[2 * a]! - right[2 * b]!;
  return high !== 0 ? high : left[2 * a + 1]! - right[2 * b + 1]!;
}

/** The keys of `words` that are not in `removed`. */
export function withoutKeys(words: KeyWords, removed: KeyWords): KeyWords {
  const kept = new Uint32Array(words.length);
  const end = removed.length / 2;
  let length = 0;
  let at = 0;
  for (let key = 0; key < words.length / 2; key++) {
    while (at < end && compareAt(removed, at, words, key) < 0) at++;
    if (at < end && compareAt(removed, at, words, key) === 0) continue;
    kept[length++] = words[2 * key]!;
    kept[length++] = words[2 * key + 1]!;
  }
  return kept.slice(0, length);
}

/** The keys of either list, each once. */
export function unitedKeys(left: KeyWords, right: KeyWords): KeyWords {
  const extra = withoutKeys(right, left);
  const united = new Uint32Array(left.length + extra.length);
  const [leftEnd, extraEnd] = [left.length / 2, extra.length / 2];
  for (let at = 0, a = 0, b = 0; at < united.length; at += 2) {
    const isLeft = b === extraEnd || (a < leftEnd && compareAt(left, a, extra, b) < 0);
    const source = isLeft ? left : extra;
    const key = isLeft ? a++ : b++;
    united[at] = source[2 * key]!;
    united[at + 1] = source[2 * key + 1]!;
  }
  return united;
}

/** Keys in any order, with repetitions, as a list. */
export function sortedKeys(words: KeyWords): KeyWords {
  const order = new Uint32Array(words.length / 2).map((_, index) => index);
  order.sort((a, b) => compareAt(words, a, words, b));
  const sorted = new Uint32Array(words.length);
  let length = 0;
  for (const [position, key] of order.entries()) {
    if (position > 0 && compareAt(words, order[position - 1]!, words, key) === 0) continue;
    sorted[length++] = words[2 * key]!;
    sorted[length++] = words[2 * key + 1]!;
  }
  return sorted.slice(0, length);
}

/** The position of the key in the list, or -1. */
export function findKey(words: KeyWords, keyHi: number, keyLo: number): number {
  let low = 0;
  let high = words.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const difference = words[2 * middle]! - keyHi || words[2 * middle + 1]! - keyLo;
    if (difference === 0) return middle;
    if (difference < 0) low = middle + 1;
    else high = middle;
  }
  return -1;
}

function invalid(path: string, fault: string): StorageError {
  return new StorageError('BACKUP_INVALID', `the backup's ${path} cannot be used: ${fault}`);
}
