/**
 * Projection: from encoded rows to the rows of a numeric matrix, by a plan compiled once a (schema version, features,
 * dtype) and cached.
 *
 *   row     | header | bitmap | a:f64 | b:f32 | c:f32 | d:i16 | …
 *   plan      masks of the bitmap words, then   run  {from b, 2 words, to column 0}     same type: words are copied
 *                                               cell {i16 at d, to column 2}            other types: converted
 *   matrix  | b | c | d |   validity 0b111
 *
 * I1  Neighbouring features of the matrix's own type become one run: 50 float32 asked for in schema order are one
 *     copy loop of 50 words, with no test per feature when the row's bitmap has them all.
 * I2  A null feature, and every column of a missing row, is NaN with its validity bits 0; unused bits are 0.
 * I3  Kernels write only their row: columnCount cells and validityStride bytes, and they allocate nothing.
 *
 * 64-bit integers and timestamps become the nearest number; a float32 matrix rounds once more.
 *
 * Left to others: which bytes are a row (storage), where the matrix stands in the response (operations/get-matrix.ts).
 */
import { strict as assert } from 'node:assert';
import {
  type FeatureSlot,
  type GroupLayouts,
  type GroupSchema,
  ProtocolError,
  type RowLayout,
  readSlots,
} from '../protocol/index.ts';
import { PROJECTIONS_PER_GROUP_MAX } from './limits.ts';

export const DTYPE_FLOAT32 = 0;
export const DTYPE_FLOAT64 = 1;

const ROW_BITMAP_OFFSET = 8;
const NAN_FLOAT32_WORD = 0x7fc00000;
const NAN_FLOAT64_HIGH_WORD = 0x7ff80000;
const TWO_POW_32 = 2 ** 32;

/** How a cell that is not copied is read. */
const READ_BOOL = 0;
const READ_INT8 = 1;
const READ_INT16 = 2;
const READ_INT32 = 3;
const READ_INT64 = 4;
const READ_FLOAT32 = 5;
const READ_FLOAT64 = 6;

const READ_OF_TYPE: Readonly<Record<string, number>> = {
  bool: READ_BOOL,
  int8: READ_INT8,
  int16: READ_INT16,
  int32: READ_INT32,
  int64: READ_INT64,
  timestamp: READ_INT64,
  float32: READ_FLOAT32,
  vector: READ_FLOAT32,
  float64: READ_FLOAT64,
};

/** Numbers a run or a cell takes in its plan. */
const RUN_NUMBERS = 3;
const CELL_NUMBERS = 3;

export interface Projection {
  /** The same columns, of rows of another version of the schema. Throws SCHEMA_VERSION_UNKNOWN. */
  ofVersion(version: number): Projection;
  readonly schemaVersion: number;
  readonly dtype: number;
  readonly featureIds: Uint16Array;
  readonly columnCount: number;
  readonly validityStride: number;
  /** 32-bit words of one cell: 1 or 2. */
  readonly cellWords: number;
  /** Bitmap words that hold a requested feature's bit, and those bits. */
  readonly maskIndexes: Uint32Array;
  readonly masks: Uint32Array;
  /** (word offset in the row, word offset in the matrix row, words) of each run of the matrix's own type. */
  readonly runs: Uint32Array;
  /** (READ_ constant, byte offset in the row, column) of each cell that is converted. */
  readonly cells: Uint32Array;
  /** Cells that the row's version does not have: their columns, and what each is, NaN for null. */
  readonly absentColumns: Uint32Array;
  readonly absentValues: Float64Array;
  /** Bit in the row's bitmap, first column, and columns of each requested feature. */
  readonly featureBits: Uint32Array;
  readonly featureColumns: Uint32Array;
  readonly featureLengths: Uint32Array;
  /** The validity bytes of a row without nulls. */
  readonly allValid: Uint8Array;
}

/**
 * The plan for rows of the layout `from`, of any version of the schema; `layout` is the schema's own.
 * Throws FEATURE_NOT_FOUND, TYPE_MISMATCH. Work: the schema's features plus the requested ones.
 */
export function compileProjection(
  schema: GroupSchema,
  layout: RowLayout,
  from: RowLayout,
  featureIds: Uint16Array,
  dtype: number,
  ofVersion: (version: number) => Projection,
): Projection {
  const wanted = resolveSlots(layout, featureIds);
  const reads = readSlots(schema, wanted, from);
  const cellWords = dtype === DTYPE_FLOAT64 ? 2 : 1;
  const runs: number[] = [];
  const cells: number[] = [];
  const masks = new Map<number, number>();
  const present: FeatureSlot[] = [];
  const columns: number[] = [];
  const absentColumns: number[] = [];
  const absentValues: number[] = [];
  const validColumns: [from: number, to: number][] = [];
  let column = 0;
  wanted.forEach(({ length }, index) => {
    const { slot, absent } = reads[index]!;
    if (slot !== undefined || absent !== null) validColumns.push([column, column + length]);
    if (slot === undefined) {
      for (let item = 0; item < length; item++) {
        absentColumns.push(column + item);
        absentValues.push(absent === null ? Number.NaN : Number(absent));
      }
      column += length;
      return;
    }
    present.push(slot);
    columns.push(column);
    const word = slot.index >>> 5;
    masks.set(word, ((masks.get(word) ?? 0) | (1 << (slot.index & 31))) >>> 0);
    const read = READ_OF_TYPE[slot.type]!;
    if (read === (dtype === DTYPE_FLOAT64 ? READ_FLOAT64 : READ_FLOAT32)) {
      appendRun(runs, slot.offset >>> 2, column * cellWords, slot.length * cellWords);
    } else {
      for (let item = 0; item < slot.length; item++) {
        cells.push(read, slot.offset + (item * slot.bytes) / slot.length, column + item);
      }
    }
    column += slot.length;
  });
  const validityStride = (column + 7) >>> 3;
  const allValid = new Uint8Array(validityStride);
  for (const [first, end] of validColumns) setBits(allValid, 0, first, end);
  return {
    ofVersion,
    schemaVersion: from.schemaVersion,
    dtype,
    featureIds: featureIds.slice(),
    columnCount: column,
    validityStride,
    cellWords,
    maskIndexes: Uint32Array.from(masks.keys()),
    masks: Uint32Array.from(masks.values()),
    runs: Uint32Array.from(runs),
    cells: Uint32Array.from(cells),
    absentColumns: Uint32Array.from(absentColumns),
    absentValues: Float64Array.from(absentValues),
    featureBits: Uint32Array.from(present, (slot) => slot.index),
    featureColumns: Uint32Array.from(columns),
    featureLengths: Uint32Array.from(present, (slot) => slot.length),
    allValid,
  };
}

function resolveSlots(layout: RowLayout, featureIds: Uint16Array): FeatureSlot[] {
  const byId = new Map(layout.slots.map((slot) => [slot.id, slot]));
  return Array.from(featureIds, (id) => {
    const slot = byId.get(id);
    if (slot === undefined)
      throw new ProtocolError('FEATURE_NOT_FOUND', `the group has no feature with id ${id}`);
    if (READ_OF_TYPE[slot.type] === undefined) {
      throw new ProtocolError(
        'TYPE_MISMATCH',
        `feature "${slot.name}" is ${slot.type}: a matrix takes bool, integers, floats, timestamp and vector`,
      );
    }
    return slot;
  });
}

/** Extends the last run when this one follows it both in the row and in the matrix. */
function appendRun(runs: number[], fromWord: number, toWord: number, words: number): void {
  const last = runs.length - RUN_NUMBERS;
  if (
    last >= 0 &&
    runs[last]! + runs[last + 2]! === fromWord &&
    runs[last + 1]! + runs[last + 2]! === toWord
  ) {
    runs[last + 2]! += words;
  } else {
    runs.push(fromWord, toWord, words);
  }
}

/** Compiled projections of one group. */
export class ProjectionCache {
  readonly #schema: GroupSchema;
  readonly #layout: RowLayout;
  readonly #layouts: GroupLayouts;
  readonly #byHash: Map<number, Projection> = new Map();

  /** `layout` is the schema's own; `layouts` may come to know versions after it. */
  constructor(schema: GroupSchema, layout: RowLayout, layouts: GroupLayouts) {
    this.#schema = schema;
    this.#layout = layout;
    this.#layouts = layouts;
  }

  /**
   * For rows of one version of the schema, by default its own. Bound: one pass over the ids; a compilation when they are
   * new. Throws FEATURE_NOT_FOUND, TYPE_MISMATCH, and SCHEMA_VERSION_UNKNOWN for a version that the group has not had.
   */
  get(featureIds: Uint16Array, dtype: number, version: number = this.#layout.schemaVersion): Projection {
    const hash = hashIds(featureIds, dtype, version);
    const cached = this.#byHash.get(hash);
    if (
      cached !== undefined &&
      cached.dtype === dtype &&
      cached.schemaVersion === version &&
      equalIds(cached.featureIds, featureIds)
    ) {
      return cached;
    }
    const projection = this.#compile(featureIds, dtype, version);
    if (this.#byHash.size >= PROJECTIONS_PER_GROUP_MAX) this.#byHash.clear();
    this.#byHash.set(hash, projection);
    return projection;
  }

  #compile(featureIds: Uint16Array, dtype: number, version: number): Projection {
    const from = this.#layouts.of(version);
    if (from === undefined) refuseVersion(version, this.#schema.version);
    const ids = featureIds.slice();
    const ofVersion = (other: number): Projection => this.get(ids, dtype, other);
    return compileProjection(this.#schema, this.#layout, from, ids, dtype, ofVersion);
  }
}

function refuseVersion(version: number, known: number): never {
  throw new ProtocolError(
    'SCHEMA_VERSION_UNKNOWN',
    `a row carries schema version ${version}; the group's versions go up to ${known}`,
  );
}

/** FNV-1a over the ids: a map key without a string. Colliding lists evict each other, and are compared (`equalIds`). */
function hashIds(ids: Uint16Array, dtype: number, version: number): number {
  let hash = 0x811c9dc5 ^ dtype ^ (version << 1);
  for (let index = 0; index < ids.length; index++) hash = Math.imul(hash ^ ids[index]!, 0x01000193);
  return hash;
}

function equalIds(left: Uint16Array, right: Uint16Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

/**
 * One row into the matrix. `rowOffset` is the encoded row's byte offset in `words` and `view`, a multiple of 8;
 * `cellsOffset` and `validityOffset` are the matrix row's byte offsets in the target, the first a multiple of 4
 * (8 for float64).
 */
export function projectRow(
  projection: Projection,
  words: Uint32Array,
  view: DataView,
  rowOffset: number,
  targetWords: Uint32Array,
  targetView: DataView,
  cellsOffset: number,
  targetBytes: Uint8Array,
  validityOffset: number,
): void {
  copyRuns(projection.runs, words, rowOffset >>> 2, targetWords, cellsOffset >>> 2);
  if (projection.cells.length > 0) convertCells(projection, view, rowOffset, targetView, cellsOffset);
  if (projection.absentColumns.length > 0) fillAbsent(projection, targetView, cellsOffset);
  const { allValid } = projection;
  for (let index = 0; index < allValid.length; index++)
    targetBytes[validityOffset + index] = allValid[index]!;
  if (!hasAll(projection, words, (rowOffset + ROW_BITMAP_OFFSET) >>> 2)) {
    clearNulls(projection, words, rowOffset, targetWords, cellsOffset, targetBytes, validityOffset);
  }
}

/** The matrix row of a missing row: NaN everywhere, nothing valid. */
export function projectMissing(
  projection: Projection,
  targetWords: Uint32Array,
  cellsOffset: number,
  targetBytes: Uint8Array,
  validityOffset: number,
): void {
  fillNaN(targetWords, cellsOffset >>> 2, projection.columnCount, projection.cellWords);
  for (let index = 0; index < projection.validityStride; index++) targetBytes[validityOffset + index] = 0;
}

/** Words, not `set` with a `subarray`: a row's view costs 25–50 ns, the loop for 50 float32 about as much in all. */
function copyRuns(
  runs: Uint32Array,
  source: Uint32Array,
  rowWord: number,
  target: Uint32Array,
  targetWord: number,
): void {
  for (let run = 0; run < runs.length; run += RUN_NUMBERS) {
    const from = rowWord + runs[run]!;
    const to = targetWord + runs[run + 1]!;
    const count = runs[run + 2]!;
    for (let index = 0; index < count; index++) target[to + index] = source[from + index]!;
  }
}

function convertCells(
  projection: Projection,
  view: DataView,
  rowOffset: number,
  target: DataView,
  cellsOffset: number,
): void {
  const { cells } = projection;
  const isFloat64 = projection.cellWords === 2;
  for (let cell = 0; cell < cells.length; cell += CELL_NUMBERS) {
    const value = readCell(cells[cell]!, view, rowOffset + cells[cell + 1]!);
    const column = cells[cell + 2]!;
    if (isFloat64) target.setFloat64(cellsOffset + column * 8, value, true);
    else target.setFloat32(cellsOffset + column * 4, value, true);
  }
}

function readCell(read: number, view: DataView, offset: number): number {
  switch (read) {
    case READ_BOOL:
    case READ_INT8:
      return view.getInt8(offset);
    case READ_INT16:
      return view.getInt16(offset, true);
    case READ_INT32:
      return view.getInt32(offset, true);
    case READ_INT64:
      return view.getInt32(offset + 4, true) * TWO_POW_32 + view.getUint32(offset, true);
    case READ_FLOAT32:
      return view.getFloat32(offset, true);
    default:
      assert(read === READ_FLOAT64, 'a cell is read by a known kind');
      return view.getFloat64(offset, true);
  }
}

/** What rows of this version say nothing of: the feature's default, or no value. */
function fillAbsent(projection: Projection, target: DataView, cellsOffset: number): void {
  const { absentColumns, absentValues, cellWords } = projection;
  for (let index = 0; index < absentColumns.length; index++) {
    const value = absentValues[index]!;
    if (cellWords === 2) target.setFloat64(cellsOffset + absentColumns[index]! * 8, value, true);
    else target.setFloat32(cellsOffset + absentColumns[index]! * 4, value, true);
  }
}

function hasAll(projection: Projection, words: Uint32Array, bitmapWord: number): boolean {
  const { maskIndexes, masks } = projection;
  for (let index = 0; index < masks.length; index++) {
    const mask = masks[index]!;
    if ((words[bitmapWord + maskIndexes[index]!]! & mask) >>> 0 !== mask) return false;
  }
  return true;
}

/** The slow path of a row with nulls: each requested feature's bit is looked at, what is null becomes NaN. */
function clearNulls(
  projection: Projection,
  words: Uint32Array,
  rowOffset: number,
  targetWords: Uint32Array,
  cellsOffset: number,
  targetBytes: Uint8Array,
  validityOffset: number,
): void {
  const { featureBits, featureColumns, featureLengths, cellWords } = projection;
  const bitmapWord = (rowOffset + ROW_BITMAP_OFFSET) >>> 2;
  for (let index = 0; index < featureBits.length; index++) {
    const bit = featureBits[index]!;
    if (((words[bitmapWord + (bit >>> 5)]! >>> (bit & 31)) & 1) === 1) continue;
    const column = featureColumns[index]!;
    const length = featureLengths[index]!;
    fillNaN(targetWords, (cellsOffset >>> 2) + column * cellWords, length, cellWords);
    for (let cell = column; cell < column + length; cell++) {
      targetBytes[validityOffset + (cell >>> 3)]! &= ~(1 << (cell & 7));
    }
  }
}

function fillNaN(words: Uint32Array, from: number, count: number, cellWords: number): void {
  if (cellWords === 1) {
    for (let index = 0; index < count; index++) words[from + index] = NAN_FLOAT32_WORD;
    return;
  }
  for (let index = 0; index < count * 2; index += 2) {
    words[from + index] = 0;
    words[from + index + 1] = NAN_FLOAT64_HIGH_WORD;
  }
}

function setBits(bytes: Uint8Array, offset: number, from: number, to: number): void {
  for (let bit = from; bit < to; bit++) bytes[offset + (bit >>> 3)]! |= 1 << (bit & 7);
}
