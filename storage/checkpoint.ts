/**
 * The checkpoint: up to where the journal is in blocks. One value under meta id 1, replaced in the
 * transaction of a flush's last step.
 *
 *   offset | size | field
 *   -------|------|---------------------------------------------------------------------------
 *   0      | 4    | format version, 1
 *   4      | 4    | flush number: blocks with a higher one belong to a flush that did not finish
 *   8      | 8    | journal position: replay starts here, what lies before may be recycled
 *   16     | 4    | next level-0 sequence
 *   20     | 4    | next level-0 directory number
 *   24     | 8    | XXH64 (seed 0) of bytes 0–23
 *
 * I1  A counter that was used in a block that may exist is never given out again: the next ones are at or
 *     above these, and above any found behind them in the store.
 */
import { checksum64 } from './checksum.ts';
import { readSafeInteger, writeSafeInteger } from './record.ts';
import { StorageError } from './storage-error.ts';

export const CHECKPOINT_FORMAT_VERSION = 1;
export const CHECKPOINT_BYTES = 32;

const CHECKED_BYTES = 24;

export interface Checkpoint {
  readonly flushNumber: number;
  readonly journalPosition: number;
  readonly nextSequence: number;
  readonly nextDirectory: number;
}

/** Where a new shard starts. Sequences and directory numbers count from 1. */
export const CHECKPOINT_EMPTY: Checkpoint = {
  flushNumber: 0,
  journalPosition: 0,
  nextSequence: 1,
  nextDirectory: 1,
};

export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const bytes = new Uint8Array(CHECKPOINT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CHECKPOINT_FORMAT_VERSION, true);
  view.setUint32(4, checkpoint.flushNumber, true);
  writeSafeInteger(view, 8, checkpoint.journalPosition);
  view.setUint32(16, checkpoint.nextSequence, true);
  view.setUint32(20, checkpoint.nextDirectory, true);
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, CHECKED_BYTES, checksum);
  view.setUint32(CHECKED_BYTES, checksum[0] as number, true);
  view.setUint32(CHECKED_BYTES + 4, checksum[1] as number, true);
  return bytes;
}

export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (version > CHECKPOINT_FORMAT_VERSION) {
    throw new StorageError(
      'DATA_DIRECTORY_NEWER',
      `the block store has format ${version}; this version reads up to ${CHECKPOINT_FORMAT_VERSION}`,
    );
  }
  if (version === 0 || bytes.length !== CHECKPOINT_BYTES) {
    throw new StorageError(
      'BLOCK_CORRUPT',
      `the checkpoint is ${bytes.length} bytes of format ${version}; ${CHECKPOINT_BYTES} of format 1 were expected`,
    );
  }
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, CHECKED_BYTES, checksum);
  if (view.getUint32(CHECKED_BYTES, true) !== checksum[0] || view.getUint32(28, true) !== checksum[1]) {
    throw new StorageError('BLOCK_CORRUPT', 'the checkpoint’s checksum differs');
  }
  return {
    flushNumber: view.getUint32(4, true),
    journalPosition: readSafeInteger(view, 8),
    nextSequence: view.getUint32(16, true),
    nextDirectory: view.getUint32(20, true),
  };
}
