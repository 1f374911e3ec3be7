/**
 * Arrow's column types in Millrace's words, and the values of an Arrow vector as plain ones.
 *
 * | Arrow | here |
 * |---|---|
 * | Bool | bool |
 * | Int8…Int64 / UInt8, UInt16, UInt32, UInt64 | the same / int16, int32, int64, int64 (above 2^63 - 1: an error) |
 * | Float16, Float32 / Float64, Decimal | float32 / float64 |
 * | Timestamp of any unit and zone, Date | timestamp (nanoseconds are cut to microseconds) |
 * | Time, Duration | int64, in the file's unit |
 * | Utf8, LargeUtf8, Utf8View | string |
 * | Binary, LargeBinary, BinaryView, FixedSizeBinary / of 16 named arrow.uuid | bytes / uuid |
 * | Dictionary | what it stands for |
 * | FixedSizeList of Float32 | vector |
 * | List or FixedSizeList of another scalar or of strings | list |
 * | anything else | msgpack |
 */
import { DataType, type Field, Precision, TimeUnit, type Vector } from 'apache-arrow';
import { LIST_ITEM_TYPES, type ListItemType } from '../../protocol/index.ts';
import type { ColumnType, SourceColumn } from './column-type.ts';

export function arrowColumn(field: Field): SourceColumn {
  if (field.metadata.get('ARROW:extension:name') === 'arrow.uuid') return { name: field.name, type: 'uuid' };
  return { name: field.name, ...columnType(field.type) };
}

function columnType(type: DataType): ColumnType {
  if (DataType.isBool(type)) return { type: 'bool' };
  if (DataType.isInt(type)) return integerType(type.bitWidth, type.isSigned);
  if (DataType.isFloat(type)) return { type: type.precision === Precision.DOUBLE ? 'float64' : 'float32' };
  if (DataType.isDecimal(type)) return { type: 'float64' };
  if (DataType.isTimestamp(type) || DataType.isDate(type)) return { type: 'timestamp' };
  if (DataType.isTime(type) || DataType.isDuration(type)) return { type: 'int64' };
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type))
    return { type: 'string' };
  if (isBinary(type)) return { type: 'bytes' };
  if (DataType.isDictionary(type)) return columnType(type.dictionary as DataType);
  if (DataType.isFixedSizeList(type)) return listType(type.children[0]!.type, type.listSize);
  if (DataType.isList(type) || DataType.isLargeList(type)) return listType(type.children[0]!.type, undefined);
  return { type: 'msgpack' };
}

function isBinary(type: DataType): boolean {
  return (
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type) ||
    DataType.isBinaryView(type) ||
    DataType.isFixedSizeBinary(type)
  );
}

function integerType(bitWidth: number, isSigned: boolean): ColumnType {
  const bits = isSigned ? bitWidth : bitWidth * 2;
  return { type: bits <= 8 ? 'int8' : bits <= 16 ? 'int16' : bits <= 32 ? 'int32' : 'int64' };
}

function listType(itemType: DataType, length: number | undefined): ColumnType {
  const item = columnType(itemType);
  if (length !== undefined && item.type === 'float32') return { type: 'vector', length };
  const isItem = LIST_ITEM_TYPES.includes(item.type as ListItemType);
  return isItem ? { type: 'list', item: item.type as ListItemType } : { type: 'msgpack' };
}

/** The values of a vector as plain JavaScript ones, null where it says so; numbers without nulls stay a typed array. */
export function arrowValues(vector: Vector): ArrayLike<unknown> {
  const type: DataType = vector.type;
  if (DataType.isTimestamp(type) || DataType.isDate(type)) return timeValues(vector);
  if (DataType.isDecimal(type)) return decimalValues(vector, type.scale);
  if (isStoredNumber(type) && vector.nullCount === 0) return vector.toArray();
  const values = new Array<unknown>(vector.length);
  for (let i = 0; i < vector.length; i++) values[i] = plain(vector.get(i));
  return values;
}

/** Whether the stored numbers are the values: a half-precision float is stored as its bits. */
function isStoredNumber(type: DataType): boolean {
  return DataType.isInt(type) || (DataType.isFloat(type) && type.precision !== Precision.HALF);
}

/** Nested Arrow values as arrays and objects. */
function plain(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return value;
  const nested = value as { toJSON?: () => unknown; length?: number };
  if (typeof nested.length === 'number') return Array.from(value as ArrayLike<unknown>, plain);
  if (typeof nested.toJSON !== 'function') return value;
  return Object.fromEntries(
    Object.entries(nested.toJSON() as object).map(([name, item]) => [name, plain(item)]),
  );
}

/**
 * Microseconds of times in any unit, from the stored integers: the vector's own `get` gives milliseconds and loses the rest.
 */
function timeValues(vector: Vector): unknown[] {
  const values: unknown[] = [];
  for (const data of vector.data) {
    const stored = data.values as BigInt64Array | Int32Array;
    for (let i = 0; i < data.length; i++)
      values.push(data.getValid(i) ? toMicros(stored[i]!, data.type) : null);
  }
  return values;
}

const MICROS_PER_DAY = 86_400_000_000;

function toMicros(stored: bigint | number, type: DataType): number {
  if (DataType.isDate(type)) return Number(stored) * (typeof stored === 'number' ? MICROS_PER_DAY : 1000);
  switch (DataType.isTimestamp(type) ? type.unit : TimeUnit.MICROSECOND) {
    case TimeUnit.SECOND:
      return Number(stored) * 1_000_000;
    case TimeUnit.MILLISECOND:
      return Number(stored) * 1000;
    case TimeUnit.NANOSECOND:
      return Number(BigInt(stored) / 1000n);
    default:
      return Number(stored);
  }
}

/** Decimals as doubles: the 128 or 256 stored bits as an integer, then the scale. */
function decimalValues(vector: Vector, scale: number): unknown[] {
  const factor = 10 ** scale;
  const values: unknown[] = [];
  for (const data of vector.data) {
    const words = data.values as Uint32Array;
    const stride = data.stride;
    for (let i = 0; i < data.length; i++) {
      if (!data.getValid(i)) {
        values.push(null);
        continue;
      }
      let bits = 0n;
      for (let w = stride - 1; w >= 0; w--) bits = (bits << 32n) | BigInt(words[i * stride + w]!);
      values.push(Number(BigInt.asIntN(stride * 32, bits)) / factor);
    }
  }
  return values;
}
