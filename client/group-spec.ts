/**
 * From a group's short declaration to the specification that travels.
 *
 * `{ key: { origin: 'string' }, features: { delay: 'float32' } }` reads better than two arrays of objects and gives
 * the compiler the row's type; an object's keys keep their order, which is the order of columns. Names that look like
 * integers are the exception (JavaScript sorts them first): such groups use the array form.
 */
import {
  type FeatureSpec,
  type GroupChange,
  type GroupSpec,
  type KeyColumn,
  validateGroupChange,
  validateGroupSpec,
} from '../protocol/index.ts';
import { MillraceError } from './errors.ts';
import type { CompactGroupSpec, FeatureDeclaration } from './row-types.ts';
import { refuseUnknownChangeFields, refuseUnknownGroupFields } from './unknown-fields.ts';

/** Either form of declaration. */
export type GroupSpecInput = CompactGroupSpec | GroupSpec;

/** A change of a group: features to add in either form, names of features to drop, settings. */
export interface GroupChangeInput {
  readonly add?: CompactGroupSpec['features'] | readonly FeatureSpec[];
  /** A dropped feature's values are given up. One may be dropped and added again in one change: that is a new feature. */
  readonly drop?: readonly string[];
  /** Of rows written from now on: what is stored keeps its expiry. */
  readonly ttlSeconds?: number;
  readonly retentionSeconds?: number;
  readonly latenessSeconds?: number;
}

const INTEGER_NAME = /^(0|[1-9][0-9]*)$/;

/** The checked specification; SCHEMA_INVALID says what is wrong with it, before anything is sent. */
export function toGroupSpec(input: GroupSpecInput): GroupSpec {
  const { key, features } = input;
  const spec = {
    ...input,
    key: Array.isArray(key) ? key : keyColumns(key as CompactGroupSpec['key']),
    features: Array.isArray(features) ? features : featureList(features as CompactGroupSpec['features']),
  };
  refuseUnknownGroupFields(spec);
  return validateGroupSpec(spec);
}

/** The checked change; SCHEMA_INVALID says what is wrong with it, before anything is sent. */
export function toGroupChange(input: GroupChangeInput): GroupChange {
  const { add } = input ?? {};
  const isListed = add === undefined || Array.isArray(add);
  const change = isListed ? input : { ...input, add: featureList(add as CompactGroupSpec['features']) };
  if (typeof change === 'object' && change !== null) refuseUnknownChangeFields(change);
  return validateGroupChange(change);
}

function keyColumns(columns: CompactGroupSpec['key']): KeyColumn[] {
  return orderedEntries(columns, 'key').map(([name, type]) => ({ name, type }));
}

/** What it holds is checked with the whole: defaults may be dates and bigints here. */
function featureList(features: CompactGroupSpec['features']): unknown[] {
  return orderedEntries<FeatureDeclaration>(features, 'features').map(([name, feature]) =>
    typeof feature === 'string' ? { name, type: feature } : { name, ...feature },
  );
}

function orderedEntries<T>(columns: Readonly<Record<string, T>>, what: string): [string, T][] {
  const entries = Object.entries(columns ?? {});
  if (entries.length > 1 && entries.some(([name]) => INTEGER_NAME.test(name))) {
    throw new MillraceError(
      'SCHEMA_INVALID',
      `the names in ${what} look like integers, whose order an object does not keep: give ${what} as an array of { name, type }`,
    );
  }
  return entries;
}
