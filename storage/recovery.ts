/**
 * Brings a shard back: the index from the blocks, then what the journal holds beyond the checkpoint.
 *
 *   1  read the checkpoint; remove blocks and directories of a flush that did not finish
 *   2  read every block in key order, verify it, apply its records to the index (newest wins, in any order)
 *   3  replay the journal from the checkpoint's position into a fresh write buffer
 *
 * I1  Every acknowledged version is found: it is in a block at or below the checkpoint, or in the journal above it.
 * I2  A version is applied from one place only, so counters and buffers hold each record once.
 * I3  Partition clocks end above every LSN and commit time found.
 *
 * Steps 2 and 3 report progress; step 2 pauses between stretches so that a supervisor's messages get through.
 */
import { type Arena, arenaOf } from './arena.ts';
import { nextRecord, recordsEnd, recordsStart, verifyBlock } from './block.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  levelOneKeyHi,
} from './block-key.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { type BufferChunks, placeOf } from './buffer-chunks.ts';
import { CHECKPOINT_EMPTY, type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
import { WHERE_BUFFER, WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { IndexTouch } from './index-touch.ts';
import { RECOVERY_STRETCH_BLOCKS } from './limits.ts';
import type { PartitionClock } from './partition-clock.ts';
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

export class Recovery {
  /** Versions found in blocks. */
  blockVersions = 0;
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

  /** Steps 1 and 2; answers the checkpoint that the journal is replayed from. */
  async rebuild(): Promise<Checkpoint> {
    const { store } = this.options;
    const bytes = store.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
    const checkpoint = bytes === undefined ? CHECKPOINT_EMPTY : decodeCheckpoint(bytes);
    const next = await this.removeUnfinished(checkpoint);
    await this.applyRange(LEVEL_ZERO_KEY_HI, LEVEL_ZERO_KEY_HI + 1, WHERE_LEVEL_ZERO);
    await this.applyRange(levelOneKeyHi(1, 0), WORD_END, WHERE_LEVEL_ONE);
    return { ...checkpoint, ...next };
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

  /** Answers the counters from which on none was ever given out, those of what is removed included. */
  private async removeUnfinished(
    checkpoint: Checkpoint,
  ): Promise<{ nextSequence: number; nextDirectory: number }> {
    const removals: BlockKey[] = [];
    let { nextSequence, nextDirectory } = checkpoint;
    const collect = (keyHi: number, keyLo: number): undefined => {
      removals.push({ keyHi, keyLo });
      if (keyHi === LEVEL_ZERO_KEY_HI) nextSequence = Math.max(nextSequence, keyLo + 1);
      else nextDirectory = Math.max(nextDirectory, keyLo + 1);
    };
    const { store } = this.options;
    store.scan(LEVEL_ZERO_KEY_HI, checkpoint.nextSequence, LEVEL_ZERO_KEY_HI, WORD_END, collect);
    store.scan(
      LEVEL_ZERO_DIRECTORY_KEY_HI,
      checkpoint.nextDirectory,
      LEVEL_ZERO_DIRECTORY_KEY_HI,
      WORD_END,
      collect,
    );
    if (removals.length > 0) await store.write([], removals);
    return { nextSequence, nextDirectory };
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
    let touchedTo = recordsStart(0);
    for (let at = recordsStart(0); at < end; at = nextRecord(arena, at)) {
      if (at === touchedTo) touchedTo = this.touch.touch(arena, at, end);
      const localPartition = this.localPartition(readRecordDigestLo(arena.view, at));
      this.observe(localPartition, arena.view, at);
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
