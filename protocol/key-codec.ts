/**
 * Entity keys in bytes: the columns in order, without alignment or separators.
 *
 *   int64, timestamp (µs since 1970, UTC)   8 bytes, i64
 *   uuid                                    16 bytes, in the order of the text form
 *   string, bytes                           u16 length, then that many bytes (UTF-8 for string)
 *
 * I1  Equal values give equal bytes and unequal values unequal bytes: the bytes are the key's identity, what is
 *     digested and what is compared.
 * I2  A key has 1..ENTITY_KEY_BYTES_MAX bytes. An empty string is a legal value; null is none.
 *
 * In: int64 takes number (safe integer) or bigint; timestamp number, bigint (µs) or Date; uuid text or 16 bytes.
 * Out: int64 bigint, timestamp number, uuid lower-case text, bytes a copy.
 */

import { type ByteWriter, copyOf } from './byte-writer.ts';
import { ENTITY_KEY_BYTES_MAX } from './limits.ts';
import { describeValue, ProtocolError } from './protocol-error.ts';
import type { KeyColumn } from './schema.ts';
import { appendText, isUtf8, readText } from './text.ts';
import { appendUuid, readUuid, UUID_BYTES } from './uuid.ts';

export type KeyValue = bigint | number | string | Uint8Array;

const TWO_POW_32 = 0x1_0000_0000;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Bytes of every key with these columns, or 0 when a column's values differ in length. */
export function fixedKeyBytes(columns: readonly KeyColumn[]): number {
  let bytes = 0;
  for (const column of columns) {
    if (column.type === 'string' || column.type === 'bytes') return 0;
    bytes += column.type === 'uuid' ? UUID_BYTES : 8;
  }
  return bytes;
}

/**
 * Appends one key. `values` is the value itself when there is one column, else an array in column order or an
 * object by column name. On a throw (KEY_INVALID, KEY_TOO_LARGE) the writer is as it was.
 */
export function encodeKey(columns: readonly KeyColumn[], values: unknown, writer: ByteWriter): void {
  const start = writer.length;
  try {
    for (let index = 0; index < columns.length; index++) {
      appendKeyValue(columns[index]!, keyValueAt(columns, values, index), writer);
    }
  } catch (error) {
    writer.truncate(start);
    throw error;
  }
  const bytes = writer.length - start;
  if (bytes > ENTITY_KEY_BYTES_MAX) {
    writer.truncate(start);
    throw new ProtocolError(
      'KEY_TOO_LARGE',
      `the key takes ${bytes} bytes encoded; at most ${ENTITY_KEY_BYTES_MAX} are allowed`,
    );
  }
}

function keyValueAt(columns: readonly KeyColumn[], values: unknown, index: number): unknown {
  if (
    typeof values === 'object' &&
    values !== null &&
    !ArrayBuffer.isView(values) &&
    !(values instanceof Date)
  ) {
    if (!Array.isArray(values)) return (values as Record<string, unknown>)[columns[index]!.name];
    if (values.length !== columns.length) return refuseShape(columns, values);
    return values[index];
  }
  return columns.length === 1 ? values : refuseShape(columns, values);
}

function refuseShape(columns: readonly KeyColumn[], values: unknown): never {
  const names = columns.map((column) => column.name).join(', ');
  throw new ProtocolError(
    'KEY_INVALID',
    `the key has ${columns.length} columns (${names}) but got ${describeValue(values)}; allowed: an array in that order or an object by those names`,
  );
}

/** Appends one column's value. */
export function appendKeyValue(column: KeyColumn, value: unknown, writer: ByteWriter): void {
  switch (column.type) {
    case 'string':
      appendString(column, value, writer);
      break;
    case 'int64':
      appendInt64(column, value, writer);
      break;
    case 'timestamp':
      appendTimestamp(column, value, writer);
      break;
    case 'uuid':
      if (!appendUuid(value, writer)) refuse(column, value, 'a UUID as text or as 16 bytes');
      break;
    case 'bytes':
      if (!(value instanceof Uint8Array)) refuse(column, value, 'a Uint8Array');
      if (value.length > ENTITY_KEY_BYTES_MAX) refuseLength(column, value.length);
      writer.u16(value.length);
      writer.raw(value);
  }
}

function appendString(column: KeyColumn, value: unknown, writer: ByteWriter): void {
  if (typeof value !== 'string') refuse(column, value, 'a string');
  if (value.length > ENTITY_KEY_BYTES_MAX) refuseLength(column, value.length);
  const offset = writer.reserveUnzeroed(2);
  const bytes = appendText(writer, value);
  if (bytes < 0) refuse(column, value, 'well-formed Unicode text');
  writer.view.setUint16(offset, bytes, true);
}

function appendInt64(column: KeyColumn, value: unknown, writer: ByteWriter): void {
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    writer.i64(value);
  } else if (typeof value === 'bigint' && value >= INT64_MIN && value <= INT64_MAX) {
    const offset = writer.reserveUnzeroed(8);
    writer.view.setBigInt64(offset, value, true);
  } else {
    refuse(column, value, 'an integer: a number within ±(2^53 − 1) or a bigint within 64 bits');
  }
}

function appendTimestamp(column: KeyColumn, value: unknown, writer: ByteWriter): void {
  const micros = timestampMicros(value);
  if (Number.isNaN(micros))
    refuse(column, value, 'a Date or an integer of microseconds since 1970 within ±(2^53 − 1)');
  writer.i64(micros);
}

/** A timestamp value (Date, or number or bigint of µs) as µs; NaN when it is none. */
export function timestampMicros(value: unknown): number {
  const micros =
    value instanceof Date ? value.getTime() * 1000 : typeof value === 'bigint' ? Number(value) : value;
  return typeof micros === 'number' && Number.isSafeInteger(micros) ? micros : Number.NaN;
}

/** The key at bytes[offset, offset + length), which verifyKey has accepted, as an object by column name. */
export function decodeKey(
  columns: readonly KeyColumn[],
  bytes: Uint8Array,
  offset: number,
  length: number,
): Record<string, KeyValue> {
  const values: unknown[] = [];
  decodeKeyInto(columns, bytes, offset, length, values);
  const key: Record<string, KeyValue> = {};
  for (let index = 0; index < columns.length; index++) key[columns[index]!.name] = values[index] as KeyValue;
  return key;
}

/** decodeKey by position: writes values[0], values[1], … in column order. */
export function decodeKeyInto(
  columns: readonly KeyColumn[],
  bytes: Uint8Array,
  offset: number,
  length: number,
  values: unknown[],
): void {
  const end = offset + length;
  let at = offset;
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]!;
    const next = keyValueEnd(column, bytes, at, end);
    if (next < 0) throw malformedKey(column, at - offset, length);
    values[index] = readKeyValue(column, bytes, at, next);
    at = next;
  }
}

function readKeyValue(column: KeyColumn, bytes: Uint8Array, at: number, next: number): KeyValue {
  switch (column.type) {
    case 'string':
      return readText(bytes, at + 2, next);
    case 'bytes':
      return copyOf(bytes, at + 2, next);
    case 'int64':
      return (BigInt(signedWord(bytes, at + 4)) << 32n) | BigInt(signedWord(bytes, at) >>> 0);
    case 'timestamp':
      return signedWord(bytes, at + 4) * TWO_POW_32 + (signedWord(bytes, at) >>> 0);
    case 'uuid':
      return readUuid(bytes, at);
  }
}

/** Checks that the bytes are exactly one key of these columns. Throws KEY_INVALID or KEY_TOO_LARGE. */
export function verifyKey(
  columns: readonly KeyColumn[],
  bytes: Uint8Array,
  offset: number,
  length: number,
): void {
  if (length > ENTITY_KEY_BYTES_MAX) {
    throw new ProtocolError(
      'KEY_TOO_LARGE',
      `the key has ${length} bytes; at most ${ENTITY_KEY_BYTES_MAX} are allowed`,
    );
  }
  const end = offset + length;
  let at = offset;
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]!;
    const next = keyValueEnd(column, bytes, at, end);
    if (next < 0) throw malformedKey(column, at - offset, length);
    if (column.type === 'string' && !isUtf8(bytes, at + 2, next)) {
      throw new ProtocolError('KEY_INVALID', `key column "${column.name}" (string) is not UTF-8`);
    }
    if (column.type === 'timestamp' && !isSafeTimestamp(bytes, at)) {
      throw new ProtocolError(
        'KEY_INVALID',
        `key column "${column.name}" (timestamp) is outside ±(2^53 − 1) µs`,
      );
    }
    at = next;
  }
  if (at !== end || length === 0) {
    throw new ProtocolError(
      'KEY_INVALID',
      `the key has ${length} bytes, its ${columns.length} columns end after ${at - offset}`,
    );
  }
}

/** Where the value that begins at `at` ends, or −1 when it runs past `end`. */
function keyValueEnd(column: KeyColumn, bytes: Uint8Array, at: number, end: number): number {
  let next: number;
  if (column.type === 'string' || column.type === 'bytes') {
    if (at + 2 > end) return -1;
    next = at + 2 + (bytes[at]! | (bytes[at + 1]! << 8));
  } else {
    next = at + (column.type === 'uuid' ? UUID_BYTES : 8);
  }
  return next <= end ? next : -1;
}

/** Whether the i64 at `at` is within ±(2^53 − 1). From bytes: a view per key would cost more than the check. */
function isSafeTimestamp(bytes: Uint8Array, at: number): boolean {
  const high = signedWord(bytes, at + 4);
  if (high >= 0x20_0000 || high < -0x20_0000) return false;
  return high !== -0x20_0000 || signedWord(bytes, at) !== 0;
}

function signedWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function malformedKey(column: KeyColumn, at: number, length: number): ProtocolError {
  return new ProtocolError(
    'KEY_INVALID',
    `key column "${column.name}" (${column.type}) at byte ${at} runs past the key's ${length} bytes`,
  );
}

function refuse(column: KeyColumn, value: unknown, allowed: string): never {
  throw new ProtocolError(
    'KEY_INVALID',
    `key column "${column.name}" (${column.type}) got ${describeValue(value)}; allowed: ${allowed}`,
  );
}

function refuseLength(column: KeyColumn, length: number): never {
  throw new ProtocolError(
    'KEY_TOO_LARGE',
    `key column "${column.name}" (${column.type}) has length ${length}; a key has at most ${ENTITY_KEY_BYTES_MAX} bytes`,
  );
}
