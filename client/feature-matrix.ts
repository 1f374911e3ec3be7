/**
 * The answer of `getMatrix`: rows × columns numbers in one typed array, and which of them are real.
 *
 *   data      rows × columns, row-major; a missing or null cell is NaN
 *   found     one byte a row: 1 when the entity has a row in the group
 *   validity  rows × validityStride bytes; bit c of a row (least significant first) is 1 when column c has a value
 *
 * Row r belongs to key r of the call. The arrays are plain and may be handed to any library; when one shard answered
 * they are views of the received frame, copied from the socket once.
 */

export type MatrixData = Float32Array | Float64Array;

export class FeatureMatrix<T extends MatrixData = Float32Array> {
  /** rows × columns values, row-major. */
  readonly data: T;
  readonly rows: number;
  /** Columns: one a scalar feature, `length` a vector feature, in the order the features were named. */
  readonly columns: number;
  /** A feature's name, or `name[i]` for item i of a vector. */
  readonly columnNames: readonly string[];
  /** One byte a row: 1 when the entity has a row. */
  readonly found: Uint8Array;
  /** rows × validityStride bytes of bits, least significant first. */
  readonly validity: Uint8Array;
  /** Bytes a row of `validity`: ceil(columns / 8). */
  readonly validityStride: number;
  /** Event time of each row, µs since the epoch, NaN when not found. Null unless asked for. */
  readonly eventTimes: Float64Array | null;

  constructor(
    data: T,
    columnNames: readonly string[],
    found: Uint8Array,
    validity: Uint8Array,
    eventTimes: Float64Array | null,
  ) {
    this.data = data;
    this.rows = found.length;
    this.columns = columnNames.length;
    this.columnNames = columnNames;
    this.found = found;
    this.validity = validity;
    this.validityStride = (columnNames.length + 7) >>> 3;
    this.eventTimes = eventTimes;
  }

  /** Whether the cell holds a value (which may itself be NaN). */
  isValid(row: number, column: number): boolean {
    return ((this.validity[row * this.validityStride + (column >>> 3)]! >>> (column & 7)) & 1) === 1;
  }

  /** Row `row` as a view of `data`, `columns` long. */
  row(row: number): T {
    return this.data.subarray(row * this.columns, (row + 1) * this.columns) as T;
  }

  /** The column's place in a row, or -1. */
  columnIndex(name: string): number {
    return this.columnNames.indexOf(name);
  }
}

/** A float array of `length`: the kind of number a matrix was asked in. */
export function matrixData(isDouble: boolean, length: number): MatrixData {
  return isDouble ? new Float64Array(length) : new Float32Array(length);
}

/**
 * Where rows of a shard's answer go: row i of `source` becomes row rows[i] of `target`, `width` items each.
 *
 * Two loops of the same shape, because one for numbers and bytes together is compiled for neither ((m) 8 against 6.5 µs
 * for 50 rows of 50 float32). A `set` of a `subarray` a row costs more than the loop up to some hundred items.
 */
export function scatterNumbers(
  source: MatrixData,
  target: MatrixData,
  rows: Uint32Array,
  width: number,
): void {
  for (let i = 0; i < rows.length; i++) {
    const from = i * width;
    const to = rows[i]! * width;
    if (width > LOOP_ITEMS_MAX) target.set(source.subarray(from, from + width), to);
    else for (let k = 0; k < width; k++) target[to + k] = source[from + k]!;
  }
}

export function scatterBytes(source: Uint8Array, target: Uint8Array, rows: Uint32Array, width: number): void {
  for (let i = 0; i < rows.length; i++) {
    const from = i * width;
    const to = rows[i]! * width;
    if (width > LOOP_ITEMS_MAX) target.set(source.subarray(from, from + width), to);
    else for (let k = 0; k < width; k++) target[to + k] = source[from + k]!;
  }
}

/** Above this many items a row `set` on a `subarray` beats a loop: its two calls cost some 60 ns. */
const LOOP_ITEMS_MAX = 96;
