/**
 * BACKUP: a shard's store as it was at one moment, on its scan port. BACKUP_OPEN takes the moment, BACKUP_KEYS lists the
 * values that the store held then, BACKUP_BLOCKS gives some of them. The client asks for each part, so it sets the pace.
 *
 *   BACKUP_OPEN    request   {isPinned}
 *                  response  {nodeId, clusterId, generation, shardIndex, shardCount, hashSeed, catalog, meta: [{lo…}]}
 *   BACKUP_KEYS    request   body: 0 u32 most keys wanted | 4 u32 0
 *                  response  body: 0 u32 keys | 4 u32 1 when these are the last | 8 per key: u32 high word, u32 low word
 *   BACKUP_BLOCKS  request   body: 0 u32 keys | 4 u32 0 | 8 per key, as above
 *                  response  body: 0 u32 values | 4 u32 0 | u32 bytes of each, 0 where it is gone, to a multiple of 8 | values,
 *                            each from a multiple of 8
 *
 * One backup a connection; another BACKUP_OPEN begins anew. A value, once listed, never changes under its key; it may go.
 */
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import {
  beginRequest,
  beginResponse,
  endFrame,
  type RequestOptions,
  requestBody,
  responseBody,
} from '../frame-header.ts';
import { SHARDS_MAX } from '../limits.ts';
import type { MessagePackMap } from '../message-pack.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import {
  appendControlRequest,
  appendControlResponse,
  arrayField,
  asMap,
  integerField,
  readControlRequest,
  readControlResponse,
  refuseField,
  textField,
} from './control.ts';

/** Keys of one answer: half a mebibyte. */
export const BACKUP_KEYS_MAX = 65_536;
/** Values of one request: a mebibyte of pages, a few milliseconds of a scan thread. The largest rows take more each. */
export const BACKUP_BLOCKS_MAX = 256;
/** Values of one answer stop here: the rest is told as not given, and asked for again. */
export const BACKUP_ANSWER_BYTES_MAX: number = 8 * 1024 * 1024;

/** What stands for the length of a value that the answer had no room for. */
export const BACKUP_NOT_GIVEN = 0xffff_ffff;

const TEXT_LENGTH_MAX = 256;
const META_MAX = 256;
const UINT32_MAX = 0xffff_ffff;

/** A value of the store's own: checkpoint, clocks, state of compaction, read point. */
export interface BackupMeta {
  readonly keyHi: number;
  readonly keyLo: number;
  readonly bytes: Uint8Array;
}

export interface BackupOpened {
  readonly nodeId: string;
  readonly clusterId: string;
  /** Rises when the data directory was rewritten: keys of another generation say nothing about this one. */
  readonly generation: number;
  /** 16 hexadecimal digits. */
  readonly hashSeed: string;
  readonly shardIndex: number;
  readonly shardCount: number;
  /** The text of catalog.json. */
  readonly catalog: string;
  readonly meta: readonly BackupMeta[];
}

export function encodeBackupOpenRequest(
  writer: ByteWriter,
  options: RequestOptions,
  request: { readonly isPinned: boolean },
): void {
  appendControlRequest(writer, OPERATIONS.BACKUP_OPEN, options, request);
}

export function decodeBackupOpenRequest(frame: Frame): { isPinned: boolean } {
  const value = readControlRequest(frame)['isPinned'];
  if (typeof value !== 'boolean') refuseField('isPinned', value, 'true or false');
  return { isPinned: value as boolean };
}

export function encodeBackupOpenResponse(
  writer: ByteWriter,
  correlationId: number,
  opened: BackupOpened,
): void {
  appendControlResponse(writer, OPERATIONS.BACKUP_OPEN, correlationId, opened);
}

export function decodeBackupOpenResponse(frame: Frame): BackupOpened {
  const map = readControlResponse(frame);
  return {
    nodeId: textField(map, 'nodeId', TEXT_LENGTH_MAX),
    clusterId: textField(map, 'clusterId', TEXT_LENGTH_MAX),
    generation: integerField(map, 'generation', 0, UINT32_MAX),
    hashSeed: textField(map, 'hashSeed', TEXT_LENGTH_MAX),
    shardIndex: integerField(map, 'shardIndex', 0, SHARDS_MAX - 1),
    shardCount: integerField(map, 'shardCount', 1, SHARDS_MAX),
    catalog: textField(map, 'catalog', Number.POSITIVE_INFINITY),
    meta: arrayField(map, 'meta', META_MAX).map((value) => toMeta(asMap(value, 'meta'))),
  };
}

function toMeta(map: MessagePackMap): BackupMeta {
  const { bytes } = map;
  if (!(bytes instanceof Uint8Array)) refuseField('bytes', bytes, 'binary');
  return {
    keyHi: integerField(map, 'keyHi', 0, UINT32_MAX),
    keyLo: integerField(map, 'keyLo', 0, UINT32_MAX),
    bytes: new Uint8Array(bytes as Uint8Array),
  };
}

export function encodeBackupKeysRequest(writer: ByteWriter, options: RequestOptions, countMax: number): void {
  const start = beginRequest(writer, OPERATIONS.BACKUP_KEYS, options);
  writer.u32(countMax);
  writer.u32(0);
  endFrame(writer, start);
}

export function decodeBackupKeysRequest(frame: Frame): number {
  const body = requestBody(frame);
  const count = frame.end - body === 8 ? frame.view.getUint32(body, true) : 0;
  if (count < 1 || count > BACKUP_KEYS_MAX) {
    throw malformed('BACKUP_KEYS', `a body of 8 bytes that asks for 1 to ${BACKUP_KEYS_MAX} keys`);
  }
  return count;
}

/** `words` holds two words a key, the high one first. */
export function encodeBackupKeysResponse(
  writer: ByteWriter,
  correlationId: number,
  words: Uint32Array,
  isLast: boolean,
): void {
  const start = beginResponse(writer, OPERATIONS.BACKUP_KEYS, correlationId, 0, 0);
  writer.u32(words.length / 2);
  writer.u32(isLast ? 1 : 0);
  for (const word of words) writer.u32(word);
  endFrame(writer, start);
}

export function decodeBackupKeysResponse(frame: Frame): { words: Uint32Array; isLast: boolean } {
  const body = responseBody(frame);
  return {
    words: readKeys(frame, body, 'BACKUP_KEYS', BACKUP_KEYS_MAX),
    isLast: frame.view.getUint32(body + 4, true) === 1,
  };
}

export function encodeBackupBlocksRequest(
  writer: ByteWriter,
  options: RequestOptions,
  words: Uint32Array,
): void {
  const start = beginRequest(writer, OPERATIONS.BACKUP_BLOCKS, options);
  writer.u32(words.length / 2);
  writer.u32(0);
  for (const word of words) writer.u32(word);
  endFrame(writer, start);
}

export function decodeBackupBlocksRequest(frame: Frame): Uint32Array {
  return readKeys(frame, requestBody(frame), 'BACKUP_BLOCKS', BACKUP_BLOCKS_MAX);
}

/** Bytes of the table in front of the values of an answer. */
function tableBytes(count: number): number {
  return (8 + 4 * count + 7) & ~7;
}

/**
 * `read` answers the value of each key, or undefined when it is gone; its bytes are copied before the next call. Values past
 * BACKUP_ANSWER_BYTES_MAX are not asked for, but the first always is.
 */
export function encodeBackupBlocksResponse(
  writer: ByteWriter,
  correlationId: number,
  count: number,
  read: (index: number) => Uint8Array | undefined,
): void {
  const start = beginResponse(writer, OPERATIONS.BACKUP_BLOCKS, correlationId, 0, 0);
  const body = writer.reserve(tableBytes(count));
  writer.view.setUint32(body, count, true);
  for (let index = 0; index < count; index++) {
    const isFull = index > 0 && writer.length - start >= BACKUP_ANSWER_BYTES_MAX;
    const value = isFull ? undefined : read(index);
    const length = isFull ? BACKUP_NOT_GIVEN : (value?.length ?? 0);
    if (value !== undefined) {
      writer.raw(value);
      writer.reserve(-value.length & 7);
    }
    writer.view.setUint32(body + 8 + 4 * index, length, true);
  }
  endFrame(writer, start);
}

/** Visits each value in the order of the request: undefined when it is gone, null when it was not given. */
export function decodeBackupBlocksResponse(
  frame: Frame,
  visit: (index: number, value: Uint8Array | undefined | null) => void,
): number {
  const body = responseBody(frame);
  const count = frame.end - body >= 8 ? frame.view.getUint32(body, true) : 0;
  let at = body + tableBytes(count);
  if (count > BACKUP_BLOCKS_MAX || at > frame.end) throw malformed('BACKUP_BLOCKS', 'a table of its values');
  for (let index = 0; index < count; index++) {
    const length = frame.view.getUint32(body + 8 + 4 * index, true);
    if (length === BACKUP_NOT_GIVEN) visit(index, null);
    else if (length === 0) visit(index, undefined);
    else if (length > frame.end - at) throw malformed('BACKUP_BLOCKS', 'values within the frame');
    else {
      // A plain view, also of a Buffer: its `slice` would not copy.
      visit(index, new Uint8Array(frame.bytes.buffer, frame.bytes.byteOffset + at, length));
      at += (length + 7) & ~7;
    }
  }
  return count;
}

function readKeys(frame: Frame, body: number, name: string, countMax: number): Uint32Array {
  const count = frame.end - body >= 8 ? frame.view.getUint32(body, true) : countMax + 1;
  if (count > countMax || frame.end - body !== 8 + 8 * count) {
    throw malformed(name, `at most ${countMax} keys and their count`);
  }
  const words = new Uint32Array(2 * count);
  for (let word = 0; word < words.length; word++)
    words[word] = frame.view.getUint32(body + 8 + 4 * word, true);
  return words;
}

function malformed(name: string, allowed: string): ProtocolError {
  return new ProtocolError('MALFORMED_REQUEST', `a ${name} message holds something else than ${allowed}`);
}
