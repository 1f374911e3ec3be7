/**
 * Journal segments: the names, sizes and header pages of the files that frames lie in.
 *
 *   journal/00000007.journal
 *   | header page | frame | … | frame |     | frame |   unused or stale   |
 *   0             4096                4 KiB boundaries                     segment bytes
 *
 * The header, in the first 64 bytes of page 0; the rest of the page is zero:
 *
 *   offset | size | field
 *   -------|------|------------------------------------------------------------------------
 *   0      | 4    | magic 'MRJS'
 *   4      | 4    | format, 1
 *   8      | 8    | sequence, u64, the number in the file's name
 *   16     | 8    | incarnation: a random number, new each time that a journal is opened
 *   24     | 8    | position of the first frame: sequence × segment bytes + 4096
 *   32     | 8    | chain start: position of the last frame found when this incarnation began; 0 none
 *   40     | 4    | segment bytes
 *   44     | 12   | 0
 *   56     | 8    | XXH64 (seed 0) of the bytes [0, 56)
 *
 * I1  position = sequence × segment bytes + offset in the file. Sequences only rise, over the life of a data directory,
 *     so no two frames ever have the same position, and what a recycled file still holds never passes for its own.
 * I2  A header is durable before the first frame of its segment is written.
 *
 * Which frame may follow which, and what the chain start is for: journal-replay.ts.
 */
import { strict as assert } from 'node:assert';
import { checksum64 } from './checksum.ts';
import { PAGE_BYTES } from './limits.ts';
import { readSafeInteger, writeSafeInteger } from './record.ts';
import { StorageError } from './storage-error.ts';

const SEGMENT_MAGIC = 0x534a524d;
const SEGMENT_FORMAT = 1;
const HEADER_CHECKSUM_AT = 56;
const SEQUENCE_DIGITS = 8;
const SEQUENCE_MAX = 10 ** SEQUENCE_DIGITS - 1;
const SEGMENT_NAME = /^(\d{8})\.journal$/;

/** The name under which a new file is filled with zeros; renamed once it is whole. */
export const UNFINISHED_SEGMENT_NAME = 'unfinished.journal';

export interface Incarnation {
  readonly lo: number;
  readonly hi: number;
}

export interface SegmentHeader {
  readonly sequence: number;
  readonly segmentBytes: number;
  readonly incarnation: Incarnation;
  readonly chainStart: number;
}

/** A segment file and the last frame in it that is still needed; 0 when none is. */
export interface SegmentFile {
  readonly sequence: number;
  readonly path: string;
  readonly sizeBytes: number;
  lastFrame: number;
}

export function segmentName(sequence: number): string {
  assert(sequence >= 1 && sequence <= SEQUENCE_MAX, 'segment sequence out of range');
  return `${String(sequence).padStart(SEQUENCE_DIGITS, '0')}.journal`;
}

/** The sequence in a file's name, or 0 when it is no segment's. */
export function segmentSequence(name: string): number {
  const match = SEGMENT_NAME.exec(name);
  return match === null ? 0 : Number(match[1]);
}

export function isSameIncarnation(a: Incarnation, b: Incarnation): boolean {
  return a.lo === b.lo && a.hi === b.hi;
}

/** The header page of a segment. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint32(4, SEGMENT_FORMAT, true);
  writeSafeInteger(view, 8, header.sequence);
  view.setUint32(16, header.incarnation.lo, true);
  view.setUint32(20, header.incarnation.hi, true);
  writeSafeInteger(view, 24, header.sequence * header.segmentBytes + PAGE_BYTES);
  writeSafeInteger(view, 32, header.chainStart);
  view.setUint32(40, header.segmentBytes, true);
  const sum = new Uint32Array(2);
  checksum64(page, 0, HEADER_CHECKSUM_AT, sum);
  view.setUint32(HEADER_CHECKSUM_AT, sum[0]!, true);
  view.setUint32(HEADER_CHECKSUM_AT + 4, sum[1]!, true);
  return page;
}

/**
 * The header in `page`, or undefined when it is torn, blank or the stale one of a recycled file: then this file never
 * held a frame of its own. Throws for a newer format and for another segment size.
 */
export function decodeSegmentHeader(
  page: Uint8Array,
  sequence: number,
  segmentBytes: number,
): SegmentHeader | undefined {
  if (page.length < HEADER_CHECKSUM_AT + 8) return undefined;
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const sum = new Uint32Array(2);
  checksum64(page, 0, HEADER_CHECKSUM_AT, sum);
  if (
    view.getUint32(0, true) !== SEGMENT_MAGIC ||
    view.getUint32(HEADER_CHECKSUM_AT, true) !== sum[0]! ||
    view.getUint32(HEADER_CHECKSUM_AT + 4, true) !== sum[1]!
  ) {
    return undefined;
  }
  const format = view.getUint32(4, true);
  const name = segmentName(sequence);
  if (format > SEGMENT_FORMAT) {
    throw new StorageError(
      'DATA_DIRECTORY_NEWER',
      `journal segment ${name} has format ${format}; this version reads formats up to ${SEGMENT_FORMAT}`,
    );
  }
  const found = view.getUint32(40, true);
  if (found !== segmentBytes) {
    throw new StorageError(
      'DATA_DIRECTORY_INVALID',
      `journal segment ${name} was made with segments of ${found} bytes; this version uses ${segmentBytes}`,
    );
  }
  if (readSafeInteger(view, 8) !== sequence) return undefined;
  return {
    sequence,
    segmentBytes,
    incarnation: { lo: view.getUint32(16, true), hi: view.getUint32(20, true) },
    chainStart: readSafeInteger(view, 32),
  };
}
