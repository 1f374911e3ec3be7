/**
 * A feature group as the client holds it: its schema, and what was compiled from it once so that rows need no lookups.
 *
 * A `Group` from `createGroup` with a literal declaration carries the types of its rows and keys; one looked up by name
 * has the loose ones. It stays valid while the group exists; a dropped group's answers GROUP_NOT_FOUND.
 */
import {
  compileLayout,
  DTYPE_FLOAT64,
  decodeFeature,
  decodeKey,
  type FeatureSlot,
  FRAME_BYTES_MAX,
  GET_KEYS_MAX,
  type GetResponse,
  type GroupSchema,
  type KeyBatch,
  type KeyColumn,
  KIND_STRING,
  matrixShape,
  RESPONSE_HEADER_BYTES,
  type RowLayout,
  rowSchemaVersionAt,
} from '../protocol/index.ts';
import { MillraceError } from './errors.ts';
import type { EntityKey, PutRow, Row } from './row-types.ts';

/** Named features of a group as columns of numbers. */
export interface Projection {
  readonly features: readonly string[];
  readonly featureIds: Uint16Array;
  /** One a scalar, `length` a vector: `name[i]`. */
  readonly columnNames: readonly string[];
}

export class Group<R = Row, P = PutRow, K = EntityKey> {
  readonly schema: GroupSchema;
  readonly layout: RowLayout;
  private readonly slotOfName: ReadonlyMap<string, FeatureSlot>;
  private lastProjection: Projection | null = null;
  /** Never there: what the rows and keys of this group are, for the compiler. */
  declare readonly types?: { readonly row: R; readonly put: P; readonly key: K };

  constructor(schema: GroupSchema) {
    this.schema = schema;
    this.layout = compileLayout(schema);
    this.slotOfName = new Map(this.layout.slots.map((slot) => [slot.name, slot]));
  }

  get name(): string {
    return this.schema.name;
  }

  /** The entity key's columns, in order. */
  get key(): readonly KeyColumn[] {
    return this.schema.key;
  }

  /** The slots of the named features in the order given, all when `names` is absent. Throws FEATURE_NOT_FOUND. */
  slots(names: readonly string[] | undefined): readonly FeatureSlot[] {
    if (names === undefined) return this.layout.slots;
    return names.map((name) => this.slot(name));
  }

  /**
   * The named features as matrix columns. The last one is kept, since callers ask for the same features over and over:
   * comparing fifty names that are the same strings takes 0.1 µs. Throws FEATURE_NOT_FOUND, TYPE_MISMATCH.
   */
  projection(features: readonly string[]): Projection {
    const last = this.lastProjection;
    if (last !== null && areEqual(last.features, features)) return last;
    if (features.length === 0) {
      throw new MillraceError('BATCH_EMPTY', 'features names nothing; at least one is needed');
    }
    const slots = features.map((name) => this.numericSlot(name));
    this.lastProjection = {
      features: [...features],
      featureIds: Uint16Array.from(slots, (slot) => slot.id),
      columnNames: slots.flatMap(columnNamesOf),
    };
    return this.lastProjection;
  }

  /** Row `index` of a GET's answer with the columns of its key, its event time and the given features; null if missing. */
  readRow(
    response: GetResponse,
    index: number,
    keys: KeyBatch,
    keyIndex: number,
    slots: readonly FeatureSlot[],
  ): R | null {
    if (response.isMissing(index)) return null;
    const { view } = response;
    const offset = response.rowAt(index);
    if (rowSchemaVersionAt(view, offset) !== this.layout.schemaVersion)
      this.refuseVersion(rowSchemaVersionAt(view, offset));
    const keyAt = keys.offsets[keyIndex]!;
    const keyBytes = keys.offsets[keyIndex + 1]! - keyAt;
    const row: Row = decodeKey(this.schema.key, keys.bytes, keyAt, keyBytes);
    row[this.schema.eventTimeName] = response.eventTime(index);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      row[slot.name] = decodeFeature(slot, view, offset);
    }
    return row as R;
  }

  private slot(name: string): FeatureSlot {
    const slot = this.slotOfName.get(name);
    if (slot !== undefined) return slot;
    throw new MillraceError(
      'FEATURE_NOT_FOUND',
      `group "${this.name}" has no feature "${name}"; it has ${this.layout.slots.map((known) => known.name).join(', ')}`,
    );
  }

  private numericSlot(name: string): FeatureSlot {
    const slot = this.slot(name);
    if (slot.kind < KIND_STRING) return slot;
    throw new MillraceError(
      'TYPE_MISMATCH',
      `feature "${name}" of group "${this.name}" is ${slot.type}; a matrix holds bool, numbers, timestamps and vectors`,
    );
  }

  private refuseVersion(version: number): never {
    throw new MillraceError(
      'SCHEMA_VERSION_UNKNOWN',
      `a row of group "${this.name}" is of schema version ${version}, this client knows ${this.layout.schemaVersion}: look the group up again`,
    );
  }
}

/** Keys a matrix request may name so that its answer fits a frame: 16,384, less for very wide rows. */
export function matrixKeysMax(columns: number, dtype: number, withEventTimes: boolean): number {
  const rowBytes =
    matrixShape(1, columns, dtype, withEventTimes).validityStride +
    columns * (dtype === DTYPE_FLOAT64 ? 8 : 4) +
    9;
  const space = FRAME_BYTES_MAX - RESPONSE_HEADER_BYTES - 64;
  return Math.max(1, Math.min(GET_KEYS_MAX, Math.floor(space / rowBytes)));
}

function columnNamesOf(slot: FeatureSlot): string[] {
  if (slot.type !== 'vector') return [slot.name];
  return Array.from({ length: slot.length }, (_, item) => `${slot.name}[${item}]`);
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
