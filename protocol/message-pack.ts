/**
 * MessagePack, for control messages and for features of type 'msgpack': msgpackr, fenced in.
 *
 * I1  Bytes from outside are walked before msgpackr sees them: every length lies inside the bytes, nesting is at most
 *     MESSAGE_PACK_DEPTH_MAX, text is UTF-8, map keys are text or integers, and the only extension type is the
 *     timestamp (−1). Without that a five-byte array header makes a decoder allocate for 4 billion items, and
 *     msgpackr's own extensions could define classes.
 * I2  What is written is plain MessagePack that any implementation reads: no records, no extension but the timestamp.
 */

import { Packr } from 'msgpackr';
import type { ErrorCodeName } from './error-code.ts';
import { MESSAGE_PACK_DEPTH_MAX } from './limits.ts';
import { describeValue, ProtocolError } from './protocol-error.ts';
import { isUtf8, isWellFormed } from './text.ts';

const PACKR: Packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  encodeUndefinedAsNil: true,
  moreTypes: false,
  // bin values must outlive the frame they came in.
  copyBuffers: true,
  // 64-bit integers read as number when that is exact, else as bigint. The option is missing from msgpackr's types.
  int64AsType: 'auto' as 'number',
});

export type MessagePackMap = Record<string, unknown>;

/** The MessagePack bytes of a value that `decodeMessagePack` will take and give back. Throws `code`. */
export function encodeMessagePack(value: unknown, code: ErrorCodeName = 'MALFORMED_REQUEST'): Uint8Array {
  const culprit = findUnpackable(value, 0);
  if (culprit !== null) throw new ProtocolError(code, `no MessagePack form for ${culprit}`);
  return PACKR.pack(value);
}

/**
 * What in the value has no plain form, or null. msgpackr itself would write a function as nil, an Error as its own
 * extension and a Float32Array as the wrong bytes.
 */
function findUnpackable(value: unknown, depth: number): string | null {
  if (depth > MESSAGE_PACK_DEPTH_MAX) return `a value nested deeper than ${MESSAGE_PACK_DEPTH_MAX}`;
  switch (typeof value) {
    case 'undefined':
    case 'boolean':
    case 'number':
      return null;
    case 'string':
      return isWellFormed(value) ? null : 'text with a lone surrogate';
    case 'bigint':
      return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
        ? null
        : 'a bigint of more than 64 bits';
    case 'object':
      return value === null ? null : findUnpackableIn(value, depth);
    default:
      return describeValue(value);
  }
}

function findUnpackableIn(value: object, depth: number): string | null {
  if (value instanceof Uint8Array) return null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : null;
  if (Array.isArray(value)) {
    for (const item of value) {
      const culprit = findUnpackable(item, depth + 1);
      if (culprit !== null) return culprit;
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return `${Object.prototype.toString.call(value)}; allowed: null, true, false, numbers, text, Uint8Array, Date, arrays and plain objects`;
  }
  for (const [name, item] of Object.entries(value)) {
    const culprit = isWellFormed(name) ? findUnpackable(item, depth + 1) : 'a name with a lone surrogate';
    if (culprit !== null) return culprit;
  }
  return null;
}

/** The value in bytes[from, to), which hold exactly one. Throws `code`. */
export function decodeMessagePack(
  bytes: Uint8Array,
  from: number,
  to: number,
  code: ErrorCodeName = 'MALFORMED_REQUEST',
): unknown {
  const problem = findMessagePackProblem(bytes, from, to);
  if (problem !== null) throw new ProtocolError(code, `not a MessagePack value: ${problem}`);
  try {
    return PACKR.unpack(bytes.subarray(from, to));
  } catch (error) {
    throw new ProtocolError(code, 'not a MessagePack value', { cause: error });
  }
}

/** A control message's body: one MessagePack map. */
export function decodeMessagePackMap(bytes: Uint8Array, from: number, to: number): MessagePackMap {
  const value = decodeMessagePack(bytes, from, to);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `the body holds ${describeValue(value)}; it must be a MessagePack map`,
    );
  }
  return value as MessagePackMap;
}

/**
 * Walks one value and says what is wrong with it, or null. Work is bounded by the number of bytes: every item of an
 * announced array or map takes at least one.
 */
export function findMessagePackProblem(bytes: Uint8Array, from: number, to: number): string | null {
  const end = skipValue(bytes, from, to, 0);
  if (end === TOO_DEEP) return `nested deeper than ${MESSAGE_PACK_DEPTH_MAX}`;
  if (end === EXTENSION) return 'an extension type other than the timestamp';
  if (end === NO_TEXT) return 'text that is not UTF-8';
  if (end === NO_KEY) return 'a map whose key is neither text nor an integer';
  if (end === CUT) return 'it ends early';
  if (end !== to) return `${to - end} bytes follow it`;
  return null;
}

const CUT = -1;
const EXTENSION = -2;
const TOO_DEEP = -3;
const NO_TEXT = -4;
const NO_KEY = -5;

/** The offset after the value at `offset`, or one of the negative verdicts. */
function skipValue(bytes: Uint8Array, offset: number, to: number, depth: number): number {
  if (offset >= to) return CUT;
  if (depth > MESSAGE_PACK_DEPTH_MAX) return TOO_DEEP;
  const lead = bytes[offset]!;
  if (lead < 0x80 || lead >= 0xe0) return offset + 1;
  if (lead < 0x90) return skipEntries(bytes, offset + 1, to, lead & 0x0f, depth);
  if (lead < 0xa0) return skipItems(bytes, offset + 1, to, lead & 0x0f, depth);
  if (lead < 0xc0) return skipText(bytes, offset + 1, to, lead & 0x1f);
  if (lead === 0xc1) return CUT;
  if (lead >= 0xd4 && lead <= 0xd8) return skipExtension(bytes, offset + 1, to, 1 << (lead - 0xd4));
  const sizeBytes = LENGTH_BYTES[lead - 0xc0]!;
  if (sizeBytes === 0) return within(offset + 1 + PAYLOAD_BYTES[lead - 0xc0]!, to);
  if (offset + 1 + sizeBytes > to) return CUT;
  const size = readBigEndian(bytes, offset + 1, sizeBytes);
  const start = offset + 1 + sizeBytes;
  if (lead <= 0xc6) return within(start + size, to);
  if (lead >= 0xd9 && lead <= 0xdb) return skipText(bytes, start, to, size);
  if (lead <= 0xc9) return skipExtension(bytes, start, to, size);
  return lead >= 0xde ? skipEntries(bytes, start, to, size, depth) : skipItems(bytes, start, to, size, depth);
}

function skipItems(bytes: Uint8Array, offset: number, to: number, count: number, depth: number): number {
  if (count > to - offset) return CUT;
  let next = offset;
  for (let item = 0; item < count && next >= 0; item++) next = skipValue(bytes, next, to, depth + 1);
  return next;
}

function skipEntries(bytes: Uint8Array, offset: number, to: number, count: number, depth: number): number {
  if (2 * count > to - offset) return CUT;
  let next = offset;
  for (let entry = 0; entry < count && next >= 0; entry++) {
    if (next < to && !isKey(bytes[next]!)) return NO_KEY;
    next = skipValue(bytes, next, to, depth + 1);
    if (next >= 0) next = skipValue(bytes, next, to, depth + 1);
  }
  return next;
}

/** Whether a value with this lead byte is text or an integer: what a property's name can be made of. */
function isKey(lead: number): boolean {
  return (
    lead < 0x80 ||
    lead >= 0xe0 ||
    (lead >= 0xa0 && lead < 0xc0) ||
    (lead >= 0xcc && lead <= 0xd3) ||
    (lead >= 0xd9 && lead <= 0xdb)
  );
}

function skipText(bytes: Uint8Array, offset: number, to: number, size: number): number {
  if (offset + size > to) return CUT;
  return isUtf8(bytes, offset, offset + size) ? offset + size : NO_TEXT;
}

function skipExtension(bytes: Uint8Array, typeOffset: number, to: number, size: number): number {
  if (typeOffset + 1 + size > to) return CUT;
  if (bytes[typeOffset] !== 0xff || (size !== 4 && size !== 8 && size !== 12)) return EXTENSION;
  return typeOffset + 1 + size;
}

function within(end: number, to: number): number {
  return end <= to ? end : CUT;
}

function readBigEndian(bytes: Uint8Array, offset: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index++) value = value * 256 + bytes[offset + index]!;
  return value;
}

/** By lead byte 0xc0..0xdf: bytes of the length that follows, 0 when the size is fixed. */
const LENGTH_BYTES: readonly number[] = [
  0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
];

/** By lead byte 0xc0..0xdf: bytes of a fixed-size payload. */
const PAYLOAD_BYTES: readonly number[] = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
