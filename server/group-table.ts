/**
 * The groups that one thread knows, with what it compiled for them.
 *
 * I1  It follows the catalog: a group is added on every thread before its creation is answered, changed before its change
 *     is, and forgotten before its drop is.
 * I2  Ids are never reused, so an id means one group or none, for ever.
 */
import { strict as assert } from 'node:assert';
import {
  fixedKeyBytes,
  GROUPS_MAX,
  GroupLayouts,
  type GroupSchema,
  type KeyColumn,
  ProtocolError,
  type RowLayout,
} from '../protocol/index.ts';
import type { GroupPolicies, GroupPolicy } from '../storage/index.ts';
import { ProjectionCache } from './projection.ts';

export interface Group {
  readonly schema: GroupSchema;
  /** Of the schema's own version. */
  readonly layout: RowLayout;
  /** Of every version that the group has had, those after the schema's included. */
  readonly layouts: GroupLayouts;
  readonly projections: ProjectionCache;
  /** Bytes of every key, when any bytes of that length are a legal key; else 0. */
  readonly plainKeyBytes: number;
  readonly policy: GroupPolicy;
}

export class GroupTable implements GroupPolicies {
  readonly #byId: (Group | undefined)[] = new Array(GROUPS_MAX + 1).fill(undefined);
  readonly #byName: Map<string, Group> = new Map();

  constructor(groups: readonly GroupSchema[]) {
    for (const schema of groups) this.add(schema);
  }

  add(schema: GroupSchema): void {
    assert(this.#byId[schema.id] === undefined, 'a group id is used once');
    this.#set(schema, new GroupLayouts(schema));
  }

  /**
   * Whoever holds the group as it was goes on with that: a scan under way ends with the columns it began with. It too
   * reads rows of the new version, for the layouts are shared.
   */
  change(schema: GroupSchema): void {
    const before = this.#byId[schema.id];
    assert(before?.schema.name === schema.name, 'a group that is there is changed');
    before.layouts.learn(schema);
    this.#set(schema, before.layouts);
  }

  remove(id: number): void {
    const group = this.#byId[id];
    if (group === undefined) return;
    this.#byId[id] = undefined;
    this.#byName.delete(group.schema.name);
  }

  /** Throws GROUP_NOT_FOUND. */
  byId(id: number): Group {
    return this.#byId[id] ?? noSuchId(id);
  }

  /** What the store needs to know of a group; undefined when there is none with this id any more. */
  policyOf(id: number): GroupPolicy | undefined {
    return this.#byId[id]?.policy;
  }

  /** Throws GROUP_NOT_FOUND. */
  byName(name: string): Group {
    const group = this.#byName.get(name);
    if (group === undefined) throw new ProtocolError('GROUP_NOT_FOUND', `there is no group "${name}"`);
    return group;
  }

  #set(schema: GroupSchema, layouts: GroupLayouts): void {
    const group = compile(schema, layouts);
    this.#byId[schema.id] = group;
    this.#byName.set(schema.name, group);
  }
}

function compile(schema: GroupSchema, layouts: GroupLayouts): Group {
  const layout = layouts.of(schema.version);
  assert(layout !== undefined, 'layouts have learnt of the schema');
  return {
    schema,
    layout,
    layouts,
    projections: new ProjectionCache(schema, layout, layouts),
    plainKeyBytes: plainKeyBytes(schema.key),
    policy: policyOf(schema),
  };
}

function policyOf(schema: GroupSchema): GroupPolicy {
  const { retentionSeconds, latenessSeconds, durability, putsFromMicros } = schema;
  return {
    // In a schema 0 stands for all history.
    retentionMicros: retentionSeconds === 0 ? Number.POSITIVE_INFINITY : retentionSeconds * 1e6,
    latenessMicros: latenessSeconds * 1e6,
    durability,
    ...(putsFromMicros === undefined ? {} : { putsFromMicros }),
  };
}

/** Timestamps must be safe integers, strings UTF-8; int64 and uuid take every bit pattern. */
function plainKeyBytes(columns: readonly KeyColumn[]): number {
  return columns.some((column) => column.type === 'timestamp') ? 0 : fixedKeyBytes(columns);
}

function noSuchId(id: number): never {
  throw new ProtocolError('GROUP_NOT_FOUND', `there is no group with id ${id}; it may have been dropped`);
}
