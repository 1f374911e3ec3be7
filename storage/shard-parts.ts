/**
 * Opens the files of a shard and brings its memory back: everything that a ShardStore is then put together from.
 *
 *   block store, guarded against a full device ─▶ recovery: index, clocks, windows, units ─▶ journal ─▶ flush
 *
 * I1  What fails to open leaves nothing open.
 */
import { ArenaTable } from './arena.ts';
import type { BlockNumbers } from './block-numbers.ts';
import { type BlockStore, type BlockStoreOptions, openBlockStore } from './block-store.ts';
import { BufferChunks } from './buffer-chunks.ts';
import { loadChecksum } from './checksum.ts';
import type { CompactionState } from './compaction-state.ts';
import { Damage } from './damage.ts';
import { DamageWatch } from './damage-watch.ts';
import { Flush } from './flush.ts';
import { removeFillers } from './free-page-eraser.ts';
import { IdempotencyWindows } from './idempotency-windows.ts';
import type { IndexCheckpointHeader } from './index-checkpoint-format.ts';
import type { IndexTable } from './index-table.ts';
import { type Journal, openJournal } from './journal.ts';
import { isDeviceFull } from './journal-supply.ts';
import type { LevelZeroDirectory } from './level-zero-directory.ts';
import { BLOCK_BYTES, JOURNAL_SEGMENT_BYTES, PARTITION_COUNT } from './limits.ts';
import { PartitionClock } from './partition-clock.ts';
import { Recovery, type RecoveryOptions } from './recovery.ts';
import { pauseOf, type ShardStoreOptions } from './shard-options.ts';
import { SpaceGuard, spaceReserveBytes } from './space-guard.ts';
import { StorageError } from './storage-error.ts';
import { UnitTable } from './unit-table.ts';
import { WriteBuffer } from './write-buffer.ts';

export interface ShardParts {
  readonly localPartitionCount: number;
  readonly store: BlockStore;
  readonly guard: SpaceGuard;
  readonly arenas: ArenaTable;
  readonly chunks: BufferChunks;
  readonly index: IndexTable;
  readonly partitionClock: PartitionClock;
  readonly windows: IdempotencyWindows;
  readonly journal: Journal;
  readonly flush: Flush;
  readonly numbers: BlockNumbers;
  readonly levelZero: LevelZeroDirectory;
  readonly units: UnitTable;
  /** As the start found it. */
  readonly compaction: CompactionState;
  readonly watch: DamageWatch;
  /** What the index was loaded from. */
  readonly indexCheckpoint: IndexCheckpointHeader | undefined;
  readonly buffer: WriteBuffer;
  readonly versions: number;
}

/** Throws DATA_DIRECTORY_INVALID, DATA_DIRECTORY_NEWER, JOURNAL_CORRUPT, STORAGE_FULL. */
export async function openShardParts(options: ShardStoreOptions): Promise<ShardParts> {
  await loadChecksum();
  const { directory, disk, shardIndex, shardCount } = options;
  const localPartitionCount = Math.ceil((PARTITION_COUNT - shardIndex) / shardCount);
  disk.makeDirectory(`${directory}/blocks`);
  const guard = openGuard(options);
  const arenas = new ArenaTable();
  const chunks = new BufferChunks(arenas, options.writeBufferBytes / 2);
  const damage = new Damage(options.onDamage);
  const partitionClock = new PartitionClock(localPartitionCount);
  const windows = new IdempotencyWindows(localPartitionCount);
  const buffer = new WriteBuffer(localPartitionCount);
  const pause = pauseOf(options);
  const openStore = storeOpener(options, guard);
  const emptyUnits = (): UnitTable => new UnitTable(localPartitionCount, options.policies);
  const recovery = recoveryOf(options, {
    localPartitionCount,
    openStore,
    chunks,
    partitionClock,
    windows,
    damage,
    emptyUnits,
  });
  try {
    const { checkpoint, compaction, numbers, directory: levelZero } = await recovery.restore();
    const journal = await openJournal({
      disk,
      random: options.random,
      directory: `${directory}/journal`,
      fromPosition: checkpoint.journalPosition,
      segmentBytes: options.journalSegmentBytes ?? JOURNAL_SEGMENT_BYTES,
      onFrame: (bytes, offset, end, position) => recovery.replay(buffer, bytes, offset, end, position),
    });
    await recovery.complete(buffer);
    await removeFillers(recovery.store);
    windows.settle();
    const { index, units, store } = recovery;
    const flush = new Flush({
      shardCount,
      localPartitionCount,
      store,
      chunks,
      index,
      checkpoint,
      numbers,
      directory: levelZero,
      partitionClock,
      blockFillBytes: options.blockFillBytes ?? BLOCK_BYTES,
      pause,
    });
    return {
      localPartitionCount,
      store,
      guard,
      arenas,
      chunks,
      index,
      partitionClock,
      windows,
      journal,
      flush,
      numbers,
      levelZero,
      units,
      compaction,
      watch: new DamageWatch(damage, levelZero, store),
      indexCheckpoint: recovery.loaded,
      buffer,
      versions: recovery.blockVersions + buffer.count,
    };
  } catch (error) {
    await recovery.store.close();
    throw error instanceof Error && isDeviceFull(error)
      ? new StorageError('STORAGE_FULL', `no room to open the journal`, { cause: error })
      : error;
  }
}

function storeOpener(options: ShardStoreOptions, guard: SpaceGuard): (readAhead: boolean) => BlockStore {
  const { directory, disk, mapBytes, prefetchSlots } = options;
  const opening: BlockStoreOptions = {
    directory: `${directory}/blocks`,
    disk,
    guard,
    ...(mapBytes === undefined ? {} : { mapBytes }),
    ...(prefetchSlots === undefined ? {} : { prefetchSlots }),
  };
  return (readAhead) => openBlockStore({ ...opening, readAhead });
}

function recoveryOf(
  options: ShardStoreOptions,
  parts: Pick<
    RecoveryOptions,
    'localPartitionCount' | 'openStore' | 'chunks' | 'partitionClock' | 'windows' | 'damage' | 'emptyUnits'
  >,
): Recovery {
  const { shardIndex, shardCount, disk, directory, verifies = false } = options;
  return new Recovery({
    ...parts,
    shardIndex,
    shardCount,
    disk,
    indexDirectory: `${directory}/index`,
    verifies,
    pause: pauseOf(options),
    onProgress: options.onProgress ?? ((): void => {}),
    onNotice: options.onNotice ?? ((): void => {}),
  });
}

function openGuard(options: ShardStoreOptions): SpaceGuard {
  const { disk, clock, delay, directory, writeBufferBytes, shardCount } = options;
  const journalSegmentBytes = options.journalSegmentBytes ?? JOURNAL_SEGMENT_BYTES;
  const reserveBytes = spaceReserveBytes(writeBufferBytes, journalSegmentBytes, shardCount);
  return new SpaceGuard({ disk, directory, clock, delay, reserveBytes });
}
