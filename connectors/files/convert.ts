/**
 * A column of raw values to a column of one Millrace type.
 *
 * Promises: the result has a value of the type, or null, in every row; nothing is rounded, cut off or defaulted on the
 * way, except that a float32 column rounds as float32 does. The first value that does not fit is a CellError with its index.
 * Numbers without nulls come as typed arrays, everything else as plain arrays.
 *
 * Leaves to others: which type a column should have (infer.ts, import-plan.ts) and the row number in the file.
 */
import type { ColumnType } from './column-type.ts';
import { parseTimestamp } from './timestamps.ts';

/** What an integer or float in a timestamp column counts. */
export type TimeUnit = 's' | 'ms' | 'us' | 'ns';

export class CellError extends Error {
  readonly index: number;

  constructor(index: number, message: string) {
    super(message);
    this.name = 'CellError';
    this.index = index;
  }
}

/** Turns one value, never null, into the type; undefined when it does not fit. */
type CellConverter = (value: unknown) => unknown;

/**
 * `rowCount` values of `raw` as `target`. `timeUnit` is what numbers in a timestamp column count; without it they are
 * refused, unless `isTimestamp` says that the reader gave microseconds already.
 */
export function convertColumn(
  raw: ArrayLike<unknown>,
  rowCount: number,
  target: ColumnType,
  options: { timeUnit?: TimeUnit | undefined; isTimestamp?: boolean } = {},
): ArrayLike<unknown> {
  const converter = converterOf(target, options.isTimestamp === true ? 'us' : options.timeUnit);
  const typed = typedArrayOf(target, rowCount);
  if (typed === undefined)
    return convertInto(raw, 0, rowCount, new Array<unknown>(rowCount), converter, target);
  for (let i = 0; i < rowCount; i++) {
    const value = raw[i];
    if (value === null || value === undefined) {
      const mixed: unknown[] = Array.from(typed.subarray(0, i));
      mixed.length = rowCount;
      return convertInto(raw, i, rowCount, mixed, converter, target);
    }
    const converted = converter(value);
    if (converted === undefined) throw new CellError(i, misfit(value, target));
    typed[i] = converted as number;
  }
  return typed;
}

function convertInto(
  raw: ArrayLike<unknown>,
  from: number,
  to: number,
  into: unknown[],
  converter: CellConverter,
  target: ColumnType,
): unknown[] {
  for (let i = from; i < to; i++) {
    const value = raw[i];
    if (value === null || value === undefined) {
      into[i] = null;
      continue;
    }
    const converted = converter(value);
    if (converted === undefined) throw new CellError(i, misfit(value, target));
    into[i] = converted;
  }
  return into;
}

type NumberArray = Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;

function typedArrayOf(target: ColumnType, rowCount: number): NumberArray | undefined {
  switch (target.type) {
    case 'int8':
      return new Int8Array(rowCount);
    case 'int16':
      return new Int16Array(rowCount);
    case 'int32':
      return new Int32Array(rowCount);
    case 'float32':
      return new Float32Array(rowCount);
    case 'float64':
    case 'timestamp':
      return new Float64Array(rowCount);
    default:
      return undefined;
  }
}

function converterOf(target: ColumnType, timeUnit: TimeUnit | undefined): CellConverter {
  switch (target.type) {
    case 'bool':
      return toBool;
    case 'int8':
      return (value) => toInteger(value, -0x80, 0x7f);
    case 'int16':
      return (value) => toInteger(value, -0x8000, 0x7fff);
    case 'int32':
      return (value) => toInteger(value, -0x8000_0000, 0x7fff_ffff);
    case 'int64':
      return toInt64;
    case 'float32':
      return toFloat32;
    case 'float64':
      return toFloat;
    case 'timestamp':
      return (value) => toTimestamp(value, timeUnit);
    case 'string':
      return toText;
    case 'bytes':
      return (value) =>
        value instanceof Uint8Array ? value : typeof value === 'string' ? utf8.encode(value) : undefined;
    case 'uuid':
      return toUuid;
    case 'vector':
      return (value) => toVector(value, target.length as number);
    case 'list': {
      const item = converterOf({ type: target.item as ColumnType['type'] }, timeUnit);
      return (value) => toList(value, item);
    }
    case 'msgpack':
      return (value) => value;
  }
}

const utf8 = new TextEncoder();
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const INTEGER = /^[+-]?\d{1,19}$/;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;
const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

function toBool(value: unknown): unknown {
  if (typeof value === 'boolean') return value;
  if (value === 1 || value === 1n) return true;
  if (value === 0 || value === 0n) return false;
  if (typeof value !== 'string') return undefined;
  const text = value.toLowerCase();
  if (text === 'true' || text === 't' || text === '1') return true;
  if (text === 'false' || text === 'f' || text === '0') return false;
  return undefined;
}

function toInteger(value: unknown, min: number, max: number): number | undefined {
  let number: number;
  if (typeof value === 'number') number = value;
  else if (typeof value === 'bigint') number = Number(value);
  else if (typeof value === 'string' && INTEGER.test(value)) number = Number(value);
  else return undefined;
  return Number.isInteger(number) && number >= min && number <= max ? number : undefined;
}

/** A number when it is safe, a bigint above: the row codec takes both, and only the second costs an allocation. */
function toInt64(value: unknown): number | bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value === 'string') {
    if (!INTEGER.test(value)) return undefined;
    if (value.length <= 15) return Number(value);
    return toInt64(BigInt(value));
  }
  if (typeof value !== 'bigint' || value < INT64_MIN || value > INT64_MAX) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Any number, NaN and the infinities included; an int64 that a double does not hold exactly is a misfit. */
function toFloat(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return BigInt(Number(value)) === value ? Number(value) : undefined;
  if (typeof value !== 'string') return undefined;
  if (DECIMAL.test(value)) return Number(value);
  return floatWord(value);
}

/** A finite number beyond float32's range is a misfit, not an infinity. */
function toFloat32(value: unknown): number | undefined {
  const number = toFloat(value);
  if (number === undefined || !Number.isFinite(number)) return number;
  return Number.isFinite(Math.fround(number)) ? number : undefined;
}

/** The spellings of the numbers that are not finite, as pandas, Spark and C write them. */
export function floatWord(text: string): number | undefined {
  switch (text.toLowerCase()) {
    case 'nan':
      return Number.NaN;
    case 'inf':
    case '+inf':
    case 'infinity':
      return Number.POSITIVE_INFINITY;
    case '-inf':
    case '-infinity':
      return Number.NEGATIVE_INFINITY;
    default:
      return undefined;
  }
}

function toTimestamp(value: unknown, unit: TimeUnit | undefined): number | undefined {
  if (typeof value === 'string') {
    const micros = parseTimestamp(value);
    if (!Number.isNaN(micros)) return micros;
    return INTEGER.test(value) && unit !== undefined ? toTimestamp(BigInt(value), unit) : undefined;
  }
  if (value instanceof Date) return value.getTime() * 1000;
  if (unit === undefined) return undefined;
  let micros: number;
  if (typeof value === 'bigint') {
    micros = unit === 'ns' ? Number(value / 1000n) : Number(value) * microsPerUnit(unit);
  } else if (typeof value === 'number') {
    micros = unit === 'ns' ? Math.trunc(value / 1000) : Math.round(value * microsPerUnit(unit));
  } else {
    return undefined;
  }
  return Number.isSafeInteger(micros) ? micros : undefined;
}

function microsPerUnit(unit: TimeUnit): number {
  return unit === 's' ? 1_000_000 : unit === 'ms' ? 1000 : 1;
}

/** Text of a scalar; a nested value has no text of its own. */
function toText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value);
  return undefined;
}

function toUuid(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.length === 16 ? value : undefined;
  return typeof value === 'string' && UUID.test(value) ? value : undefined;
}

function toVector(value: unknown, length: number): Float32Array | undefined {
  const items = arrayOf(value);
  if (items === undefined || items.length !== length) return undefined;
  const vector = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const number = toFloat32(items[i]);
    if (number === undefined) return undefined;
    vector[i] = number;
  }
  return vector;
}

function toList(value: unknown, item: CellConverter): unknown[] | undefined {
  const items = arrayOf(value);
  if (items === undefined) return undefined;
  const list = new Array<unknown>(items.length);
  for (let i = 0; i < items.length; i++) {
    const raw = items[i];
    const converted = raw === null || raw === undefined ? undefined : item(raw);
    if (converted === undefined) return undefined;
    list[i] = converted;
  }
  return list;
}

/** The items of an array, a typed array or the JSON text of an array (as a CSV field holds one). */
function arrayOf(value: unknown): ArrayLike<unknown> | undefined {
  if (Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return value as unknown as ArrayLike<unknown>;
  if (typeof value !== 'string' || !value.startsWith('[')) return undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function misfit(value: unknown, target: ColumnType): string {
  const name =
    target.type === 'vector'
      ? `vector of ${target.length} numbers`
      : target.type === 'list'
        ? `list of ${target.item}`
        : target.type;
  if (
    target.type === 'timestamp' &&
    (typeof value === 'number' || typeof value === 'bigint' || isIntegerText(value))
  ) {
    return `${shown(value)} is a number, not a time: say what it counts with --time-unit s, ms, us or ns`;
  }
  if (target.type === 'int64' && typeof value === 'number' && Number.isInteger(value)) {
    return `${shown(value)} is beyond 2^53 and has already lost digits: write it as text and name the column int64 with --schema`;
  }
  return `${shown(value)} is not ${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}

function isIntegerText(value: unknown): boolean {
  return typeof value === 'string' && INTEGER.test(value);
}

/** A value as a message shows it, cut to a line's worth. */
export function shown(value: unknown): string {
  let text: string;
  if (typeof value === 'string') text = JSON.stringify(value);
  else if (value instanceof Uint8Array) text = `${value.length} bytes`;
  else if (typeof value === 'object' && value !== null)
    text = JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? String(v) : v)) ?? 'an object';
  else text = String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
