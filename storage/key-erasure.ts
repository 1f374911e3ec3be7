/**
 * Erases a key: every version of one key that was given an LSN before the erasure began leaves every file of the shard.
 *
 *   1  wait for what was accepted; note the partition's highest LSN        a later put is a new row, and stays
 *   2  flush                                                               nothing of the key is above the checkpoint
 *   3  index checkpoints are discarded, and none is begun before 4 is done: it would name versions that are gone
 *   4  compaction writes the unit anew without the versions, and removes the blocks that held them
 *   5  the journal goes on in a file of zeros; what lies below the checkpoint is deleted, not recycled
 *   6  the block store's free pages are written over: free-page-eraser.ts
 *
 * I1  Each step works on durable state, so a crash between two leaves fewer copies, never a version undeleted for good: the
 *     erasure is simply asked for again. It is done when a scan of all files finds nothing (server/erase-proof.ts).
 * I2  Reads and writes go on meanwhile, of the key's row too.
 *
 * Time: one sweep of level 0 (some 0.2–0.5 M versions a second), one rewrite of the unit, two flushes, and as many bytes written as the
 * block store has free. Left to others: backups, which expire.
 */
import type { BlockStore } from './block-store.ts';
import { overwriteFreePages } from './free-page-eraser.ts';
import { RECORD_HEADER_BYTES } from './limits.ts';
import {
  RECORD_DIGEST_HI_AT,
  RECORD_DIGEST_LO_AT,
  RECORD_KEY_BYTES_AT,
  readRecordGroup,
  readRecordLsn,
} from './record.ts';

export interface ErasedKey {
  readonly group: number;
  readonly partition: number;
  readonly digestLo: number;
  readonly digestHi: number;
  /** The encoded entity key. */
  readonly key: Uint8Array;
}

/** What of a shard an erasure works on. */
export interface ErasureParts {
  readonly store: BlockStore;
  settled(): Promise<void>;
  /** The highest LSN that the partition has given out. */
  highestLsn(): number;
  flush(): Promise<void>;
  /** Steps 3 and 4. */
  dropRecords(
    group: number,
    partition: number,
    isDropped: (view: DataView, at: number) => boolean,
  ): Promise<void>;
  /** Lets the journal go on in a new file, and deletes those that lie below the checkpoint. */
  renewJournal(): Promise<void>;
}

/** Answers the highest LSN that was erased: copies up to it are gone from what is read; `overwriteFreePages` may be asked again. */
export async function eraseKey(parts: ErasureParts, erased: ErasedKey): Promise<number> {
  await parts.settled();
  const lsnMax = parts.highestLsn();
  await parts.flush();
  await parts.dropRecords(erased.group, erased.partition, (view, at) => {
    return readRecordLsn(view, at) <= lsnMax && isRecordOf(erased, view, at);
  });
  await parts.renewJournal();
  await overwriteFreePages(parts.store);
  return lsnMax;
}

/** Whether the record at `at` is of this key. */
export function isRecordOf(erased: ErasedKey, view: DataView, at: number): boolean {
  const { group, digestLo, digestHi, key } = erased;
  if (
    view.getUint32(at + RECORD_DIGEST_LO_AT, true) !== digestLo ||
    view.getUint32(at + RECORD_DIGEST_HI_AT, true) !== digestHi ||
    readRecordGroup(view, at) !== group ||
    view.getUint16(at + RECORD_KEY_BYTES_AT, true) !== key.length
  ) {
    return false;
  }
  for (let index = 0; index < key.length; index++) {
    if (view.getUint8(at + RECORD_HEADER_BYTES + index) !== key[index]) return false;
  }
  return true;
}
