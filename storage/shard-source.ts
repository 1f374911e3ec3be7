/**
 * A shard's directory as a source of records, offline: everything that it counts, from blocks and from the journal's tail. Nothing
 * in the directory is changed.
 *
 * I1  What is given is what a start of the shard would find: level-0 blocks of finished flushes, level-1 blocks, and the
 *     journal's frames above the checkpoint. A damaged block, directory or frame stops it with BLOCK_CORRUPT or JOURNAL_CORRUPT.
 * I2  The caller holds the data directory's lock: nobody else writes.
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
import { type BlockStore, openBlockStore } from './block-store.ts';
import { CHECKPOINT_EMPTY, type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
import { loadChecksum } from './checksum.ts';
import { type CompactionState, decodeCompactionState } from './compaction-state.ts';
import type { Disk } from './environment.ts';
import { replayJournal } from './journal-replay.ts';
import { DirectoryValue } from './level-zero-directory.ts';
import { JOURNAL_SEGMENT_BYTES } from './limits.ts';
import type { RecordMover } from './record-mover.ts';
import { StorageError } from './storage-error.ts';

export interface ShardSourceOptions {
  readonly directory: string;
  /** Of the shard among those that its node has. */
  readonly index: number;
  readonly disk: Disk;
  /** After each bounded piece, with its bytes. */
  readonly onProgress: (bytes: number) => void;
}

/** Blocks read between two turns of the event loop. */
const PIECE_BLOCKS = 1024;

export async function openShardSource(options: ShardSourceOptions): Promise<ShardSource> {
  await loadChecksum();
  const { directory, disk } = options;
  const store = openBlockStore({ directory: `${directory}/blocks`, disk, readAhead: true });
  return new ShardSource(options, store);
}

export class ShardSource {
  readonly index: number;
  readonly meta: {
    readonly flushNumber: number;
    readonly state: CompactionState;
    readonly clocks: Uint8Array | undefined;
    readonly readPoint: Uint8Array | undefined;
  };
  private readonly checkpoint: Checkpoint;
  private readonly options: ShardSourceOptions;
  private readonly store: BlockStore;

  constructor(options: ShardSourceOptions, store: BlockStore) {
    this.options = options;
    this.store = store;
    const bytes = store.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
    this.checkpoint = bytes === undefined ? CHECKPOINT_EMPTY : decodeCheckpoint(bytes);
    this.index = options.index;
    this.meta = {
      flushNumber: this.checkpoint.flushNumber,
      state: decodeCompactionState(store.read(COMPACTION_STATE_KEY_HI, 1)),
      clocks: store.read(PARTITION_CLOCKS_KEY_HI, 1)?.slice(),
      readPoint: store.read(READ_POINT_KEY_HI, 1)?.slice(),
    };
  }

  /** Bytes of the store, free pages included: what a copy takes at most, and what progress counts against. */
  get bytes(): number {
    return this.store.sizeBytes();
  }

  /** Gives everything to `mover`. */
  async move(mover: RecordMover): Promise<void> {
    await this.moveLevelZero(mover);
    await this.moveLevelOne(mover);
    await this.moveJournal(mover);
  }

  close(): Promise<void> {
    return this.store.close();
  }

  private async moveLevelZero(mover: RecordMover): Promise<void> {
    const values: DirectoryValue[] = [];
    const hi = LEVEL_ZERO_DIRECTORY_KEY_HI;
    this.store.scan(hi, 0, hi, KEY_LO_END, (_keyHi, keyLo, bytes) => {
      const value = new DirectoryValue(keyLo, bytes);
      if (value.flushNumber <= this.checkpoint.flushNumber) values.push(value);
      return undefined;
    });
    for (const value of values) {
      let bytes = 0;
      for (const sequence of value.sequences) {
        const block = this.store.read(LEVEL_ZERO_KEY_HI, sequence);
        if (block === undefined) {
          throw new StorageError('BLOCK_CORRUPT', `level-0 block ${sequence} is listed, but missing`);
        }
        bytes += block.length;
        if (mover.addValue(this.meta.state, LEVEL_ZERO_KEY_HI, sequence, block)) await mover.drain();
      }
      this.options.onProgress(bytes);
      await mover.drain();
    }
  }

  private async moveLevelOne(mover: RecordMover): Promise<void> {
    let nextHi = LEVEL_ONE_KEY_HI_FIRST;
    let nextLo = 0;
    for (let isLast = false; !isLast; ) {
      isLast = true;
      let blocks = 0;
      let bytes = 0;
      this.store.scan(nextHi, nextLo, KEY_HI_END, KEY_LO_END, (keyHi, keyLo, value) => {
        if (blocks === PIECE_BLOCKS) {
          nextHi = keyHi;
          nextLo = keyLo;
          isLast = false;
          return false;
        }
        blocks += 1;
        bytes += value.length;
        mover.addValue(this.meta.state, keyHi, keyLo, value);
        return undefined;
      });
      this.options.onProgress(bytes);
      await mover.drain();
    }
  }

  /** The tail is as large as a write buffer: it is taken in one piece. */
  private async moveJournal(mover: RecordMover): Promise<void> {
    const { disk, directory } = this.options;
    replayJournal({
      disk,
      directory: `${directory}/journal`,
      segmentBytes: JOURNAL_SEGMENT_BYTES,
      fromPosition: this.checkpoint.journalPosition,
      onFrame: (bytes, offset, end, position) => {
        mover.addFrame(bytes, offset, end, position);
      },
    });
    await mover.drain();
  }
}
