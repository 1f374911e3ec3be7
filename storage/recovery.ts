/**
 * Brings a shard back: the index, and what the journal holds beyond the checkpoint.
 *
 *   1  read the checkpoint, the state of compaction, the clocks and the level-0 directory; remove the blocks and directories
 *      of a flush that did not finish
 *   2  load the index checkpoint, apply the blocks that are newer than it and take out what is in no block; or, without one, apply every block
 *   3  replay the journal from the checkpoint's position into a fresh write buffer
 *   4  see that every entry of the index has a place; if one has none, do as without an index checkpoint
 *
 *                       loaded ─▶ newer blocks ─▶ journal ─▶ all placed? ─ yes ─▶ done
 *   index checkpoint ──┤                                         │ no
 *                       none, too old, or any doubt ─▶ all blocks ─▶ journal
 *
 * I1  Every acknowledged version is found: it is in a block at or below the checkpoint, or in the journal above it.
 * I2  A version is applied from one place only, so counters and buffers hold each record once.
 * I3  Partition clocks end above every LSN and commit time found, and those that the last flush recorded.
 * I4  Both ways of step 2 end with the same index. What is gone from the blocks since the index checkpoint was begun is taken out
 *     of it (index-prune.ts): a deletion that compaction has dropped with the row that it hid leaves that row in an older checkpoint.
 *     `verifies` compares.
 *
 * Steps 2 and 3 report progress.
 */
import { strict as assert } from 'node:assert';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  PARTITION_CLOCKS_KEY_HI,
} from './block-key.ts';
import { BlockNumbers } from './block-numbers.ts';
import { BlockReplay, localPartitionOf } from './block-replay.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { type BufferChunks, placeOf, placeOffset, placeSlot } from './buffer-chunks.ts';
import { CHECKPOINT_EMPTY, type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
import { type CompactionState, decodeCompactionState } from './compaction-state.ts';
import type { Damage } from './damage.ts';
import type { Disk } from './environment.ts';
import type { IdempotencyWindows } from './idempotency-windows.ts';
import type { IndexCheckpointHeader } from './index-checkpoint-format.ts';
import { readIndexCheckpoint } from './index-checkpoint-reader.ts';
import { compareIndexes, hasUnplaced } from './index-compare.ts';
import { WHERE_BUFFER } from './index-entry.ts';
import { IndexTable } from './index-table.ts';
import { LevelZeroDirectory } from './level-zero-directory.ts';
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
import type { UnitTable } from './unit-table.ts';
import type { WriteBuffer } from './write-buffer.ts';

const PARTITION_MASK = 4095;

export interface RecoveryProgress {
  readonly phase: 'index' | 'blocks' | 'journal';
  /** Bytes so far, and in all where that is known (0 where not). */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface RecoveryOptions {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly disk: Disk;
  /** Where index checkpoints are. */
  readonly indexDirectory: string;
  /** With the kernel reading ahead, as reading all blocks wants it, or without, as lookups do. */
  readonly openStore: (readAhead: boolean) => BlockStore;
  readonly chunks: BufferChunks;
  readonly partitionClock: PartitionClock;
  /** Takes note of keyed records. */
  readonly windows: IdempotencyWindows;
  readonly damage: Damage;
  /** An empty table of level 1's units. */
  readonly emptyUnits: () => UnitTable;
  /** Builds the index a second time, from all blocks, and compares: slow, for tests and for finding mistakes. */
  readonly verifies: boolean;
  readonly pause: () => Promise<void>;
  readonly onProgress: (progress: RecoveryProgress) => void;
  /** Something that an operator may want to know. */
  readonly onNotice: (text: string) => void;
}

/** What steps 1 and 2 found: the journal is replayed from the checkpoint's position. */
export interface Recovered {
  readonly checkpoint: Checkpoint;
  readonly compaction: CompactionState;
  readonly numbers: BlockNumbers;
  readonly directory: LevelZeroDirectory;
}

export class Recovery {
  /** Final when `complete` has settled. */
  index: IndexTable;
  units: UnitTable;
  /** Open, also after a failure. */
  store: BlockStore;
  /** Versions in blocks. */
  blockVersions = 0;
  /** The index checkpoint that the index came from; undefined where it came from all blocks. */
  loaded: IndexCheckpointHeader | undefined;
  private readonly options: RecoveryOptions;
  private found: Recovered | undefined;
  private journalBytes = 0;

  constructor(options: RecoveryOptions) {
    this.options = options;
    this.store = options.openStore(false);
    this.index = this.emptyIndex();
    this.units = options.emptyUnits();
  }

  /** Steps 1 and 2. */
  async restore(): Promise<Recovered> {
    const { store } = this;
    const { partitionClock } = this.options;
    const bytes = store.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
    const checkpoint = bytes === undefined ? CHECKPOINT_EMPTY : decodeCheckpoint(bytes);
    const compaction = decodeCompactionState(store.read(COMPACTION_STATE_KEY_HI, 1));
    const clocks = store.read(PARTITION_CLOCKS_KEY_HI, 1);
    if (clocks !== undefined) observePartitionClocks(clocks, partitionClock);
    const directory = await this.readDirectory(checkpoint);
    const numbers = new BlockNumbers(checkpoint, compaction);
    this.found = { checkpoint, compaction, numbers, directory };
    if (!(await this.loadIndex(this.found))) await this.rebuild(this.found);
    return this.found;
  }

  /** Step 3, for one journal frame's records, which it copies into the write buffer. */
  replay(buffer: WriteBuffer, bytes: Uint8Array, offset: number, end: number, position: number): void {
    const { chunks } = this.options;
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
      applyRecord(this.index, localPartition, chunk.arena, to, WHERE_BUFFER, place, 0, this.units);
      at = next;
    }
    this.journalBytes += end - offset;
    this.options.onProgress({ phase: 'journal', doneBytes: this.journalBytes, totalBytes: 0 });
  }

  /** Step 4, when the journal has been replayed into `buffer`. */
  async complete(buffer: WriteBuffer): Promise<void> {
    const { localPartitionCount, onNotice, verifies } = this.options;
    const { found } = this;
    assert(found !== undefined, 'complete comes after restore');
    if (this.loaded === undefined) return;
    if (hasUnplaced(this.index, localPartitionCount)) {
      onNotice('the index checkpoint names versions that are nowhere: the index is built from the blocks');
      this.loaded = undefined;
      await this.rebuild(found);
      this.applyBuffer(this.index, buffer);
      return;
    }
    if (verifies) await this.verify(found, buffer);
  }

  /** False if there is no index checkpoint, or one that is not to be trusted or too old to be of use: the index is to be built. */
  private async loadIndex(found: Recovered): Promise<boolean> {
    const { disk, indexDirectory, pause, onProgress, onNotice } = this.options;
    const loaded = await readIndexCheckpoint({
      disk,
      directory: indexDirectory,
      index: this.index,
      misfit: (header) => this.misfitOf(header, found),
      onProgress: (doneBytes, totalBytes) => onProgress({ phase: 'index', doneBytes, totalBytes }),
      pause,
    });
    if (typeof loaded === 'string') {
      if (loaded !== '') onNotice(`the index checkpoint is not used: ${loaded}`);
      this.index = this.emptyIndex();
      return false;
    }
    if (loaded.units.length === 0 || !this.loadWindows(loaded.idempotency)) return false;
    this.units.decode(loaded.units);
    const replay = this.blockReplay(this.index, found, this.options.damage, this.units);
    if (!(await replay.applyNewer(loaded.header.nextSequence, loaded.header.nextCounter))) return false;
    this.loaded = loaded.header;
    this.blockVersions = loaded.header.versions + replay.versions;
    return true;
  }

  /** What was taken over before something is found malformed stays: it had its checksum, and windows have their bound. */
  private loadWindows(bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true;
    try {
      this.options.windows.decode(bytes);
      return true;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.options.onNotice(`the index checkpoint is not used: ${error.message}`);
      return false;
    }
  }

  private misfitOf(header: IndexCheckpointHeader, found: Recovered): string | undefined {
    const { shardIndex, shardCount } = this.options;
    const { checkpoint, numbers } = found;
    if (header.shardIndex !== shardIndex || header.shardCount !== shardCount) {
      return `it is of shard ${header.shardIndex} of ${header.shardCount}`;
    }
    const isAhead =
      header.flushNumber > checkpoint.flushNumber ||
      header.nextSequence > numbers.nextSequence ||
      header.nextCounter > numbers.nextCounter;
    return isAhead ? 'it is newer than the blocks' : undefined;
  }

  private async rebuild(found: Recovered): Promise<void> {
    this.index = this.emptyIndex();
    this.units = this.options.emptyUnits();
    await this.reopenStore(true);
    const replay = this.blockReplay(this.index, found, this.options.damage, this.units);
    await replay.applyAll();
    this.blockVersions = replay.versions;
    await this.reopenStore(false);
  }

  private async reopenStore(readAhead: boolean): Promise<void> {
    await this.store.close();
    this.store = this.options.openStore(readAhead);
  }

  private async verify(found: Recovered, buffer: WriteBuffer): Promise<void> {
    const { damage } = this.options;
    this.index.verify();
    const reference = this.emptyIndex();
    await this.blockReplay(reference, found, damage).applyAll();
    this.applyBuffer(reference, buffer);
    const difference = compareIndexes(this.index, reference, {
      ...this.options,
      store: this.store,
      compaction: found.compaction,
    });
    if (difference !== undefined && damage.isNone) {
      this.options.onNotice(`the index checkpoint differs from the blocks: ${difference}`);
      assert.fail(`an index from a checkpoint is the one from all blocks: ${difference}`);
    }
  }

  private blockReplay(index: IndexTable, found: Recovered, damage: Damage, units?: UnitTable): BlockReplay {
    const { shardIndex, shardCount, localPartitionCount, partitionClock, windows, pause, onProgress } =
      this.options;
    return new BlockReplay({
      shardIndex,
      shardCount,
      localPartitionCount,
      store: this.store,
      index,
      partitionClock,
      windows,
      compaction: found.compaction,
      directory: found.directory,
      damage,
      ...(units === undefined ? {} : { units }),
      pause,
      onProgress: (doneBytes, totalBytes) => onProgress({ phase: 'blocks', doneBytes, totalBytes }),
    });
  }

  /** What the journal's replay did for the index, for another one. */
  private applyBuffer(index: IndexTable, buffer: WriteBuffer): void {
    const { chunks } = this.options;
    for (let record = 0; record < buffer.count; record += 1) {
      const place = buffer.places[record] as number;
      const { arena } = chunks.chunk(placeSlot(place));
      const at = placeOffset(place);
      const localPartition = this.localPartition(readRecordDigestLo(arena.view, at));
      applyRecord(index, localPartition, arena, at, WHERE_BUFFER, place, 0);
    }
  }

  /** The values of finished flushes and of sweeps; removes the others, with the blocks that they list. */
  private async readDirectory(checkpoint: Checkpoint): Promise<LevelZeroDirectory> {
    const { store } = this;
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

  private observe(localPartition: number, view: DataView, at: number): void {
    const { partitionClock, windows } = this.options;
    partitionClock.observe(localPartition, readRecordLsn(view, at), readRecordCommitTime(view, at));
    windows.observe(localPartition, view, at);
  }

  private emptyIndex(): IndexTable {
    return new IndexTable({ partitionCount: this.options.localPartitionCount });
  }

  private localPartition(digestLo: number): number {
    const { shardIndex, shardCount } = this.options;
    return localPartitionOf(digestLo & PARTITION_MASK, shardIndex, shardCount);
  }
}
