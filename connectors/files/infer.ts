/**
 * The types of a text file's columns, from a sample of its rows.
 *
 * Promises: the type found holds every value of the sample without loss, and widening does not depend on the order of
 * rows: nothing → anything; int64 → float64; two kinds that share no number type → string in CSV (where all is text
 * anyway), msgpack in JSON (where a string must not come to stand for a number). What was widened is noted.
 *
 * Integers are int64, decimals float64: a sample cannot prove that int32 is enough. Text that looks like a number but
 * would not come back as written (leading zeros, a 20-digit account) stays text. A later value that does not fit is an error.
 */
import type { ListItemType } from '../../protocol/index.ts';
import type { SourceColumn } from './column-type.ts';
import { floatWord } from './convert.ts';
import { parseTimestamp } from './timestamps.ts';

type Kind = 'none' | 'bool' | 'int64' | 'float64' | 'timestamp' | 'string' | 'list' | 'msgpack';

/** What has been seen of one column. */
interface Seen {
  readonly kinds: Set<Kind>;
  /** Kinds of the items of its lists. */
  readonly items: Set<Kind>;
}

/** The columns of a CSV sample: `rows` are arrays of fields, null where empty. */
export function inferTextColumns(
  names: readonly string[],
  rows: readonly (readonly (string | null)[])[],
): SourceColumn[] {
  return names.map((name, index) => {
    const seen = newSeen();
    for (const row of rows) {
      const field = row[index];
      if (field !== null && field !== undefined) seen.kinds.add(kindOfText(field));
    }
    return textColumn(name, seen.kinds);
  });
}

/** The columns of a JSON lines sample, in the order in which the names first come. */
export function inferJsonColumns(rows: readonly Readonly<Record<string, unknown>>[]): SourceColumn[] {
  const columns = new Map<string, Seen>();
  for (const row of rows) {
    for (const name of Object.keys(row)) {
      let seen = columns.get(name);
      if (seen === undefined) {
        seen = newSeen();
        columns.set(name, seen);
      }
      observeJson(row[name], seen);
    }
  }
  return Array.from(columns, ([name, seen]) => jsonColumn(name, seen));
}

const CANONICAL_INTEGER = /^(0|-?[1-9]\d{0,18})$/;
const CANONICAL_DECIMAL = /^[+-]?((0|[1-9]\d*)\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;
const NO_VALUE = 'no value in the sample: taken as string';

/** The narrowest kind that a text is. */
export function kindOfText(text: string): Kind {
  const first = text.charCodeAt(0);
  const isNumeric = (first >= 0x30 && first <= 0x39) || first === 0x2d || first === 0x2b || first === 0x2e;
  if (isNumeric) {
    if (CANONICAL_INTEGER.test(text)) return isInt64(text) ? 'int64' : 'string';
    if (CANONICAL_DECIMAL.test(text) && /[.eE]/.test(text)) return 'float64';
    if (!Number.isNaN(parseTimestamp(text))) return 'timestamp';
  }
  if (/^(true|false)$/i.test(text)) return 'bool';
  return floatWord(text) === undefined ? 'string' : 'float64';
}

function isInt64(digits: string): boolean {
  if (digits.length < 19) return true;
  return BigInt.asIntN(64, BigInt(digits)) === BigInt(digits);
}

function newSeen(): Seen {
  return { kinds: new Set(), items: new Set() };
}

function textColumn(name: string, kinds: ReadonlySet<Kind>): SourceColumn {
  if (kinds.size === 0) return { name, type: 'string', note: NO_VALUE };
  const kind = widen(kinds, 'string');
  const isWidened = kind === 'string' && !(kinds.size === 1 && kinds.has('string'));
  return {
    name,
    type: kind as 'string',
    ...(isWidened ? { note: `mixed: ${list(kinds)}` } : {}),
  };
}

/** The one kind that holds all of `kinds`, or `otherwise` when none of the simple ones does. */
function widen(kinds: ReadonlySet<Kind>, otherwise: Kind): Kind {
  if (kinds.size === 1) return kinds.values().next().value as Kind;
  const isNumeric = Array.from(kinds).every((kind) => kind === 'int64' || kind === 'float64');
  return isNumeric ? 'float64' : otherwise;
}

function observeJson(value: unknown, seen: Seen): void {
  if (value === null || value === undefined) return;
  if (!Array.isArray(value)) {
    seen.kinds.add(kindOfJson(value));
    return;
  }
  let isFlat = true;
  for (const item of value) {
    const kind = kindOfJson(item);
    if (kind === 'msgpack') isFlat = false;
    else seen.items.add(kind);
  }
  seen.kinds.add(isFlat ? 'list' : 'msgpack');
}

/** The kind of one JSON value; nested ones and null inside a list are msgpack. */
function kindOfJson(value: unknown): Kind {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
      // Beyond 2^53 JSON.parse has rounded already, and int64 would refuse what it reads.
      return Number.isSafeInteger(value) ? 'int64' : 'float64';
    case 'string':
      return Number.isNaN(parseTimestamp(value)) ? 'string' : 'timestamp';
    default:
      return 'msgpack';
  }
}

function jsonColumn(name: string, seen: Seen): SourceColumn {
  const { kinds } = seen;
  if (kinds.size === 0) return { name, type: 'string', note: NO_VALUE };
  const areTexts = Array.from(kinds).every((kind) => kind === 'string' || kind === 'timestamp');
  const kind = widen(kinds, areTexts ? 'string' : 'msgpack');
  if (kind === 'list') return listColumn(name, seen.items);
  const isWidened = kinds.size > 1 && kind !== 'float64';
  return {
    name,
    type: kind as 'string',
    ...(isWidened ? { note: `mixed: ${list(kinds)}` } : {}),
  };
}

function listColumn(name: string, items: ReadonlySet<Kind>): SourceColumn {
  if (items.size === 0)
    return { name, type: 'list', item: 'float64', note: 'only empty lists in the sample' };
  const areTexts = Array.from(items).every((kind) => kind === 'string' || kind === 'timestamp');
  const kind = widen(items, areTexts ? 'string' : 'msgpack');
  if (kind === 'msgpack') return { name, type: 'msgpack', note: `lists of mixed items: ${list(items)}` };
  return { name, type: 'list', item: kind as ListItemType };
}

function list(kinds: ReadonlySet<Kind>): string {
  return Array.from(kinds).sort().join(', ');
}
