/**
 * Changes of a schema: features added and dropped, and the settings that may change while rows are there.
 *
 * I1  Rows are not rewritten. Every version's layout follows from the schema for ever: a feature knows the version that
 *     added it, a dropped one also the version that no longer has it (schema.ts, `featuresAt`).
 * I2  An added feature gets an id above all that the group ever had, so no row of an older version can hold it; that
 *     also puts it last, and schema order is the order of ids.
 * I3  A feature's type, length and item never change: rows of both kinds would have to be told apart for ever. A new
 *     feature, and dropping the old one, says the same and lets readers choose.
 * I4  Any change gives a new version, so that (id, version) tells a schema.
 *
 * Left to others: making it durable and known (server), reading rows of several versions (group-layouts.ts).
 */
import { FEATURES_EVER_MAX, FEATURES_MAX, SCHEMA_VERSIONS_MAX } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';
import { typeText } from './row-layout.ts';
import type { DroppedFeature, Feature, FeatureSpec, GroupSchema } from './schema.ts';
import { checkFeatures } from './schema-validation.ts';

/** What ALTER_GROUP carries: at least one of these. */
export interface GroupChange {
  /** New features, after those that are there. Rows that say nothing of them read as their default, or null. */
  add?: FeatureSpec[];
  /** Names of features to drop. One may be added again under its name in the same change: that is a new feature. */
  drop?: string[];
  /** Of rows written from now on: what is stored keeps its expiry. */
  ttlSeconds?: number;
  retentionSeconds?: number;
  latenessSeconds?: number;
}

/**
 * The schema after a change that has been validated; the same object when nothing would differ. `nowMicros` is when.
 * Throws SCHEMA_INVALID, FEATURE_NOT_FOUND and LIMIT_EXCEEDED.
 */
export function changeSchema(schema: GroupSchema, change: GroupChange, nowMicros: number): GroupSchema {
  const settings = {
    ttlSeconds: change.ttlSeconds ?? schema.ttlSeconds,
    retentionSeconds: change.retentionSeconds ?? schema.retentionSeconds,
    latenessSeconds: change.latenessSeconds ?? schema.latenessSeconds,
  };
  if (change.add === undefined && change.drop === undefined && hasSettings(schema, settings)) return schema;
  if (schema.version === SCHEMA_VERSIONS_MAX) {
    throw limitExceeded(
      schema,
      `its schema has had all ${SCHEMA_VERSIONS_MAX} versions that rows can tell apart`,
    );
  }
  const version = schema.version + 1;
  const dropped = [...(schema.dropped ?? []), ...droppedBy(schema, change.drop ?? [], version)];
  const gone = new Set(dropped.map((feature) => feature.id));
  const kept = schema.features.filter((feature) => !gone.has(feature.id));
  const added = addedBy(schema, kept, change.add ?? [], version);
  const features = [...kept, ...added];
  if (features.length === 0)
    throw new ProtocolError('SCHEMA_INVALID', `drop: group "${schema.name}" would have no feature left`);
  if (features.length > FEATURES_MAX) {
    throw limitExceeded(
      schema,
      `it would have ${features.length} features; at most ${FEATURES_MAX} are allowed`,
    );
  }
  checkFeatures(schema.key, features, schema.eventTimeName);
  const changed: GroupSchema = { ...schema, version, features, ...settings };
  if (dropped.length > 0) changed.dropped = dropped;
  const historyFrom = historyFromMicros(schema, settings.retentionSeconds, nowMicros);
  if (historyFrom !== undefined) changed.historyFromMicros = historyFrom;
  const putsFrom = putsFromMicros(schema, changed, nowMicros);
  if (putsFrom !== undefined) changed.putsFromMicros = putsFrom;
  return changed;
}

function hasSettings(schema: GroupSchema, settings: Required<Omit<GroupChange, 'add' | 'drop'>>): boolean {
  return (
    schema.ttlSeconds === settings.ttlSeconds &&
    schema.retentionSeconds === settings.retentionSeconds &&
    schema.latenessSeconds === settings.latenessSeconds
  );
}

function droppedBy(schema: GroupSchema, names: readonly string[], version: number): DroppedFeature[] {
  const byName = new Map(schema.features.map((feature) => [feature.name, feature]));
  return names.map((name) => {
    const feature = byName.get(name);
    if (feature === undefined) {
      const known = schema.features.map((candidate) => candidate.name).join(', ');
      throw new ProtocolError(
        'FEATURE_NOT_FOUND',
        `drop: group "${schema.name}" has no feature "${name}"; it has: ${known}`,
      );
    }
    byName.delete(name);
    return { ...feature, until: version };
  });
}

function addedBy(
  schema: GroupSchema,
  kept: readonly Feature[],
  specs: readonly FeatureSpec[],
  version: number,
): Feature[] {
  const byName = new Map(kept.map((feature) => [feature.name, feature]));
  for (const spec of specs) refuseExisting(schema, byName.get(spec.name), spec);
  let id = 0;
  for (const feature of [...schema.features, ...(schema.dropped ?? [])]) id = Math.max(id, feature.id);
  if (id + specs.length > FEATURES_EVER_MAX) {
    throw limitExceeded(
      schema,
      `it has had ${id} features, dropped ones included, whose ids are not used again; at most ${FEATURES_EVER_MAX} are allowed`,
    );
  }
  return specs.map((spec) => {
    id += 1;
    return { id, since: version, ...spec };
  });
}

function refuseExisting(schema: GroupSchema, feature: Feature | undefined, spec: FeatureSpec): void {
  if (feature === undefined) return;
  const [has, asked] = [typeText(feature), typeText(spec)];
  const reason =
    has === asked
      ? 'it is there already'
      : `it is ${has}, and a type never changes: rows of both types would be read for ever. Add a feature of another name as ${asked}, or drop the old one in the same change, which gives up its values`;
  throw new ProtocolError(
    'SCHEMA_INVALID',
    `add: feature "${spec.name}" of group "${schema.name}": ${reason}`,
  );
}

/** From when on history is complete: of what was older when retention was lengthened, some is gone. */
function historyFromMicros(
  schema: GroupSchema,
  retentionSeconds: number,
  nowMicros: number,
): number | undefined {
  const { retentionSeconds: before, historyFromMicros: known } = schema;
  const isLonger = before !== 0 && (retentionSeconds === 0 || retentionSeconds > before);
  return isLonger ? Math.max(known ?? Number.MIN_SAFE_INTEGER, nowMicros - before * 1e6) : known;
}

/** From which event time on puts are taken: deletes of what is older may have been dropped under the settings before. */
function putsFromMicros(before: GroupSchema, after: GroupSchema, nowMicros: number): number | undefined {
  const [horizon, known] = [horizonSeconds(before), before.putsFromMicros];
  if (horizonSeconds(after) <= horizon) return known;
  return Math.max(known ?? Number.MIN_SAFE_INTEGER, nowMicros - horizon * 1e6);
}

/** How old a put may be, and how long deletes are kept at least. */
function horizonSeconds({ retentionSeconds, latenessSeconds }: GroupSchema): number {
  return Math.max(retentionSeconds === 0 ? Number.POSITIVE_INFINITY : retentionSeconds, latenessSeconds);
}

function limitExceeded(schema: GroupSchema, reason: string): ProtocolError {
  return new ProtocolError('LIMIT_EXCEEDED', `group "${schema.name}" cannot be changed so: ${reason}`);
}
