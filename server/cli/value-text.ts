/**
 * Stored values as text: the JSON that `get --json`, `scan --format jsonl` and CSV cells are made of.
 *
 *   bool, int8 … int32, float64   as they are; NaN and the infinities are the strings "NaN", "Infinity", "-Infinity"
 *   float32                       the shortest decimal that reads back as the same float32: 0.1, not 0.10000000149011612
 *   int64                         a number up to 2^53, a string of digits above, where a JSON number would lose digits
 *   timestamp                     ISO 8601 in UTC with as many digits as it has, up to the microsecond
 *   string, uuid                  text;  bytes: base64
 *   vector, list                  an array;  msgpack: what it holds, by the same rules
 */
import type { FeatureType, KeyType, ListItemType } from '../../protocol/index.ts';

export interface ValueType {
  readonly type: FeatureType | KeyType;
  readonly item?: ListItemType;
}

/** A value as the client gives it, ready for JSON.stringify; null stays null. */
export function jsonValue(column: ValueType, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  switch (column.type) {
    case 'float32':
      return jsonFloat(shortFloat32(value as number));
    case 'timestamp':
      return isoMicros(value as number);
    case 'vector':
      return Array.from(value as Float32Array, (item) => jsonFloat(shortFloat32(item)));
    case 'list':
      return Array.from(value as ArrayLike<unknown>, (item) => jsonValue({ type: column.item! }, item));
    default:
      return jsonAny(value);
  }
}

/** Values whose kind is the value's own. */
function jsonAny(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint': {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : String(value);
    }
    case 'number':
      return jsonFloat(value);
    case 'object': {
      if (value === null) return null;
      if (value instanceof Uint8Array) {
        return Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64');
      }
      if (value instanceof Date) return value.toISOString();
      if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value as unknown[], jsonAny);
      const entries = value instanceof Map ? [...value] : Object.entries(value);
      return Object.fromEntries(entries.map(([name, item]) => [String(name), jsonAny(item)]));
    }
    default:
      return value;
  }
}

function jsonFloat(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** The shortest decimal that is this float32: 7 to 9 significant digits always suffice. */
export function shortFloat32(value: number): number {
  for (let digits = 7; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number.isFinite(value) ? Number(value.toPrecision(9)) : value;
}

const MICROS_PER_SECOND = 1_000_000;
/** What a Date can hold, in milliseconds either way. */
const DATE_MS_MAX = 8_640_000_000_000_000;

/** 2001-07-01T00:00:00Z, with up to six digits of a second; the number itself where a calendar does not reach. */
export function isoMicros(micros: number): string {
  const seconds = Math.floor(micros / MICROS_PER_SECOND);
  if (Math.abs(seconds) * 1000 > DATE_MS_MAX) return String(micros);
  const text = new Date(seconds * 1000).toISOString().slice(0, -5);
  const fraction = micros - seconds * MICROS_PER_SECOND;
  if (fraction === 0) return `${text}Z`;
  return `${text}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}Z`;
}

/** A CSV field: quoted where a reader needs it, nothing for null, `""` for the empty text. */
export function csvField(value: unknown): string {
  if (value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One line for a person: text without quotes, nested values as JSON. */
export function shownValue(column: ValueType, value: unknown): string {
  const json = jsonValue(column, value);
  if (json === null) return '–';
  return typeof json === 'object' ? JSON.stringify(json) : String(json);
}
