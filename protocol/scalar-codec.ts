/**
 * One scalar in and out of bytes, by kind: shared by the slots of a row and the items of a list, so that both take
 * and give the same values. docs/formats/row.md has the widths.
 *
 * I1  NaN is always written as the one quiet NaN (0x7fc00000, 0x7ff8000000000000): equal rows are equal bytes.
 */

import { readInt64, writeInt64 } from './int64.ts';
import { timestampMicros } from './key-codec.ts';
import {
  KIND_BOOL,
  KIND_FLOAT32,
  KIND_FLOAT64,
  KIND_INT8,
  KIND_INT16,
  KIND_INT32,
  KIND_INT64,
  KIND_TIMESTAMP,
} from './row-layout.ts';

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Writes the value and returns true; false, with nothing written, when the kind does not hold it. */
export function writeScalar(view: DataView, offset: number, kind: number, value: unknown): boolean {
  if (typeof value === 'number') return writeNumber(view, offset, kind, value);
  switch (kind) {
    case KIND_BOOL:
      if (typeof value !== 'boolean') return false;
      view.setUint8(offset, value ? 1 : 0);
      return true;
    case KIND_INT64:
      if (typeof value !== 'bigint' || value < INT64_MIN || value > INT64_MAX) return false;
      view.setBigInt64(offset, value, true);
      return true;
    case KIND_TIMESTAMP: {
      const micros = timestampMicros(value);
      if (Number.isNaN(micros)) return false;
      writeInt64(view, offset, micros);
      return true;
    }
    default:
      return false;
  }
}

/** writeScalar for a number: the common case, apart so that it inlines into column loops. */
export function writeNumber(view: DataView, offset: number, kind: number, value: number): boolean {
  switch (kind) {
    case KIND_FLOAT32:
      writeFloat32(view, offset, value);
      return true;
    case KIND_FLOAT64:
      writeFloat64(view, offset, value);
      return true;
    case KIND_INT32:
      if ((value | 0) !== value) return false;
      view.setInt32(offset, value, true);
      return true;
    case KIND_INT16:
      if ((value << 16) >> 16 !== value) return false;
      view.setInt16(offset, value, true);
      return true;
    case KIND_INT8:
      if ((value << 24) >> 24 !== value) return false;
      view.setInt8(offset, value);
      return true;
    case KIND_INT64:
    case KIND_TIMESTAMP:
      if (!Number.isSafeInteger(value)) return false;
      writeInt64(view, offset, value);
      return true;
    default:
      return false;
  }
}

/** A NaN from arithmetic may carry any sign and payload, and a view would keep them. */
export function writeFloat32(view: DataView, offset: number, value: number): void {
  if (Number.isNaN(value)) view.setUint32(offset, 0x7fc00000, true);
  else view.setFloat32(offset, value, true);
}

export function writeFloat64(view: DataView, offset: number, value: number): void {
  if (Number.isNaN(value)) {
    view.setUint32(offset, 0, true);
    view.setUint32(offset + 4, 0x7ff80000, true);
  } else {
    view.setFloat64(offset, value, true);
  }
}

export function readScalar(view: DataView, offset: number, kind: number): boolean | number | bigint {
  switch (kind) {
    case KIND_FLOAT32:
      return view.getFloat32(offset, true);
    case KIND_FLOAT64:
      return view.getFloat64(offset, true);
    case KIND_INT32:
      return view.getInt32(offset, true);
    case KIND_INT16:
      return view.getInt16(offset, true);
    case KIND_INT8:
      return view.getInt8(offset);
    case KIND_INT64:
      return view.getBigInt64(offset, true);
    case KIND_TIMESTAMP:
      return readInt64(view, offset);
    default:
      return view.getUint8(offset) !== 0;
  }
}
