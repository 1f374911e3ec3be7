/**
 * Verification of one patch that came from outside, against the schema that it changes. What passes can be merged into
 * any row of the group without a further check of its bytes:
 *
 * I1  Steps lie inside the patch, name features of the schema by rising id, and are of a kind that the feature takes.
 * I2  Values are what a row may hold (row-verify.ts); operands of ADD, MIN and MAX are not NaN; bounds are from 1.
 * I3  Reserved bytes and padding are zero.
 *
 * Throws PATCH_INVALID, FEATURE_NOT_FOUND or ROW_TOO_LARGE, naming the step by its place from 0. What depends on the row
 * is the merge's to find: an integer that leaves its range, a row that grows too large.
 */
import { readInt64 } from './int64.ts';
import { ROW_BYTES_MAX } from './limits.ts';
import { LIST_ITEMS_MAX } from './list-codec.ts';
import { ProtocolError } from './protocol-error.ts';
import {
  align8,
  type FeatureSlot,
  KIND_BOOL,
  KIND_FLOAT32,
  KIND_FLOAT64,
  KIND_INT8,
  KIND_LIST,
  KIND_STRING,
  KIND_TIMESTAMP,
  type RowLayout,
} from './row-layout.ts';
import {
  APPEND_BOUND_BYTES,
  PATCH_HEADER_BYTES,
  STEP_ADD,
  STEP_APPEND,
  STEP_HEADER_BYTES,
  STEP_MAX,
  STEP_MIN,
  STEP_SET,
  STEP_SET_NULL,
  stepName,
} from './row-patch.ts';
import { isZero, verifyList, verifyVariableValue } from './row-verify.ts';

/** Whether features of the slot's type take steps of this kind. */
export function stepFits(kind: number, slot: FeatureSlot): boolean {
  const isNumber = slot.kind >= KIND_INT8 && slot.kind <= KIND_FLOAT64;
  if (kind === STEP_SET || kind === STEP_SET_NULL) return true;
  if (kind === STEP_ADD) return isNumber;
  if (kind === STEP_MIN || kind === STEP_MAX) return isNumber || slot.kind === KIND_TIMESTAMP;
  return kind === STEP_APPEND && slot.kind === KIND_LIST;
}

export function refuseStep(slot: FeatureSlot, kind: number, problem: string): never {
  throw new ProtocolError(
    'PATCH_INVALID',
    `${stepName(kind)} on feature "${slot.name}" (${slot.type}): ${problem}`,
  );
}

/** Checks the patch at [from, to). */
export function verifyPatch(
  layout: RowLayout,
  view: DataView,
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  const stepCount = verifyHeader(view, from, to);
  let at = from + PATCH_HEADER_BYTES;
  let idBefore = 0;
  let step = 0;
  try {
    for (; step < stepCount; step++) {
      if (to - at < STEP_HEADER_BYTES) throw invalid('it lies outside the patch');
      const id = view.getUint16(at, true);
      if (id <= idBefore) {
        throw invalid(`feature ${id} follows ${idBefore}; each stands once, by rising id`);
      }
      idBefore = id;
      at = verifyStep(slotOf(layout, id), view, bytes, at, to);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const code = error.code === 'FEATURE_NOT_FOUND' ? error.code : 'PATCH_INVALID';
    throw new ProtocolError(code, `step ${step}: ${error.message}`, { cause: error });
  }
  if (at !== to) throw invalid(`the steps end ${to - at} bytes before the patch does`);
}

function verifyHeader(view: DataView, from: number, to: number): number {
  const length = to - from;
  if (length < PATCH_HEADER_BYTES) throw invalid(`the patch has ${length} bytes`);
  if (length > ROW_BYTES_MAX) {
    throw new ProtocolError(
      'ROW_TOO_LARGE',
      `the patch has ${length} bytes; at most ${ROW_BYTES_MAX} are allowed`,
    );
  }
  const patchBytes = view.getUint32(from, true);
  const stepCount = view.getUint16(from + 4, true);
  if (patchBytes !== length || view.getUint16(from + 6, true) !== 0) {
    throw invalid(`the patch's header says ${patchBytes} bytes; it has ${length}`);
  }
  if (stepCount === 0) throw invalid('the patch has no step; at least one is needed');
  return stepCount;
}

function slotOf(layout: RowLayout, id: number): FeatureSlot {
  const { slots } = layout;
  // Ids rise in schema order, and where nothing was dropped the feature's is its place from 1.
  const guess = slots[id - 1];
  const slot = guess?.id === id ? guess : slots.find((known) => known.id === id);
  if (slot === undefined) {
    throw new ProtocolError('FEATURE_NOT_FOUND', `the group has no feature ${id}; it may have been dropped`);
  }
  return slot;
}

/** Checks one step and returns where the next begins. */
function verifyStep(slot: FeatureSlot, view: DataView, bytes: Uint8Array, at: number, to: number): number {
  const kind = view.getUint8(at + 2);
  const valueBytes = view.getUint32(at + 4, true);
  const valueAt = at + STEP_HEADER_BYTES;
  if (view.getUint8(at + 3) !== 0) refuseStep(slot, kind, 'its reserved byte is not zero');
  if (!stepFits(kind, slot)) refuseStep(slot, kind, `features of type ${slot.type} do not take it`);
  if (valueBytes > to - valueAt) {
    refuseStep(slot, kind, `its value has ${valueBytes} bytes; the patch has ${to - valueAt} more`);
  }
  const end = valueAt + align8(valueBytes);
  if (end > to || !isZero(bytes, valueAt + valueBytes, end)) {
    refuseStep(slot, kind, 'its value is not padded with zeros to a multiple of 8');
  }
  if (kind === STEP_SET_NULL) {
    if (valueBytes !== 0) refuseStep(slot, kind, 'it has a value');
  } else if (kind === STEP_APPEND) {
    verifyAppend(slot, view, bytes, valueAt, valueBytes);
  } else {
    verifyValue(slot, kind, view, bytes, valueAt, valueBytes);
  }
  return end;
}

function verifyValue(
  slot: FeatureSlot,
  kind: number,
  view: DataView,
  bytes: Uint8Array,
  at: number,
  valueBytes: number,
): void {
  if (slot.kind >= KIND_STRING) {
    verifyVariableValue(slot, view, bytes, at, valueBytes);
    return;
  }
  if (valueBytes !== slot.bytes) {
    refuseStep(slot, kind, `its value has ${valueBytes} bytes; the feature takes ${slot.bytes}`);
  }
  if (slot.kind === KIND_BOOL && bytes[at]! > 1) refuseStep(slot, kind, 'a bool is 0 or 1');
  if (slot.kind === KIND_TIMESTAMP && Number.isNaN(readInt64(view, at))) {
    refuseStep(slot, kind, 'its value is outside ±(2^53 − 1) µs');
  }
  if (kind !== STEP_SET && isNaNAt(slot, view, at)) refuseStep(slot, kind, 'its value must not be NaN');
}

function isNaNAt(slot: FeatureSlot, view: DataView, at: number): boolean {
  if (slot.kind === KIND_FLOAT32) return Number.isNaN(view.getFloat32(at, true));
  return slot.kind === KIND_FLOAT64 && Number.isNaN(view.getFloat64(at, true));
}

function verifyAppend(
  slot: FeatureSlot,
  view: DataView,
  bytes: Uint8Array,
  at: number,
  valueBytes: number,
): void {
  if (valueBytes < APPEND_BOUND_BYTES) refuseStep(slot, STEP_APPEND, 'it has no bound');
  const bound = view.getUint32(at, true);
  if (bound < 1 || bound > LIST_ITEMS_MAX || view.getUint32(at + 4, true) !== 0) {
    refuseStep(slot, STEP_APPEND, `its bound is ${bound}; allowed: 1 to ${LIST_ITEMS_MAX}`);
  }
  verifyList(slot, view, bytes, at + APPEND_BOUND_BYTES, valueBytes - APPEND_BOUND_BYTES);
}

function invalid(message: string): ProtocolError {
  return new ProtocolError('PATCH_INVALID', message);
}
