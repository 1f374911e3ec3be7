/**
 * KeyBatch: the keys of one request, as columns: one buffer, where each key begins in it, and each key's digest.
 *
 *   wire, 8-aligned in the frame:  u32 count | u32 stride | [u32 offsets[count + 1], padded to 8] | key bytes, padded to 8
 *
 * stride > 0: every key has that many bytes and no offsets are sent. stride 0: offsets count from the first key byte.
 *
 * I1  offsets[0..count] rise strictly and lie inside `bytes`; each key was verified (decode) or encoded here.
 * I2  `offsets` and `digests` may be longer than count asks for, when the batch object is used again.
 * I3  A decoded batch's `bytes` is the frame's buffer, not a copy: it lives as long as the frame may be read.
 */

import type { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { encodeKey, fixedKeyBytes, verifyKey } from './key-codec.ts';
import { ENTITY_KEY_BYTES_MAX } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';
import type { KeyColumn } from './schema.ts';
import { xxh64 } from './xxh64.ts';

const NO_BYTES: Uint8Array = Buffer.alloc(0);

export class KeyBatch {
  count = 0;
  /** The buffer that the keys stand in. */
  bytes: Uint8Array = NO_BYTES;
  /** Key i is bytes[offsets[i], offsets[i + 1]). */
  offsets: Uint32Array;
  /** Key i's digest: low word at 2i, high at 2i + 1. Filled by `digest`. */
  digests: Uint32Array;

  constructor(capacity: number = 0) {
    this.offsets = new Uint32Array(capacity + 1);
    this.digests = new Uint32Array(2 * capacity);
  }

  /** Makes room for `count` keys; what was there is lost. */
  ensure(count: number): void {
    if (this.offsets.length > count) return;
    const capacity = Math.max(count, 2 * (this.offsets.length - 1));
    this.offsets = new Uint32Array(capacity + 1);
    this.digests = new Uint32Array(2 * capacity);
  }

  /** Computes every key's digest under the cluster's hash seed. */
  digest(seedLo: number, seedHi: number): void {
    const { bytes, offsets, digests, count } = this;
    for (let index = 0; index < count; index++) {
      const offset = offsets[index]!;
      xxh64(bytes, offset, offsets[index + 1]! - offset, seedLo, seedHi, digests, 2 * index);
    }
  }
}

/** Encodes keys, each as encodeKey takes one. A throw names the key by its position. */
export function encodeKeys(columns: readonly KeyColumn[], keys: ArrayLike<unknown>): KeyBatch {
  const count = keys.length;
  const batch = new KeyBatch(count);
  const writer = new ByteWriter(count * (fixedKeyBytes(columns) || 16));
  for (let index = 0; index < count; index++) {
    batch.offsets[index] = writer.length;
    try {
      encodeKey(columns, keys[index], writer);
    } catch (error) {
      throw numbered(error, index);
    }
  }
  batch.offsets[count] = writer.length;
  batch.bytes = writer.bytes;
  batch.count = count;
  return batch;
}

/**
 * Appends a batch to a frame that began at `frameStart`. `pick` names the keys to send by position, in that order;
 * without it all are sent.
 */
export function encodeKeyBatch(
  writer: ByteWriter,
  frameStart: number,
  batch: KeyBatch,
  pick: Uint32Array | null = null,
): void {
  writer.align8(frameStart);
  const count = pick === null ? batch.count : pick.length;
  const stride = commonStride(batch);
  writer.u32(count);
  writer.u32(stride);
  if (stride === 0) {
    const offsetsAt = writer.reserveUnzeroed(4 * (count + 1));
    let end = 0;
    writer.view.setUint32(offsetsAt, 0, true);
    for (let index = 0; index < count; index++) {
      const key = pick === null ? index : pick[index]!;
      end += batch.offsets[key + 1]! - batch.offsets[key]!;
      writer.view.setUint32(offsetsAt + 4 * (index + 1), end, true);
    }
    writer.align8(frameStart);
  }
  if (pick === null) {
    writer.rawRange(batch.bytes, batch.offsets[0]!, batch.offsets[count]!);
  } else {
    for (let index = 0; index < count; index++) {
      writer.rawRange(batch.bytes, batch.offsets[pick[index]!]!, batch.offsets[pick[index]! + 1]!);
    }
  }
  writer.align8(frameStart);
}

/** The length all keys share, or 0. */
function commonStride(batch: KeyBatch): number {
  const { offsets, count } = batch;
  if (count === 0) return 0;
  const stride = offsets[1]! - offsets[0]!;
  for (let index = 1; index < count; index++) {
    if (offsets[index + 1]! - offsets[index]! !== stride) return 0;
  }
  return stride;
}

/**
 * Reads a batch of at most `limit` keys and moves the reader past it. Bounds are checked before `batch` grows, then
 * every key is verified against the columns. `batch` may be one used before.
 */
export function decodeKeyBatch(
  reader: ByteReader,
  columns: readonly KeyColumn[],
  limit: number,
  batch: KeyBatch = new KeyBatch(),
): KeyBatch {
  reader.align8();
  const count = reader.u32();
  const stride = reader.u32();
  if (count === 0)
    throw new ProtocolError('BATCH_EMPTY', 'the request names no keys; at least one is needed');
  if (count > limit) {
    throw new ProtocolError('BATCH_TOO_LARGE', `the request has ${count} keys; at most ${limit} are allowed`);
  }
  if (stride === 0) readVariable(reader, count, batch);
  else readStrided(reader, count, stride, batch);
  reader.align8();
  batch.bytes = reader.bytes;
  batch.count = count;
  verifyKeys(columns, stride, batch);
  return batch;
}

function readStrided(reader: ByteReader, count: number, stride: number, batch: KeyBatch): void {
  if (stride > ENTITY_KEY_BYTES_MAX) {
    throw new ProtocolError(
      'KEY_TOO_LARGE',
      `keys of ${stride} bytes; at most ${ENTITY_KEY_BYTES_MAX} are allowed`,
    );
  }
  const start = reader.take(count * stride);
  batch.ensure(count);
  const offsets = batch.offsets;
  for (let index = 0; index <= count; index++) offsets[index] = start + index * stride;
}

function readVariable(reader: ByteReader, count: number, batch: KeyBatch): void {
  const offsetsAt = reader.take(4 * (count + 1));
  reader.align8();
  batch.ensure(count);
  const offsets = batch.offsets;
  const view = reader.view;
  const start = reader.offset;
  const space = reader.remaining;
  let before = 0;
  if (view.getUint32(offsetsAt, true) !== 0)
    throw new ProtocolError('MALFORMED_REQUEST', 'key offsets do not start at 0');
  offsets[0] = start;
  for (let index = 1; index <= count; index++) {
    const end = view.getUint32(offsetsAt + 4 * index, true);
    if (end <= before || end > space) throw badOffset(index - 1, before, end, space);
    offsets[index] = start + end;
    before = end;
  }
  reader.take(before);
}

function verifyKeys(columns: readonly KeyColumn[], stride: number, batch: KeyBatch): void {
  if (stride !== 0 && stride === fixedKeyBytes(columns) && !hasTimestamp(columns)) return;
  const { bytes, offsets, count } = batch;
  let index = 0;
  try {
    for (; index < count; index++) {
      verifyKey(columns, bytes, offsets[index]!, offsets[index + 1]! - offsets[index]!);
    }
  } catch (error) {
    throw numbered(error, index);
  }
}

/** A fixed key without timestamps needs no look at its bytes: every one is a legal key. */
function hasTimestamp(columns: readonly KeyColumn[]): boolean {
  for (let index = 0; index < columns.length; index++) {
    if (columns[index]!.type === 'timestamp') return true;
  }
  return false;
}

function badOffset(index: number, before: number, end: number, space: number): ProtocolError {
  return new ProtocolError(
    end === before ? 'KEY_INVALID' : 'MALFORMED_REQUEST',
    `key ${index} ends at byte ${end}; it begins at ${before} and the keys have ${space} bytes`,
  );
}

function numbered(error: unknown, index: number): unknown {
  if (!(error instanceof ProtocolError)) return error;
  return new ProtocolError(error.code, `key ${index}: ${error.message}`, { cause: error });
}
