/**
 * The groups that one thread knows, with what it compiled for them.
 *
 * I1  It follows the catalog: a group is added on every thread before its creation is answered, and forgotten on every
 *     thread before its drop is.
 * I2  Ids are never reused, so an id means one group or none, for ever.
 */
import { strict as assert } from 'node:assert';
import {
  compileLayout,
  fixedKeyBytes,
  GROUPS_MAX,
  type GroupSchema,
  type KeyColumn,
  ProtocolError,
  type RowLayout,
} from '../protocol/index.ts';
import type { GroupPolicies, GroupPolicy } from '../storage/index.ts';
import { ProjectionCache } from './projection.ts';

export interface Group {
  readonly schema: GroupSchema;
  readonly layout: RowLayout;
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
    const group: Group = {
      schema,
      layout: compileLayout(schema),
      projections: new ProjectionCache(),
      plainKeyBytes: plainKeyBytes(schema.key),
      policy: policyOf(schema),
    };
    this.#byId[schema.id] = group;
    this.#byName.set(schema.name, group);
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
}

function policyOf(schema: GroupSchema): GroupPolicy {
  const { retentionSeconds, latenessSeconds, durability } = schema;
  return {
    // In a schema 0 stands for all history.
    retentionMicros: retentionSeconds === 0 ? Number.POSITIVE_INFINITY : retentionSeconds * 1e6,
    latenessMicros: latenessSeconds * 1e6,
    durability,
  };
}

/** Timestamps must be safe integers, strings UTF-8; int64 and uuid take every bit pattern. */
function plainKeyBytes(columns: readonly KeyColumn[]): number {
  return columns.some((column) => column.type === 'timestamp') ? 0 : fixedKeyBytes(columns);
}

function noSuchId(id: number): never {
  throw new ProtocolError('GROUP_NOT_FOUND', `there is no group with id ${id}; it may have been dropped`);
}
