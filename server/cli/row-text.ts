/**
 * Record batches of a scan as lines of text: JSON lines or CSV, values as value-text.ts writes them.
 *
 * Promises: one line a row, columns in the scan's order; the CSV header comes from `header`. Text is made a batch at a time, so memory is
 * bounded by a batch.
 */
import type { RecordBatch, Vector } from 'apache-arrow';
import type { Group } from '../../client/index.ts';
import { decodeMessagePack } from '../../protocol/index.ts';
import { csvField, jsonValue, type ValueType } from './value-text.ts';

export type NamedColumn = ValueType & { readonly name: string };

/** The types of the scanned columns, in the order of the batch. */
export function columnsOf(group: Group, names: readonly string[]): NamedColumn[] {
  const { key, features, eventTimeName } = group.schema;
  const known = new Map<string, NamedColumn>([...key, ...features].map((column) => [column.name, column]));
  known.set(eventTimeName, { name: eventTimeName, type: 'timestamp' });
  return names.map((name) => known.get(name)!);
}

export function csvHeader(columns: readonly NamedColumn[]): string {
  return `${columns.map((column) => csvField(column.name)).join(',')}\n`;
}

export function csvLines(batch: RecordBatch, columns: readonly NamedColumn[]): string {
  const values = columns.map((column, i) => columnValues(batch.getChildAt(i)!, column));
  let text = '';
  for (let row = 0; row < batch.numRows; row++) {
    for (let i = 0; i < values.length; i++) text += (i === 0 ? '' : ',') + csvField(values[i]![row]);
    text += '\n';
  }
  return text;
}

export function jsonLines(batch: RecordBatch, columns: readonly NamedColumn[]): string {
  const values = columns.map((column, i) => columnValues(batch.getChildAt(i)!, column));
  const names = columns.map((column, i) => `${i === 0 ? '{' : ','}${JSON.stringify(column.name)}:`);
  let text = '';
  for (let row = 0; row < batch.numRows; row++) {
    for (let i = 0; i < values.length; i++) text += names[i]! + JSON.stringify(values[i]![row]);
    text += '}\n';
  }
  return text;
}

/** A column's values, ready for JSON. */
function columnValues(vector: Vector, column: NamedColumn): unknown[] {
  const values: unknown[] = new Array(vector.length);
  const stored = column.type === 'timestamp' ? storedMicros(vector) : undefined;
  for (let i = 0; i < vector.length; i++) {
    const value: unknown = vector.get(i);
    values[i] =
      value === null
        ? null
        : jsonValue(column, stored === undefined ? storedValue(column, value) : stored[i]);
  }
  return values;
}

/** The microseconds as they are stored: the vector's own values are milliseconds, without what is below them. */
function storedMicros(vector: Vector): Float64Array {
  const micros = new Float64Array(vector.length);
  let at = 0;
  for (const data of vector.data) {
    const values = data.values as BigInt64Array;
    for (let i = 0; i < data.length; i++) micros[at++] = Number(values[i]!);
  }
  return micros;
}

/** What the client would have given for a value that Arrow holds in another form. */
function storedValue(column: NamedColumn, value: unknown): unknown {
  if (column.type === 'uuid') {
    const hex = Buffer.from(value as Uint8Array).toString('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }
  if (column.type === 'msgpack') {
    const bytes = value as Uint8Array;
    return decodeMessagePack(bytes, 0, bytes.length);
  }
  if (column.type === 'list' && column.item === 'timestamp') return storedMicros(value as Vector);
  return value;
}
