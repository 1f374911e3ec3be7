/**
 * Patches from objects: `{ clicks: add(1), last: 'x', recent: append(7, { max: 50 }) }` by feature name.
 *
 * I1  What is not a step is set; null sets null; undefined leaves the feature alone.
 * I2  A step that does not fit its feature throws, and the writer is then as it was before.
 */
import type { ByteWriter } from './byte-writer.ts';
import { ROW_BYTES_MAX } from './limits.ts';
import { appendList, LIST_ITEMS_MAX } from './list-codec.ts';
import { encodeMessagePack } from './message-pack.ts';
import { describeValue, ProtocolError } from './protocol-error.ts';
import { writeVector } from './row-encode.ts';
import {
  type FeatureSlot,
  KIND_BYTES,
  KIND_LIST,
  KIND_STRING,
  KIND_VECTOR,
  type RowLayout,
} from './row-layout.ts';
import {
  PATCH_HEADER_BYTES,
  PatchStep,
  STEP_APPEND,
  STEP_HEADER_BYTES,
  STEP_SET,
  STEP_SET_NULL,
} from './row-patch.ts';
import { refuseStep, stepFits } from './row-patch-verify.ts';
import { refuseValue } from './row-value.ts';
import { writeScalar } from './scalar-codec.ts';
import { appendText } from './text.ts';

interface NamedStep {
  readonly slot: FeatureSlot;
  readonly step: PatchStep;
}

const slotsOfLayout: WeakMap<RowLayout, ReadonlyMap<string, FeatureSlot>> = new WeakMap();

/** Appends one patch; properties of `values` that are no features are not looked at. */
export function encodePatch(
  layout: RowLayout,
  values: Readonly<Record<string, unknown>>,
  writer: ByteWriter,
): void {
  const start = writer.length;
  const steps = stepsOf(layout, values);
  try {
    writer.reserve(PATCH_HEADER_BYTES);
    for (const { slot, step } of steps) appendStep(slot, step, writer, start);
    closePatch(steps.length, writer, start);
  } catch (error) {
    writer.truncate(start);
    throw error;
  }
}

/** The steps by rising feature id. */
function stepsOf(layout: RowLayout, values: Readonly<Record<string, unknown>>): NamedStep[] {
  let slots = slotsOfLayout.get(layout);
  if (slots === undefined) {
    slots = new Map(layout.slots.map((slot) => [slot.name, slot]));
    slotsOfLayout.set(layout, slots);
  }
  const steps: NamedStep[] = [];
  for (const name in values) {
    const slot = slots.get(name);
    const value = values[name];
    if (slot === undefined || value === undefined) continue;
    steps.push({ slot, step: value instanceof PatchStep ? value : new PatchStep(STEP_SET, value) });
  }
  return steps.sort((left, right) => left.slot.id - right.slot.id);
}

function closePatch(stepCount: number, writer: ByteWriter, start: number): void {
  if (stepCount === 0) {
    throw new ProtocolError('PATCH_INVALID', 'the patch changes no feature; at least one step is needed');
  }
  const patchBytes = writer.length - start;
  if (patchBytes > ROW_BYTES_MAX) {
    throw new ProtocolError(
      'ROW_TOO_LARGE',
      `the patch takes ${patchBytes} bytes encoded; at most ${ROW_BYTES_MAX} are allowed`,
    );
  }
  writer.view.setUint32(start, patchBytes, true);
  writer.view.setUint16(start + 4, stepCount, true);
}

function appendStep(slot: FeatureSlot, step: PatchStep, writer: ByteWriter, start: number): void {
  const isNull = step.value === null || step.value === undefined;
  const kind = isNull && step.kind === STEP_SET ? STEP_SET_NULL : step.kind;
  if (!stepFits(kind, slot)) refuseStep(slot, kind, `features of type ${slot.type} do not take it`);
  if (isNull && kind !== STEP_SET_NULL) refuseStep(slot, kind, 'it needs a value, not null');
  const at = writer.reserve(STEP_HEADER_BYTES);
  writer.view.setUint16(at, slot.id, true);
  writer.view.setUint8(at + 2, kind);
  const valueAt = writer.length;
  if (kind === STEP_APPEND) appendItems(slot, step, writer);
  else if (kind !== STEP_SET_NULL) appendValue(slot, step.value, writer);
  if (kind !== STEP_SET && Number.isNaN(step.value)) refuseStep(slot, kind, 'its value must not be NaN');
  writer.view.setUint32(at + 4, writer.length - valueAt, true);
  writer.align8(start);
}

function appendItems(slot: FeatureSlot, step: PatchStep, writer: ByteWriter): void {
  const { bound, value } = step;
  if (!Number.isInteger(bound) || bound < 1 || bound > LIST_ITEMS_MAX) {
    refuseStep(slot, STEP_APPEND, `max is ${describeValue(bound)}; allowed: 1 to ${LIST_ITEMS_MAX}`);
  }
  writer.u32(bound);
  writer.u32(0);
  const isMany = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  appendList(writer, slot, isMany ? value : [value]);
}

function appendValue(slot: FeatureSlot, value: unknown, writer: ByteWriter): void {
  if (slot.kind < KIND_VECTOR) {
    const at = writer.reserve(slot.bytes);
    if (!writeScalar(writer.view, at, slot.kind, value)) refuseValue(slot, value);
  } else if (slot.kind === KIND_VECTOR) {
    const at = writer.reserve(slot.bytes);
    writeVector(writer.view, at, slot, value);
  } else if (slot.kind === KIND_STRING) {
    if (typeof value !== 'string' || appendText(writer, value) < 0) refuseValue(slot, value);
  } else if (slot.kind === KIND_LIST) {
    appendList(writer, slot, value);
  } else if (slot.kind === KIND_BYTES) {
    if (!(value instanceof Uint8Array)) refuseValue(slot, value);
    writer.raw(value);
  } else {
    writer.raw(encodeMessagePack(value, 'TYPE_MISMATCH'));
  }
}
