/**
 * Every version that a shard holds at one moment, read the slow way: each block whole, and the write buffer.
 *
 * What a sweep under way has consumed is left out, and so is what an unfinished flush wrote: as every reader has to.
 */
import assert from 'node:assert/strict';
import { arenaOf } from '../../storage/arena.ts';
import { blockGroup, nextRecord, recordsEnd, recordsStart, verifyBlock } from '../../storage/block.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  KEY_HI_END,
  LEVEL_ONE_KEY_HI_FIRST,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
} from '../../storage/block-key.ts';
import type { BlockStore } from '../../storage/block-store.ts';
import { decodeCheckpoint } from '../../storage/checkpoint.ts';
import { decodeCompactionState, isConsumed } from '../../storage/compaction-state.ts';
import type { ShardStore } from '../../storage/index.ts';
import { DirectoryValue } from '../../storage/level-zero-directory.ts';
import {
  FLAG_HISTORY_ONLY,
  KIND_DELETE,
  readRecordCommitTime,
  readRecordDigestLo,
  readRecordEventTime,
  readRecordExpirySeconds,
  readRecordFlags,
  readRecordGroup,
  readRecordKeyBytes,
  readRecordKind,
  readRecordLsn,
} from '../../storage/record.ts';

export interface StoredVersion {
  readonly group: number;
  readonly partition: number;
  readonly key: string;
  readonly eventTimeMicros: number;
  readonly commitTimeMicros: number;
  readonly lsn: number;
  readonly isDelete: boolean;
  readonly isHistoryOnly: boolean;
  readonly expirySeconds: number;
  /** The block that holds it; null in the write buffer. */
  readonly block: { readonly keyHi: number; readonly keyLo: number } | null;
}

export interface StoredState {
  readonly versions: StoredVersion[];
  readonly levelZeroBlocks: number;
  readonly levelOneBlocks: number;
}

/** In one turn: nothing changes in between. Null when a flush has just moved its checkpoint: ask again. */
export function storedVersions(
  blocks: BlockStore,
  shard: ShardStore,
  groups: readonly number[],
  partitions: Uint16Array,
): StoredState | null {
  const snapshot = blocks.openSnapshot();
  try {
    const bytes = snapshot.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
    const flushNumber = bytes === undefined ? 0 : decodeCheckpoint(bytes).flushNumber;
    const compaction = decodeCompactionState(snapshot.read(COMPACTION_STATE_KEY_HI, 1));
    const versions: StoredVersion[] = [];
    for (const group of groups) {
      const buffered = shard.bufferedVersions(group, partitions);
      if (buffered.flushNumber !== flushNumber) return null;
      const view = new DataView(buffered.bytes.buffer, buffered.bytes.byteOffset, buffered.bytes.length);
      for (let at = 0; at < view.byteLength; at += view.getUint32(at, true)) {
        versions.push(versionAt(view, at, null));
      }
    }
    const sequences: number[] = [];
    const hi = LEVEL_ZERO_DIRECTORY_KEY_HI;
    snapshot.scan(hi, 0, hi + 1, 0, (_hi, number, value) => {
      const listed = new DirectoryValue(number, value);
      if (listed.flushNumber <= flushNumber) sequences.push(...listed.sequences);
      return undefined;
    });
    const take = (keyHi: number, keyLo: number, value: Uint8Array): void => {
      const arena = arenaOf(Uint8Array.from(value));
      verifyBlock(arena, 0, value.length, keyHi, keyLo);
      const group = blockGroup(arena, 0);
      for (let at = recordsStart(0); at < recordsEnd(arena, 0); at = nextRecord(arena, at)) {
        const version = versionAt(arena.view, at, { keyHi, keyLo });
        const isGone = keyHi === LEVEL_ZERO_KEY_HI && isConsumed(compaction, keyLo, group, version.partition);
        if (!isGone) versions.push(version);
      }
    };
    for (const sequence of sequences) {
      const value = snapshot.read(LEVEL_ZERO_KEY_HI, sequence);
      assert.ok(value !== undefined, `level-0 block ${sequence} is listed, so it is there`);
      take(LEVEL_ZERO_KEY_HI, sequence, value);
    }
    let levelOneBlocks = 0;
    snapshot.scan(LEVEL_ONE_KEY_HI_FIRST, 0, KEY_HI_END, 0, (keyHi, keyLo, value) => {
      levelOneBlocks += 1;
      take(keyHi, keyLo, value);
      return undefined;
    });
    return { versions, levelZeroBlocks: sequences.length, levelOneBlocks };
  } finally {
    snapshot.close();
  }
}

function versionAt(
  view: DataView,
  at: number,
  block: { readonly keyHi: number; readonly keyLo: number } | null,
): StoredVersion {
  const key = new Uint8Array(view.buffer, view.byteOffset + at + 48, readRecordKeyBytes(view, at));
  return {
    group: readRecordGroup(view, at),
    partition: readRecordDigestLo(view, at) & 4095,
    key: Buffer.from(key).toString(),
    eventTimeMicros: readRecordEventTime(view, at),
    commitTimeMicros: readRecordCommitTime(view, at),
    lsn: readRecordLsn(view, at),
    isDelete: readRecordKind(view, at) === KIND_DELETE,
    isHistoryOnly: (readRecordFlags(view, at) & FLAG_HISTORY_ONLY) !== 0,
    expirySeconds: readRecordExpirySeconds(view, at),
    block,
  };
}
