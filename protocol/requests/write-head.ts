/**
 * The head of PUT, PATCH and DELETE bodies, up to the keys:
 *
 *   0   u16  group id
 *   2   u16  schema version of the rows (PUT), else 0
 *   4   u32  row count
 *   8   u32  flags
 *   12  u32  0
 *   16       i64 event time[count]
 *            u64 version[count], with WRITE_IF_VERSION only: the LSN that each row must have now, 0 for none
 *            key batch of count keys
 *
 * Counts are checked before anything is allocated for them, and flags that an operation does not know are refused: a
 * condition that was not understood must not be dropped.
 */

import { ByteReader } from '../byte-reader.ts';
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginRequest, type RequestOptions, requestBody } from '../frame-header.ts';
import { readUint64, writeInt64 } from '../int64.ts';
import { decodeKeyBatch, encodeKeyBatch, KeyBatch } from '../key-batch.ts';
import { describeValue, ProtocolError } from '../protocol-error.ts';
import type { KeyColumn } from '../schema.ts';
import { decodeEventTimes, encodeEventTimes } from './event-times.ts';
import { readGroupId } from './group-id.ts';

/** The rows enter history only, and none is too late. */
export const WRITE_BACKFILL = 1;
/** Each row is written only when the row that is there has the version named. */
export const WRITE_IF_VERSION = 2;
/** Event times are floors: a row that has a later one keeps it, so that no patch is late. PATCH only. */
export const WRITE_TIME_FLOOR = 4;

const FIXED_BYTES = 16;

/** What all writes say of their rows. */
export interface WriteHead {
  groupId: number;
  count: number;
  /** µs, by row. */
  eventTimes: Float64Array;
  keys: KeyBatch;
  isBackfill: boolean;
  /** By row: the LSN the row must have, 0: there must be none. Null: no condition. */
  ifVersions: Float64Array | null;
}

/**
 * Room for a decoded write's columns, used again from request to request: what was decoded into it holds until the next is.
 * Without it the small arrays of a request of one row cost more than the row.
 */
export class WriteScratch {
  readonly keys: KeyBatch = new KeyBatch();
  eventTimes: Float64Array = new Float64Array(0);
  rowOffsets: Uint32Array = new Uint32Array(0);

  /** Makes room for `count` rows; what was there is lost. */
  ensure(count: number): void {
    if (this.eventTimes.length >= count) return;
    const capacity = Math.max(count, 2 * this.eventTimes.length);
    this.eventTimes = new Float64Array(capacity);
    this.rowOffsets = new Uint32Array(capacity + 1);
  }
}

/** What an encoder is told; absent: no backfill, no conditions. */
export interface WriteHeadInput {
  groupId: number;
  eventTimes: ArrayLike<number>;
  keys: KeyBatch;
  isBackfill?: boolean;
  ifVersions?: ArrayLike<number> | null;
}

/** Begins a request with its head and returns where the frame begins. `pick` names the rows to send, in order. */
export function encodeWriteHead(
  writer: ByteWriter,
  operation: number,
  options: RequestOptions,
  head: WriteHeadInput,
  schemaVersion: number,
  flags: number,
  pick: Uint32Array | null,
): number {
  const count = pick === null ? head.keys.count : pick.length;
  const ifVersions = head.ifVersions ?? null;
  const start = beginRequest(writer, operation, options);
  writer.u16(head.groupId);
  writer.u16(schemaVersion);
  writer.u32(count);
  writer.u32(
    flags | (head.isBackfill === true ? WRITE_BACKFILL : 0) | (ifVersions === null ? 0 : WRITE_IF_VERSION),
  );
  writer.u32(0);
  encodeEventTimes(writer, head.eventTimes, count, pick);
  if (ifVersions !== null) encodeVersions(writer, ifVersions, count, pick);
  encodeKeyBatch(writer, start, head.keys, pick);
  return start;
}

function encodeVersions(
  writer: ByteWriter,
  versions: ArrayLike<number>,
  count: number,
  pick: Uint32Array | null,
): void {
  const at = writer.reserveUnzeroed(8 * count);
  for (let row = 0; row < count; row++) {
    const version = versions[pick === null ? row : pick[row]!]!;
    if (!Number.isSafeInteger(version) || version < 0) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `row ${row}: ifVersion is ${describeValue(version)}; allowed: a row's LSN, or 0 for a row that is not there`,
      );
    }
    writeInt64(writer.view, at + 8 * row, version);
  }
}

/** A reader at the body of a write's frame. */
export function writeReader(frame: Frame): ByteReader {
  return new ByteReader(frame.bytes, requestBody(frame), frame.end, frame.view, frame.offset);
}

/** The u16 beside the group id: the schema version of a PUT's rows. */
export function readSchemaVersion(frame: Frame): number {
  readGroupId(frame);
  return frame.view.getUint16(requestBody(frame) + 2, true);
}

/** The flags of a write, for its operation to read those of its own; `readWriteHead` has refused the others. */
export function readWriteFlags(frame: Frame): number {
  return frame.view.getUint32(requestBody(frame) + 8, true);
}

/**
 * Reads the head and leaves the reader behind the keys. `allowed` are the flags that the operation knows. That the
 * schema version fits is the operation's to check. Columns may be longer than `count` when `scratch` was used before.
 */
export function readWriteHead(
  frame: Frame,
  reader: ByteReader,
  columns: readonly KeyColumn[],
  countMax: number,
  allowed: number,
  scratch: WriteScratch = new WriteScratch(),
): WriteHead {
  const groupId = readGroupId(frame);
  const at = reader.take(FIXED_BYTES);
  const count = frame.view.getUint32(at + 4, true);
  const flags = frame.view.getUint32(at + 8, true);
  checkFlags(flags, frame.view.getUint32(at + 12, true), allowed);
  const hasVersions = (flags & WRITE_IF_VERSION) !== 0;
  checkCount(count, countMax, hasVersions ? 16 : 8, reader.remaining);
  scratch.ensure(count);
  const { eventTimes } = scratch;
  decodeEventTimes(reader, count, eventTimes);
  const ifVersions = hasVersions ? decodeVersions(reader, count) : null;
  const keys = decodeKeyBatch(reader, columns, countMax, scratch.keys);
  if (keys.count !== count) {
    throw new ProtocolError('MALFORMED_REQUEST', `the request has ${count} rows and ${keys.count} keys`);
  }
  return { groupId, count, eventTimes, keys, isBackfill: (flags & WRITE_BACKFILL) !== 0, ifVersions };
}

function checkFlags(flags: number, reserved: number, allowed: number): void {
  if ((flags & ~allowed) !== 0 || reserved !== 0) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `the write's flags are ${flags}; this operation knows those of ${allowed}, and reserved bytes must be 0`,
    );
  }
  if ((flags & WRITE_BACKFILL) !== 0 && (flags & WRITE_IF_VERSION) !== 0) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      'a backfill has no conditions: it never changes the row that a version could be compared with',
    );
  }
}

function checkCount(count: number, countMax: number, rowBytes: number, space: number): void {
  if (count === 0) throw new ProtocolError('BATCH_EMPTY', 'the request has no rows; at least one is needed');
  if (count > countMax) {
    throw new ProtocolError(
      'BATCH_TOO_LARGE',
      `the request has ${count} rows; at most ${countMax} are allowed`,
    );
  }
  if (rowBytes * count > space) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `${count} event times${rowBytes > 8 ? ' and versions' : ''} do not fit the ${space} bytes that follow`,
    );
  }
}

function decodeVersions(reader: ByteReader, count: number): Float64Array {
  const at = reader.take(8 * count);
  const versions = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    const version = readUint64(reader.view, at + 8 * row);
    if (Number.isNaN(version)) {
      throw new ProtocolError('MALFORMED_REQUEST', `row ${row}: ifVersion is above 2^53 − 1`);
    }
    versions[row] = version;
  }
  return versions;
}
