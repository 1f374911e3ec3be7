/**
 * From the caller's rows to encoded ones: a chunk holds what one put request needs, keys and rows in two buffers.
 *
 * I1  Rows are taken from `from` on until the chunk has PUT_CHUNK_ROWS of them (patches: PATCH_CHUNK_ROWS) or PUT_CHUNK_BYTES; there is at least one.
 * I2  A row that is not valid throws, with its position in the caller's input in the message; nothing of it was sent.
 * I3  A row without an event time gets `nowMicros`.
 * I4  A name that the group does not have is refused, in objects as in columns: a misspelt feature would be stored as null.
 *
 * Columns need no object a row: features are encoded by protocol's column kernels, keys one by one.
 */
import {
  ByteWriter,
  describeValue,
  encodeKey,
  encodePatch,
  encodeRow,
  encodeRowColumns,
  type FeatureColumn,
  fixedKeyBytes,
  KeyBatch,
  ProtocolError,
  timestampMicros,
} from '../protocol/index.ts';
import { MillraceError } from './errors.ts';
import type { Group } from './group.ts';
import { PATCH_CHUNK_ROWS, PUT_CHUNK_BYTES, PUT_CHUNK_ROWS } from './limits.ts';
import type { PutRow } from './row-types.ts';

type AnyGroup = Group<unknown, unknown, unknown>;

/** Encoded rows of one group, position by position. */
export interface RowChunk {
  readonly count: number;
  readonly keys: KeyBatch;
  readonly eventTimes: Float64Array;
  readonly rows: Uint8Array;
  /** Row i is rows[rowOffsets[i], rowOffsets[i + 1]). */
  readonly rowOffsets: Uint32Array;
}

/** Columns by name, one value a row: key columns, the event time and features. All of one length, but vectors. */
export type PutColumns = Readonly<Record<string, ArrayLike<unknown>>>;

/** What a put reads from: `count` rows, of which `encode` takes some. */
export interface RowSource {
  readonly count: number;
  encode(from: number): RowChunk;
}

/** Keys of unknown length are often of about this. */
const KEY_BYTES_GUESS = 16;

export function rowSource(group: AnyGroup, rows: readonly PutRow[], nowMicros: number): RowSource {
  return {
    count: rows.length,
    encode: (from) => encodeObjects(group, rows, from, PUT_CHUNK_ROWS, nowMicros, encodeRow),
  };
}

/** The same with patches in place of rows. */
export function patchSource(group: AnyGroup, rows: readonly PutRow[], nowMicros: number): RowSource {
  return {
    count: rows.length,
    encode: (from) => encodeObjects(group, rows, from, PATCH_CHUNK_ROWS, nowMicros, encodePatch),
  };
}

/** Throws ROW_INVALID when a column is missing, unknown or of another length. */
export function columnSource(group: AnyGroup, columns: PutColumns, nowMicros: number): RowSource {
  const count = checkColumns(group, columns);
  return { count, encode: (from) => encodeColumns(group, columns, count, from, nowMicros) };
}

function encodeObjects(
  group: AnyGroup,
  rows: readonly PutRow[],
  from: number,
  rowsMax: number,
  nowMicros: number,
  encode: typeof encodeRow | typeof encodePatch,
): RowChunk {
  const { schema, layout } = group;
  const countMax = Math.min(rows.length - from, rowsMax);
  const keys = new KeyBatch(countMax);
  const keyWriter = new ByteWriter(countMax * (fixedKeyBytes(schema.key) || KEY_BYTES_GUESS));
  const rowWriter = new ByteWriter(Math.min(countMax * layout.variableStart, PUT_CHUNK_BYTES));
  const eventTimes = new Float64Array(countMax);
  const rowOffsets = new Uint32Array(countMax + 1);
  const known = knownNames(group);
  let accepted: readonly string[] = [];
  let count = 0;
  while (count < countMax && rowWriter.length < PUT_CHUNK_BYTES) {
    const row = rows[from + count];
    try {
      if (typeof row !== 'object' || row === null) refuseRow(row);
      accepted = acceptNames(group, Object.keys(row), known, accepted);
      encodeKey(schema.key, row, keyWriter);
      eventTimes[count] = eventTimeOf(schema.eventTimeName, row[schema.eventTimeName], nowMicros);
      encode(layout, row, rowWriter);
    } catch (error) {
      throw numbered(error, from + count);
    }
    count += 1;
    keys.offsets[count] = keyWriter.length;
    rowOffsets[count] = rowWriter.length;
  }
  keys.count = count;
  keys.bytes = keyWriter.bytes;
  return { count, keys, eventTimes, rows: rowWriter.bytes, rowOffsets };
}

/** Made once a group: a put of one row would spend longer on the set than on the row. */
const namesOfGroup: WeakMap<AnyGroup, ReadonlySet<string>> = new WeakMap();

/** All names that a row may have: the key's columns, the event time and the features. */
function knownNames(group: AnyGroup): ReadonlySet<string> {
  let known = namesOfGroup.get(group);
  if (known === undefined) {
    const { key, eventTimeName } = group.schema;
    known = new Set([eventTimeName, ...[...key, ...group.layout.slots].map(({ name }) => name)]);
    namesOfGroup.set(group, known);
  }
  return known;
}

/**
 * The names of this row, all of which the group has; throws ROW_INVALID for the first that it has not. Rows of one origin have the same
 * names in the same order, so most are settled by comparing them with the row before: names are compared by pointer.
 */
function acceptNames(
  group: AnyGroup,
  names: readonly string[],
  known: ReadonlySet<string>,
  accepted: readonly string[],
): readonly string[] {
  let same = names.length === accepted.length ? 0 : -1;
  while (same >= 0 && same < names.length) same = names[same] === accepted[same] ? same + 1 : -1;
  if (same === names.length) return accepted;
  for (const name of names) {
    if (!known.has(name)) refuseColumn(`group "${group.name}" has no column "${name}"`);
  }
  return names;
}

function encodeColumns(
  group: AnyGroup,
  columns: PutColumns,
  total: number,
  from: number,
  nowMicros: number,
): RowChunk {
  const { schema, layout } = group;
  // Variable values are not measured beforehand: such rows go by their fixed part, twice over.
  const rowBytes = layout.hasVariable ? 2 * layout.variableStart : layout.variableStart;
  const count = Math.max(1, Math.min(total - from, PUT_CHUNK_ROWS, Math.floor(PUT_CHUNK_BYTES / rowBytes)));
  const rowWriter = new ByteWriter(count * rowBytes);
  const rowOffsets = new Uint32Array(count + 1);
  encodeRowColumns(
    layout,
    columns as Record<string, FeatureColumn>,
    from,
    from + count,
    rowWriter,
    rowOffsets,
  );
  return {
    count,
    keys: encodeKeyColumns(group, columns, from, count),
    eventTimes: eventTimeColumn(schema.eventTimeName, columns[schema.eventTimeName], from, count, nowMicros),
    rows: rowWriter.bytes,
    rowOffsets,
  };
}

function encodeKeyColumns(group: AnyGroup, columns: PutColumns, from: number, count: number): KeyBatch {
  const { key } = group.schema;
  const arrays = key.map((column) => columns[column.name]!);
  const keys = new KeyBatch(count);
  const writer = new ByteWriter(count * (fixedKeyBytes(key) || KEY_BYTES_GUESS));
  // One array for all rows: a key of several columns is given as an array in column order.
  const values: unknown[] = new Array(key.length);
  for (let i = 0; i < count; i++) {
    try {
      for (let c = 0; c < arrays.length; c++) values[c] = arrays[c]![from + i];
      encodeKey(key, values, writer);
    } catch (error) {
      throw numbered(error, from + i);
    }
    keys.offsets[i + 1] = writer.length;
  }
  keys.count = count;
  keys.bytes = writer.bytes;
  return keys;
}

function eventTimeColumn(
  name: string,
  column: ArrayLike<unknown> | undefined,
  from: number,
  count: number,
  nowMicros: number,
): Float64Array {
  const eventTimes = new Float64Array(count).fill(nowMicros);
  if (column === undefined) return eventTimes;
  for (let i = 0; i < count; i++) {
    try {
      eventTimes[i] = eventTimeOf(name, column[from + i], nowMicros);
    } catch (error) {
      throw numbered(error, from + i);
    }
  }
  return eventTimes;
}

/** µs since the epoch: of a number or bigint of µs, a Date, or `nowMicros` for none. */
export function eventTimeOf(name: string, value: unknown, nowMicros: number): number {
  if (value === undefined || value === null) return nowMicros;
  const micros = timestampMicros(value);
  if (!Number.isNaN(micros)) return micros;
  throw new MillraceError(
    'EVENT_TIME_INVALID',
    `${name} got ${describeValue(value)}; allowed: a Date, or an integer of microseconds since 1970 within ±(2^53 − 1)`,
  );
}

/** The number of rows that the columns hold. */
function checkColumns(group: AnyGroup, columns: PutColumns): number {
  const { key } = group.schema;
  for (const { name } of key) {
    if (columns[name] === undefined) refuseColumn(`there is no column for "${name}" of the key`);
  }
  const count = columns[key[0]!.name]!.length;
  const vectorLengths = new Map(group.layout.slots.map((slot) => [slot.name, slot.length]));
  const known = knownNames(group);
  for (const [name, column] of Object.entries(columns)) {
    if (!known.has(name)) refuseColumn(`group "${group.name}" has no column "${name}"`);
    const isFlatVector = column instanceof Float32Array && (vectorLengths.get(name) ?? 1) > 1;
    const expected = isFlatVector ? count * vectorLengths.get(name)! : count;
    if (column.length !== expected) {
      refuseColumn(`column "${name}" has ${column.length} values; ${expected} are needed for ${count} rows`);
    }
  }
  return count;
}

function refuseColumn(message: string): never {
  throw new MillraceError('ROW_INVALID', message);
}

function refuseRow(row: unknown): never {
  throw new MillraceError(
    'ROW_INVALID',
    `${describeValue(row)} is no row; a row is an object by column name`,
  );
}

function numbered(error: unknown, row: number): unknown {
  if (!(error instanceof ProtocolError || error instanceof MillraceError)) return error;
  return new MillraceError(error.code, `row ${row}: ${error.message}`, { cause: error });
}
