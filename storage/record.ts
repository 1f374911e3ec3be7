/**
 * A record: one version of one row, with the same bytes in the journal, in the write buffer and in blocks.
 *
 *   offset | size | field
 *   -------|------|------------------------------------------------------------------------
 *   0      | 4    | record bytes, a multiple of 8, header included
 *   4      | 2    | group, 1..4095
 *   6      | 1    | kind: 1 put, 2 delete
 *   7      | 1    | flags: 1 history only, 2 keyed; the rest 0
 *   8      | 4    | digest, low word (its low 12 bits are the partition)
 *   12     | 4    | digest, high word
 *   16     | 8    | event time, i64 microseconds since the epoch
 *   24     | 8    | LSN, u64, from 1, rising within the partition
 *   32     | 8    | commit time, i64 microseconds since the epoch
 *   40     | 4    | expiry, absolute seconds since the epoch; 0 never
 *   44     | 2    | key bytes, 1..1024
 *   46     | 2    | 0
 *   48     |      | entity key, zero-padded to 8
 *          | 24   | keyed records: which request wrote it
 *          |      |   0 u32, u32 client id | 8 i64 sequence, from 0 | 16 u32 ordinal | 20 u8 result | 21 zero
 *          |      | payload: the encoded row, a multiple of 8; a delete has none
 *
 * A history-only version is seen by reads as of a moment and never by lookups. A keyed one names the request that
 * wrote it, so that the request is not applied twice: the ordinal counts the request's rows of this partition from 0,
 * and the result is what that row was answered.
 *
 * I1  A record starts 8-aligned in its buffer, so its payload does too.
 * I2  Equal versions have equal bytes: padding and reserved fields are zero.
 * I3  `verifyRecord` reads nothing outside the range it is given, whatever the bytes say.
 *
 * Kernels over a DataView and an offset; none allocates. 64-bit fields hold safe integers and are read and written as
 * two words, for no BigInt is needed then. What a payload means is the caller's business.
 */
import { strict as assert } from 'node:assert';
import {
  LSN_MAX,
  RECORD_BYTES_MAX,
  RECORD_GROUP_MAX,
  RECORD_HEADER_BYTES,
  RECORD_KEY_BYTES_MAX,
  REQUEST_KEY_BYTES,
} from './limits.ts';

export const KIND_PUT = 1;
export const KIND_DELETE = 2;

/** A backfilled version: it enters history, and is never the row that lookups see. */
export const FLAG_HISTORY_ONLY = 1;
/** A version that carries its request's idempotency key. */
export const FLAG_KEYED = 2;
const FLAGS_ALL: number = FLAG_HISTORY_ONLY | FLAG_KEYED;

/** The smallest record: a header and a key of up to 8 bytes. */
export const RECORD_BYTES_MIN: number = RECORD_HEADER_BYTES + 8;

/** What `verifyRecord` answers instead of an offset. */
export const RECORD_MALFORMED = -1;

/** Offsets of the fields, for code that walks records as words. */
export const RECORD_BYTES_AT = 0;
export const RECORD_GROUP_AT = 4;
export const RECORD_KIND_AT = 6;
export const RECORD_FLAGS_AT = 7;
export const RECORD_DIGEST_LO_AT = 8;
export const RECORD_DIGEST_HI_AT = 12;
export const RECORD_EVENT_TIME_AT = 16;
export const RECORD_LSN_AT = 24;
export const RECORD_COMMIT_TIME_AT = 32;
export const RECORD_EXPIRY_AT = 40;
export const RECORD_KEY_BYTES_AT = 44;
export const RECORD_RESERVED_AT = 46;

/** Offsets in a keyed record's request key, behind the client id of 8 bytes. */
export const REQUEST_SEQUENCE_AT = 8;
export const REQUEST_ORDINAL_AT = 16;
export const REQUEST_RESULT_AT = 20;

const TWO_POW_32 = 4294967296;
/** High words of safe integers lie in (-2^21, 2^21), or at -2^21 with a low word above 0. */
const HIGH_WORD_LIMIT = 0x200000;

/** Rounds up to a multiple of 8. For byte counts below 2^31. */
export function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Rounds up to a multiple of a page, at any magnitude of a safe integer. */
export function alignPage(position: number, pageBytes: number): number {
  return Math.ceil(position / pageBytes) * pageBytes;
}

/** Size of a record with this key and payload (the payload's length must be a multiple of 8). */
export function recordBytesOf(keyBytes: number, payloadBytes: number, flags: number = 0): number {
  return RECORD_HEADER_BYTES + align8(keyBytes) + requestKeyBytesOf(flags) + payloadBytes;
}

/** What a record with these flags has between its key and its payload. */
export function requestKeyBytesOf(flags: number): number {
  return (flags & FLAG_KEYED) === 0 ? 0 : REQUEST_KEY_BYTES;
}

/** Writes the header; key, padding and payload are the caller's (padding must end up zero). (m) 14 ns. */
export function writeRecordHeader(
  view: DataView,
  offset: number,
  recordBytes: number,
  group: number,
  kind: number,
  digestLo: number,
  digestHi: number,
  eventTimeMicros: number,
  lsn: number,
  commitTimeMicros: number,
  expirySeconds: number,
  keyBytes: number,
  flags: number = 0,
): void {
  view.setUint32(offset, recordBytes, true);
  view.setUint32(offset + RECORD_GROUP_AT, group | (kind << 16) | (flags << 24), true);
  view.setUint32(offset + RECORD_DIGEST_LO_AT, digestLo, true);
  view.setUint32(offset + RECORD_DIGEST_HI_AT, digestHi, true);
  writeSafeInteger(view, offset + RECORD_EVENT_TIME_AT, eventTimeMicros);
  writeSafeInteger(view, offset + RECORD_LSN_AT, lsn);
  writeSafeInteger(view, offset + RECORD_COMMIT_TIME_AT, commitTimeMicros);
  view.setUint32(offset + RECORD_EXPIRY_AT, expirySeconds, true);
  view.setUint32(offset + RECORD_KEY_BYTES_AT, keyBytes, true);
}

export function readRecordBytes(view: DataView, offset: number): number {
  return view.getUint32(offset, true);
}

export function readRecordGroup(view: DataView, offset: number): number {
  return view.getUint16(offset + RECORD_GROUP_AT, true);
}

export function readRecordKind(view: DataView, offset: number): number {
  return view.getUint8(offset + RECORD_KIND_AT);
}

export function readRecordFlags(view: DataView, offset: number): number {
  return view.getUint8(offset + RECORD_FLAGS_AT);
}

export function readRecordDigestLo(view: DataView, offset: number): number {
  return view.getUint32(offset + RECORD_DIGEST_LO_AT, true);
}

export function readRecordDigestHi(view: DataView, offset: number): number {
  return view.getUint32(offset + RECORD_DIGEST_HI_AT, true);
}

export function readRecordEventTime(view: DataView, offset: number): number {
  return readSafeInteger(view, offset + RECORD_EVENT_TIME_AT);
}

export function readRecordLsn(view: DataView, offset: number): number {
  return readSafeInteger(view, offset + RECORD_LSN_AT);
}

export function readRecordCommitTime(view: DataView, offset: number): number {
  return readSafeInteger(view, offset + RECORD_COMMIT_TIME_AT);
}

export function readRecordExpirySeconds(view: DataView, offset: number): number {
  return view.getUint32(offset + RECORD_EXPIRY_AT, true);
}

export function readRecordKeyBytes(view: DataView, offset: number): number {
  return view.getUint16(offset + RECORD_KEY_BYTES_AT, true);
}

/** Where the key starts. */
export function recordKeyOffset(offset: number): number {
  return offset + RECORD_HEADER_BYTES;
}

/** Where a keyed record's request key starts; in others the payload does. */
export function recordRequestKeyOffset(view: DataView, offset: number): number {
  return offset + RECORD_HEADER_BYTES + align8(readRecordKeyBytes(view, offset));
}

/** Where the payload starts; it ends where the record ends. */
export function recordPayloadOffset(view: DataView, offset: number): number {
  return recordRequestKeyOffset(view, offset) + requestKeyBytesOf(readRecordFlags(view, offset));
}

/** Writes what a keyed record says of its request, at `recordRequestKeyOffset`. */
export function writeRequestKey(
  view: DataView,
  at: number,
  clientIdLo: number,
  clientIdHi: number,
  sequence: number,
  ordinal: number,
  result: number,
): void {
  view.setUint32(at, clientIdLo, true);
  view.setUint32(at + 4, clientIdHi, true);
  writeSafeInteger(view, at + 8, sequence);
  view.setUint32(at + REQUEST_ORDINAL_AT, ordinal, true);
  view.setUint32(at + REQUEST_RESULT_AT, result, true);
}

/** Writes a safe integer as i64 (or u64, when not negative). */
export function writeSafeInteger(view: DataView, offset: number, value: number): void {
  const high = Math.floor(value / TWO_POW_32);
  view.setUint32(offset, value - high * TWO_POW_32, true);
  view.setInt32(offset + 4, high, true);
}

/** Reads an i64 that `writeSafeInteger` wrote. Other values come back rounded: check with `isSafeInteger64` before. */
export function readSafeInteger(view: DataView, offset: number): number {
  return view.getInt32(offset + 4, true) * TWO_POW_32 + view.getUint32(offset, true);
}

/** Whether the i64 at the offset is a safe integer. */
export function isSafeInteger64(view: DataView, offset: number): boolean {
  const high = view.getInt32(offset + 4, true);
  if (high >= HIGH_WORD_LIMIT || high < -HIGH_WORD_LIMIT) return false;
  return high !== -HIGH_WORD_LIMIT || view.getUint32(offset, true) !== 0;
}

/**
 * Checks the record at `offset` against the range that ends at `end`: every field, every reserved byte and the padding
 * of the key. Returns where the record ends, which is where the next one starts, or RECORD_MALFORMED. So a walk is
 *
 *   for (let at = start; at < end; at = next) { next = verifyRecord(view, at, end); if (next < 0) … }
 *
 * The digest is not recomputed (it needs the cluster's seed) and the payload is not decoded. (m) 19 ns.
 */
export function verifyRecord(view: DataView, offset: number, end: number): number {
  if (end > view.byteLength || end - offset < RECORD_BYTES_MIN || (offset & 7) !== 0) return RECORD_MALFORMED;
  const recordBytes = view.getUint32(offset, true);
  if ((recordBytes & 7) !== 0 || recordBytes > end - offset || recordBytes > RECORD_BYTES_MAX) {
    return RECORD_MALFORMED;
  }
  const group = view.getUint16(offset + RECORD_GROUP_AT, true);
  const kind = view.getUint8(offset + RECORD_KIND_AT);
  const flags = view.getUint8(offset + RECORD_FLAGS_AT);
  if (group === 0 || group > RECORD_GROUP_MAX || (kind !== KIND_PUT && kind !== KIND_DELETE)) {
    return RECORD_MALFORMED;
  }
  if (flags > FLAGS_ALL) return RECORD_MALFORMED;
  if (
    !isSafeInteger64(view, offset + RECORD_EVENT_TIME_AT) ||
    !isSafeInteger64(view, offset + RECORD_COMMIT_TIME_AT)
  )
    return RECORD_MALFORMED;
  const lsn = readSafeInteger(view, offset + RECORD_LSN_AT);
  if (lsn < 1 || lsn > LSN_MAX) return RECORD_MALFORMED;
  const keyBytes = view.getUint16(offset + RECORD_KEY_BYTES_AT, true);
  if (
    keyBytes === 0 ||
    keyBytes > RECORD_KEY_BYTES_MAX ||
    view.getUint16(offset + RECORD_RESERVED_AT, true) !== 0
  ) {
    return RECORD_MALFORMED;
  }
  const keyEnd = RECORD_HEADER_BYTES + align8(keyBytes);
  const payload = keyEnd + requestKeyBytesOf(flags);
  if (payload > recordBytes || (kind === KIND_DELETE && payload !== recordBytes)) return RECORD_MALFORMED;
  for (let at = RECORD_HEADER_BYTES + keyBytes; at < keyEnd; at++) {
    if (view.getUint8(offset + at) !== 0) return RECORD_MALFORMED;
  }
  if (payload !== keyEnd && !isRequestKey(view, offset + keyEnd)) return RECORD_MALFORMED;
  return offset + recordBytes;
}

function isRequestKey(view: DataView, at: number): boolean {
  const isNamed = view.getUint32(at, true) !== 0 || view.getUint32(at + 4, true) !== 0;
  const isZeroed = view.getUint32(at + 20, true) >>> 8 === 0;
  return isNamed && isZeroed && isSafeInteger64(view, at + 8) && readSafeInteger(view, at + 8) >= 0;
}

/** The records in [start, end), or RECORD_MALFORMED when the range does not hold whole, well-formed records. */
export function countRecords(view: DataView, start: number, end: number): number {
  let count = 0;
  let at = start;
  while (at < end) {
    at = verifyRecord(view, at, end);
    if (at === RECORD_MALFORMED) return RECORD_MALFORMED;
    count += 1;
  }
  assert(at === end, 'a verified record ends within its range');
  return count;
}
