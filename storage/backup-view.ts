/**
 * What a backup takes of a live shard's store: the keys and values of one committed state, while the store goes on.
 *
 * I1  The state is that of one LMDB snapshot, opened after a flush: everything acknowledged before the flush began is in it,
 *     and of each partition every version up to some LSN. Keys name values that never change, so the values may be read
 *     later, from any state that still has them: what is listed and read is what the snapshot held.
 * I2  Listed are the level-0 directories of finished flushes, the level-0 blocks that they name, and all of level 1.
 *     Blocks of a flush under way are not: a crash would free their numbers for other blocks.
 * I3  A value that is gone (compaction wrote its records anew, and removed it) is answered as gone. The client then takes
 *     another state and asks for what it lacks; in the end it asks for a pinned one, which nothing leaves.
 * I4  The snapshot pins pages while keys are listed; a pinned one until it is closed.
 *
 * Left to others: the flush before, time-outs, the wire (server/backup-service.ts).
 */
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  KEY_HI_END,
  KEY_LO_END,
  LEVEL_ONE_KEY_HI_FIRST,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  PARTITION_CLOCKS_KEY_HI,
  READ_POINT_KEY_HI,
} from './block-key.ts';
import type { BlockSnapshot, BlockStore } from './block-store.ts';
import { CHECKPOINT_EMPTY, decodeCheckpoint } from './checkpoint.ts';
import { DirectoryValue } from './level-zero-directory.ts';

/** The store's own values that a backup keeps, in the order of their keys. */
const META_KEY_HIGHS: readonly number[] = [
  CHECKPOINT_KEY_HI,
  PARTITION_CLOCKS_KEY_HI,
  COMPACTION_STATE_KEY_HI,
  READ_POINT_KEY_HI,
];

export interface MetaValue {
  readonly keyHi: number;
  readonly keyLo: number;
  readonly bytes: Uint8Array;
}

export class BackupView {
  readonly meta: readonly MetaValue[];
  private readonly store: BlockStore;
  private readonly isPinned: boolean;
  private snapshot: BlockSnapshot | undefined;
  /** Level-0 sequences and directory numbers, ascending, and how far they were listed. */
  private readonly sequences: Uint32Array;
  private readonly directories: Uint32Array;
  private listed = 0;
  private nextHi: number = LEVEL_ONE_KEY_HI_FIRST;
  private nextLo = 0;

  constructor(store: BlockStore, isPinned: boolean) {
    this.store = store;
    this.isPinned = isPinned;
    const snapshot = store.openSnapshot();
    this.snapshot = snapshot;
    this.meta = META_KEY_HIGHS.flatMap((keyHi) => {
      const bytes = snapshot.read(keyHi, CHECKPOINT_KEY_LO);
      return bytes === undefined ? [] : [{ keyHi, keyLo: CHECKPOINT_KEY_LO, bytes: bytes.slice() }];
    });
    const found = readDirectories(snapshot);
    this.sequences = Uint32Array.from(found.sequences).sort();
    this.directories = Uint32Array.from(found.directories);
  }

  /** Adds up to `countMax` keys, two words each, to `words`; true when there are no more. */
  list(words: number[], countMax: number): boolean {
    const end = words.length + 2 * countMax;
    const levelZero = this.sequences.length + this.directories.length;
    while (this.listed < levelZero && words.length < end) {
      const directory = this.listed - this.sequences.length;
      if (directory < 0) words.push(LEVEL_ZERO_KEY_HI, this.sequences[this.listed]!);
      else words.push(LEVEL_ZERO_DIRECTORY_KEY_HI, this.directories[directory]!);
      this.listed += 1;
    }
    if (words.length >= end || this.snapshot === undefined) return this.snapshot === undefined;
    let isLast = true;
    this.snapshot.keys(this.nextHi, this.nextLo, KEY_HI_END, KEY_LO_END, (keyHi, keyLo) => {
      if (words.length >= end) {
        this.nextHi = keyHi;
        this.nextLo = keyLo;
        isLast = false;
        return false;
      }
      words.push(keyHi, keyLo);
      return undefined;
    });
    if (isLast && !this.isPinned) this.close();
    return isLast;
  }

  /** The value of a key that was listed, or undefined when it is gone. Valid until the next read of this thread. */
  read(keyHi: number, keyLo: number): Uint8Array | undefined {
    return (this.isPinned && this.snapshot !== undefined ? this.snapshot : this.store).read(keyHi, keyLo);
  }

  close(): void {
    this.snapshot?.close();
    this.snapshot = undefined;
  }
}

/** Directories of finished flushes and the sequences that they name (I2). */
function readDirectories(snapshot: BlockSnapshot): { sequences: number[]; directories: number[] } {
  const bytes = snapshot.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
  const { flushNumber } = bytes === undefined ? CHECKPOINT_EMPTY : decodeCheckpoint(bytes);
  const sequences: number[] = [];
  const directories: number[] = [];
  const hi = LEVEL_ZERO_DIRECTORY_KEY_HI;
  snapshot.scan(hi, 0, hi, KEY_LO_END, (_keyHi, keyLo, value) => {
    const directory = new DirectoryValue(keyLo, value);
    if (directory.flushNumber > flushNumber) return undefined;
    directories.push(keyLo);
    for (const sequence of directory.sequences) sequences.push(sequence);
    return undefined;
  });
  return { sequences, directories };
}
