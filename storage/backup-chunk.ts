/**
 * Chunks of a backup: files of values as the block store holds them, each under its key.
 *
 *   offset   | size    | field
 *   ---------|---------|-------------------------------------------------------------
 *   0        | 4       | magic 'MRBC'
 *   4        | 4       | format, 1
 *   8        | 4       | shard
 *   12       | 4       | number of the chunk, from 1
 *   16       | 16      | id of the backup that wrote it
 *   32       |         | values, each from a multiple of 8, zeros between
 *   table    | 16 each | u32 key's high word, u32 low word, u32 offset of the value in the file, u32 bytes
 *   end − 32 | 4       | magic 'MRBT'
 *   end − 28 | 4       | entries of the table
 *   end − 24 | 4       | offset of the table
 *   end − 20 | 4       | 0
 *   end − 16 | 8       | XXH64 (seed 0) of [0, table)
 *   end − 8  | 8       | XXH64 (seed 0) of [table, end − 8)
 *
 * I1  A chunk has its final name only when it is whole and on disk, so what has one can be built on.
 * I2  Nothing is read outside the bytes given, whatever they say.
 */
import { strict as assert } from 'node:assert';
import { BACKUP_FORMAT, type KeyWords } from './backup-keys.ts';
import { checksum64 } from './checksum.ts';
import { align8 } from './record.ts';
import { StorageError } from './storage-error.ts';

const CHUNK_MAGIC = 0x4342524d;
const TRAILER_MAGIC = 0x5442524d;
const HEADER_BYTES = 32;
const ENTRY_BYTES = 16;
const TRAILER_BYTES = 32;
const ID_AT = 16;

/** Values of one chunk: what an interruption loses at most, and what restore holds in memory at once. */
export const BACKUP_CHUNK_BYTES: number = 32 * 1024 * 1024;

/** Gathers values in memory until they are a chunk. Memory: BACKUP_CHUNK_BYTES and the largest value. */
export class ChunkWriter {
  private bytes: Uint8Array = new Uint8Array(1024 * 1024);
  private length: number = HEADER_BYTES;
  private readonly entries: number[] = [];

  get count(): number {
    return this.entries.length / 4;
  }

  get isFull(): boolean {
    return this.length >= BACKUP_CHUNK_BYTES;
  }

  add(keyHi: number, keyLo: number, value: Uint8Array): void {
    this.reserve(align8(value.length));
    this.bytes.set(value, this.length);
    this.entries.push(keyHi, keyLo, this.length, value.length);
    this.length += align8(value.length);
  }

  /** The whole file; the writer is empty afterwards. The bytes hold until the next `add`. */
  finish(backupId: Uint8Array, shard: number, number: number): Uint8Array {
    assert(backupId.length === 16, 'a backup id has 16 bytes');
    const table = this.length;
    this.reserve(this.count * ENTRY_BYTES + TRAILER_BYTES);
    const view = new DataView(this.bytes.buffer);
    view.setUint32(0, CHUNK_MAGIC, true);
    view.setUint32(4, BACKUP_FORMAT, true);
    view.setUint32(8, shard, true);
    view.setUint32(12, number, true);
    this.bytes.set(backupId, ID_AT);
    for (const [index, word] of this.entries.entries()) view.setUint32(table + 4 * index, word, true);
    const trailer = table + this.count * ENTRY_BYTES;
    view.setUint32(trailer, TRAILER_MAGIC, true);
    view.setUint32(trailer + 4, this.count, true);
    view.setUint32(trailer + 8, table, true);
    view.setUint32(trailer + 12, 0, true);
    const end = trailer + TRAILER_BYTES;
    writeChecksum(this.bytes, view, 0, table, trailer + 16);
    writeChecksum(this.bytes, view, table, end - 8, trailer + 24);
    const whole = this.bytes.subarray(0, end);
    this.length = HEADER_BYTES;
    this.entries.length = 0;
    return whole;
  }

  private reserve(count: number): void {
    const end = this.length + count;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.fill(0, this.length, end);
  }
}

export interface ChunkTable {
  readonly shard: number;
  readonly number: number;
  /** In the order of the file, two words each. */
  readonly keys: KeyWords;
  /** The checksum of the values, as 16 hexadecimal digits. */
  readonly checksum: string;
}

/** What a chunk holds, without its values. Throws BACKUP_INVALID. `bytes` is the whole file. */
export function readChunkTable(path: string, bytes: Uint8Array, backupId: Uint8Array): ChunkTable {
  const { view, table, count } = checkChunk(path, bytes);
  for (let at = 0; at < 16; at++) {
    if (bytes[ID_AT + at] !== backupId[at]) throw invalid(path, 'another backup wrote it');
  }
  const keys = new Uint32Array(2 * count);
  for (let entry = 0; entry < count; entry++) {
    keys[2 * entry] = view.getUint32(table + entry * ENTRY_BYTES, true);
    keys[2 * entry + 1] = view.getUint32(table + entry * ENTRY_BYTES + 4, true);
  }
  const sumAt = bytes.length - 16;
  const checksum = hex(view.getUint32(sumAt + 4, true)) + hex(view.getUint32(sumAt, true));
  return { shard: view.getUint32(8, true), number: view.getUint32(12, true), keys, checksum };
}

/** Verifies everything in the file, then visits its values. Throws BACKUP_INVALID. */
export function readChunk(
  path: string,
  bytes: Uint8Array,
  visit: (keyHi: number, keyLo: number, value: Uint8Array) => void,
): void {
  const { view, table, count } = checkChunk(path, bytes);
  if (!isChecksum(bytes, view, 0, table, bytes.length - 16)) {
    throw invalid(path, 'the checksum of its values differs');
  }
  for (let entry = 0; entry < count; entry++) {
    const at = table + entry * ENTRY_BYTES;
    const offset = view.getUint32(at + 8, true);
    const length = view.getUint32(at + 12, true);
    if (offset < HEADER_BYTES || offset % 8 !== 0 || offset + length > table) {
      throw invalid(path, `value ${entry} lies outside it`);
    }
    visit(
      view.getUint32(at, true),
      view.getUint32(at + 4, true),
      new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length),
    );
  }
}

function checkChunk(path: string, bytes: Uint8Array): { view: DataView; table: number; count: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES + TRAILER_BYTES || view.getUint32(0, true) !== CHUNK_MAGIC) {
    throw invalid(path, 'it is no chunk of a backup');
  }
  if (view.getUint32(4, true) > BACKUP_FORMAT) throw invalid(path, 'a newer version wrote it');
  const trailer = bytes.length - TRAILER_BYTES;
  const count = view.getUint32(trailer + 4, true);
  const table = view.getUint32(trailer + 8, true);
  const isWhole = view.getUint32(trailer, true) === TRAILER_MAGIC && table + count * ENTRY_BYTES === trailer;
  if (!isWhole || table < HEADER_BYTES) throw invalid(path, 'it is cut short or damaged at its end');
  if (!isChecksum(bytes, view, table, bytes.length - 8, bytes.length - 8)) {
    throw invalid(path, 'the checksum of its table differs');
  }
  return { view, table, count };
}

const sum = new Uint32Array(2);

function writeChecksum(bytes: Uint8Array, view: DataView, from: number, to: number, at: number): void {
  checksum64(bytes, from, to - from, sum);
  view.setUint32(at, sum[0]!, true);
  view.setUint32(at + 4, sum[1]!, true);
}

function isChecksum(bytes: Uint8Array, view: DataView, from: number, to: number, at: number): boolean {
  checksum64(bytes, from, to - from, sum);
  return view.getUint32(at, true) === sum[0] && view.getUint32(at + 4, true) === sum[1];
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}

function invalid(path: string, fault: string): StorageError {
  return new StorageError('BACKUP_INVALID', `the backup's ${path} cannot be used: ${fault}`);
}
