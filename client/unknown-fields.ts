/**
 * Refuses what a declaration says that no group has: `ttl: 5` would else be a group whose rows never expire.
 *
 * The wire ignores fields that it does not know, so that versions may differ; what a person wrote is checked here, before anything is
 * sent. What `group.schema` and `millrace groups show --json` have beyond a declaration may stand: a group is made anew from them.
 */
import { MillraceError } from './errors.ts';

const GROUP_FIELDS = [
  'name',
  'key',
  'features',
  'eventTimeName',
  'ttlSeconds',
  'retentionSeconds',
  'latenessSeconds',
  'durability',
];
/** What a server makes of a group; a declaration may say it, and it means nothing there. */
const SCHEMA_FIELDS = ['id', 'version', 'createdAtMicros', 'dropped', 'historyFromMicros', 'putsFromMicros'];
const COLUMN_FIELDS = ['name', 'type'];
const FEATURE_FIELDS = ['name', 'type', 'length', 'item', 'default'];
const SCHEMA_FEATURE_FIELDS = ['id', 'since'];
const CHANGE_FIELDS = ['add', 'drop', 'ttlSeconds', 'retentionSeconds', 'latenessSeconds'];

/** `group` has its key and features as arrays; what is no object is for the validation to refuse. */
export function refuseUnknownGroupFields(group: object): void {
  const { key, features } = group as { key?: unknown; features?: unknown };
  refuseUnknown(group, 'a group', GROUP_FIELDS, SCHEMA_FIELDS);
  refuseInEach(key, 'key', 'a key column', COLUMN_FIELDS, []);
  refuseInEach(features, 'features', 'a feature', FEATURE_FIELDS, SCHEMA_FEATURE_FIELDS);
}

/** The same for a change, whose added features are an array. */
export function refuseUnknownChangeFields(change: object): void {
  refuseUnknown(change, 'a change of a group', CHANGE_FIELDS, []);
  refuseInEach((change as { add?: unknown }).add, 'add', 'a feature', FEATURE_FIELDS, []);
}

function refuseInEach(
  items: unknown,
  path: string,
  what: string,
  fields: readonly string[],
  silent: readonly string[],
): void {
  if (!Array.isArray(items)) return;
  for (const [index, item] of items.entries()) {
    if (typeof item === 'object' && item !== null)
      refuseUnknown(item, what, fields, silent, `${path}[${index}].`);
  }
}

function refuseUnknown(
  given: object,
  what: string,
  fields: readonly string[],
  silent: readonly string[],
  path = '',
): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || fields.includes(name) || silent.includes(name)) continue;
    throw new MillraceError(
      'SCHEMA_INVALID',
      `${path}${name}: ${what} has no such field; did you mean ${nearestOf(name, fields)}? allowed: ${fields.join(', ')}`,
    );
  }
}

/** One that begins as the name does, or the one that takes the fewest edits; the first of several. */
function nearestOf(name: string, fields: readonly string[]): string {
  const plain = plainOf(name);
  const begun = fields.find((field) => plainOf(field).startsWith(plain) || plain.startsWith(plainOf(field)));
  if (begun !== undefined && plain.length > 0) return begun;
  const edits = fields.map((field) => {
    const word = plainOf(field);
    // Units are what people leave out.
    return Math.min(
      editsBetween(plain, word),
      editsBetween(plain, word.replace(/(?<=.)(seconds|name)$/, '')),
    );
  });
  return fields[edits.indexOf(Math.min(...edits))] as string;
}

/** `ttl_seconds` and `TTLSeconds` are the same word. */
function plainOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** Letters put in, taken out or replaced. Quadratic in names of at most a hundred letters. */
function editsBetween(a: string, b: string): number {
  const from = a.slice(0, 100);
  let row = Array.from({ length: b.length + 1 }, (_value, index) => index);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] as number) + (from[i] === b[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] as number) + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
