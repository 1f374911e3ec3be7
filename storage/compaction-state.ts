/**
 * The state of compaction: how far the sweep under way has come, and the numbers that were given out. One value under
 * (0|4|1), replaced in each transaction of compaction.
 *
 *   offset | size | field
 *   -------|------|---------------------------------------------------------------------------
 *   0      | 4    | format version, 1
 *   4      | 4    | change number: rises with each transaction of compaction that adds or removes level-0 directories
 *   8      | 4    | sweep number; 0 before the first
 *   12     | 4    | source end: level-0 blocks with sequences below it are the sweep's sources; 0: no sweep under way
 *   16     | 2    | cursor, group: 4096 when the sweep has passed all
 *   18     | 2    | cursor, partition: with the group the first unit that the sweep has not consumed
 *   20     | 4    | next level-0 sequence
 *   24     | 4    | next level-0 directory number
 *   28     | 4    | next level-1 counter, one for the whole shard
 *   32     | 8    | XXH64 (seed 0) of bytes 0–31
 *
 * I1  A record of a source block whose unit (group, partition) lies before the cursor is obsolete: what the sweep kept of
 *     it was written in the transaction that moved the cursor past it. Whoever reads level 0 leaves it out.
 */
import { checksum64 } from './checksum.ts';
import { StorageError } from './storage-error.ts';

export const COMPACTION_STATE_BYTES = 40;
/** The cursor's group when every unit lies before it. */
export const CURSOR_GROUP_END = 4096;

const FORMAT_VERSION = 1;
const CHECKED_BYTES = 32;

export interface CompactionState {
  readonly changeNumber: number;
  readonly sweepNumber: number;
  readonly sourceEnd: number;
  readonly cursorGroup: number;
  readonly cursorPartition: number;
  readonly nextSequence: number;
  readonly nextDirectory: number;
  readonly nextCounter: number;
}

/** A shard that was never compacted. */
export const COMPACTION_STATE_EMPTY: CompactionState = {
  changeNumber: 0,
  sweepNumber: 0,
  sourceEnd: 0,
  cursorGroup: 0,
  cursorPartition: 0,
  nextSequence: 1,
  nextDirectory: 1,
  nextCounter: 1,
};

/** Whether the records of this unit in the level-0 block `sequence` are obsolete (I1). */
export function isConsumed(
  state: CompactionState,
  sequence: number,
  group: number,
  partition: number,
): boolean {
  if (sequence >= state.sourceEnd) return false;
  return group < state.cursorGroup || (group === state.cursorGroup && partition < state.cursorPartition);
}

/** The first partition whose records of `group` in the level-0 block `sequence` count: PARTITION_COUNT or more if none. */
export function firstPartitionOf(state: CompactionState, sequence: number, group: number): number {
  if (sequence >= state.sourceEnd || group > state.cursorGroup) return 0;
  return group < state.cursorGroup ? CURSOR_GROUP_END : state.cursorPartition;
}

export function encodeCompactionState(state: CompactionState): Uint8Array {
  const bytes = new Uint8Array(COMPACTION_STATE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, FORMAT_VERSION, true);
  view.setUint32(4, state.changeNumber, true);
  view.setUint32(8, state.sweepNumber, true);
  view.setUint32(12, state.sourceEnd, true);
  view.setUint16(16, state.cursorGroup, true);
  view.setUint16(18, state.cursorPartition, true);
  view.setUint32(20, state.nextSequence, true);
  view.setUint32(24, state.nextDirectory, true);
  view.setUint32(28, state.nextCounter, true);
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, CHECKED_BYTES, checksum);
  view.setUint32(CHECKED_BYTES, checksum[0] as number, true);
  view.setUint32(CHECKED_BYTES + 4, checksum[1] as number, true);
  return bytes;
}

/** Of the value read, or of none. */
export function decodeCompactionState(bytes: Uint8Array | undefined): CompactionState {
  if (bytes === undefined) return COMPACTION_STATE_EMPTY;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (version > FORMAT_VERSION) {
    throw new StorageError(
      'DATA_DIRECTORY_NEWER',
      `the state of compaction has format ${version}; this version reads up to ${FORMAT_VERSION}`,
    );
  }
  if (version === 0 || bytes.length !== COMPACTION_STATE_BYTES) {
    throw new StorageError(
      'BLOCK_CORRUPT',
      `the state of compaction is ${bytes.length} bytes of format ${version}; ${COMPACTION_STATE_BYTES} of format 1 were expected`,
    );
  }
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, CHECKED_BYTES, checksum);
  if (view.getUint32(32, true) !== checksum[0] || view.getUint32(36, true) !== checksum[1]) {
    throw new StorageError('BLOCK_CORRUPT', 'the checksum of the state of compaction differs');
  }
  return {
    changeNumber: view.getUint32(4, true),
    sweepNumber: view.getUint32(8, true),
    sourceEnd: view.getUint32(12, true),
    cursorGroup: view.getUint16(16, true),
    cursorPartition: view.getUint16(18, true),
    nextSequence: view.getUint32(20, true),
    nextDirectory: view.getUint32(24, true),
    nextCounter: view.getUint32(28, true),
  };
}
