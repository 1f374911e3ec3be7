/**
 * Verification of one encoded row that came from outside, before it is stored. What passes can be decoded, projected
 * and compared without a further check:
 *
 * I1  rowBytes is the length given, a multiple of 8, and every value lies inside it.
 * I2  The row is canonical (row-encode.ts I1), but for the form of NaN and the order of msgpack maps: bitmap padding,
 *     fixed padding, null slots and trailing bytes are zero; variable values follow each other in schema order.
 * I3  Strings are UTF-8, booleans 0 or 1, timestamps safe integers, list counts match their bytes, msgpack values
 *     walk to their end.
 *
 * Throws ROW_INVALID (SCHEMA_VERSION_UNKNOWN for another schema version, ROW_TOO_LARGE). Work is linear in the bytes.
 */

import { readInt64 } from './int64.ts';
import { ROW_BYTES_MAX } from './limits.ts';
import { LIST_HEADER_BYTES, LIST_ITEMS_MAX } from './list-codec.ts';
import { findMessagePackProblem } from './message-pack.ts';
import { ProtocolError } from './protocol-error.ts';
import {
  align8,
  type FeatureSlot,
  KIND_BOOL,
  KIND_LIST,
  KIND_MSGPACK,
  KIND_STRING,
  KIND_TIMESTAMP,
  ROW_HEADER_BYTES,
  type RowLayout,
} from './row-layout.ts';
import { isUtf8 } from './text.ts';

export function verifyRow(
  layout: RowLayout,
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  length: number,
): void {
  verifyHeader(layout, view, offset, length);
  const featureCount = layout.slots.length;
  verifyZero(bytes, offset + layout.fixedEnd, offset + layout.variableStart, 'the fixed section');
  const bitmapAt = offset + ROW_HEADER_BYTES;
  if ((featureCount & 7) !== 0 && bytes[bitmapAt + (featureCount >> 3)]! >> (featureCount & 7) !== 0) {
    throw new ProtocolError(
      'ROW_INVALID',
      `the validity bitmap has bits beyond the ${featureCount} features`,
    );
  }
  verifyZero(bytes, bitmapAt + ((featureCount + 7) >> 3), offset + layout.fixedStart, 'the validity bitmap');
  verifyNulls(layout, bytes, offset);
  const end = verifyValues(layout, view, bytes, offset, length);
  if (align8(end) !== length) {
    throw new ProtocolError('ROW_INVALID', `the row has ${length} bytes; its values end after ${end}`);
  }
  verifyZero(bytes, offset + end, offset + length, 'the variable section');
}

function verifyHeader(layout: RowLayout, view: DataView, offset: number, length: number): void {
  if (length < layout.variableStart) {
    throw new ProtocolError(
      'ROW_INVALID',
      `the row has ${length} bytes; the schema needs at least ${layout.variableStart}`,
    );
  }
  if (length > ROW_BYTES_MAX) {
    throw new ProtocolError(
      'ROW_TOO_LARGE',
      `the row has ${length} bytes; at most ${ROW_BYTES_MAX} are allowed`,
    );
  }
  const version = view.getUint16(offset, true);
  if (version !== layout.schemaVersion) {
    throw new ProtocolError(
      'SCHEMA_VERSION_UNKNOWN',
      `the row carries schema version ${version}; the request names ${layout.schemaVersion}`,
    );
  }
  const rowBytes = view.getUint32(offset + 4, true);
  if (rowBytes !== length || (rowBytes & 7) !== 0 || view.getUint16(offset + 2, true) !== 0) {
    throw new ProtocolError(
      'ROW_INVALID',
      `the row's header says ${rowBytes} bytes; it has ${length}, and that must be a multiple of 8`,
    );
  }
}

/** Checks that the slots of null features are zero. Rows are mostly full: a byte of the bitmap that is skips eight. */
function verifyNulls(layout: RowLayout, bytes: Uint8Array, offset: number): void {
  const slots = layout.slots;
  const bitmapAt = offset + ROW_HEADER_BYTES;
  for (let index = 0; index < slots.length; index++) {
    const present = bytes[bitmapAt + (index >> 3)]!;
    if (present === 0xff) {
      index |= 7;
      continue;
    }
    if (((present >> (index & 7)) & 1) !== 0) continue;
    const slot = slots[index]!;
    const at = offset + slot.offset;
    if (!isZero(bytes, at, at + slot.bytes)) throw invalid(slot, 'is null but its slot is not zero');
  }
}

/** Checks the values that can be wrong and returns where the row's last one ends, from the row's start. */
function verifyValues(
  layout: RowLayout,
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  const slots = layout.checkedSlots;
  let end = layout.variableStart;
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index]!;
    const bit = slot.index;
    if (((bytes[offset + ROW_HEADER_BYTES + (bit >> 3)]! >> (bit & 7)) & 1) === 0) continue;
    const at = offset + slot.offset;
    if (slot.kind >= KIND_STRING) {
      end = verifyVariable(slot, view, bytes, offset, length, end);
    } else if (slot.kind === KIND_BOOL) {
      if (bytes[at]! > 1) throw invalid(slot, `holds the byte ${bytes[at]}; a bool is 0 or 1`);
    } else if (Number.isNaN(readInt64(view, at))) {
      throw invalid(slot, 'is outside ±(2^53 − 1) µs');
    }
  }
  return end;
}

/** Checks one variable value, which must begin at `end` (from the row's start), and returns where it ends. */
function verifyVariable(
  slot: FeatureSlot,
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  length: number,
  end: number,
): number {
  const from = view.getUint32(offset + slot.offset, true);
  const count = view.getUint32(offset + slot.offset + 4, true);
  const expected = slot.kind === KIND_LIST ? align8(end) : end;
  if (from !== expected)
    throw invalid(slot, `begins at byte ${from}; the value before it ends so that ${expected} is due`);
  if (count > length - from) throw invalid(slot, `has ${count} bytes at ${from}; the row has ${length}`);
  const start = offset + from;
  if (slot.kind === KIND_LIST && !isZero(bytes, offset + end, start)) {
    throw invalid(slot, 'is preceded by padding that is not zero');
  }
  verifyVariableValue(slot, view, bytes, start, count);
  return from + count;
}

/** Checks the `count` bytes at `start` as a value of a variable feature. */
export function verifyVariableValue(
  slot: FeatureSlot,
  view: DataView,
  bytes: Uint8Array,
  start: number,
  count: number,
): void {
  if (slot.kind === KIND_STRING) {
    if (!isUtf8(bytes, start, start + count)) throw invalid(slot, 'is not UTF-8');
  } else if (slot.kind === KIND_LIST) {
    verifyList(slot, view, bytes, start, count);
  } else if (slot.kind === KIND_MSGPACK) {
    const problem = findMessagePackProblem(bytes, start, start + count);
    if (problem !== null) throw invalid(slot, `is not MessagePack: ${problem}`);
  }
}

/** Checks the `length` bytes at `start` as a list. */
export function verifyList(
  slot: FeatureSlot,
  view: DataView,
  bytes: Uint8Array,
  start: number,
  length: number,
): void {
  if (length < LIST_HEADER_BYTES)
    throw invalid(slot, `has ${length} bytes; a list has at least ${LIST_HEADER_BYTES}`);
  const count = view.getUint32(start, true);
  if (view.getUint32(start + 4, true) !== 0)
    throw invalid(slot, 'has a list header whose second word is not zero');
  if (count > LIST_ITEMS_MAX)
    throw invalid(slot, `has ${count} items; at most ${LIST_ITEMS_MAX} are allowed`);
  const itemsAt = start + LIST_HEADER_BYTES;
  const space = length - LIST_HEADER_BYTES;
  const needed = count * (slot.itemBytes === 0 ? 4 : slot.itemBytes);
  if (slot.itemBytes === 0 ? space < needed : space !== needed) {
    throw invalid(slot, `has ${count} items in ${space} bytes; they take ${needed}`);
  }
  if (slot.itemBytes === 0) verifyStrings(slot, view, bytes, itemsAt, count, space - needed);
  else if (slot.itemKind === KIND_BOOL) verifyBools(slot, bytes, itemsAt, count);
  else if (slot.itemKind === KIND_TIMESTAMP) verifyTimestamps(slot, view, itemsAt, count);
}

function verifyStrings(
  slot: FeatureSlot,
  view: DataView,
  bytes: Uint8Array,
  endsAt: number,
  count: number,
  textBytes: number,
): void {
  const textAt = endsAt + 4 * count;
  let before = 0;
  for (let item = 0; item < count; item++) {
    const end = view.getUint32(endsAt + 4 * item, true);
    if (end < before || end > textBytes)
      throw invalid(slot, `has item ${item} from ${before} to ${end} of ${textBytes}`);
    if (!isUtf8(bytes, textAt + before, textAt + end))
      throw invalid(slot, `has item ${item} that is not UTF-8`);
    before = end;
  }
  if (before !== textBytes) throw invalid(slot, `has items that end at ${before} of ${textBytes} bytes`);
}

function verifyBools(slot: FeatureSlot, bytes: Uint8Array, at: number, count: number): void {
  for (let item = 0; item < count; item++) {
    if (bytes[at + item]! > 1)
      throw invalid(slot, `has the byte ${bytes[at + item]} as item ${item}; a bool is 0 or 1`);
  }
}

function verifyTimestamps(slot: FeatureSlot, view: DataView, at: number, count: number): void {
  for (let item = 0; item < count; item++) {
    if (Number.isNaN(readInt64(view, at + 8 * item)))
      throw invalid(slot, `has item ${item} outside ±(2^53 − 1) µs`);
  }
}

function verifyZero(bytes: Uint8Array, from: number, to: number, what: string): void {
  if (!isZero(bytes, from, to)) throw new ProtocolError('ROW_INVALID', `the padding of ${what} is not zero`);
}

export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    if (bytes[at] !== 0) return false;
  }
  return true;
}

function invalid(slot: FeatureSlot, problem: string): ProtocolError {
  return new ProtocolError('ROW_INVALID', `feature "${slot.name}" (${slot.type}) ${problem}`);
}
