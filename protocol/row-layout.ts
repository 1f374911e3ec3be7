/**
 * RowLayout: where each feature of a schema version stands in an encoded row. Compiled once per schema, then every
 * row is read and written by its numbers.
 *
 *   0  u16  schema version
 *   2  u16  0
 *   4  u32  rowBytes, a multiple of 8
 *   8       validity bitmap, one bit a feature in schema order, least significant first, 1 = present; padded to 8
 *           fixed section: slots of 8 bytes, then of 4 (vectors among them), 2 and 1, schema order within a width;
 *           padded to 8 = variableStart
 *           variable section, schema order; padded to 8 = rowBytes
 *
 * Widths descend, so every slot is aligned without a gap. A variable feature's slot is {u32 offset from the row's
 * start, u32 bytes}. docs/formats/row.md is the prose.
 */

import {
  type Feature,
  type FeatureDefault,
  type FeatureSpec,
  type FeatureType,
  featuresAt,
  type GroupSchema,
  type ListItemType,
} from './schema.ts';

export const ROW_HEADER_BYTES = 8;

/**
 * What a slot's bytes are, as a small integer: the kernels switch on it. Order within the list has no meaning on
 * the wire.
 */
export const KIND_BOOL = 0;
export const KIND_INT8 = 1;
export const KIND_INT16 = 2;
export const KIND_INT32 = 3;
export const KIND_INT64 = 4;
export const KIND_FLOAT32 = 5;
export const KIND_FLOAT64 = 6;
export const KIND_TIMESTAMP = 7;
export const KIND_VECTOR = 8;
/** Kinds from here on are variable. */
export const KIND_STRING = 9;
export const KIND_BYTES = 10;
export const KIND_LIST = 11;
export const KIND_MSGPACK = 12;

export const KIND_OF_TYPE: Readonly<Record<FeatureType, number>> = {
  bool: KIND_BOOL,
  int8: KIND_INT8,
  int16: KIND_INT16,
  int32: KIND_INT32,
  int64: KIND_INT64,
  float32: KIND_FLOAT32,
  float64: KIND_FLOAT64,
  timestamp: KIND_TIMESTAMP,
  vector: KIND_VECTOR,
  string: KIND_STRING,
  bytes: KIND_BYTES,
  list: KIND_LIST,
  msgpack: KIND_MSGPACK,
};

/** Bytes of one value in the fixed section; a vector's is of one item, a variable type's of its {offset, bytes}. */
const WIDTH_OF_TYPE: Readonly<Record<FeatureType, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float32: 4,
  float64: 8,
  timestamp: 8,
  vector: 4,
  string: 8,
  bytes: 8,
  list: 8,
  msgpack: 8,
};

const WIDTHS_DESCENDING: readonly number[] = [8, 4, 2, 1];

export interface FeatureSlot {
  /** The feature's id. */
  id: number;
  /** Position in schema order: the bit in the validity bitmap. */
  index: number;
  name: string;
  type: FeatureType;
  /** One of the KIND_ constants. */
  kind: number;
  /** Where the slot begins, from the row's start. */
  offset: number;
  /** Bytes the slot takes in the fixed section. */
  bytes: number;
  /** Values a GET_MATRIX row gives for it: a vector's length, else 1. */
  length: number;
  /** A list's items: the KIND_ of one, else −1. */
  itemKind: number;
  /** A list's items: bytes of one, 0 for strings and for everything that is no list. */
  itemBytes: number;
  item?: ListItemType;
  /** What a row holds that is written without a word on the feature. */
  default?: FeatureDefault;
}

export interface RowLayout {
  schemaVersion: number;
  /** In schema order. */
  slots: FeatureSlot[];
  /** The slots of variable features, in schema order. */
  variableSlots: FeatureSlot[];
  /** The slots whose bytes may be wrong (bool, timestamp, variable), in schema order. */
  checkedSlots: FeatureSlot[];
  /** Bytes of the validity bitmap, padding included. */
  bitmapBytes: number;
  /** Where the fixed section begins. */
  fixedStart: number;
  /** Where the fixed section's slots end and its padding begins. */
  fixedEnd: number;
  /** Where the variable section begins; the whole row's bytes when there is none. */
  variableStart: number;
  hasVariable: boolean;
}

/** The layout of rows of one version of the schema, by default its own. */
export function compileLayout(schema: GroupSchema, version: number = schema.version): RowLayout {
  const features = version === schema.version ? schema.features : featuresAt(schema, version);
  const bitmapBytes = bitmapBytesOf(features.length);
  const fixedStart = ROW_HEADER_BYTES + bitmapBytes;
  const slots = features.map(slotOf);
  let offset = fixedStart;
  for (const width of WIDTHS_DESCENDING) {
    for (const slot of slots) {
      if (WIDTH_OF_TYPE[slot.type] !== width) continue;
      slot.offset = offset;
      offset += slot.bytes;
    }
  }
  const variableSlots = slots.filter((slot) => slot.kind >= KIND_STRING);
  return {
    schemaVersion: version,
    slots,
    variableSlots,
    checkedSlots: slots.filter(
      (slot) => slot.kind === KIND_BOOL || slot.kind === KIND_TIMESTAMP || slot.kind >= KIND_STRING,
    ),
    bitmapBytes,
    fixedStart,
    fixedEnd: offset,
    variableStart: align8(offset),
    hasVariable: variableSlots.length > 0,
  };
}

/** Bytes of a row whose variable features are all null: what a schema costs at least. */
export function fixedRowBytes(features: readonly FeatureSpec[]): number {
  let bytes = ROW_HEADER_BYTES + bitmapBytesOf(features.length);
  for (const feature of features) bytes += WIDTH_OF_TYPE[feature.type] * (feature.length ?? 1);
  return align8(bytes);
}

/** Bytes of one list item, 0 for strings. */
export function itemBytesOf(item: ListItemType): number {
  return item === 'string' ? 0 : WIDTH_OF_TYPE[item];
}

/** The next multiple of 8. */
export function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** How a feature's type reads in a message: int16, vector of 8, list of string. */
export function typeText(feature: Pick<FeatureSpec, 'type' | 'length' | 'item'>): string {
  if (feature.type === 'vector') return `vector of ${feature.length}`;
  return feature.item === undefined ? feature.type : `list of ${feature.item}`;
}

function bitmapBytesOf(featureCount: number): number {
  return align8((featureCount + 7) >> 3);
}

function slotOf(feature: Feature, index: number): FeatureSlot {
  const length = feature.type === 'vector' ? (feature.length ?? 0) : 1;
  const slot: FeatureSlot = {
    id: feature.id,
    index,
    name: feature.name,
    type: feature.type,
    kind: KIND_OF_TYPE[feature.type],
    offset: 0,
    bytes: WIDTH_OF_TYPE[feature.type] * length,
    length,
    itemKind: feature.item === undefined ? -1 : KIND_OF_TYPE[feature.item],
    itemBytes: feature.item === undefined ? 0 : itemBytesOf(feature.item),
  };
  if (feature.item !== undefined) slot.item = feature.item;
  if (feature.default !== undefined) slot.default = feature.default;
  return slot;
}
