/**
 * Values from rows. The row has been verified (by the server when it came in, and by its block's checksum since), so
 * nothing is checked here; the DataView's own bounds are the last guard.
 */

import { copyOf } from './byte-writer.ts';
import { readList } from './list-codec.ts';
import { decodeMessagePack } from './message-pack.ts';
import { compileRowFactory, type RowFactory } from './row-factory.ts';
import {
  type FeatureSlot,
  KIND_BYTES,
  KIND_LIST,
  KIND_STRING,
  KIND_VECTOR,
  ROW_HEADER_BYTES,
  type RowLayout,
} from './row-layout.ts';
import type { FeatureValue, MessagePackValue } from './row-value.ts';
import { readScalar } from './scalar-codec.ts';
import { readText } from './text.ts';

/** What decoding keeps per layout: the maker of its objects and a place for one row's values. */
interface Decoder {
  factory: RowFactory;
  values: FeatureValue[];
}

const decoders: WeakMap<RowLayout, Decoder> = new WeakMap();

/** The row at `offset` as an object by feature name, in schema order; null features are null. */
export function decodeRow(layout: RowLayout, view: DataView, offset: number): Record<string, FeatureValue> {
  const decoder = decoders.get(layout) ?? addDecoder(layout);
  decodeFeatures(layout.slots, view, offset, decoder.values, 0);
  return decoder.factory(decoder.values) as Record<string, FeatureValue>;
}

function addDecoder(layout: RowLayout): Decoder {
  const names = layout.slots.map((slot) => slot.name);
  const decoder: Decoder = { factory: compileRowFactory(names), values: names.map(() => null) };
  decoders.set(layout, decoder);
  return decoder;
}

/** Writes the values of `slots`, of the row at `offset`, to values[from], values[from + 1], … */
export function decodeFeatures(
  slots: readonly FeatureSlot[],
  view: DataView,
  offset: number,
  values: unknown[],
  from: number,
): void {
  const bytes = bytesOf(view);
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index]!;
    values[from + index] = isPresent(view, offset, slot.index) ? readValue(slot, view, bytes, offset) : null;
  }
}

/** One feature of the row at `offset`. */
export function decodeFeature(slot: FeatureSlot, view: DataView, offset: number): FeatureValue {
  return isPresent(view, offset, slot.index) ? readValue(slot, view, bytesOf(view), offset) : null;
}

/** Whether the feature at `index` in schema order is there. */
export function isPresent(view: DataView, offset: number, index: number): boolean {
  return ((view.getUint8(offset + ROW_HEADER_BYTES + (index >> 3)) >> (index & 7)) & 1) !== 0;
}

/** The row's length as its header has it. */
export function rowBytesAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true);
}

/** The schema version that the row was written under. */
export function rowSchemaVersionAt(view: DataView, offset: number): number {
  return view.getUint16(offset, true);
}

function readValue(slot: FeatureSlot, view: DataView, bytes: Uint8Array, offset: number): FeatureValue {
  const at = offset + slot.offset;
  if (slot.kind < KIND_VECTOR) return readScalar(view, at, slot.kind);
  if (slot.kind === KIND_VECTOR) return readVector(view, at, slot.length);
  const from = offset + view.getUint32(at, true);
  const to = from + view.getUint32(at + 4, true);
  if (slot.kind === KIND_STRING) return readText(bytes, from, to);
  if (slot.kind === KIND_LIST) return readList(view, bytes, from, slot);
  if (slot.kind === KIND_BYTES) return copyOf(bytes, from, to);
  return decodeMessagePack(bytes, from, to, 'ROW_INVALID') as MessagePackValue;
}

function readVector(view: DataView, offset: number, length: number): Float32Array {
  const vector = new Float32Array(length);
  for (let item = 0; item < length; item++) vector[item] = view.getFloat32(offset + 4 * item, true);
  return vector;
}

/** The bytes under the view of the call before: rows of one frame share it, and making them costs more than a row. */
let lastView: DataView = new DataView(new ArrayBuffer(0));
let lastBytes: Buffer = Buffer.alloc(0);

function bytesOf(view: DataView): Buffer {
  if (view !== lastView) {
    lastBytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    lastView = view;
  }
  return lastBytes;
}
