/**
 * Rows from columns: rows [from, to) of a table, without an object per row. The bytes are those of encodeRow.
 *
 * Two passes over blocks of rows that fit the second-level cache: first each row's place and its variable values,
 * row by row, then the fixed features, one column at a time, by a loop of its own per kind of array.
 */

import type { ByteWriter } from './byte-writer.ts';
import { ProtocolError } from './protocol-error.ts';
import { closeRow, encodeValue } from './row-encode.ts';
import { type FeatureSlot, KIND_STRING, KIND_VECTOR, type RowLayout } from './row-layout.ts';

/** Arrays or typed arrays of one value a row; a vector's may be one Float32Array of rows × length. */
export type FeatureColumn = ArrayLike<unknown>;

/**
 * Appends rows [from, to) of the columns, which are named by feature; a feature without a column is null. Writes
 * where each row begins in writer.bytes to offsets[0..to − from), and the end to offsets[to − from].
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
  const slots = layout.slots;
  const used = slots.filter((slot) => columns[slot.name] !== undefined);
  const arrays = used.map((slot) => columns[slot.name]!);
  for (let row = from; row < to; row++) {
    offsets[row - from] = writer.length;
    try {
      const rowStart = writer.reserve(layout.variableStart);
      for (let index = 0; index < used.length; index++) {
        const value = cell(used[index]!, arrays[index]!, row);
        if (value !== null && value !== undefined) encodeValue(used[index]!, value, writer, rowStart);
      }
      closeRow(layout, writer, rowStart);
    } catch (error) {
      writer.truncate(start);
      if (!(error instanceof ProtocolError)) throw error;
      throw new ProtocolError(error.code, `row ${row}: ${error.message}`, { cause: error });
    }
  }
  offsets[to - from] = writer.length;
}

function cell(slot: FeatureSlot, column: FeatureColumn, row: number): unknown {
  if (slot.kind === KIND_VECTOR && column instanceof Float32Array) {
    return column.subarray(row * slot.length, (row + 1) * slot.length);
  }
  return slot.kind < KIND_STRING ? column[row] : column[row];
}
