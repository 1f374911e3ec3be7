/**
 * The bytes of an index checkpoint: a header, then sections, each under a checksum of its own.
 *
 * Header:
 *
 *   offset | size | field
 *   -------|------|--------------------------------------------------------------------------------
 *   0      | 4    | magic 'MRIX'
 *   4      | 4    | format, 1
 *   8      | 4    | shard
 *   12     | 4    | shards
 *   16     | 4    | flush number of the last flush that was finished when this was begun
 *   20     | 4    | next level-0 sequence: level-0 blocks from it on may be newer than what is here
 *   24     | 4    | next level-1 counter: the same of level-1 blocks
 *   28     | 4    | 0
 *   32     | 8    | versions in blocks
 *   40     | 16   | 0
 *   56     | 8    | XXH64 (seed 0) of the bytes 0–55
 *
 * Section:
 *
 *   offset | size | field
 *   -------|------|--------------------------------------------------------------------------------
 *   0      | 4    | kind: 1 tables, 2 idempotency windows, 3 unit table, 4 end
 *   4      | 4    | number of the section, from 0
 *   8      | 4    | body bytes, a multiple of 8
 *   12     | 4    | tables; or the value's bytes in this section; or 0
 *   16     | 8    | offset in the value; or, in the end, entries in all
 *   24     | 8    | XXH64 (seed 0) of header and body, this field taken as zero
 *   32     |      | body
 *
 * Tables, back to back in a body: u32 local partition | u32 first spread digest | u32 depth | u32 entries | entries of 32 bytes.
 *
 * I1  A length is checked before anything is allocated or read for it.
 * I2  The end section counts what came before it: a file that was cut is no checkpoint.
 */
import { checksum64 } from './checksum.ts';
import { INDEX_CHECKPOINT_SECTION_BYTES } from './limits.ts';
import { readSafeInteger, writeSafeInteger } from './record.ts';

const MAGIC = 0x5849524d;
const FORMAT = 1;
export const INDEX_CHECKPOINT_HEADER_BYTES = 64;
const HEADER_CHECKSUM_AT = 56;

export const SECTION_HEADER_BYTES = 32;
const SECTION_CHECKSUM_AT = 24;
export const SECTION_TABLES = 1;
export const SECTION_IDEMPOTENCY = 2;
export const SECTION_UNITS = 3;
export const SECTION_END = 4;

/** In front of each table's entries in a body. */
export const TABLE_HEADER_BYTES = 16;

export interface IndexCheckpointHeader {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly flushNumber: number;
  readonly nextSequence: number;
  readonly nextCounter: number;
  readonly versions: number;
}

export interface SectionHeader {
  readonly kind: number;
  readonly number: number;
  readonly bodyBytes: number;
  readonly count: number;
  readonly offset: number;
}

const sum = new Uint32Array(2);

export function encodeIndexCheckpointHeader(header: IndexCheckpointHeader): Uint8Array {
  const bytes = new Uint8Array(INDEX_CHECKPOINT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT, true);
  view.setUint32(8, header.shardIndex, true);
  view.setUint32(12, header.shardCount, true);
  view.setUint32(16, header.flushNumber, true);
  view.setUint32(20, header.nextSequence, true);
  view.setUint32(24, header.nextCounter, true);
  writeSafeInteger(view, 32, header.versions);
  checksum64(bytes, 0, HEADER_CHECKSUM_AT, sum);
  view.setUint32(HEADER_CHECKSUM_AT, sum[0] as number, true);
  view.setUint32(HEADER_CHECKSUM_AT + 4, sum[1] as number, true);
  return bytes;
}

/** Undefined for anything else than a whole header of this format: a checkpoint that cannot be read is made anew. */
export function decodeIndexCheckpointHeader(bytes: Uint8Array): IndexCheckpointHeader | undefined {
  if (bytes.length !== INDEX_CHECKPOINT_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checksum64(bytes, 0, HEADER_CHECKSUM_AT, sum);
  if (
    view.getUint32(0, true) !== MAGIC ||
    view.getUint32(4, true) !== FORMAT ||
    view.getUint32(HEADER_CHECKSUM_AT, true) !== sum[0] ||
    view.getUint32(HEADER_CHECKSUM_AT + 4, true) !== sum[1]
  ) {
    return undefined;
  }
  return {
    shardIndex: view.getUint32(8, true),
    shardCount: view.getUint32(12, true),
    flushNumber: view.getUint32(16, true),
    nextSequence: view.getUint32(20, true),
    nextCounter: view.getUint32(24, true),
    versions: readSafeInteger(view, 32),
  };
}

/** Completes the section whose body stands behind its header in `bytes`: writes the header and the checksum. */
export function finishSection(bytes: Uint8Array, view: DataView, section: SectionHeader): void {
  view.setUint32(0, section.kind, true);
  view.setUint32(4, section.number, true);
  view.setUint32(8, section.bodyBytes, true);
  view.setUint32(12, section.count, true);
  writeSafeInteger(view, 16, section.offset);
  view.setUint32(SECTION_CHECKSUM_AT, 0, true);
  view.setUint32(SECTION_CHECKSUM_AT + 4, 0, true);
  checksum64(bytes, 0, SECTION_HEADER_BYTES + section.bodyBytes, sum);
  view.setUint32(SECTION_CHECKSUM_AT, sum[0] as number, true);
  view.setUint32(SECTION_CHECKSUM_AT + 4, sum[1] as number, true);
}

/**
 * The section that starts at `offset`, or undefined unless all of it lies before `end`, is the one of this number, and its
 * checksum is right. The checksum field is zeroed meanwhile and restored.
 */
export function readSection(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  end: number,
  number: number,
): SectionHeader | undefined {
  if (offset + SECTION_HEADER_BYTES > end) return undefined;
  const bodyBytes = sectionBodyBytes(view, offset);
  if (bodyBytes < 0 || offset + SECTION_HEADER_BYTES + bodyBytes > end) return undefined;
  if (view.getUint32(offset + 4, true) !== number) return undefined;
  const low = view.getUint32(offset + SECTION_CHECKSUM_AT, true);
  const high = view.getUint32(offset + SECTION_CHECKSUM_AT + 4, true);
  view.setUint32(offset + SECTION_CHECKSUM_AT, 0, true);
  view.setUint32(offset + SECTION_CHECKSUM_AT + 4, 0, true);
  checksum64(bytes, offset, SECTION_HEADER_BYTES + bodyBytes, sum);
  view.setUint32(offset + SECTION_CHECKSUM_AT, low, true);
  view.setUint32(offset + SECTION_CHECKSUM_AT + 4, high, true);
  if (sum[0] !== low || sum[1] !== high) return undefined;
  return {
    kind: view.getUint32(offset, true),
    number,
    bodyBytes,
    count: view.getUint32(offset + 12, true),
    offset: readSafeInteger(view, offset + 16),
  };
}

/** The body bytes that a section's header names, or -1 if no section has so many. */
export function sectionBodyBytes(view: DataView, offset: number): number {
  const bodyBytes = view.getUint32(offset + 8, true);
  const isPossible = bodyBytes % 8 === 0 && bodyBytes <= INDEX_CHECKPOINT_SECTION_BYTES;
  return isPossible ? bodyBytes : -1;
}
