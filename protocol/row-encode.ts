/**
 * Rows from values: one row at a time from an object or array. For many rows at once see row-encode-columns.ts; both
 * give the same bytes.
 *
 * I1  Canonical: equal values give equal bytes. Padding and the slots of null features are zero, variable values
 *     stand in schema order without gaps but the alignment of lists, NaN has one form. (A msgpack value's maps keep
 *     the order of their keys, so there two equal objects may differ.) A feature that a row says nothing of (undefined,
 *     or no such property) has its default; null is null.
 * I2  A value that does not fit throws, and the writer is then as it was before.
 */

import type { ByteWriter } from './byte-writer.ts';
import { ROW_BYTES_MAX } from './limits.ts';
import { appendList } from './list-codec.ts';
import { encodeMessagePack } from './message-pack.ts';
import { ProtocolError } from './protocol-error.ts';
import {
  type FeatureSlot,
  KIND_BYTES,
  KIND_LIST,
  KIND_STRING,
  KIND_VECTOR,
  ROW_HEADER_BYTES,
  type RowLayout,
} from './row-layout.ts';
import { refuseItem, refuseValue } from './row-value.ts';
import { writeFloat32, writeScalar } from './scalar-codec.ts';
import { appendText } from './text.ts';

/**
 * What encoding keeps per layout. Objects of one source have their properties in one order, so the order of the
 * object before is expected of the next: `for…in` gives name and value for 5 ns, where a lookup by name costs 25.
 */
interface Encoder {
  slotOfName: Map<string, FeatureSlot>;
  /** The properties of the object before, and for each the feature's slot, null when it is none. */
  names: string[];
  slots: (FeatureSlot | null)[];
  /** Variable values on their way into schema order, by feature; all undefined between calls. */
  variables: unknown[];
}

const encoders: WeakMap<RowLayout, Encoder> = new WeakMap();

/**
 * Appends one row. `values` is an object by feature name, whose other properties are not looked at, or an array in
 * schema order. The row begins at the writer's length and its alignment counts from there.
 */
export function encodeRow(
  layout: RowLayout,
  values: Readonly<Record<string, unknown>> | readonly unknown[],
  writer: ByteWriter,
): void {
  const start = writer.length;
  try {
    writer.reserve(layout.variableStart);
    if (Array.isArray(values)) encodeArray(layout, values, writer, start);
    else encodeObject(layout, values as Record<string, unknown>, writer, start);
    closeRow(layout, writer, start);
  } catch (error) {
    writer.truncate(start);
    // What it held of this row must not reach the next.
    encoders.delete(layout);
    throw error;
  }
}

function encodeArray(layout: RowLayout, values: readonly unknown[], writer: ByteWriter, start: number): void {
  const slots = layout.slots;
  if (values.length !== slots.length) {
    throw new ProtocolError(
      'ROW_INVALID',
      `the row has ${values.length} values; the schema has ${slots.length} features`,
    );
  }
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index]!;
    const value = values[index] === undefined ? slot.default : values[index];
    if (value !== null && value !== undefined) encodeValue(slot, value, writer, start);
  }
}

function encodeObject(
  layout: RowLayout,
  values: Readonly<Record<string, unknown>>,
  writer: ByteWriter,
  start: number,
): void {
  const encoder = encoders.get(layout) ?? addEncoder(layout);
  const { names, slots, variables } = encoder;
  let at = 0;
  let found = 0;
  for (const name in values) {
    const value = values[name];
    if (names[at] !== name) {
      names[at] = name;
      slots[at] = encoder.slotOfName.get(name) ?? null;
    }
    const slot = slots[at++]!;
    if (slot === null || value === undefined) continue;
    found++;
    if (value === null) continue;
    if (slot.kind < KIND_STRING) encodeValue(slot, value, writer, start);
    else variables[slot.index] = value;
  }
  // A property that for…in does not show (an accessor of a class) is asked for by name; what is absent has its default.
  if (found < layout.slots.length) encodeHidden(layout, values, variables, writer, start);
  if (layout.hasVariable) encodeVariables(layout, variables, writer, start);
}

function addEncoder(layout: RowLayout): Encoder {
  const encoder: Encoder = {
    slotOfName: new Map(layout.slots.map((slot) => [slot.name, slot])),
    names: [],
    slots: [],
    variables: new Array(layout.slots.length).fill(undefined),
  };
  encoders.set(layout, encoder);
  return encoder;
}

function encodeHidden(
  layout: RowLayout,
  values: Readonly<Record<string, unknown>>,
  variables: unknown[],
  writer: ByteWriter,
  start: number,
): void {
  for (const slot of layout.slots) {
    if (isMarked(writer.bytes, start, slot.index) || variables[slot.index] !== undefined) continue;
    const value = values[slot.name] ?? (values[slot.name] === undefined ? slot.default : null);
    if (value === null || value === undefined) continue;
    if (slot.kind < KIND_STRING) encodeValue(slot, value, writer, start);
    else variables[slot.index] = value;
  }
}

function encodeVariables(layout: RowLayout, variables: unknown[], writer: ByteWriter, start: number): void {
  const slots = layout.variableSlots;
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index]!;
    const value = variables[slot.index];
    if (value === undefined) continue;
    variables[slot.index] = undefined;
    encodeValue(slot, value, writer, start);
  }
}

/** Writes a value that is not null into its slot, and its variable bytes at the writer's end. */
export function encodeValue(slot: FeatureSlot, value: unknown, writer: ByteWriter, start: number): void {
  if (slot.kind < KIND_VECTOR) {
    if (!writeScalar(writer.view, start + slot.offset, slot.kind, value)) refuseValue(slot, value);
  } else if (slot.kind === KIND_VECTOR) {
    writeVector(writer.view, start + slot.offset, slot, value);
  } else {
    appendVariable(slot, value, writer, start);
  }
  markPresent(writer.bytes, start, slot.index);
}

function isMarked(bytes: Uint8Array, start: number, index: number): boolean {
  return ((bytes[start + ROW_HEADER_BYTES + (index >> 3)]! >> (index & 7)) & 1) !== 0;
}

export function markPresent(bytes: Uint8Array, start: number, index: number): void {
  const at = start + ROW_HEADER_BYTES + (index >> 3);
  bytes[at] = bytes[at]! | (1 << (index & 7));
}

export function writeVector(view: DataView, offset: number, slot: FeatureSlot, value: unknown): void {
  if (value instanceof Float32Array) {
    if (value.length !== slot.length) refuseValue(slot, value);
    for (let item = 0; item < value.length; item++) writeFloat32(view, offset + 4 * item, value[item]!);
    return;
  }
  if (!(Array.isArray(value) || value instanceof Float64Array) || value.length !== slot.length) {
    refuseValue(slot, value);
  }
  for (let item = 0; item < value.length; item++) {
    const number: unknown = value[item];
    if (typeof number !== 'number') refuseItem(slot, number, item);
    writeFloat32(view, offset + 4 * item, number);
  }
}

/** Appends a variable value's bytes and writes {offset, bytes} into its slot. */
export function appendVariable(slot: FeatureSlot, value: unknown, writer: ByteWriter, start: number): void {
  if (slot.kind === KIND_LIST) writer.align8(start);
  const from = writer.length;
  if (slot.kind === KIND_STRING) {
    if (typeof value !== 'string' || appendText(writer, value) < 0) refuseValue(slot, value);
  } else if (slot.kind === KIND_LIST) {
    appendList(writer, slot, value);
  } else if (slot.kind === KIND_BYTES) {
    if (!(value instanceof Uint8Array)) refuseValue(slot, value);
    writer.raw(value);
  } else {
    writer.raw(encodeMessagePack(value, 'TYPE_MISMATCH'));
  }
  writer.view.setUint32(start + slot.offset, from - start, true);
  writer.view.setUint32(start + slot.offset + 4, writer.length - from, true);
}

/** Pads the row that began at `start` and writes its header. */
export function closeRow(layout: RowLayout, writer: ByteWriter, start: number): void {
  writer.align8(start);
  const rowBytes = writer.length - start;
  if (rowBytes > ROW_BYTES_MAX) {
    throw new ProtocolError(
      'ROW_TOO_LARGE',
      `the row takes ${rowBytes} bytes encoded; at most ${ROW_BYTES_MAX} are allowed`,
    );
  }
  writer.view.setUint16(start, layout.schemaVersion, true);
  writer.view.setUint32(start + 4, rowBytes, true);
}
