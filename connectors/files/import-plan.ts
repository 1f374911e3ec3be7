/**
 * What each column of a file becomes: part of the entity key, the event time, a feature, or nothing.
 *
 * Promises: a plan names only columns that the file has and types that the group takes. With no such group yet, the
 * group's specification comes from the file; with one, the group decides the types and the file must have its columns, so that a
 * misspelt column is an error and not a column of nulls.
 */
import { EVENT_TIME_NAME_DEFAULT, type GroupSchema, type GroupSpec } from '../../protocol/index.ts';
import { formatInvalid, usage } from '../connector-error.ts';
import { type ColumnType, featureOf, formatColumnType, keyTypeOf, type SourceColumn } from './column-type.ts';
import type { TimeUnit } from './convert.ts';
import type { Source } from './source.ts';

export type ColumnRole = 'key' | 'event time' | 'feature';

export interface PlannedColumn {
  /** The column in the file. */
  readonly name: string;
  /** The same column in the group: only the event time may be called otherwise there. */
  readonly target: string;
  readonly role: ColumnRole;
  /** The type that cells are converted to. */
  readonly type: ColumnType;
  /** Whether the reader gives microseconds already. */
  readonly isTimestamp: boolean;
  readonly note?: string | undefined;
}

export interface ImportPlan {
  readonly columns: readonly PlannedColumn[];
  /** What to create when the group is not there. */
  readonly spec: GroupSpec;
  /** What the group calls the event time. */
  readonly eventTimeName: string;
  readonly timeUnit: TimeUnit | undefined;
}

export interface PlanRequest {
  readonly group: string;
  readonly key: readonly string[];
  /** The column with the event time; undefined: every row gets the time at which the import began. */
  readonly eventTime: string | undefined;
  /** The columns wanted; undefined: all. Key and event time need not be named. */
  readonly columns: readonly string[] | undefined;
  readonly override: ReadonlyMap<string, ColumnType>;
  readonly timeUnit: TimeUnit | undefined;
  readonly ttlSeconds: number | undefined;
  readonly retentionSeconds: number | undefined;
}

/** The plan for a group that is yet to be created. */
export function planNewGroup(source: Source, request: PlanRequest): ImportPlan {
  const columns = chosenColumns(source, request).map((column): PlannedColumn => {
    const role = roleOf(column.name, request);
    return plannedColumn(source, column, column.name, role, role === 'key' ? keyColumnType(column) : column);
  });
  const spec = specOf(columns, request);
  if (spec.features.length === 0) {
    throw formatInvalid(
      'beside the key and the event time there is no column: a group needs at least one feature',
    );
  }
  return {
    columns,
    spec,
    eventTimeName: spec.eventTimeName ?? EVENT_TIME_NAME_DEFAULT,
    timeUnit: request.timeUnit,
  };
}

/** Of a file without rows nothing is known about its columns: a group made from them would have strings for good. */
export function assertTypesKnown(source: Source, plan: ImportPlan, request: PlanRequest): void {
  if (source.inferredRows !== 0) return;
  const unknown = plan.columns.filter(
    ({ name, role }) => role !== 'event time' && !request.override.has(name),
  );
  if (unknown.length === 0) return;
  throw formatInvalid(
    `there is no row to take types from, so the group ${request.group} is not created: name the types of ` +
      `${unknown.map(({ name }) => name).join(', ')} with --schema, or import a file with rows first`,
  );
}

/** The plan for a group that is there: its types, its names. */
export function planExistingGroup(source: Source, request: PlanRequest, schema: GroupSchema): ImportPlan {
  const groupKey = schema.key.map((column) => column.name);
  if (groupKey.join() !== request.key.join()) {
    throw usage(`the group ${schema.name} has the key ${groupKey.join(', ')}, not ${request.key.join(', ')}`);
  }
  const features = new Map(schema.features.map((feature) => [feature.name, feature]));
  const columns = chosenColumns(source, request).map((column): PlannedColumn => {
    const role = roleOf(column.name, request);
    if (role === 'event time') return plannedColumn(source, column, schema.eventTimeName, role, column);
    if (role === 'key') {
      const type = schema.key.find((key) => key.name === column.name)!.type;
      return plannedColumn(source, column, column.name, role, { type });
    }
    const feature = features.get(column.name);
    if (feature === undefined) throw strangeColumn(column.name, schema);
    const asked = request.override.get(column.name);
    const wanted = featureType(feature);
    if (asked !== undefined && formatColumnType(asked) !== formatColumnType(wanted)) {
      throw usage(
        `--schema says ${column.name}:${formatColumnType(asked)}, but the group ${schema.name} has ` +
          `${column.name}:${formatColumnType(wanted)}: a feature's type does not change`,
      );
    }
    return plannedColumn(source, column, column.name, role, wanted);
  });
  checkAllFeatures(columns, request, schema);
  return {
    columns,
    spec: specOf(columns, request),
    eventTimeName: schema.eventTimeName,
    timeUnit: request.timeUnit,
  };
}

/** A text that is the same for two plans exactly when they make the same rows of the same cells. */
export function planIdentity(plan: ImportPlan, format: string, nullTexts: readonly string[]): string {
  const columns = plan.columns.map(
    (column) => `${column.role} ${column.name} as ${column.target}: ${formatColumnType(column.type)}`,
  );
  return JSON.stringify([format, plan.timeUnit ?? null, nullTexts, ...columns]);
}

/** The columns of the file that take part, with the types that --schema sets, in file order. */
function chosenColumns(source: Source, request: PlanRequest): SourceColumn[] {
  const named = [...request.key, ...(request.eventTime === undefined ? [] : [request.eventTime])];
  const known = new Map<string, SourceColumn>(source.columns.map((column) => [column.name, column]));
  for (const [name, type] of request.override) {
    // JSON lines may have columns that the sample lacks; the other formats declare all of theirs.
    if (known.has(name) || source.format === 'jsonl') known.set(name, { name, ...type });
  }
  checkKnown(named, known, '');
  checkKnown([...request.override.keys()], known, '--schema names a column that is not there: ');
  checkKnown(request.columns ?? [], known, '--columns names a column that is not there: ');
  if (new Set(request.key).size !== request.key.length) throw usage('--key names a column twice');
  if (request.eventTime !== undefined && request.key.includes(request.eventTime)) {
    throw usage(`${request.eventTime} cannot be both key and event time`);
  }
  const wanted = request.columns === undefined ? undefined : new Set([...request.columns, ...named]);
  const chosen = [...known.values()].filter((column) => wanted === undefined || wanted.has(column.name));
  // The key's columns come in the order of --key, which is the order in which the entity key is encoded.
  const rank = (name: string): number =>
    request.key.includes(name) ? request.key.indexOf(name) : request.key.length;
  return chosen.sort((a, b) => rank(a.name) - rank(b.name));
}

function checkKnown(names: readonly string[], known: ReadonlyMap<string, unknown>, lead: string): void {
  for (const name of names) {
    if (known.has(name)) continue;
    throw formatInvalid(
      `${lead}no column ${JSON.stringify(name)}; the columns are ${[...known.keys()].join(', ')}`,
    );
  }
}

function roleOf(name: string, request: PlanRequest): ColumnRole {
  if (request.key.includes(name)) return 'key';
  return name === request.eventTime ? 'event time' : 'feature';
}

function keyColumnType(column: SourceColumn): ColumnType {
  const type = keyTypeOf(column);
  if (type !== undefined) return { type };
  throw formatInvalid(
    `the key column ${JSON.stringify(column.name)} is ${formatColumnType(column)}; a key is int64, string, bytes, uuid ` +
      `or timestamp: set one with --schema ${column.name}:string, or choose another key`,
  );
}

function plannedColumn(
  source: Source,
  column: SourceColumn,
  target: string,
  role: ColumnRole,
  wanted: ColumnType,
): PlannedColumn {
  const isDeclared = source.inferredRows === undefined;
  return {
    name: column.name,
    target,
    role,
    type: role === 'event time' ? { type: 'timestamp' } : role === 'feature' ? featureType(wanted) : wanted,
    isTimestamp:
      isDeclared && source.columns.some((own) => own.name === column.name && own.type === 'timestamp'),
    note: column.note,
  };
}

/** A uuid that is no key is its text. */
function featureType(wanted: ColumnType): ColumnType {
  if (wanted.type === 'uuid') return { type: 'string' };
  const { type, length, item } = wanted;
  return { type, ...(length === undefined ? {} : { length }), ...(item === undefined ? {} : { item }) };
}

function specOf(columns: readonly PlannedColumn[], request: PlanRequest): GroupSpec {
  const of = (role: ColumnRole): PlannedColumn[] => columns.filter((column) => column.role === role);
  return {
    name: request.group,
    key: of('key').map(({ name, type }) => ({ name, type: keyTypeOf(type)! })),
    features: of('feature').map(({ name, type }) => featureOf(name, type)),
    ...(request.eventTime === undefined ? {} : { eventTimeName: request.eventTime }),
    ...(request.ttlSeconds === undefined ? {} : { ttlSeconds: request.ttlSeconds }),
    ...(request.retentionSeconds === undefined ? {} : { retentionSeconds: request.retentionSeconds }),
  };
}

function strangeColumn(name: string, schema: GroupSchema): Error {
  return formatInvalid(
    `the group ${schema.name} has no feature ${JSON.stringify(name)}: name the columns to import with --columns; ` +
      `its features are ${schema.features.map((feature) => feature.name).join(', ')}`,
  );
}

/** Without --columns, a feature that the file lacks is a mistake rather than a wish for nulls; one with a default gets that. */
function checkAllFeatures(
  columns: readonly PlannedColumn[],
  request: PlanRequest,
  schema: GroupSchema,
): void {
  if (request.columns !== undefined) return;
  const present = new Set(columns.map((column) => column.name));
  const missing = schema.features
    .filter((feature) => !present.has(feature.name) && feature.default === undefined)
    .map((feature) => feature.name);
  if (missing.length === 0) return;
  throw formatInvalid(
    `the file lacks ${missing.join(', ')} of the group ${schema.name}: a put replaces the whole row, so they would become ` +
      'null; name the columns to import with --columns if that is meant',
  );
}
