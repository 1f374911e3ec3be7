/**
 * Lists in the variable section: 8-aligned from the row's start,
 *
 *   0  u32 count | 4 u32 0 | 8 items
 *
 * Items are scalars at their natural width, or for strings u32 ends[count] (each item's end, counted from the first
 * text byte) and then the text. Items are never null.
 */

import type { ByteWriter } from './byte-writer.ts';
import { VECTOR_LENGTH_MAX } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';
import type { FeatureSlot } from './row-layout.ts';
import { type ListItem, refuseItem, refuseValue } from './row-value.ts';
import { readScalar, writeScalar } from './scalar-codec.ts';
import { appendText, readText } from './text.ts';

export const LIST_HEADER_BYTES = 8;

/** Items of a list: no more than a vector has, for the same reason. */
export const LIST_ITEMS_MAX: number = VECTOR_LENGTH_MAX;

/** Appends a list's bytes; the writer stands 8-aligned from the row's start. */
export function appendList(writer: ByteWriter, slot: FeatureSlot, value: unknown): void {
  if (!isArrayLike(value)) refuseValue(slot, value);
  const count = value.length;
  if (count > LIST_ITEMS_MAX) {
    throw new ProtocolError(
      'LIMIT_EXCEEDED',
      `feature "${slot.name}" has ${count} items; a list has at most ${LIST_ITEMS_MAX}`,
    );
  }
  writer.u32(count);
  writer.u32(0);
  if (slot.itemBytes === 0) appendStrings(writer, slot, value);
  else appendScalars(writer, slot, value);
}

function appendScalars(writer: ByteWriter, slot: FeatureSlot, items: ArrayLike<unknown>): void {
  const count = items.length;
  const start = writer.reserveUnzeroed(count * slot.itemBytes);
  const view = writer.view;
  for (let index = 0; index < count; index++) {
    const item = items[index];
    if (!writeScalar(view, start + index * slot.itemBytes, slot.itemKind, item))
      refuseItem(slot, item, index);
  }
}

function appendStrings(writer: ByteWriter, slot: FeatureSlot, items: ArrayLike<unknown>): void {
  const count = items.length;
  const endsAt = writer.reserveUnzeroed(4 * count);
  let end = 0;
  for (let index = 0; index < count; index++) {
    const item = items[index];
    const bytes = typeof item === 'string' ? appendText(writer, item) : -1;
    if (bytes < 0) refuseItem(slot, item, index);
    end += bytes;
    writer.view.setUint32(endsAt + 4 * index, end, true);
  }
}

/** The list at `offset`, in a verified row. */
export function readList(view: DataView, bytes: Uint8Array, offset: number, slot: FeatureSlot): ListItem[] {
  const count = view.getUint32(offset, true);
  const items: ListItem[] = new Array(count);
  const start = offset + LIST_HEADER_BYTES;
  if (slot.itemBytes === 0) {
    const textAt = start + 4 * count;
    let from = textAt;
    for (let index = 0; index < count; index++) {
      const to = textAt + view.getUint32(start + 4 * index, true);
      items[index] = readText(bytes, from, to);
      from = to;
    }
  } else {
    for (let index = 0; index < count; index++) {
      items[index] = readScalar(view, start + index * slot.itemBytes, slot.itemKind);
    }
  }
  return items;
}

function isArrayLike(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}
