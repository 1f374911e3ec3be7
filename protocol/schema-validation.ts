/**
 * Validation of specs and schemas that came from outside: a user's object, a MessagePack map, a catalog file.
 *
 * Each function takes `unknown`, returns a fresh object with the known fields alone, and throws SCHEMA_INVALID with
 * the path of the field at fault, what stood there and what may stand there. What passes needs no further check:
 *
 * I1  Every name is 1..NAME_BYTES_MAX bytes of UTF-8 without control characters; names of key columns, features and
 *     the event-time column are all different, because rows are flat objects keyed by them.
 * I2  1..KEY_COLUMNS_MAX key columns, 1..FEATURES_MAX features; types are of the closed sets.
 * I3  `length` stands with vectors and `item` with lists, and nowhere else; a `default` is a value of its feature.
 * I4  A row whose variable features are all null fits ROW_BYTES_MAX.
 */

import { checkDefault } from './feature-default.ts';
import {
  FEATURES_EVER_MAX,
  FEATURES_MAX,
  GROUPS_MAX,
  KEY_COLUMNS_MAX,
  LATENESS_SECONDS_MAX,
  NAME_BYTES_MAX,
  RETENTION_SECONDS_MAX,
  ROW_BYTES_MAX,
  SCHEMA_VERSIONS_MAX,
  TTL_SECONDS_MAX,
  VECTOR_LENGTH_MAX,
} from './limits.ts';
import { describeValue, ProtocolError } from './protocol-error.ts';
import { fixedRowBytes } from './row-layout.ts';
import {
  type DroppedFeature,
  DURABILITIES,
  EVENT_TIME_NAME_DEFAULT,
  FEATURE_TYPES,
  type Feature,
  type FeatureSpec,
  type GroupSchema,
  type GroupSpec,
  KEY_TYPES,
  type KeyColumn,
  LATENESS_SECONDS_DEFAULT,
  LIST_ITEM_TYPES,
} from './schema.ts';
import type { GroupChange } from './schema-change.ts';
import { isWellFormed } from './text.ts';

type Fields = Record<string, unknown>;

/** Names that objects treat as their prototype: a row keyed by them would not be a plain object any more. */
const NAMES_REFUSED: ReadonlySet<string> = new Set(['__proto__']);

export function validateGroupSpec(value: unknown): GroupSpec {
  const fields = asFields(value, 'group');
  const spec: GroupSpec = {
    name: checkName(fields['name'], 'name'),
    key: checkKey(fields['key']),
    features: asArray(fields['features'], 'features', FEATURES_MAX).map((feature, index) =>
      checkFeature(feature, `features[${index}]`),
    ),
    eventTimeName: checkName(fields['eventTimeName'] ?? EVENT_TIME_NAME_DEFAULT, 'eventTimeName'),
    ttlSeconds: checkInteger(fields['ttlSeconds'] ?? 0, 'ttlSeconds', 0, TTL_SECONDS_MAX),
    retentionSeconds: checkInteger(
      fields['retentionSeconds'] ?? 0,
      'retentionSeconds',
      0,
      RETENTION_SECONDS_MAX,
    ),
    latenessSeconds: checkInteger(
      fields['latenessSeconds'] ?? LATENESS_SECONDS_DEFAULT,
      'latenessSeconds',
      0,
      LATENESS_SECONDS_MAX,
    ),
    durability: checkMember(fields['durability'] ?? 'journal', 'durability', DURABILITIES),
  };
  checkFeatures(spec.key, spec.features, spec.eventTimeName ?? EVENT_TIME_NAME_DEFAULT);
  return spec;
}

export function validateSchema(value: unknown): GroupSchema {
  const fields = asFields(value, 'schema');
  const spec = validateGroupSpec(value);
  const version = checkInteger(fields['version'], 'version', 1, SCHEMA_VERSIONS_MAX);
  const features = (fields['features'] as unknown[]).map((feature, index): Feature => {
    const path = `features[${index}]`;
    return { ...idAndSince(feature as Fields, path, version), ...(spec.features[index] as FeatureSpec) };
  });
  const dropped = isPresent(fields['dropped']) ? checkDropped(fields['dropped'], version) : [];
  checkIds(features, dropped);
  const schema: GroupSchema = {
    id: checkInteger(fields['id'], 'id', 1, GROUPS_MAX),
    name: spec.name,
    version,
    key: spec.key,
    features,
    eventTimeName: spec.eventTimeName ?? EVENT_TIME_NAME_DEFAULT,
    ttlSeconds: spec.ttlSeconds ?? 0,
    retentionSeconds: spec.retentionSeconds ?? 0,
    latenessSeconds: spec.latenessSeconds ?? LATENESS_SECONDS_DEFAULT,
    durability: spec.durability ?? 'journal',
    createdAtMicros: checkInteger(fields['createdAtMicros'], 'createdAtMicros', 0, Number.MAX_SAFE_INTEGER),
  };
  if (dropped.length > 0) schema.dropped = dropped;
  const max = Number.MAX_SAFE_INTEGER;
  for (const name of ['historyFromMicros', 'putsFromMicros'] as const) {
    if (isPresent(fields[name])) schema[name] = checkInteger(fields[name], name, -max, max);
  }
  return schema;
}

/** What ALTER_GROUP asks for; whether the group can take it is schema-change.ts. */
export function validateGroupChange(value: unknown): GroupChange {
  const fields = asFields(value, 'change');
  const change: GroupChange = {};
  if (isPresent(fields['add'])) {
    change.add = asArray(fields['add'], 'add', FEATURES_MAX).map((feature, index) =>
      checkFeature(feature, `add[${index}]`),
    );
  }
  if (isPresent(fields['drop'])) {
    change.drop = asArray(fields['drop'], 'drop', FEATURES_MAX).map((name, index) =>
      checkName(name, `drop[${index}]`),
    );
  }
  for (const [name, max] of CHANGEABLE_SECONDS) {
    if (isPresent(fields[name])) change[name] = checkInteger(fields[name], name, 0, max);
  }
  if (Object.keys(change).length > 0) return change;
  return refuse(
    'change',
    value,
    `at least one of add, drop, ${CHANGEABLE_SECONDS.map(([name]) => name).join(', ')}`,
  );
}

const CHANGEABLE_SECONDS = [
  ['ttlSeconds', TTL_SECONDS_MAX],
  ['retentionSeconds', RETENTION_SECONDS_MAX],
  ['latenessSeconds', LATENESS_SECONDS_MAX],
] as const;

/** Throws SCHEMA_INVALID unless the features can stand together: their names, and the room that a row takes. */
export function checkFeatures(key: KeyColumn[], features: FeatureSpec[], eventTimeName: string): void {
  checkDistinctNames(key, features, eventTimeName);
  checkRowFits(features);
}

/** A group's name as GET_GROUP, DROP_GROUP and SCAN carry it. */
export function validateGroupName(value: unknown): string {
  return checkName(value, 'group name');
}

function checkKey(value: unknown): KeyColumn[] {
  return asArray(value, 'key', KEY_COLUMNS_MAX).map((column, index) => {
    const path = `key[${index}]`;
    const fields = asFields(column, path);
    return {
      name: checkName(fields['name'], `${path}.name`),
      type: checkMember(fields['type'], `${path}.type`, KEY_TYPES),
    };
  });
}

function checkFeature(value: unknown, path: string): FeatureSpec {
  const fields = asFields(value, path);
  const name = checkName(fields['name'], `${path}.name`);
  const type = checkMember(fields['type'], `${path}.type`, FEATURE_TYPES);
  const feature: FeatureSpec = { name, type };
  if (type === 'vector') {
    feature.length = checkInteger(fields['length'], `${path}.length`, 1, VECTOR_LENGTH_MAX);
  } else if (isPresent(fields['length'])) {
    refuse(`${path}.length`, fields['length'], `no length beside type ${type}; only a vector has one`);
  }
  if (type === 'list') {
    feature.item = checkMember(fields['item'], `${path}.item`, LIST_ITEM_TYPES);
  } else if (isPresent(fields['item'])) {
    refuse(`${path}.item`, fields['item'], `no item beside type ${type}; only a list has one`);
  }
  if (isPresent(fields['default'])) {
    feature.default = checkDefault(fields['default'], `${path}.default`, type);
  }
  return feature;
}

function checkDistinctNames(key: KeyColumn[], features: FeatureSpec[], eventTimeName: string): void {
  const pathOfName = new Map<string, string>([[eventTimeName, 'eventTimeName']]);
  const claim = (name: string, path: string): void => {
    const holder = pathOfName.get(name);
    if (holder !== undefined) refuse(path, name, `a name that ${holder} does not have already`);
    pathOfName.set(name, path);
  };
  key.forEach((column, index) => {
    claim(column.name, `key[${index}].name`);
  });
  features.forEach((feature, index) => {
    claim(feature.name, `features[${index}].name`);
  });
}

function idAndSince(fields: Fields, path: string, version: number): { id: number; since?: number } {
  const id = checkInteger(fields['id'], `${path}.id`, 1, FEATURES_EVER_MAX);
  const since = checkInteger(fields['since'] ?? 1, `${path}.since`, 1, version);
  return since === 1 ? { id } : { id, since };
}

function checkDropped(value: unknown, version: number): DroppedFeature[] {
  return asArray(value, 'dropped', FEATURES_EVER_MAX).map((item, index) => {
    const path = `dropped[${index}]`;
    const feature = checkFeature(item, path);
    const fields = item as Fields;
    const identity = idAndSince(fields, path, version);
    const until = checkInteger(fields['until'], `${path}.until`, (identity.since ?? 1) + 1, version);
    return { ...identity, ...feature, until };
  });
}

/** Schema order is that of ids, in every version: layouts of old versions are made from the ids alone. */
function checkIds(features: readonly Feature[], dropped: readonly DroppedFeature[]): void {
  const seen = new Set<number>();
  let last = 0;
  features.forEach(({ id }, index) => {
    if (id <= last) refuse(`features[${index}].id`, id, 'an id above that of the feature before');
    last = id;
    seen.add(id);
  });
  dropped.forEach(({ id }, index) => {
    if (seen.has(id)) refuse(`dropped[${index}].id`, id, 'an id no other feature has');
    seen.add(id);
  });
}

function checkRowFits(features: FeatureSpec[]): void {
  const bytes = fixedRowBytes(features);
  if (bytes > ROW_BYTES_MAX) {
    throw new ProtocolError(
      'SCHEMA_INVALID',
      `features: a row would take ${bytes} bytes before any variable value; at most ${ROW_BYTES_MAX} are allowed`,
    );
  }
}

function checkName(value: unknown, path: string): string {
  if (typeof value !== 'string' || value.length === 0) return refuse(path, value, 'a non-empty string');
  if (NAMES_REFUSED.has(value)) return refuse(path, value, 'another name; this one is reserved');
  const bytes = Buffer.byteLength(value, 'utf8');
  if (bytes > NAME_BYTES_MAX) {
    return refuse(path, value, `at most ${NAME_BYTES_MAX} bytes of UTF-8, this has ${bytes}`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  if (/[\u0000-\u001f\u007f]/.test(value) || !isWellFormed(value)) {
    return refuse(path, value, 'well-formed text without control characters');
  }
  return value;
}

function checkInteger(value: unknown, path: string, min: number, max: number): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max) {
    return refuse(path, value, `an integer from ${min} to ${max}`);
  }
  return number;
}

function checkMember<T extends string>(value: unknown, path: string, members: readonly T[]): T {
  const member = members.find((candidate) => candidate === value);
  return member ?? refuse(path, value, `one of ${members.join(', ')}`);
}

function asFields(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    return refuse(path, value, 'an object');
  }
  return value as Fields;
}

function asArray(value: unknown, path: string, countMax: number): unknown[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > countMax) {
    return refuse(path, value, `an array of 1 to ${countMax}`);
  }
  // A copy without holes, which map and forEach would step over.
  return Array.from(value);
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function refuse(path: string, value: unknown, allowed: string): never {
  throw new ProtocolError('SCHEMA_INVALID', `${path}: got ${describeValue(value)}; allowed: ${allowed}`);
}
