/**
 * Brings a shard back: the index from the blocks, then what the journal holds beyond the checkpoint.
 *
 *   1  read the checkpoint, the state of compaction, the clocks and the level-0 directory; remove the blocks and directories
 *      of a flush that did not finish
 *   2  read every block in key order, verify it, apply its records to the index (newest wins, in any order), except those
 *      that a sweep under way has consumed
 *   3  replay the journal from the checkpoint's position into a fresh write buffer
 *
 * I1  Every acknowledged version is found: it is in a block at or below the checkpoint, or in the journal above it.
 * I2  A version is applied from one place only, so counters and buffers hold each record once.
 * I3  Partition clocks end above every LSN and commit time found, and those that the last flush recorded.
 *
 * Steps 2 and 3 report progress; step 2 pauses between stretches so that a supervisor's messages get through.
 */
import { type Arena, arenaOf } from './arena.ts';
import { blockGroup, nextRecord, recordsEnd, recordsStart, verifyBlock } from './block.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  levelOneKeyHi,
  PARTITION_CLOCKS_KEY_HI,
} from './block-key.ts';
import { BlockNumbers } from './block-numbers.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { type BufferChunks, placeOf } from './buffer-chunks.ts';
import { CHECKPOINT_EMPTY, type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
import {
  COMPACTION_STATE_EMPTY,
  type CompactionState,
  decodeCompactionState,
  isConsumed,
} from './compaction-state.ts';
import { WHERE_BUFFER, WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { IndexTouch } from './index-touch.ts';
import { LevelZeroDirectory } from './level-zero-directory.ts';
import { RECOVERY_STRETCH_BLOCKS } from './limits.ts';
import type { PartitionClock } from './partition-clock.ts';
import { observePartitionClocks } from './partition-clocks-value.ts';
import {
  RECORD_MALFORMED,
  readRecordBytes,
  readRecordCommitTime,
  readRecordDigestLo,
  readRecordGroup,
  readRecordLsn,
  verifyRecord,
} from './record.ts';
import { applyRecord } from './row-index.ts';
import { StorageError } from './storage-error.ts';
import type { WriteBuffer } from './write-buffer.ts';

const PARTITION_MASK = 4095;
/** Above every counter, and every high word. */
const WORD_END = 2 ** 32 - 1;

export interface RecoveryProgress {
  readonly phase: 'blocks' | 'journal';
  /** Bytes so far, and in all where that is known (0 where not). */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface RecoveryOptions {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly store: BlockStore;
  readonly index: IndexTable;
  readonly chunks: BufferChunks;
  readonly partitionClock: PartitionClock;
  readonly pause: () => Promise<void>;
  readonly onProgress: (progress: RecoveryProgress) => void;
}

/** What steps 1 and 2 found: the journal is replayed from the checkpoint's position. */
export interface Rebuilt {
  readonly checkpoint: Checkpoint;
  readonly compaction: CompactionState;
  readonly numbers: BlockNumbers;
  readonly directory: LevelZeroDirectory;
}

export class Recovery {
  /** Versions found in blocks. */
  blockVersions = 0;
  private compaction: CompactionState = COMPACTION_STATE_EMPTY;
  private readonly options: RecoveryOptions;
  private readonly touch: IndexTouch;
  private readonly totalBytes: number;
  private doneBytes = 0;
  private journalBytes = 0;
  private scratch: Arena = arenaOf(new Uint8Array(64 * 1024));

  constructor(options: RecoveryOptions) {
    this.options = options;
    this.touch = new IndexTouch(options.index, options.shardCount);
    this.totalBytes = options.store.sizeBytes();
  }

  /** Steps 1 and 2. */
  async rebuild(): Promise<Rebuilt> {
    const { store, partitionClock } = this.options;
    const bytes = store.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
    const checkpoint = bytes === undefined ? CHECKPOINT_EMPTY : decodeCheckpoint(bytes);
    this.compaction = decodeCompactionState(store.read(COMPACTION_STATE_KEY_HI, 1));
    const clocks = store.read(PARTITION_CLOCKS_KEY_HI, 1);
    if (clocks !== undefined) observePartitionClocks(clocks, partitionClock);
    const directory = await this.readDirectory(checkpoint);
    await this.applyRange(LEVEL_ZERO_KEY_HI, LEVEL_ZERO_KEY_HI + 1, WHERE_LEVEL_ZERO);
    await this.applyRange(levelOneKeyHi(1, 0), WORD_END, WHERE_LEVEL_ONE);
    const { compaction } = this;
    return { checkpoint, compaction, numbers: new BlockNumbers(checkpoint, compaction), directory };
  }

  /** Step 3, for one journal frame's records, which it copies into the write buffer. */
  replay(buffer: WriteBuffer, bytes: Uint8Array, offset: number, end: number, position: number): void {
    const { chunks, index } = this.options;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = offset; at < end; ) {
      const next = verifyRecord(view, at, end);
      if (next === RECORD_MALFORMED) {
        throw new StorageError(
          'JOURNAL_CORRUPT',
          `journal frame at position ${position}: malformed record at byte ${at - offset} of its body`,
        );
      }
      const recordBytes = readRecordBytes(view, at);
      const localPartition = this.localPartition(readRecordDigestLo(view, at));
      const chunk = chunks.reserve(recordBytes);
      const to = chunk.usedBytes - recordBytes;
      chunk.arena.bytes.set(bytes.subarray(at, next), to);
      const place = placeOf(chunk.slot, to);
      buffer.add(localPartition, readRecordGroup(view, at), place, recordBytes);
      this.observe(localPartition, view, at);
      applyRecord(index, localPartition, chunk.arena, to, WHERE_BUFFER, place, 0);
      at = next;
    }
    this.journalBytes += end - offset;
    this.options.onProgress({ phase: 'journal', doneBytes: this.journalBytes, totalBytes: 0 });
  }

  /** The values of finished flushes and of sweeps; removes the others, with the blocks that they list. */
  private async readDirectory(checkpoint: Checkpoint): Promise<LevelZeroDirectory> {
    const { store } = this.options;
    const directory = new LevelZeroDirectory();
    const removals: BlockKey[] = [];
    const hi = LEVEL_ZERO_DIRECTORY_KEY_HI;
    store.scan(hi, 0, hi + 1, 0, (keyHi, keyLo, bytes) => {
      const value = directory.add(keyLo, bytes);
      if (value.flushNumber <= checkpoint.flushNumber) return undefined;
      directory.remove(keyLo);
      for (const sequence of value.sequences) removals.push({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: sequence });
      removals.push({ keyHi, keyLo });
      return undefined;
    });
    if (removals.length > 0) await store.write([], removals);
    return directory;
  }

  private async applyRange(fromHi: number, toHi: number, where: number): Promise<void> {
    let nextHi = fromHi;
    let nextLo = 0;
    let isComplete = false;
    while (!isComplete) {
      isComplete = true;
      let blocks = 0;
      this.options.store.scan(nextHi, nextLo, toHi, 0, (keyHi, keyLo, bytes) => {
        if (blocks === RECOVERY_STRETCH_BLOCKS) {
          nextHi = keyHi;
          nextLo = keyLo;
          isComplete = false;
          return false;
        }
        blocks += 1;
        this.applyBlock(keyHi, keyLo, bytes, where);
        return undefined;
      });
      this.options.onProgress({ phase: 'blocks', doneBytes: this.doneBytes, totalBytes: this.totalBytes });
      await this.options.pause();
    }
  }

  private applyBlock(keyHi: number, keyLo: number, bytes: Uint8Array, where: number): void {
    if (this.scratch.bytes.length < bytes.length) {
      this.scratch = arenaOf(new Uint8Array(2 * bytes.length));
    }
    const arena = this.scratch;
    arena.bytes.set(bytes, 0);
    verifyBlock(arena, 0, bytes.length, keyHi, keyLo);
    const end = recordsEnd(arena, 0);
    const group = blockGroup(arena, 0);
    const isSource = where === WHERE_LEVEL_ZERO && keyLo < this.compaction.sourceEnd;
    let touchedTo = recordsStart(0);
    for (let at = recordsStart(0); at < end; at = nextRecord(arena, at)) {
      if (at === touchedTo) touchedTo = this.touch.touch(arena, at, end);
      const digestLo = readRecordDigestLo(arena.view, at);
      const localPartition = this.localPartition(digestLo);
      this.observe(localPartition, arena.view, at);
      if (isSource && isConsumed(this.compaction, keyLo, group, digestLo & PARTITION_MASK)) continue;
      applyRecord(this.options.index, localPartition, arena, at, where, keyLo, at);
      this.blockVersions += 1;
    }
    this.doneBytes += bytes.length;
  }

  private observe(localPartition: number, view: DataView, at: number): void {
    const { partitionClock } = this.options;
    partitionClock.observe(localPartition, readRecordLsn(view, at), readRecordCommitTime(view, at));
  }

  private localPartition(digestLo: number): number {
    const { shardIndex, shardCount } = this.options;
    const partition = digestLo & PARTITION_MASK;
    if (partition % shardCount !== shardIndex) {
      throw new StorageError(
        'DATA_DIRECTORY_INVALID',
        `shard ${shardIndex} of ${shardCount} holds a record of partition ${partition}, which is another shard's`,
      );
    }
    return (partition / shardCount) | 0;
  }
}
