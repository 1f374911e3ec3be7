/**
 * One shard's store, as its owner sees it: the door of storage/ for lookups and writes.
 *
 *   write ─▶ write-path ─▶ journal          read ─▶ read-path ─▶ index ─▶ write buffer | block cache ─▶ LMDB
 *                └▶ index, write buffer ─▶ flush ─▶ level-0 blocks, checkpoint ─▶ journal recycled
 *
 * I1  All of it runs on one thread; nothing here is shared with another.
 * I2  While the write buffer is full and its flush is behind, `pressure` asks callers to hold writes back, and later they
 *     are refused (flush-cycle.ts).
 * I3  After a fatal error (journal, flush, sync) nothing is acknowledged; `onFatal` was called once.
 *
 * Threads, sockets, schemas and rows' contents are the server's business.
 */
import type { KeyBatch } from '../protocol/index.ts';
import type { ArenaTable } from './arena.ts';
import { BlockCache } from './block-cache.ts';
import { collectBuffered } from './buffered-versions.ts';
import { ColdBlocks } from './cold-blocks.ts';
import { COMPACTION_SETTINGS_DEFAULT, Compaction } from './compaction.ts';
import type { DamagedBlock } from './damage.ts';
import { FlushCycle } from './flush-cycle.ts';
import { overwriteFreePages } from './free-page-eraser.ts';
import { SECTION_IDEMPOTENCY, SECTION_UNITS } from './index-checkpoint-format.ts';
import { IndexCheckpoints, type SettledNumbers } from './index-checkpoints.ts';
import { type ErasedKey, eraseKey } from './key-erasure.ts';
import { BLOCK_BYTES, WRITE_PRESSURE_BYTES } from './limits.ts';
import { MemoryBudget } from './memory-budget.ts';
import type { ReadBatch } from './read-batch.ts';
import { ReadPath } from './read-path.ts';
import { ReadPoint } from './read-point.ts';
import { SealClock } from './seal-clock.ts';
import { pauseOf, type ShardStatus, type ShardStoreOptions } from './shard-options.ts';
import { openShardParts, type ShardParts } from './shard-parts.ts';
import { type CorruptBlock, StorageError } from './storage-error.ts';
import type { RecordFilter } from './sweep-fate.ts';
import { WritePath } from './write-path.ts';
import type { WriteRequest } from './write-request.ts';

export async function openShardStore(options: ShardStoreOptions): Promise<ShardStore> {
  return new ShardStore(options, await openShardParts(options));
}

export class ShardStore {
  readonly arenas: ArenaTable;
  private readonly options: ShardStoreOptions;
  private readonly parts: ShardParts;
  private readonly blocks: ColdBlocks;
  private readonly cache: BlockCache;
  private readonly reads: ReadPath;
  private readonly budget: MemoryBudget;
  private readonly writes: WritePath;
  private readonly readPoint: ReadPoint;
  private readonly cycle: FlushCycle;
  private readonly indexCheckpoints: IndexCheckpoints;
  private readonly compaction: Compaction;
  private readonly sealClock: SealClock = new SealClock();
  private versions: number;
  private isFailed = false;
  private isClosing = false;

  constructor(options: ShardStoreOptions, parts: ShardParts) {
    this.options = options;
    this.parts = parts;
    this.arenas = parts.arenas;
    this.versions = parts.versions;
    const { store, arenas, chunks, index, journal, partitionClock } = parts;
    const { shardCount, clock, schedule } = options;
    this.blocks = new ColdBlocks({
      store,
      timerMicros: options.timerMicros ?? ((): number => 0),
      schedule,
      isWriting: () => this.writes.pendingBytes > 0,
    });
    this.cache = new BlockCache({
      budgetBytes: options.cacheBytes,
      arenas,
      read: (keyHi, keyLo) => this.blocks.read(keyHi, keyLo),
    });
    this.reads = new ReadPath({ shardCount, arenas, chunks, cache: this.cache, blocks: this.blocks, index });
    this.budget = new MemoryBudget({
      indexBytesMax: options.indexBytesMax || Number.POSITIVE_INFINITY,
      index,
      pendingBytes: () => this.writes.pendingBytes,
      besideBytes: () => parts.windows.bytes + parts.units.heldBytes + parts.levelZero.bytes,
    });
    this.writes = new WritePath({
      shardCount,
      localPartitionCount: parts.localPartitionCount,
      chunks,
      arenas,
      index,
      units: parts.units,
      partitionClock,
      windows: parts.windows,
      clock,
      journal,
      policies: options.policies,
      mayInsert: () => this.budget.mayInsert(),
      readBases: (group, keys, nowSeconds, batch, done) =>
        this.readCold(group, keys, nowSeconds, batch, done),
      delay: options.delay,
      schedule,
      activeBuffer: () => this.cycle.active,
      onApplied: (records) => {
        this.versions += records;
        this.cycle.consider();
      },
      onFatal: (error) => this.fail(error),
    });
    this.cycle = new FlushCycle({
      localPartitionCount: parts.localPartitionCount,
      writeBufferBytes: options.writeBufferBytes,
      flush: parts.flush,
      journal,
      buffer: parts.buffer,
      appliedPosition: () => this.writes.appliedPosition,
      sealedMicros: () => this.sealClock.sealedMicros(clock.nowMicros()),
      onFlushed: () => {
        this.writes.retry();
        this.indexCheckpoints.consider();
        this.compaction.consider();
      },
      onFatal: (error) => this.fail(error),
    });
    this.indexCheckpoints = new IndexCheckpoints({
      ...options,
      directory: `${options.directory}/index`,
      localPartitionCount: parts.localPartitionCount,
      index,
      settled: () => this.settledNumbers(),
      values: () => [
        { kind: SECTION_IDEMPOTENCY, bytes: this.writes.encodeWindows() },
        { kind: SECTION_UNITS, bytes: parts.units.encode() },
      ],
      loaded: parts.indexCheckpoint,
      onFailed: (error) => options.onNotice?.(`no index checkpoint was written: ${error.message}`),
    });
    this.compaction = this.openCompaction();
    this.readPoint = new ReadPoint({ store, clock, partitionClock, settled: () => this.writes.settled() });
    // The journal's tail may have filled the buffer that it was replayed into.
    this.cycle.consider();
  }

  /**
   * Writes the request's rows, those that are not refused one by one. `done(null)` follows when they are visible and, unless
   * the group's durability is 'memory', durable; `done(error)` when it is not known whether they are, or, STORAGE_FULL and
   * BLOCK_CORRUPT, when they are not. Throws when nothing was written: SHUTTING_DOWN, OVERLOADED, STORAGE_FULL,
   * GROUP_NOT_FOUND, BLOCK_CORRUPT.
   */
  write(request: WriteRequest, done: (error: StorageError | null) => void): void {
    if (this.cycle.isOverfull) {
      throw new StorageError('OVERLOADED', 'write refused: the write buffer is full and its flush is behind');
    }
    this.parts.watch.admitKeys(request.group, request.keys);
    this.parts.guard.admit(this.parts.store, request.payload.length);
    const epoch = this.sealClock.begin();
    try {
      this.writes.write(request, (error) => {
        this.sealClock.end(epoch);
        done(error);
      });
    } catch (error) {
      this.sealClock.end(epoch);
      throw error;
    }
  }

  /**
   * Finds the live rows of `keys` (whose digests are filled, and all of whose partitions are this shard's). Deleted,
   * expired and unknown keys are RECORD_MISSING. Places hold until the next call of any kind.
   */
  read(group: number, keys: KeyBatch, nowSeconds: number, batch: ReadBatch): void {
    const { watch } = this.parts;
    watch.admitKeys(group, keys);
    try {
      this.reads.read(group, keys, nowSeconds, batch);
    } catch (error) {
      throw watch.noted(error);
    }
  }

  /**
   * `read` without waiting for the device in this turn. True: `batch` has places for the first `batch.count` keys, at least one
   * (all, unless large rows make it much for a turn; ask for the rest in another). False: their blocks are being fetched,
   * `done` is called once, in a later turn, with null when a repeat of the call will find them (keep the keys), with an
   * error when the store closes; without `done` nothing is fetched. Throws OVERLOADED when too many wait, BLOCK_CORRUPT.
   */
  tryRead(
    group: number,
    keys: KeyBatch,
    nowSeconds: number,
    batch: ReadBatch,
    done: ((error: StorageError | null) => void) | null,
  ): boolean {
    const { watch } = this.parts;
    watch.admitKeys(group, keys);
    try {
      if (this.reads.tryRead(group, keys, nowSeconds, batch)) return true;
    } catch (error) {
      throw watch.noted(error);
    }
    if (done !== null) this.blocks.fetch(done);
    return false;
  }

  /** `tryRead` for callers that want all places at once, or BATCH_TOO_LARGE. */
  readCold(
    group: number,
    keys: KeyBatch,
    nowSeconds: number,
    batch: ReadBatch,
    done: (error: StorageError | null) => void,
  ): boolean {
    if (!this.tryRead(group, keys, nowSeconds, batch, done)) return false;
    if (batch.count < keys.count) this.read(group, keys, nowSeconds, batch);
    return true;
  }

  /** True while so many reads wait for the device that no more should be taken on. */
  get readPressure(): boolean {
    return this.blocks.isBusy;
  }

  /**
   * Closes a read point: answers a commit time up to which reads always see the same versions, `atLeastMicros` or later.
   * Rejects when the shard fails.
   */
  async closeReadPoint(atLeastMicros: number = 0): Promise<number> {
    if (this.isClosing)
      throw new StorageError('SHUTTING_DOWN', 'no read point is closed: the shard is closing');
    try {
      return await this.readPoint.close(atLeastMicros);
    } catch (error) {
      if (error instanceof StorageError) this.fail(error);
      throw error;
    }
  }

  /** Throws READ_POINT_INVALID for a read point that this shard has not closed. */
  assertReadPoint(readPointMicros: number): void {
    this.readPoint.assertClosed(readPointMicros);
  }

  /** For a scan: the versions that blocks up to `flushNumber` do not hold. Copied. */
  bufferedVersions(group: number, partitions: Uint16Array): { flushNumber: number; bytes: Uint8Array } {
    const { chunks, flush, watch } = this.parts;
    watch.admitPartitions(group, partitions);
    const bytes = collectBuffered(this.cycle.generations, chunks, this.options.shardCount, group, partitions);
    return { flushNumber: flush.checkpoint.flushNumber, bytes };
  }

  /** True while writers should be held back: both generations are full, or the journal is behind. */
  get pressure(): boolean {
    return this.cycle.isFull || this.compaction.pressure || this.writes.pendingBytes >= WRITE_PRESSURE_BYTES;
  }

  status(): ShardStatus {
    const { index, store, journal, chunks, localPartitionCount, watch } = this.parts;
    return {
      partitions: localPartitionCount,
      rows: index.rowCount,
      versions: this.versions,
      indexBytes: index.bytes,
      indexBytesMax: this.options.indexBytesMax ?? 0,
      writeBufferBytes: chunks.bytesHeld,
      writeBufferRecords: this.cycle.generations.reduce((sum, { count }) => sum + count, 0),
      pendingWriteBytes: this.writes.pendingBytes,
      cacheBytes: this.cache.bytes,
      cacheHits: this.cache.hits,
      cacheMisses: this.cache.misses,
      blockReadsWaiting: this.blocks.keysWaiting,
      blockReadsWaitingMost: this.blocks.keysWaitingMost,
      blocksFetched: this.blocks.fetched,
      fetches: store.prefetches.begun,
      fetchesBeside: store.prefetches.begunBeside,
      readsWaited: this.blocks.waits,
      readsAlone: this.blocks.alone,
      blockFileBytes: store.sizeBytes(),
      journalBytes: journal.bytesHeld,
      flushes: this.cycle.count,
      indexCheckpoints: this.indexCheckpoints.count,
      damagedBlocks: watch.damage.blockCount,
      damagedUnits: watch.damage.damagedUnits,
      damagedGroup: watch.damage.list()[0]?.group ?? 0,
      damagedPartition: watch.damage.list()[0]?.partitionMin ?? 0,
      ...this.compaction.status(),
    };
  }

  /** To be called every second or so: begins what is due by time. */
  tick(): void {
    this.budget.refresh();
    this.indexCheckpoints.consider();
    this.compaction.consider();
  }

  /** A reader in another thread has found a block damaged: what it held is not served any more. */
  reportDamage(block: CorruptBlock): void {
    this.parts.watch.report(block);
  }

  /** The first of the blocks that are damaged. */
  damagedBlocks(): readonly DamagedBlock[] {
    return this.parts.watch.damage.list();
  }

  /** Compacts everything that flushes have written so far. */
  compact(): Promise<void> {
    return this.compaction.sweepNow();
  }

  /**
   * Removes the versions of a group's partition for which `isDropped` answers true from all blocks; resolves when the blocks
   * that held them are gone. What is not flushed stays: `flush` first. The index checkpoint is discarded, since it names them.
   */
  dropRecords(group: number, partition: number, isDropped: RecordFilter): Promise<void> {
    return this.indexCheckpoints.without(() => this.compaction.dropRecords(group, partition, isDropped));
  }

  /**
   * Removes every version of a key that was accepted so far from every file; answers the highest LSN of its partition then.
   * Rejects when compaction or the store has stopped.
   */
  eraseKey(erased: ErasedKey): Promise<number> {
    const { store, journal, flush, partitionClock } = this.parts;
    return eraseKey(
      {
        store,
        settled: () => this.writes.settled(),
        highestLsn: () => partitionClock.lsn((erased.partition / this.options.shardCount) | 0),
        flush: () => this.cycle.flush(),
        dropRecords: (group, partition, isDropped) => this.dropRecords(group, partition, isDropped),
        renewJournal: async () => {
          await journal.renew();
          await this.writes.settled();
          await this.cycle.flush();
          journal.recycleBefore(flush.checkpoint.journalPosition);
          await journal.discardSpares();
        },
      },
      erased,
    );
  }

  /** Writes over what the block store has freed: again, when a reader held old pages at the time of `eraseKey`. */
  overwriteFreePages(): Promise<void> {
    return overwriteFreePages(this.parts.store);
  }

  /** Moves everything durable so far into blocks. */
  flush(): Promise<void> {
    return this.cycle.flush();
  }

  /**
   * Waits for accepted writes, flushes, and closes the files. Refuses writes from the first turn on. What a full device
   * has no room for stays in the journal.
   */
  async close(): Promise<void> {
    this.blocks.close();
    this.isClosing = true;
    this.parts.guard.close();
    const drained = this.writes.drain();
    await this.compaction.stop();
    await drained;
    await this.readPoint.idle();
    await this.flush();
    await this.indexCheckpoints.writeLast();
    await this.indexCheckpoints.stop();
    await this.parts.journal.close();
    await this.parts.store.close();
  }

  /**
   * Nothing is on its way into blocks: those that come get numbers from these on. While a block is damaged the index may lack what it
   * held, and a start from a checkpoint of it would not read the block and know: then there is no checkpoint.
   */
  private settledNumbers(): SettledNumbers | undefined {
    const { flush, numbers, watch } = this.parts;
    if (!watch.damage.isNone) return undefined;
    if (this.isFailed || this.cycle.isFlushing || !this.compaction.isBetweenSteps) return undefined;
    const { nextSequence, nextCounter } = numbers;
    const versions = this.versions - this.cycle.active.count;
    return { flushNumber: flush.checkpoint.flushNumber, nextSequence, nextCounter, versions };
  }

  private openCompaction(): Compaction {
    const { options, parts, cycle } = this;
    const { flush } = parts;
    return new Compaction({
      ...parts,
      settings: { ...COMPACTION_SETTINGS_DEFAULT, ...options.compaction },
      shardIndex: options.shardIndex,
      shardCount: options.shardCount,
      generationBytes: options.writeBufferBytes / 2,
      directory: parts.levelZero,
      damage: parts.watch.damage,
      policies: options.policies,
      clock: options.clock,
      timerMicros: options.timerMicros ?? ((): number => 0),
      state: parts.compaction,
      blockFillBytes: options.blockFillBytes ?? BLOCK_BYTES,
      flushNumber: () => flush.checkpoint.flushNumber,
      isFlushing: () => cycle.isFlushing,
      sealedMicros: () => cycle.flushedMicros,
      pause: pauseOf(options),
      sleep: options.delay,
      onVersionsDropped: (count) => {
        this.versions -= count;
      },
      onFatal: (error) => this.fail(error),
    });
  }

  private fail(error: StorageError): void {
    if (this.isFailed) return;
    this.isFailed = true;
    this.cycle.stop();
    // A flush that found no room wrote nothing, and the journal has it all.
    if (this.isClosing && error.code === 'STORAGE_FULL') return;
    this.options.onFatal(error);
  }
}
