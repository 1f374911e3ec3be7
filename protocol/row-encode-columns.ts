/**
 * Rows from columns: rows [from, to) of a table, without an object per row. The bytes are those of encodeRow.
 *
 * Rows are made in blocks that fit the second-level cache, each in two passes: first every row's place, with its
 * variable values, row by row; then the fixed features, one column at a time. A column's loop sees one kind of array
 * and one slot, so its loads and stores are direct: 2 ns a value, where a loop over a row's features costs 9.
 */

import type { ByteWriter } from './byte-writer.ts';
import { ProtocolError } from './protocol-error.ts';
import { appendVariable, closeRow, markPresent, writeVector } from './row-encode.ts';
import {
  type FeatureSlot,
  KIND_FLOAT32,
  KIND_STRING,
  KIND_VECTOR,
  ROW_HEADER_BYTES,
  type RowLayout,
} from './row-layout.ts';
import { refuseValue } from './row-value.ts';
import { writeFloat32, writeNumber, writeScalar } from './scalar-codec.ts';

/** Arrays or typed arrays of one value a row; a vector's may be one Float32Array of rows × length. */
export type FeatureColumn = ArrayLike<unknown>;

/** Stands for a column that is not there: of every row it says nothing, so the feature's default is taken. */
const SAYS_NOTHING: FeatureColumn = { length: Number.POSITIVE_INFINITY };

/** 128 rows of 50 floats are 28 KB: the block stays in the cache between the columns. */
const BLOCK_ROWS = 128;

/** The row that a pass is at, for the message when it throws: the only state, reset by every call. */
let currentRow = 0;

/**
 * Appends rows [from, to) of the columns, which are named by feature; a feature without a column, or without a
 * value (undefined) in it, has its default or is null. Writes
 * where each row begins in writer.bytes to offsets[0..to − from), and where the last ends to offsets[to − from].
 * A throw names the row, and the writer is then as it was before.
 */
export function encodeRowColumns(
  layout: RowLayout,
  columns: Readonly<Record<string, FeatureColumn>>,
  from: number,
  to: number,
  writer: ByteWriter,
  offsets: Uint32Array,
): void {
  const start = writer.length;
  const used = layout.slots.filter((slot) => (columns[slot.name] ?? slot.default) !== undefined);
  const arrays = used.map((slot) => columns[slot.name] ?? SAYS_NOTHING);
  for (let index = 0; index < used.length; index++) checkLength(used[index]!, arrays[index]!, to);
  try {
    for (let block = from; block < to; block += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, to - block);
      placeRows(layout, used, arrays, block, count, writer, offsets, block - from);
      for (let index = 0; index < used.length; index++) {
        const slot = used[index]!;
        if (slot.kind < KIND_STRING) {
          fillColumn(slot, arrays[index]!, block, count, writer, offsets, block - from);
        }
      }
    }
  } catch (error) {
    writer.truncate(start);
    if (!(error instanceof ProtocolError)) throw error;
    throw new ProtocolError(error.code, `row ${currentRow}: ${error.message}`, { cause: error });
  }
  offsets[to - from] = writer.length;
}

/** A column that ends before `to` would read as null: a mistake of the caller's, and it is told. */
function checkLength(slot: FeatureSlot, column: FeatureColumn, to: number): void {
  const needed = isFlatVector(slot, column) ? to * slot.length : to;
  if (column.length < needed) {
    throw new ProtocolError(
      'ROW_INVALID',
      `column "${slot.name}" has ${column.length} values; rows up to ${to} need ${needed}`,
    );
  }
}

/** First pass: reserves the rows, writes their variable values and headers. */
function placeRows(
  layout: RowLayout,
  slots: readonly FeatureSlot[],
  arrays: readonly FeatureColumn[],
  from: number,
  count: number,
  writer: ByteWriter,
  offsets: Uint32Array,
  firstOffset: number,
): void {
  for (let index = 0; index < count; index++) {
    const start = writer.reserve(layout.variableStart);
    currentRow = from + index;
    offsets[firstOffset + index] = start;
    if (layout.hasVariable) appendVariables(slots, arrays, currentRow, writer, start);
    closeRow(layout, writer, start);
  }
}

function appendVariables(
  slots: readonly FeatureSlot[],
  arrays: readonly FeatureColumn[],
  row: number,
  writer: ByteWriter,
  start: number,
): void {
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index]!;
    if (slot.kind < KIND_STRING) continue;
    const given = arrays[index]![row];
    const value = given === undefined ? slot.default : given;
    if (value === null || value === undefined) continue;
    appendVariable(slot, value, writer, start);
    markPresent(writer.bytes, start, slot.index);
  }
}

/** Second pass, one column: picks the loop by the kind of array. */
function fillColumn(
  slot: FeatureSlot,
  column: FeatureColumn,
  from: number,
  count: number,
  writer: ByteWriter,
  offsets: Uint32Array,
  firstOffset: number,
): void {
  const { bytes, view } = writer;
  const bitmapAt = ROW_HEADER_BYTES + (slot.index >> 3);
  const bit = 1 << (slot.index & 7);
  if (slot.kind === KIND_VECTOR) {
    if (isFlatVector(slot, column)) fillFlatVectors(slot, column, from, count, view, offsets, firstOffset);
    else fillVectors(slot, column, from, count, writer, offsets, firstOffset);
  } else if (column instanceof Float32Array && slot.kind === KIND_FLOAT32) {
    fillFloat32(slot.offset, column, from, count, view, offsets, firstOffset);
  } else if (ArrayBuffer.isView(column) && !(column instanceof BigInt64Array)) {
    fillNumbers(
      slot,
      column as ArrayLike<unknown> as ArrayLike<number>,
      from,
      count,
      view,
      offsets,
      firstOffset,
    );
  } else {
    fillValues(slot, column, from, count, writer, offsets, firstOffset);
  }
  if (!ArrayBuffer.isView(column)) return;
  // A typed array has a value in every row.
  for (let index = 0; index < count; index++) {
    const at = offsets[firstOffset + index]! + bitmapAt;
    bytes[at] = bytes[at]! | bit;
  }
}

function fillFloat32(
  slotOffset: number,
  column: Float32Array,
  from: number,
  count: number,
  view: DataView,
  offsets: Uint32Array,
  firstOffset: number,
): void {
  for (let index = 0; index < count; index++) {
    writeFloat32(view, offsets[firstOffset + index]! + slotOffset, column[from + index]!);
  }
}

function fillNumbers(
  slot: FeatureSlot,
  column: ArrayLike<number>,
  from: number,
  count: number,
  view: DataView,
  offsets: Uint32Array,
  firstOffset: number,
): void {
  const { kind, offset } = slot;
  for (let index = 0; index < count; index++) {
    const value = column[from + index]!;
    if (writeNumber(view, offsets[firstOffset + index]! + offset, kind, value)) continue;
    currentRow = from + index;
    refuseValue(slot, value);
  }
}

function fillValues(
  slot: FeatureSlot,
  column: FeatureColumn,
  from: number,
  count: number,
  writer: ByteWriter,
  offsets: Uint32Array,
  firstOffset: number,
): void {
  const { bytes, view } = writer;
  const { kind, offset } = slot;
  const bitmapAt = ROW_HEADER_BYTES + (slot.index >> 3);
  const bit = 1 << (slot.index & 7);
  for (let index = 0; index < count; index++) {
    const given = column[from + index];
    const value = given === undefined ? slot.default : given;
    if (value === null || value === undefined) continue;
    const start = offsets[firstOffset + index]!;
    if (!writeScalar(view, start + offset, kind, value)) {
      currentRow = from + index;
      refuseValue(slot, value);
    }
    bytes[start + bitmapAt] = bytes[start + bitmapAt]! | bit;
  }
}

function fillFlatVectors(
  slot: FeatureSlot,
  column: Float32Array,
  from: number,
  count: number,
  view: DataView,
  offsets: Uint32Array,
  firstOffset: number,
): void {
  const length = slot.length;
  for (let index = 0; index < count; index++) {
    const at = offsets[firstOffset + index]! + slot.offset;
    const first = (from + index) * length;
    for (let item = 0; item < length; item++) writeFloat32(view, at + 4 * item, column[first + item]!);
  }
}

function fillVectors(
  slot: FeatureSlot,
  column: FeatureColumn,
  from: number,
  count: number,
  writer: ByteWriter,
  offsets: Uint32Array,
  firstOffset: number,
): void {
  for (let index = 0; index < count; index++) {
    const value = column[from + index];
    if (value === null || value === undefined) continue;
    currentRow = from + index;
    const start = offsets[firstOffset + index]!;
    writeVector(writer.view, start + slot.offset, slot, value);
    markPresent(writer.bytes, start, slot.index);
  }
}

/** Whether a vector's column is one array of rows × length and not one array a row. */
function isFlatVector(slot: FeatureSlot, column: FeatureColumn): column is Float32Array {
  return slot.kind === KIND_VECTOR && column instanceof Float32Array;
}
