/**
 * Schemas: what a feature group is made of, as client, server and catalog all hold it.
 *
 * A GroupSpec is what a user asks for; a GroupSchema is what the cluster made of it: with an id, feature ids, a
 * version and a creation time. Both travel as MessagePack maps with exactly these field names.
 * Checking them is schema-validation.ts; what a type looks like in bytes is row-layout.ts and key-codec.ts.
 */

export type KeyType = 'int64' | 'string' | 'bytes' | 'uuid' | 'timestamp';

/** Types whose values have one fixed width, and so may be items of a list beside 'string'. */
export type ScalarType = 'bool' | 'int8' | 'int16' | 'int32' | 'int64' | 'float32' | 'float64' | 'timestamp';

export type ListItemType = ScalarType | 'string';

export type FeatureType = ScalarType | 'string' | 'bytes' | 'vector' | 'list' | 'msgpack';

export const KEY_TYPES: readonly KeyType[] = ['int64', 'string', 'bytes', 'uuid', 'timestamp'];

export const SCALAR_TYPES: readonly ScalarType[] = [
  'bool',
  'int8',
  'int16',
  'int32',
  'int64',
  'float32',
  'float64',
  'timestamp',
];

export const LIST_ITEM_TYPES: readonly ListItemType[] = [...SCALAR_TYPES, 'string'];

export const FEATURE_TYPES: readonly FeatureType[] = [
  ...SCALAR_TYPES,
  'string',
  'bytes',
  'vector',
  'list',
  'msgpack',
];

export const EVENT_TIME_NAME_DEFAULT = 'event_time';

/** A week: the longest that pipelines are down and then replayed. */
export const LATENESS_SECONDS_DEFAULT: number = 7 * 86_400;

/**
 * What an acknowledgement of a write means. 'journal': it is on disk. 'memory': it is in memory and on its way to disk,
 * and a crash of the machine may lose what was in flight.
 */
export type Durability = 'journal' | 'memory';

export const DURABILITIES: readonly Durability[] = ['journal', 'memory'];

/** A feature's default, as text files and messages can say it: a timestamp is µs, an int64 a safe integer. */
export type FeatureDefault = boolean | number | string;

export interface KeyColumn {
  name: string;
  type: KeyType;
}

/** A feature as a user asks for it. */
export interface FeatureSpec {
  name: string;
  type: FeatureType;
  /** Items of a vector; only there. */
  length?: number;
  /** Type of a list's items; only there. */
  item?: ListItemType;
  /** What rows read as that say nothing of the feature. Without one they read as null. Scalars and strings only. */
  default?: FeatureDefault;
}

export interface Feature extends FeatureSpec {
  /** From 1, rising in the order in which features were added, never reused after a feature is dropped. */
  id: number;
  /** The schema version that added it; absent: the first. */
  since?: number;
}

/** A feature that rows of older schema versions still hold. */
export interface DroppedFeature extends Feature {
  /** The schema version that no longer has it. */
  until: number;
}

/** What CREATE_GROUP carries. */
export interface GroupSpec {
  name: string;
  key: KeyColumn[];
  features: FeatureSpec[];
  /** The column under which rows carry their event time; 'event_time' by default. */
  eventTimeName?: string;
  /** Rows older than this, by event time, are missing; 0 or absent: they stay. */
  ttlSeconds?: number;
  /** How far back history is kept; 0 or absent: all of it. */
  retentionSeconds?: number;
  /** Writes may be this late, by event time, or as late as the retention, if that is longer; a week by default. */
  latenessSeconds?: number;
  /** 'journal' by default. */
  durability?: Durability;
}

export interface GroupSchema {
  id: number;
  name: string;
  /** The schema version that rows carry, from 1. */
  version: number;
  key: KeyColumn[];
  features: Feature[];
  eventTimeName: string;
  /** 0: rows do not expire. */
  ttlSeconds: number;
  /** 0: all history is kept. */
  retentionSeconds: number;
  latenessSeconds: number;
  durability: Durability;
  createdAtMicros: number;
  /** What earlier versions had beside, so that their rows stay readable; absent when nothing was dropped. */
  dropped?: DroppedFeature[];
  /**
   * Present when retention was lengthened: history is complete from this moment on, whatever the retention says, for
   * what was older then may be gone.
   */
  historyFromMicros?: number;
  /**
   * Present when writes were allowed to be later than before: puts of earlier event times stay too late all the same, for
   * the deletes that would have hidden them may be gone.
   */
  putsFromMicros?: number;
}

/** The schema as it was at an earlier version: its features, with the settings of now. Undefined when there was none such. */
export function schemaAt(schema: GroupSchema, version: number): GroupSchema | undefined {
  if (version === schema.version) return schema;
  if (version < 1 || version > schema.version) return undefined;
  return { ...schema, version, features: featuresAt(schema, version) };
}

/** The features of one version of the schema, in schema order, which is that of their ids. */
export function featuresAt(schema: GroupSchema, version: number): Feature[] {
  const known: readonly (Feature & { until?: number })[] = [...schema.features, ...(schema.dropped ?? [])];
  return known
    .filter(({ since = 1, until = Number.POSITIVE_INFINITY }) => since <= version && version < until)
    .sort((left, right) => left.id - right.id);
}

/** The schema of a new group: feature ids from 1 in the order given, schema version 1. The spec has been validated. */
export function schemaFromSpec(spec: GroupSpec, id: number, nowMicros: number): GroupSchema {
  return {
    id,
    name: spec.name,
    version: 1,
    key: spec.key.map((column) => ({ name: column.name, type: column.type })),
    features: spec.features.map((feature, index) => ({ id: index + 1, ...feature })),
    eventTimeName: spec.eventTimeName ?? EVENT_TIME_NAME_DEFAULT,
    ttlSeconds: spec.ttlSeconds ?? 0,
    retentionSeconds: spec.retentionSeconds ?? 0,
    latenessSeconds: spec.latenessSeconds ?? LATENESS_SECONDS_DEFAULT,
    durability: spec.durability ?? 'journal',
    createdAtMicros: nowMicros,
  };
}
