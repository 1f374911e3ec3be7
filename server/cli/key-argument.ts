/**
 * Entity keys as people type them.
 *
 *   one column        ORD          the text is the value
 *   several columns   ORD,LAX      values in column order; where a value has a comma itself, JSON: '["a,b","c"]'
 *
 * Integers in JSON are taken digit by digit: as numbers they would be rounded beyond 2^53, to the key of another row.
 * int64: digits. timestamp: ISO 8601, UTC without a zone, or microseconds. uuid: its usual form. bytes: 0x and hex digits.
 */
import { MillraceError } from '../../client/index.ts';
import type { KeyColumn } from '../../protocol/index.ts';
import { parseMicros } from './time-argument.ts';

/** The key in the form that the client takes: a value, or an array in column order. */
export function parseKey(text: string, columns: readonly KeyColumn[]): unknown {
  const parts = keyParts(text, columns);
  if (parts.length !== columns.length) {
    const names = columns.map((column) => column.name).join(',');
    throw usage(`the key "${text}" has ${parts.length} values; the group's key is ${names}`);
  }
  const values = parts.map((part, i) => parsePart(part, columns[i]!));
  return columns.length === 1 ? values[0] : values;
}

function keyParts(text: string, columns: readonly KeyColumn[]): unknown[] {
  if (text.startsWith('[')) {
    try {
      JSON.parse(text);
      const parsed: unknown = JSON.parse(integersAsText(text));
      if (Array.isArray(parsed)) return parsed;
    } catch {
      // A key may well begin with a bracket: it is then text like any other.
    }
  }
  return columns.length === 1 ? [text] : text.split(',');
}

/** Strings, which stay as they are, or whole numbers with whatever fraction and exponent they have. */
const JSON_STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** Of a text that is JSON: the same with each integer as a string of its digits. */
export function integersAsText(json: string): string {
  return json.replace(JSON_STRING_OR_NUMBER, (token) => (/^-?\d+$/.test(token) ? `"${token}"` : token));
}

function parsePart(part: unknown, column: KeyColumn): unknown {
  const text = String(part);
  switch (column.type) {
    case 'int64':
      if (/^[+-]?\d{1,19}$/.test(text)) return BigInt(text);
      break;
    case 'timestamp': {
      const micros = parseMicros(text);
      if (!Number.isNaN(micros)) return micros;
      break;
    }
    case 'bytes':
      if (/^0x([0-9a-fA-F]{2})*$/.test(text)) return Uint8Array.from(Buffer.from(text.slice(2), 'hex'));
      break;
    default:
      return text;
  }
  throw usage(`"${text}" is no ${column.type} for the key column ${column.name}`);
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message);
}
