/**
 * Which Arrow columns a scan sends: a group's key columns, event time and features, or the ones asked for, with their
 * Arrow types and the schema message that opens the stream.
 *
 *   Millrace            | Arrow                       | Millrace  | Arrow
 *   --------------------|-----------------------------|-----------|----------------------------
 *   bool                | Bool                        | string    | Utf8
 *   int8 … int64        | Int8 … Int64                | bytes     | Binary
 *   float32, float64    | Float32, Float64            | uuid      | FixedSizeBinary(16)
 *   timestamp, event    | Timestamp(µs, UTC)          | vector    | FixedSizeList<Float32>
 *   time                |                             | list      | List<item>
 *                       |                             | msgpack   | Binary, one MessagePack value
 *
 * Key columns and the event time are never null; every feature may be. Columns leave in the order asked for, which is
 * by default key, event time, features.
 *
 * Left to others: filling the columns (arrow-columns.ts) and the batches (arrow-writer.ts).
 */
import {
  Binary,
  Bool,
  type DataType,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Schema,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow';
import { Message } from 'apache-arrow/ipc/metadata/message';
import type {
  Feature,
  FeatureType,
  GroupSchema,
  KeyColumn,
  KeyType,
  ListItemType,
} from '../protocol/index.ts';
import { ServerError } from './server-error.ts';

export type ArrowColumn =
  | { readonly source: 'key'; readonly name: string; readonly index: number; readonly key: KeyColumn }
  | { readonly source: 'event-time'; readonly name: string }
  | { readonly source: 'feature'; readonly name: string; readonly feature: Feature };

const UUID_BYTES = 16;
const TIME_ZONE = 'UTC';
/** Begins every encapsulated message; then the metadata's length, padded so that the body is 8-aligned. */
const CONTINUATION = 0xffffffff;
export const MESSAGE_PREFIX_BYTES = 8;

/** All columns of a group, or the named ones. Throws FEATURE_NOT_FOUND and MALFORMED_REQUEST. */
export function chooseColumns(schema: GroupSchema, names: readonly string[] | undefined): ArrowColumn[] {
  const all: ArrowColumn[] = [
    ...schema.key.map((key, index) => ({ source: 'key' as const, name: key.name, index, key })),
    { source: 'event-time' as const, name: schema.eventTimeName },
    ...schema.features.map((feature) => ({ source: 'feature' as const, name: feature.name, feature })),
  ];
  if (names === undefined) return all;
  if (names.length === 0)
    throw new ServerError('MALFORMED_REQUEST', 'columns: name at least one, or leave it out');
  if (new Set(names).size !== names.length) {
    throw new ServerError('MALFORMED_REQUEST', 'columns: each may be named once');
  }
  const byName = new Map(all.map((column) => [column.name, column]));
  return names.map((name) => {
    const column = byName.get(name);
    if (column !== undefined) return column;
    throw new ServerError('FEATURE_NOT_FOUND', `group '${schema.name}' has no column '${name}'`);
  });
}

export function arrowSchema(columns: readonly ArrowColumn[]): Schema {
  return new Schema(
    columns.map((column) => new Field(column.name, arrowType(column), column.source === 'feature')),
  );
}

/** The schema as an encapsulated message: prefix, metadata, no body. */
export function schemaMessage(columns: readonly ArrowColumn[]): Uint8Array {
  return encapsulate(Message.encode(Message.from(arrowSchema(columns))));
}

/** A message's metadata with the prefix before it, its length padded to 8. */
export function encapsulate(metadata: Uint8Array): Uint8Array {
  const padded = (metadata.length + 7) & ~7;
  const bytes = new Uint8Array(MESSAGE_PREFIX_BYTES + padded);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CONTINUATION, true);
  view.setInt32(4, padded, true);
  bytes.set(metadata, MESSAGE_PREFIX_BYTES);
  return bytes;
}

function arrowType(column: ArrowColumn): DataType {
  if (column.source === 'event-time') return new TimestampMicrosecond(TIME_ZONE);
  if (column.source === 'key') return keyType(column.key.type);
  const { feature } = column;
  if (feature.type === 'vector') {
    return new FixedSizeList(feature.length ?? 0, new Field('item', new Float32(), false));
  }
  if (feature.type === 'list') {
    return new List(new Field('item', scalarType(feature.item ?? 'string'), false));
  }
  return scalarType(feature.type);
}

function keyType(type: KeyType): DataType {
  return type === 'uuid' ? new FixedSizeBinary(UUID_BYTES) : scalarType(type);
}

function scalarType(type: Exclude<FeatureType, 'vector' | 'list'> | ListItemType): DataType {
  switch (type) {
    case 'bool':
      return new Bool();
    case 'int8':
      return new Int8();
    case 'int16':
      return new Int16();
    case 'int32':
      return new Int32();
    case 'int64':
      return new Int64();
    case 'float32':
      return new Float32();
    case 'float64':
      return new Float64();
    case 'timestamp':
      return new TimestampMicrosecond(TIME_ZONE);
    case 'string':
      return new Utf8();
    case 'bytes':
    case 'msgpack':
      return new Binary();
  }
}
