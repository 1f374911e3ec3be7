/**
 * Journal frames: what one group commit writes.
 *
 *   offset | size | field
 *   -------|------|------------------------------------------------------------------------
 *   0      | 4    | magic 'MRJF'
 *   4      | 4    | frame bytes, this header included; a multiple of 8
 *   8      | 8    | incarnation of the journal
 *   16     | 8    | position of this frame
 *   24     | 4    | records
 *   28     | 4    | body bytes: frame bytes − 64
 *   32     | 8    | previous: position of the frame committed before this one; 0 none
 *   40     | 16   | 0
 *   56     | 8    | XXH64 (seed 0) of the whole frame, this field taken as zero
 *   64     |      | records (record.ts), back to back
 *
 * I1  A frame starts on a 4 KiB boundary and ends inside its segment. The rest of its last page is zero.
 * I2  A frame is written only when the one before it is durable: a valid frame proves the frame it names as previous.
 * I3  `verifyFrame` reads nothing outside the range it is given, whatever the bytes say.
 *
 * The incarnation is random and never leaves the process, so nobody can store bytes that would pass for a frame.
 */
import { checksum64 } from './checksum.ts';
import type { Incarnation } from './journal-segment.ts';
import { JOURNAL_FRAME_BYTES_MAX, JOURNAL_FRAME_HEADER_BYTES } from './limits.ts';
import { readSafeInteger, writeSafeInteger } from './record.ts';

const FRAME_MAGIC = 0x464a524d;
const POSITION_AT = 16;
const PREVIOUS_AT = 32;
const CHECKSUM_AT = 56;

/** What `verifyFrame` answers when there is no frame. */
export const NO_FRAME = 0;

const sum = new Uint32Array(2);

/** Writes a frame's header with its checksum still zero. */
export function writeFrameHeader(
  view: DataView,
  incarnation: Incarnation,
  position: number,
  previous: number,
  bodyBytes: number,
  recordCount: number,
): void {
  view.setUint32(0, FRAME_MAGIC, true);
  view.setUint32(4, JOURNAL_FRAME_HEADER_BYTES + bodyBytes, true);
  view.setUint32(8, incarnation.lo, true);
  view.setUint32(12, incarnation.hi, true);
  writeSafeInteger(view, POSITION_AT, position);
  view.setUint32(24, recordCount, true);
  view.setUint32(28, bodyBytes, true);
  writeSafeInteger(view, PREVIOUS_AT, previous);
  writeSafeInteger(view, 40, 0);
  writeSafeInteger(view, 48, 0);
  writeFrameChecksum(view, 0, 0);
}

export function writeFrameChecksum(view: DataView, lo: number, hi: number): void {
  view.setUint32(CHECKSUM_AT, lo, true);
  view.setUint32(CHECKSUM_AT + 4, hi, true);
}

/**
 * The size of the frame at `offset`, or NO_FRAME when there is none: `position` is where that offset lies in the
 * journal, and a frame of another position is what a recycled file held before. Lengths are checked before they are
 * used. `incarnation` undefined takes a frame of any. The bytes are changed for a moment and restored.
 */
export function verifyFrame(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  end: number,
  position: number,
  incarnation: Incarnation | undefined,
): number {
  if (end - offset < JOURNAL_FRAME_HEADER_BYTES || view.getUint32(offset, true) !== FRAME_MAGIC)
    return NO_FRAME;
  const frameBytes = view.getUint32(offset + 4, true);
  if (
    frameBytes <= JOURNAL_FRAME_HEADER_BYTES ||
    frameBytes > JOURNAL_FRAME_BYTES_MAX ||
    frameBytes > end - offset ||
    (frameBytes & 7) !== 0 ||
    view.getUint32(offset + 28, true) !== frameBytes - JOURNAL_FRAME_HEADER_BYTES
  ) {
    return NO_FRAME;
  }
  if (readSafeInteger(view, offset + POSITION_AT) !== position) return NO_FRAME;
  if (
    incarnation !== undefined &&
    (view.getUint32(offset + 8, true) !== incarnation.lo ||
      view.getUint32(offset + 12, true) !== incarnation.hi)
  ) {
    return NO_FRAME;
  }
  return isFrameSumRight(bytes, view, offset, frameBytes) ? frameBytes : NO_FRAME;
}

function isFrameSumRight(bytes: Uint8Array, view: DataView, offset: number, frameBytes: number): boolean {
  const lo = view.getUint32(offset + CHECKSUM_AT, true);
  const hi = view.getUint32(offset + CHECKSUM_AT + 4, true);
  view.setUint32(offset + CHECKSUM_AT, 0, true);
  view.setUint32(offset + CHECKSUM_AT + 4, 0, true);
  checksum64(bytes, offset, frameBytes, sum);
  view.setUint32(offset + CHECKSUM_AT, lo, true);
  view.setUint32(offset + CHECKSUM_AT + 4, hi, true);
  return sum[0] === lo && sum[1] === hi;
}

/** The position of the frame before the one at `offset`. */
export function readFramePrevious(view: DataView, offset: number): number {
  return readSafeInteger(view, offset + PREVIOUS_AT);
}

export function readFrameRecordCount(view: DataView, offset: number): number {
  return view.getUint32(offset + 24, true);
}
