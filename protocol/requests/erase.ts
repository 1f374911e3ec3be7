/**
 * ERASE: every version of one key leaves every file of its node.
 *
 *   request   {groupId, key}
 *   response  {files, bytes, newer, partition, highestLsn, milliseconds}
 */
import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { ENTITY_KEY_BYTES_MAX, GROUPS_MAX, PARTITION_COUNT } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import {
  appendControlRequest,
  appendControlResponse,
  integerField,
  readControlRequest,
  readControlResponse,
  refuseField,
} from './control.ts';

export interface EraseRequest {
  readonly groupId: number;
  /** Encoded. */
  readonly key: Uint8Array;
}

/** What was searched in the end, and nothing of the key was found in. */
export interface Erasure {
  readonly files: number;
  readonly bytes: number;
  /** Records of the key that were written since the erasure began: rows of their own. */
  readonly newer: number;
  readonly partition: number;
  /** The LSN of the partition up to which the key's versions were erased. */
  readonly highestLsn: number;
  readonly milliseconds: number;
}

export function encodeEraseRequest(writer: ByteWriter, options: RequestOptions, request: EraseRequest): void {
  appendControlRequest(writer, OPERATIONS.ERASE, options, request);
}

export function decodeEraseRequest(frame: Frame): EraseRequest {
  const map = readControlRequest(frame);
  const { key } = map;
  if (!(key instanceof Uint8Array) || key.length === 0 || key.length > ENTITY_KEY_BYTES_MAX) {
    return refuseField('key', key, `binary of 1 to ${ENTITY_KEY_BYTES_MAX} bytes`);
  }
  return { groupId: integerField(map, 'groupId', 1, GROUPS_MAX), key: new Uint8Array(key) };
}

export function encodeEraseResponse(writer: ByteWriter, correlationId: number, erasure: Erasure): void {
  appendControlResponse(writer, OPERATIONS.ERASE, correlationId, erasure);
}

export function decodeEraseResponse(frame: Frame): Erasure {
  const map = readControlResponse(frame);
  const count = (name: string): number => integerField(map, name, 0, Number.MAX_SAFE_INTEGER);
  return {
    files: count('files'),
    bytes: count('bytes'),
    newer: count('newer'),
    partition: integerField(map, 'partition', 0, PARTITION_COUNT - 1),
    highestLsn: count('highestLsn'),
    milliseconds: count('milliseconds'),
  };
}
