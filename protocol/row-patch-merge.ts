/**
 * The merge of a patch into a row: from an encoded row of any schema version of the group, or none, to the encoded row of
 * the newest version that the patch leads to. Pure: the same bytes in, the same bytes out, on every replica.
 *
 * I1  Base and patch have been verified, the patch against this schema version or an earlier one. The row that comes out
 *     is canonical (row-encode.ts I1), or the answer is a code.
 * I2  Without a base, and for features that are newer than it, the row has their defaults.
 * I3  Arithmetic is that of the feature's type: int64 exact in 64 bits, float32 rounded once to float32, integers that
 *     would leave their range refused and not wrapped. Infinities follow IEEE 754; where they cancel out, the value is
 *     NaN and stays it. MIN and MAX: a NaN in the row gives way like a null; −0 and 0 are equal, the one there stays.
 * I4  Nothing is allocated a row but the view that is answered. It holds until the writer is used again.
 *
 * How: the fixed section is the base's, copied whole when both are of one version, slot by slot otherwise; steps on fixed
 * features change it in place; then the variable section is written in schema order, each value from the base, the patch
 * or both. Cost: linear in the bytes of row and patch.
 */
import { type ByteWriter, copyBytes, copyOf } from './byte-writer.ts';
import { readInt64 } from './int64.ts';
import { ROW_BYTES_MAX } from './limits.ts';
import { LIST_HEADER_BYTES } from './list-codec.ts';
import { isPresent, rowSchemaVersionAt } from './row-decode.ts';
import { encodeRow, markPresent } from './row-encode.ts';
import {
  align8,
  type FeatureSlot,
  KIND_FLOAT32,
  KIND_FLOAT64,
  KIND_INT64,
  KIND_LIST,
  KIND_STRING,
  KIND_TIMESTAMP,
  ROW_HEADER_BYTES,
  type RowLayout,
} from './row-layout.ts';
import {
  APPEND_BOUND_BYTES,
  PATCH_HEADER_BYTES,
  STEP_ADD,
  STEP_APPEND,
  STEP_HEADER_BYTES,
  STEP_MIN,
  STEP_SET,
  STEP_SET_NULL,
} from './row-patch.ts';
import { readScalar, writeNumber } from './scalar-codec.ts';

/** Why a patch leads to no row. INTERNAL: the base is of a schema version that the group never had. */
export type PatchRefusal = 'PATCH_INVALID' | 'ROW_TOO_LARGE' | 'INTERNAL';

/** A buffer with the view that reads it. */
export interface ViewedBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Where a feature of the newest version stands in the base: in the row itself, or, newer than that, in the defaults. */
type Sources = readonly (FeatureSlot | undefined)[];

export class RowPatcher {
  readonly #layout: RowLayout;
  readonly #layoutOf: (version: number) => RowLayout | undefined;
  readonly #writer: ByteWriter;
  readonly #defaults: ViewedBytes;
  readonly #slotOfId: (FeatureSlot | undefined)[] = [];
  readonly #sourcesOfVersion: Map<number, Sources> = new Map();
  /** By feature index: where in the patch the step on a variable feature begins; 0: there is none. Zero between calls. */
  readonly #stepAt: Uint32Array;

  /** `layout` is the newest version's, `layoutOf` knows all. Patchers may share a writer, and with it I4. */
  constructor(layout: RowLayout, layoutOf: (version: number) => RowLayout | undefined, writer: ByteWriter) {
    this.#layout = layout;
    this.#layoutOf = layoutOf;
    this.#writer = writer;
    this.#stepAt = new Uint32Array(layout.slots.length);
    for (const slot of layout.slots) this.#slotOfId[slot.id] = slot;
    writer.reset();
    encodeRow(layout, {}, writer);
    const bytes = copyOf(writer.bytes, 0, writer.length);
    this.#defaults = { bytes, view: new DataView(bytes.buffer) };
  }

  /** Merges the patch at `patchFrom` into the row at `baseFrom`, or into none when `base` is null. */
  merge(
    base: ViewedBytes | null,
    baseFrom: number,
    patch: ViewedBytes,
    patchFrom: number,
  ): Uint8Array | PatchRefusal {
    const row = base ?? this.#defaults;
    const from = base === null ? 0 : baseFrom;
    const sources = this.#sourcesOf(rowSchemaVersionAt(row.view, from));
    if (sources === undefined) return 'INTERNAL';
    this.#begin(row, from, sources);
    if (!this.#takeSteps(patch, patchFrom)) {
      this.#stepAt.fill(0);
      return 'PATCH_INVALID';
    }
    if (this.#layout.hasVariable) this.#writeVariables(row, from, sources, patch);
    return this.#end();
  }

  /** Null: rows of this version are the newest, and every feature stands where it will. Undefined: there is no such version. */
  #sourcesOf(version: number): Sources | null | undefined {
    if (version === this.#layout.schemaVersion) return null;
    let sources = this.#sourcesOfVersion.get(version);
    if (sources === undefined) {
      const layout = this.#layoutOf(version);
      if (layout === undefined) return undefined;
      sources = this.#layout.slots.map(({ id }) => layout.slots.find((slot) => slot.id === id));
      this.#sourcesOfVersion.set(version, sources);
    }
    return sources;
  }

  /** The fixed section as the base has it; variable features are marked, and their slots hold nothing yet that counts. */
  #begin(row: ViewedBytes, from: number, sources: Sources | null): void {
    const { slots, variableStart, schemaVersion } = this.#layout;
    const writer = this.#writer;
    writer.reset();
    writer.reserve(variableStart);
    if (sources === null) {
      copyBytes(row.bytes, from, writer.bytes, 0, variableStart);
    } else {
      for (let index = 0; index < slots.length; index++) {
        const slot = slots[index]!;
        const source = sources[index] ?? slot;
        const origin = sources[index] === undefined ? this.#defaults : row;
        const at = sources[index] === undefined ? 0 : from;
        if (!isPresent(origin.view, at, source.index)) continue;
        markPresent(writer.bytes, 0, index);
        if (slot.kind < KIND_STRING) {
          copyBytes(origin.bytes, at + source.offset, writer.bytes, slot.offset, slot.bytes);
        }
      }
    }
    writer.view.setUint32(0, schemaVersion, true);
  }

  /** Applies the steps on fixed features and notes the others; false when one leads out of its type's range. */
  #takeSteps({ bytes, view }: ViewedBytes, patchFrom: number): boolean {
    const writer = this.#writer;
    const stepCount = view.getUint16(patchFrom + 4, true);
    let at = patchFrom + PATCH_HEADER_BYTES;
    for (let step = 0; step < stepCount; step++) {
      const slot = this.#slotOfId[view.getUint16(at, true)];
      // Dropped since the patch was verified: it waited for a block to be read.
      if (slot === undefined) return false;
      if (slot.kind >= KIND_STRING) {
        this.#stepAt[slot.index] = at;
      } else if (!applyFixedStep(slot, view.getUint8(at + 2), bytes, view, at + STEP_HEADER_BYTES, writer)) {
        return false;
      }
      at += STEP_HEADER_BYTES + align8(view.getUint32(at + 4, true));
    }
    return true;
  }

  #writeVariables(row: ViewedBytes, from: number, sources: Sources | null, patch: ViewedBytes): void {
    const writer = this.#writer;
    const slots = this.#layout.variableSlots;
    for (let index = 0; index < slots.length; index++) {
      const slot = slots[index]!;
      const stepAt = this.#stepAt[slot.index]!;
      this.#stepAt[slot.index] = 0;
      const isHere = isPresent(writer.view, 0, slot.index);
      const kind = stepAt === 0 ? 0 : patch.view.getUint8(stepAt + 2);
      if (kind === STEP_SET_NULL || (kind === 0 && !isHere)) {
        clearFeature(slot, writer);
        continue;
      }
      if (slot.kind === KIND_LIST) writer.align8();
      const start = writer.length;
      if (kind === STEP_SET) {
        appendRange(writer, patch, stepAt + STEP_HEADER_BYTES, patch.view.getUint32(stepAt + 4, true));
      } else {
        const known = sources === null ? slot : sources[slot.index];
        const origin = known === undefined ? this.#defaults : row;
        const rowAt = known === undefined ? 0 : from;
        const slotAt = rowAt + (known ?? slot).offset;
        const valueAt = rowAt + origin.view.getUint32(slotAt, true);
        if (kind === STEP_APPEND) {
          appendMerged(writer, slot, isHere ? origin : null, valueAt, patch, stepAt + STEP_HEADER_BYTES);
        } else {
          appendRange(writer, origin, valueAt, origin.view.getUint32(slotAt + 4, true));
        }
      }
      writer.view.setUint32(slot.offset, start, true);
      writer.view.setUint32(slot.offset + 4, writer.length - start, true);
      markPresent(writer.bytes, 0, slot.index);
    }
  }

  #end(): Uint8Array | PatchRefusal {
    const writer = this.#writer;
    writer.align8();
    if (writer.length > ROW_BYTES_MAX) return 'ROW_TOO_LARGE';
    writer.view.setUint32(4, writer.length, true);
    return writer.bytes.subarray(0, writer.length);
  }
}

/** One step on a fixed feature of the row that the writer holds; false when the result leaves the type's range. */
function applyFixedStep(
  slot: FeatureSlot,
  kind: number,
  bytes: Uint8Array,
  view: DataView,
  valueAt: number,
  writer: ByteWriter,
): boolean {
  if (kind === STEP_SET_NULL) {
    clearFeature(slot, writer);
    return true;
  }
  const isHere = isPresent(writer.view, 0, slot.index);
  if (kind === STEP_ADD && isHere) {
    return slot.kind === KIND_INT64
      ? addInt64(writer.view, slot.offset, view, valueAt)
      : addNumber(slot, writer.view, view, valueAt);
  }
  if (kind === STEP_SET || !isHere || isBeyond(slot, kind === STEP_MIN, writer.view, view, valueAt)) {
    copyBytes(bytes, valueAt, writer.bytes, slot.offset, slot.bytes);
    markPresent(writer.bytes, 0, slot.index);
  }
  return true;
}

/**
 * A float32 sum is made in float64 and rounded once more when it is stored: twice rounded is the same as once here, since
 * float64 has more than twice the digits (53 ≥ 2 · 24 + 2).
 */
function addNumber(slot: FeatureSlot, row: DataView, patch: DataView, valueAt: number): boolean {
  const sum =
    (readScalar(row, slot.offset, slot.kind) as number) + (readScalar(patch, valueAt, slot.kind) as number);
  return writeNumber(row, slot.offset, slot.kind, sum);
}

/** Adds word by word, since a double does not hold the sum. */
function addInt64(row: DataView, at: number, patch: DataView, valueAt: number): boolean {
  const low = row.getUint32(at, true) + patch.getUint32(valueAt, true);
  const carry = low > 0xffffffff ? 1 : 0;
  const high = row.getInt32(at + 4, true) + patch.getInt32(valueAt + 4, true) + carry;
  if (high !== (high | 0)) return false;
  row.setUint32(at, low, true);
  row.setInt32(at + 4, high, true);
  return true;
}

/** Whether the patch's value takes the place of the row's: it is below (or above) it, or the row's is NaN. */
function isBeyond(
  slot: FeatureSlot,
  wantsSmaller: boolean,
  row: DataView,
  patch: DataView,
  valueAt: number,
): boolean {
  if (slot.kind === KIND_INT64) {
    const order = compareInt64(patch, valueAt, row, slot.offset);
    return wantsSmaller ? order < 0 : order > 0;
  }
  const there = numberAt(slot.kind, row, slot.offset);
  const given = numberAt(slot.kind, patch, valueAt);
  return Number.isNaN(there) || (wantsSmaller ? given < there : given > there);
}

function numberAt(kind: number, view: DataView, at: number): number {
  if (kind === KIND_FLOAT32) return view.getFloat32(at, true);
  if (kind === KIND_FLOAT64) return view.getFloat64(at, true);
  if (kind === KIND_TIMESTAMP) return readInt64(view, at);
  return readScalar(view, at, kind) as number;
}

/** The sign of a − b. */
function compareInt64(a: DataView, aAt: number, b: DataView, bAt: number): number {
  const high = a.getInt32(aAt + 4, true) - b.getInt32(bAt + 4, true);
  return high !== 0 ? high : a.getUint32(aAt, true) - b.getUint32(bAt, true);
}

function clearFeature(slot: FeatureSlot, writer: ByteWriter): void {
  const { bytes } = writer;
  for (let at = slot.offset; at < slot.offset + slot.bytes; at++) bytes[at] = 0;
  const bitAt = ROW_HEADER_BYTES + (slot.index >> 3);
  bytes[bitAt] = bytes[bitAt]! & ~(1 << (slot.index & 7));
}

function appendRange(writer: ByteWriter, source: ViewedBytes, from: number, count: number): void {
  writer.rawRange(source.bytes, from, from + count);
}

/** Appends the list at `listAt` (none when `row` is null) with the patch's items at its end, cut to the patch's bound. */
function appendMerged(
  writer: ByteWriter,
  slot: FeatureSlot,
  row: ViewedBytes | null,
  listAt: number,
  patch: ViewedBytes,
  valueAt: number,
): void {
  const bound = patch.view.getUint32(valueAt, true);
  const itemsAt = valueAt + APPEND_BOUND_BYTES;
  const given = patch.view.getUint32(itemsAt, true);
  const there = row === null ? 0 : row.view.getUint32(listAt, true);
  const givenKept = Math.min(given, bound);
  const thereKept = Math.min(there, bound - givenKept);
  writer.u32(givenKept + thereKept);
  writer.u32(0);
  if (slot.itemBytes > 0) {
    if (row !== null) appendItems(writer, slot.itemBytes, row, listAt, there, thereKept);
    appendItems(writer, slot.itemBytes, patch, itemsAt, given, givenKept);
    return;
  }
  const endsAt = writer.reserve(4 * (givenKept + thereKept));
  const textBytes = row === null ? 0 : appendTexts(writer, endsAt, 0, row, listAt, there, thereKept);
  appendTexts(writer, endsAt + 4 * thereKept, textBytes, patch, itemsAt, given, givenKept);
}

/** The last `kept` of `count` items of fixed width. */
function appendItems(
  writer: ByteWriter,
  itemBytes: number,
  { bytes }: ViewedBytes,
  listAt: number,
  count: number,
  kept: number,
): void {
  const to = listAt + LIST_HEADER_BYTES + count * itemBytes;
  writer.rawRange(bytes, to - kept * itemBytes, to);
}

/** The last `kept` of `count` strings: their ends at `endsAt`, counted on from `textBytes`, their text at the end. */
function appendTexts(
  writer: ByteWriter,
  endsAt: number,
  textBytes: number,
  { bytes, view }: ViewedBytes,
  listAt: number,
  count: number,
  kept: number,
): number {
  const itemEndsAt = listAt + LIST_HEADER_BYTES;
  const textAt = itemEndsAt + 4 * count;
  const dropped = count - kept;
  const from = dropped === 0 ? 0 : view.getUint32(itemEndsAt + 4 * (dropped - 1), true);
  let end = from;
  for (let item = dropped; item < count; item++) {
    end = view.getUint32(itemEndsAt + 4 * item, true);
    writer.view.setUint32(endsAt + 4 * (item - dropped), textBytes + end - from, true);
  }
  writer.rawRange(bytes, textAt + from, textAt + end);
  return textBytes + end - from;
}
