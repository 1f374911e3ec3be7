/**
 * Rows and patches as people type them: JSON objects by column name, in the form that `get --json` prints.
 *
 *   row      {"id": 7, "event_time": "2026-01-31T12:00:00Z", "clicks": 3, "name": "x"}
 *   patch    {"id": 7, "clicks": {"add": 1}, "name": "y", "recent": {"append": [4], "max": 50}, "old": null}
 *
 * Integers are taken digit by digit, bytes are base64, timestamps ISO 8601 or microseconds, and the floats that JSON does not have the
 * texts "NaN", "Infinity", "-Infinity". In a patch an object is a step, but for msgpack features, whose values are taken as they are.
 * What does not fit its column is left to the client to refuse, by its name.
 */
import { add, append, type Group, MillraceError, max, min, set } from '../../client/index.ts';
import { integersAsText } from './key-argument.ts';
import { parseMicros } from './time-argument.ts';
import type { ValueType } from './value-text.ts';

type Json = Record<string, unknown>;

/** The row, as the client takes it. */
export function parseRow(text: string, group: Group): Json {
  return parseObject(text, group, convertValue);
}

/** The patch, as the client takes it. */
export function parsePatch(text: string, group: Group): Json {
  const features = new Set(group.schema.features.map(({ name }) => name));
  return parseObject(text, group, (column, plain, exact, name) =>
    features.has(name) && column.type !== 'msgpack' && isObject(plain)
      ? stepOf(name, column, plain, exact as Json)
      : convertValue(column, plain, exact),
  );
}

type Conversion = (column: ValueType, plain: unknown, exact: unknown, name: string) => unknown;

function parseObject(text: string, group: Group, convert: Conversion): Json {
  const { key, features, eventTimeName } = group.schema;
  const columns = new Map<string, ValueType>(
    [...key, { name: eventTimeName, type: 'timestamp' as const }, ...features].map((column) => [
      column.name,
      column,
    ]),
  );
  const { plain, exact } = parseBoth(text);
  return Object.fromEntries(
    Object.entries(plain).map(([name, value]) => {
      const column = columns.get(name);
      return [name, column === undefined ? value : convert(column, value, exact[name], name)];
    }),
  );
}

/** The object twice: as JSON has it, and with its integers as texts of all their digits. */
function parseBoth(text: string): { plain: Json; exact: Json } {
  let plain: unknown;
  try {
    plain = JSON.parse(text);
  } catch (error) {
    throw usage(`"${text}" is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(plain)) throw usage(`"${text}" is no JSON object; a row is {"column": value, …}`);
  return { plain, exact: JSON.parse(integersAsText(text)) as Json };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function convertValue(column: ValueType, plain: unknown, exact: unknown): unknown {
  if (plain === null) return null;
  switch (column.type) {
    case 'int64':
      return /^-?\d{1,19}$/.test(String(exact)) ? BigInt(String(exact)) : plain;
    case 'float32':
    case 'float64':
      return floatOf(plain);
    case 'timestamp':
      return timestampOf(plain, exact);
    case 'bytes':
      return typeof plain === 'string' ? Uint8Array.from(Buffer.from(plain, 'base64')) : plain;
    case 'vector':
      return Array.isArray(plain) ? plain.map(floatOf) : plain;
    case 'list': {
      const items = exact as unknown[];
      return Array.isArray(plain)
        ? plain.map((item, index) => convertValue({ type: column.item! }, item, items[index]))
        : plain;
    }
    default:
      return plain;
  }
}

function floatOf(plain: unknown): unknown {
  return plain === 'NaN' || plain === 'Infinity' || plain === '-Infinity' ? Number(plain) : plain;
}

function timestampOf(plain: unknown, exact: unknown): unknown {
  if (typeof plain !== 'string') return /^-?\d{1,19}$/.test(String(exact)) ? BigInt(String(exact)) : plain;
  const micros = parseMicros(plain);
  return Number.isNaN(micros) ? plain : micros;
}

const STEPS: Readonly<Record<string, (value: number) => unknown>> = { set, add, min, max };

function stepOf(name: string, column: ValueType, plain: Json, exact: Json): unknown {
  const [kind, ...others] = Object.keys(plain);
  if (kind === 'append' || others.includes('append')) return appendOf(name, column, plain, exact);
  if (kind !== undefined && others.length === 0 && Object.hasOwn(STEPS, kind)) {
    return STEPS[kind]!(convertValue(column, plain[kind], exact[kind]) as number);
  }
  throw usage(
    `${JSON.stringify(plain)} is no step for "${name}"; allowed: {"set": v}, {"add": v}, {"min": v}, {"max": v}, {"append": items, "max": n}`,
  );
}

function appendOf(name: string, column: ValueType, plain: Json, exact: Json): unknown {
  const bound = plain['max'];
  if (typeof bound !== 'number' || Object.keys(plain).length !== 2) {
    throw usage(`${JSON.stringify(plain)}: an append to "${name}" is {"append": items, "max": n}`);
  }
  const list = Array.isArray(plain['append']);
  const items = list ? plain['append'] : [plain['append']];
  return append(convertValue(column, items, list ? exact['append'] : [exact['append']]), { max: bound });
}

function usage(message: string): MillraceError {
  return new MillraceError('USAGE', message);
}
