/**
 * A feature group as the client holds it: its schema, and what was compiled from it once so that rows need no lookups.
 *
 * A `Group` from `createGroup` with a literal declaration carries the types of its rows and keys; one looked up by name
 * has the loose ones. It stays valid while the group exists; a dropped group's answers GROUP_NOT_FOUND.
 *
 * It shows the group as of one version of its schema. When the group is changed meanwhile it goes on as it is: what it
 * writes is read by everyone, and it reads what others write, as rows of its own version.
 */
import {
  compileLayout,
  DTYPE_FLOAT64,
  type FeatureSlot,
  FRAME_BYTES_MAX,
  GET_KEYS_MAX,
  type GetResponse,
  GroupLayouts,
  type GroupSchema,
  type KeyBatch,
  type KeyColumn,
  KIND_STRING,
  matrixShape,
  RESPONSE_HEADER_BYTES,
  type RowLayout,
  RowReader,
  rowSchemaVersionAt,
} from '../protocol/index.ts';
import { MillraceError } from './errors.ts';
import { READERS_KEPT_MAX } from './limits.ts';
import type { EntityKey, PutRow, Row } from './row-types.ts';

/** Named features of a group as columns of numbers. */
export interface Projection {
  readonly features: readonly string[];
  readonly featureIds: Uint16Array;
  /** One a scalar, `length` a vector: `name[i]`. */
  readonly columnNames: readonly string[];
}

/** Reads rows as one version of a group's schema has them, whatever version they are of. */
export class GroupReader {
  /** The version of the rows read last, and what reads them. */
  version: number;
  last: RowReader;
  private readonly schema: GroupSchema;
  private readonly layout: RowLayout;
  private readonly features: readonly string[] | null;
  private readonly byVersion: Map<number, RowReader> = new Map();

  constructor(schema: GroupSchema, layout: RowLayout, features: readonly string[] | null = null) {
    this.schema = schema;
    this.layout = layout;
    this.features = features;
    this.version = layout.schemaVersion;
    this.last = new RowReader(schema, layout, features);
    this.byVersion.set(this.version, this.last);
  }

  /** What reads rows of the layout `from`. */
  of(from: RowLayout): RowReader {
    let reader = this.byVersion.get(from.schemaVersion);
    if (reader === undefined) {
      reader = new RowReader(this.schema, this.layout, this.features, from);
      if (this.byVersion.size === READERS_KEPT_MAX) this.byVersion.clear();
      this.byVersion.set(from.schemaVersion, reader);
    }
    this.version = from.schemaVersion;
    this.last = reader;
    return reader;
  }
}

export class Group<R = Row, P = PutRow, K = EntityKey> {
  readonly schema: GroupSchema;
  readonly layout: RowLayout;
  /** Of every version of the group that was heard of: its rows can be read as rows of `schema`. */
  private readonly layouts: GroupLayouts;
  private readonly slotOfName: ReadonlyMap<string, FeatureSlot>;
  private readonly wholeReader: GroupReader;
  /** Readers of some features, by their names: each is a function compiled for them. */
  private readonly readers: Map<string, GroupReader> = new Map();
  private lastReader: { readonly features: readonly string[]; readonly reader: GroupReader } | null = null;
  private lastProjection: Projection | null = null;
  /** Never there: what the rows and keys of this group are, for the compiler. */
  declare readonly types?: { readonly row: R; readonly put: P; readonly key: K };

  constructor(schema: GroupSchema) {
    this.schema = schema;
    this.layout = compileLayout(schema);
    this.layouts = new GroupLayouts(schema);
    this.wholeReader = new GroupReader(schema, this.layout);
    this.slotOfName = new Map(this.layout.slots.map((slot) => [slot.name, slot]));
  }

  get name(): string {
    return this.schema.name;
  }

  /** The entity key's columns, in order. */
  get key(): readonly KeyColumn[] {
    return this.schema.key;
  }

  /** What reads rows with the named features, in the order given; all when `features` is absent. Throws FEATURE_NOT_FOUND. */
  reader(features: readonly string[] | undefined): GroupReader {
    if (features === undefined) return this.wholeReader;
    const last = this.lastReader;
    if (last !== null && areEqual(last.features, features)) return last.reader;
    const name = JSON.stringify(features);
    let reader = this.readers.get(name);
    if (reader === undefined) {
      reader = new GroupReader(this.schema, this.layout, features);
      if (this.readers.size === READERS_KEPT_MAX) this.readers.clear();
      this.readers.set(name, reader);
    }
    this.lastReader = { features: [...features], reader };
    return reader;
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

  /** Row `index` of a GET's answer, which belongs to key `keyIndex` of the batch; null if missing. */
  readRow(
    response: GetResponse,
    index: number,
    keys: KeyBatch,
    keyIndex: number,
    reader: GroupReader,
  ): R | null {
    if (response.isMissing(index)) return null;
    const { view } = response;
    const offset = response.rowAt(index);
    const version = rowSchemaVersionAt(view, offset);
    const rowReader = version === reader.version ? reader.last : this.readerOf(reader, version);
    const { bytes, offsets } = keys;
    const keyEnd = offsets[keyIndex + 1]!;
    return rowReader.read(bytes, offsets[keyIndex]!, keyEnd, response.eventTime(index), view, offset) as R;
  }

  /** Whether a newer schema than any known taught this group to read more versions of its rows. */
  learn(schema: GroupSchema): boolean {
    if (schema.id !== this.schema.id || schema.version <= this.layouts.version) return false;
    this.layouts.learn(schema);
    return true;
  }

  private readerOf(reader: GroupReader, version: number): RowReader {
    const layout = this.layouts.of(version);
    return layout === undefined ? this.refuseVersion(version) : reader.of(layout);
  }

  private slot(name: string): FeatureSlot {
    const slot = this.slotOfName.get(name);
    if (slot !== undefined) return slot;
    throw new MillraceError(
      'FEATURE_NOT_FOUND',
      `group "${this.name}" has no feature "${name}"; it has: ${this.layout.slots.map((known) => known.name).join(', ')}`,
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
      `a row of group "${this.name}" is of schema version ${version}, this client knows ${this.layouts.version}: look the group up again`,
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
