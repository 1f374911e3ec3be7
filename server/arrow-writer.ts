/**
 * Arrow record batches from stored records: rows of a version merge in, one encapsulated record-batch message out.
 *
 * I1  A message and the schema message together are at most `messageBytesMax`, so that they fit a frame; `append` takes fewer rows rather than more bytes.
 * I2  Rows leave in the order they came; a feature that a row's schema version had not yet is its default, or null.
 * I3  Memory is that of one batch. It is reused from batch to batch and goes with the writer.
 *
 * How: rows go through in chunks of at most CHUNK_ROWS, column after column, so that a chunk's rows stay in the core's
 * cache while each column's loop runs over them; a chunk holds rows of one schema version. The message is then written
 * straight into the response frame: metadata by apache-arrow's own encoder, each buffer by one copy. Making vectors and
 * handing them to apache-arrow's stream writer was rejected: it copies once more and frames nothing for us.
 *
 * Left to others: which rows (scan-stream.ts), frames and credit (scan-stream.ts), columns (arrow-columns.ts).
 */
import { strict as assert } from 'node:assert';
import { BufferRegion, FieldNode, Message, RecordBatch } from 'apache-arrow/ipc/metadata/message';
import {
  ByteWriter,
  compileLayout,
  encodeRow,
  FEATURES_MAX,
  type Feature,
  type FeatureSlot,
  type GroupLayouts,
  type GroupSchema,
  type KeyType,
  type ListItemType,
  type RowLayout,
  readSlots,
} from '../protocol/index.ts';
import {
  arenaOf,
  RECORD_EVENT_TIME_AT,
  RECORD_FLAGS_AT,
  RECORD_HEADER_BYTES,
  RECORD_KEY_BYTES_AT,
  REQUEST_KEY_BYTES,
  type VersionMerge,
} from '../storage/index.ts';
import { BITMAP_WORD, type ColumnBuilder, type RowChunk } from './arrow-buffer.ts';
import { BoolColumn, FixedColumn, VariableColumn, VectorColumn } from './arrow-columns.ts';
import * as kernels from './arrow-kernels.ts';
import { BoolItems, FixedItems, ListColumn, StringItems } from './arrow-lists.ts';
import { type ArrowColumn, encapsulate, schemaMessage } from './arrow-schema.ts';
import { ServerError } from './server-error.ts';

/** Rows that go through column by column: 1024 flights are 110 KiB, well inside a core's L2 cache. */
const CHUNK_ROWS = 1024;
const UUID_BYTES = 16;
/** Metadata of a batch without columns, generously. */
const METADATA_FIXED_BYTES = 1024;
/** A field node and a buffer region each take two i64. */
const METADATA_ENTRY_BYTES = 16;
/** Words of a record: its key, and the key's length; of a row: its length. */
const RECORD_KEY_WORD: number = RECORD_HEADER_BYTES >>> 2;
const RECORD_KEY_BYTES_WORD: number = RECORD_KEY_BYTES_AT >>> 2;
/** The flags are the highest byte of this word, and FLAG_KEYED is their second bit. */
const RECORD_FLAGS_WORD: number = RECORD_FLAGS_AT >>> 2;
const RECORD_KEYED_SHIFT = 25;
const REQUEST_KEY_WORDS: number = REQUEST_KEY_BYTES >>> 2;
const ROW_BYTES_WORD = 1;

interface KeyStep {
  /** Bytes of the key column, 0 when variable. */
  readonly width: number;
  /** Absent when the scan does not send it; it must be stepped over all the same. */
  readonly builder: FixedColumn | VariableColumn | undefined;
}

interface FeatureStep {
  /** Where rows of the schema's own version have it. */
  readonly slot: FeatureSlot;
  readonly builder: ColumnBuilder;
}

/** What a schema version's rows look like to this scan. */
interface VersionPlan {
  /** In the order of the features that the scan sends; undefined when the version has it not. */
  readonly slots: readonly (FeatureSlot | undefined)[];
  /** In the same order: whether it reads as its default where the version has it not. */
  readonly hasDefault: readonly boolean[];
  /** Words of the validity bitmap that hold their bits. */
  readonly bitmapWords: readonly number[];
}

/** Where a chunk's rows are; filled anew for each. */
class ChunkRows implements RowChunk {
  words: Uint32Array = new Uint32Array(0);
  bytes: Uint8Array = new Uint8Array(0);
  count = 0;
  readonly records: Uint32Array = new Uint32Array(CHUNK_ROWS);
  readonly rows: Uint32Array = new Uint32Array(CHUNK_ROWS);
  readonly keyPositions: Uint32Array = new Uint32Array(CHUNK_ROWS);
  readonly common: Uint32Array = new Uint32Array(FEATURES_MAX >>> 5);
}

/**
 * As many rows as a chunk may have of nothing but defaults: one row, which all of them are. So a default goes through
 * the column's own loop, whatever its type.
 */
class DefaultRows implements RowChunk {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly rows: Uint32Array = new Uint32Array(CHUNK_ROWS);
  readonly common: Uint32Array;
  count = 0;

  constructor(layout: RowLayout) {
    const writer = new ByteWriter(layout.variableStart);
    encodeRow(layout, {}, writer);
    const { bytes, words } = arenaOf(writer.finish().slice());
    this.bytes = bytes;
    this.words = words;
    this.common = words.slice(BITMAP_WORD, BITMAP_WORD + (layout.bitmapBytes >>> 2));
  }
}

export class ArrowWriter {
  readonly schemaMessage: Uint8Array;
  rowCount = 0;

  readonly #schema: GroupSchema;
  readonly #layouts: Pick<GroupLayouts, 'of'>;
  readonly #defaults: DefaultRows;
  readonly #plans = new Map<number, VersionPlan>();
  readonly #chunk = new ChunkRows();
  readonly #builders: readonly ColumnBuilder[];
  readonly #keySteps: readonly KeyStep[];
  readonly #eventTime: FixedColumn | undefined;
  readonly #featureSteps: readonly FeatureStep[];
  readonly #rowBytes: number;
  readonly #hasVariable: boolean;
  readonly #bodyBytesMax: number;
  #metadata: Uint8Array = new Uint8Array(0);

  /** Columns as `chooseColumns` answers them; `layouts` knows every version of the group's rows. */
  constructor(
    schema: GroupSchema,
    layouts: Pick<GroupLayouts, 'of'>,
    columns: readonly ArrowColumn[],
    messageBytesMax: number,
  ) {
    const layout = compileLayout(schema);
    const slotOfId = new Map(layout.slots.map((slot) => [slot.id, slot]));
    this.#schema = schema;
    this.#layouts = layouts;
    this.#defaults = new DefaultRows(layout);
    this.schemaMessage = schemaMessage(columns);
    this.#builders = columns.map(builderOf);
    const builderAt = (index: number): ColumnBuilder | undefined => this.#builders[index];
    this.#keySteps = keyStepsOf(schema, columns, builderAt);
    this.#eventTime = builderAt(columns.findIndex((column) => column.source === 'event-time')) as
      | FixedColumn
      | undefined;
    this.#featureSteps = columns.flatMap((column, index) =>
      column.source === 'feature'
        ? [{ slot: slotOfId.get(column.feature.id)!, builder: builderAt(index)! }]
        : [],
    );
    this.#rowBytes = columns.reduce((bytes, column) => bytes + bytesARow(column), 0);
    this.#hasVariable = columns.some(isVariable);
    let entries = 0;
    for (const builder of this.#builders) entries += builder.buffers.length + builder.nodes().length;
    const overhead = METADATA_FIXED_BYTES + entries * (METADATA_ENTRY_BYTES + 8) + this.schemaMessage.length;
    this.#bodyBytesMax = messageBytesMax - overhead;
    if (this.#bodyBytesMax < this.#rowBytes) {
      throw new ServerError('ROW_TOO_LARGE', 'one row of these columns does not fit a frame: ask for fewer');
    }
  }

  /** Bytes of the batch so far, without its metadata. */
  get bodyBytes(): number {
    let bytes = 0;
    for (const builder of this.#builders) {
      for (const buffer of builder.buffers) bytes += (buffer.used + 7) & ~7;
    }
    return bytes;
  }

  /**
   * Appends rows [from, to) of a settled merge, as many as fit and at most a chunk. Answers how many; 0 when the batch
   * must leave first.
   */
  append(merge: VersionMerge, from: number, to: number): number {
    const chunk = this.#chunk;
    chunk.words = merge.arena.words;
    chunk.bytes = merge.arena.bytes;
    const room = this.#bodyBytesMax - this.bodyBytes;
    const end = Math.min(to, from + CHUNK_ROWS);
    chunk.count = locateRows(chunk, merge.places, from, end, room, this.#rowBytes, this.#hasVariable);
    if (chunk.count === 0) {
      if (this.rowCount > 0) return 0;
      throw new ServerError('ROW_TOO_LARGE', 'one row of these columns does not fit a frame: ask for fewer');
    }
    const plan = this.#planOf(chunk.words[chunk.rows[0]!]! & 0xffff);
    for (const word of plan.bitmapWords) {
      chunk.common[word] = kernels.commonBits(chunk.words, chunk.rows, BITMAP_WORD + word, chunk.count);
    }
    this.#appendKeys(chunk);
    this.#eventTime?.appendWords(chunk.words, chunk.records, RECORD_EVENT_TIME_AT, chunk.count, true);
    for (let i = 0; i < this.#featureSteps.length; i++) {
      const { builder } = this.#featureSteps[i]!;
      const slot = plan.slots[i];
      if (slot !== undefined) builder.append(chunk, slot);
      else if (plan.hasDefault[i])
        builder.append(this.#defaultRows(chunk.count), this.#featureSteps[i]!.slot);
      else builder.appendNulls(chunk.count);
    }
    this.rowCount += chunk.count;
    return chunk.count;
  }

  /** Encodes the metadata of the batch; answers the bytes of the whole message. */
  seal(): number {
    const nodes: FieldNode[] = [];
    const regions: BufferRegion[] = [];
    let bodyBytes = 0;
    for (const builder of this.#builders) {
      for (const node of builder.nodes()) nodes.push(new FieldNode(node.length, node.nullCount));
      for (const buffer of builder.buffers) {
        regions.push(new BufferRegion(bodyBytes, buffer.used));
        bodyBytes += (buffer.used + 7) & ~7;
      }
    }
    const batch = new RecordBatch(this.rowCount, nodes, regions, null);
    this.#metadata = encapsulate(Message.encode(Message.from(batch, bodyBytes)));
    return this.#metadata.length + bodyBytes;
  }

  /** Writes the sealed message at `at`, a multiple of 8, and begins the next batch. Answers where it ends. */
  write(into: Uint8Array, at: number): number {
    into.set(this.#metadata, at);
    let end = at + this.#metadata.length;
    for (const builder of this.#builders) {
      for (const { bytes, used } of builder.buffers) {
        if (used === 0) continue;
        into.set(bytes.subarray(0, used), end);
        const padded = (used + 7) & ~7;
        into.fill(0, end + used, end + padded);
        end += padded;
      }
    }
    this.reset();
    return end;
  }

  /** Drops the batch. */
  reset(): void {
    this.rowCount = 0;
    for (const builder of this.#builders) builder.reset();
  }

  #appendKeys(chunk: ChunkRows): void {
    const { words, bytes, keyPositions, count } = chunk;
    if (this.#keySteps.length === 0) return;
    for (let i = 0; i < count; i++) keyPositions[i] = (chunk.records[i]! + RECORD_KEY_WORD) << 2;
    for (const step of this.#keySteps) {
      step.builder?.appendKeys(words, bytes, keyPositions, count);
      if (step.width > 0) kernels.skipKeyFixed(keyPositions, step.width, count);
      else kernels.skipKeyVariable(bytes, keyPositions, count);
    }
  }

  #defaultRows(count: number): DefaultRows {
    this.#defaults.count = count;
    return this.#defaults;
  }

  #planOf(schemaVersion: number): VersionPlan {
    const known = this.#plans.get(schemaVersion);
    if (known !== undefined) return known;
    const layout = this.#layouts.of(schemaVersion);
    if (layout === undefined) {
      throw new ServerError(
        'INTERNAL',
        `a stored row has schema version ${schemaVersion}, which the catalog lacks`,
      );
    }
    const read = readSlots(
      this.#schema,
      this.#featureSteps.map((step) => step.slot),
      layout,
    );
    const slots = read.map(({ slot }) => slot);
    const hasDefault = read.map(({ absent }) => absent !== null);
    const bitmapWords = new Set(slots.flatMap((slot) => (slot === undefined ? [] : [slot.index >>> 5])));
    const plan: VersionPlan = { slots, hasDefault, bitmapWords: [...bitmapWords] };
    this.#plans.set(schemaVersion, plan);
    return plan;
  }
}

/**
 * Finds the records and rows at `places[from, to)` as long as they are of one schema version and fit `room` bytes.
 * Answers how many.
 */
function locateRows(
  chunk: ChunkRows,
  places: Uint32Array,
  from: number,
  to: number,
  room: number,
  rowBytes: number,
  hasVariable: boolean,
): number {
  const { words, records, rows } = chunk;
  let version = -1;
  let left = room;
  let count = 0;
  let isWhole = true;
  for (let i = from; i < to; i++) {
    const record = places[i]! << 1;
    const recordBytes = words[record]!;
    const keyBytes = words[record + RECORD_KEY_BYTES_WORD]! & 0xffff;
    const requestKeyWords =
      ((words[record + RECORD_FLAGS_WORD]! >>> RECORD_KEYED_SHIFT) & 1) * REQUEST_KEY_WORDS;
    const row = record + RECORD_KEY_WORD + (((keyBytes + 7) >>> 3) << 1) + requestKeyWords;
    const rowVersion = words[row]! & 0xffff;
    left -= rowBytes + (hasVariable ? recordBytes : 0);
    if (left < 0 || (version >= 0 && rowVersion !== version)) break;
    version = rowVersion;
    isWhole = isWhole && ((row - record) << 2) + words[row + ROW_BYTES_WORD]! === recordBytes;
    records[count] = record;
    rows[count] = row;
    count++;
  }
  assert(isWhole, 'a row fills its record behind the key');
  return count;
}

/** The key columns as far as the last that the scan sends. */
function keyStepsOf(
  schema: GroupSchema,
  columns: readonly ArrowColumn[],
  builderAt: (index: number) => ColumnBuilder | undefined,
): KeyStep[] {
  const steps = schema.key.map((key, index): KeyStep => {
    const at = columns.findIndex((column) => column.source === 'key' && column.index === index);
    return { width: keyWidth(key.type), builder: builderAt(at) as FixedColumn | VariableColumn | undefined };
  });
  const last = steps.findLastIndex((step) => step.builder !== undefined);
  return steps.slice(0, last + 1);
}

function keyWidth(type: KeyType): number {
  if (type === 'uuid') return UUID_BYTES;
  return type === 'int64' || type === 'timestamp' ? 8 : 0;
}

function builderOf(column: ArrowColumn): ColumnBuilder {
  if (column.source === 'event-time') return new FixedColumn(8);
  if (column.source === 'key') {
    const width = keyWidth(column.key.type);
    return width === 0 ? new VariableColumn() : new FixedColumn(width);
  }
  const { type, item, length } = column.feature;
  if (type === 'bool') return new BoolColumn();
  if (type === 'vector') return new VectorColumn(length ?? 0);
  if (type === 'string' || type === 'bytes' || type === 'msgpack') return new VariableColumn();
  if (type !== 'list') return new FixedColumn(SCALAR_BYTES[type]);
  if (item === 'string' || item === undefined) return new ListColumn(new StringItems());
  return new ListColumn(item === 'bool' ? new BoolItems() : new FixedItems(SCALAR_BYTES[item]));
}

const SCALAR_BYTES: Readonly<Record<Exclude<ListItemType, 'string'>, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float32: 4,
  float64: 8,
  timestamp: 8,
};

/**
 * What a row adds to the column: its fixed bytes or offset, and a byte for its validity bit. The values of a variable
 * column are within the record, but for the default of a feature that was added later.
 */
function bytesARow(column: ArrowColumn): number {
  if (isVariable(column)) return 5 + (column.source === 'feature' ? addedTextBytes(column.feature) : 0);
  if (column.source === 'event-time') return 8;
  if (column.source === 'key') return keyWidth(column.key.type);
  const { type, length } = column.feature;
  if (type === 'vector') return 1 + 4 * (length ?? 0);
  return 1 + SCALAR_BYTES[type as Exclude<ListItemType, 'string'>];
}

function addedTextBytes(feature: Feature): number {
  const isAdded = (feature.since ?? 1) > 1 && typeof feature.default === 'string';
  return isAdded ? Buffer.byteLength(feature.default as string, 'utf8') : 0;
}

function isVariable(column: ArrowColumn): boolean {
  if (column.source === 'event-time') return false;
  if (column.source === 'key') return keyWidth(column.key.type) === 0;
  const { type } = column.feature;
  return type === 'string' || type === 'bytes' || type === 'msgpack' || type === 'list';
}
