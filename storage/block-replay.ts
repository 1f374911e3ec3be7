/**
 * Puts what blocks hold into an index: all of them, or those that are newer than an index checkpoint.
 *
 * I1  Each record is applied by `applyRecord`: the newest wins, and of two copies the one read later. Level 0 is read before level 1,
 *     and each in rising order, so a version that compaction has moved ends at its new place.
 * I2  Records of level-0 blocks that a sweep has consumed are left out: what it kept of them is in blocks that it wrote.
 * I3  A block that fails its checksum is noted as damage, with the units that the directory or its key say it held; the rest is read. So is a level-0
 *     block that the directory lists and that is not there.
 * I4  Reading pauses between stretches, so that a supervisor's messages get through.
 *
 * All blocks are read in the order of their keys. Those newer than a checkpoint lie strewn over the file: they are prefetched, one
 * batch ahead of the one that is applied.
 */
import { type Arena, arenaOf } from './arena.ts';
import {
  BLOCK_WORD_USED,
  blockFault,
  blockGroup,
  blockPartitionMin,
  nextRecord,
  recordsEnd,
  recordsStart,
} from './block.ts';
import { KEY_HI_END, LEVEL_ONE_KEY_HI_FIRST, LEVEL_ZERO_KEY_HI } from './block-key.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { type CompactionState, isConsumed } from './compaction-state.ts';
import { type Damage, noteBlock } from './damage.ts';
import type { IdempotencyWindows } from './idempotency-windows.ts';
import { WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from './index-entry.ts';
import { pruneIndex } from './index-prune.ts';
import type { IndexTable } from './index-table.ts';
import { IndexTouch } from './index-touch.ts';
import { type LevelZeroDirectory, SWEEP_RUN_FIRST } from './level-zero-directory.ts';
import {
  PAGE_BYTES,
  RECOVERY_BATCH_BLOCKS,
  RECOVERY_STRETCH_BLOCKS,
  RECOVERY_STRETCH_KEYS,
  RECOVERY_STREWN_COST,
} from './limits.ts';
import { NumberSet } from './number-set.ts';
import type { PartitionClock } from './partition-clock.ts';
import { readRecordCommitTime, readRecordDigestLo, readRecordLsn } from './record.ts';
import { applyRecord } from './row-index.ts';
import { StorageError } from './storage-error.ts';
import type { UnitTable } from './unit-table.ts';

const PARTITION_MASK = 4095;
const SCRATCH_BYTES = 64 * 1024;

export interface BlockReplayOptions {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly store: BlockStore;
  readonly index: IndexTable;
  readonly partitionClock: PartitionClock;
  /** Takes note of keyed records. */
  readonly windows: IdempotencyWindows;
  readonly compaction: CompactionState;
  readonly directory: LevelZeroDirectory;
  readonly damage: Damage;
  /** Filled from the level-1 blocks that are read. */
  readonly units?: UnitTable;
  readonly pause: () => Promise<void>;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export class BlockReplay {
  /** Versions found, those apart that compaction has only moved. */
  versions = 0;
  private readonly options: BlockReplayOptions;
  private readonly touch: IndexTouch;
  private scratch: Arena = arenaOf(new Uint8Array(SCRATCH_BYTES));
  private doneBytes = 0;
  private totalBytes = 0;
  /** Of a walk over all blocks: the sequences it should meet, and the next of them. */
  private listed: Uint32Array = new Uint32Array(0);
  private nextListed = 0;

  constructor(options: BlockReplayOptions) {
    this.options = options;
    this.touch = new IndexTouch(options.index, options.shardCount);
  }

  async applyAll(): Promise<void> {
    this.totalBytes = this.options.store.sizeBytes();
    this.listed = this.listedSequences();
    this.nextListed = 0;
    await this.applyRange(LEVEL_ZERO_KEY_HI, LEVEL_ZERO_KEY_HI + 1);
    this.noteMissing(KEY_HI_END);
    await this.applyRange(LEVEL_ONE_KEY_HI_FIRST, KEY_HI_END);
  }

  /**
   * Applies the level-0 blocks from this sequence on and the level-1 blocks from this counter on, and takes out entries whose
   * blocks are gone. False, and nothing is applied, if they are so many that reading all blocks takes less time.
   */
  async applyNewer(nextSequence: number, nextCounter: number): Promise<boolean> {
    const { moved, flushed } = this.newerSequences(nextSequence);
    const counters = new NumberSet();
    const levelOne = await this.newerCounters(nextCounter, counters);
    this.totalBytes = PAGE_BYTES * (moved.length + flushed.length + levelOne.length);
    if (this.totalBytes * RECOVERY_STREWN_COST > this.options.store.sizeBytes()) return false;
    const levelZero = [...moved, ...flushed].sort((a, b) => a - b);
    await this.applyKeys(levelZero.map((keyLo) => ({ keyHi: LEVEL_ZERO_KEY_HI, keyLo })));
    const flushedVersions = this.versions;
    await this.applyKeys(levelOne);
    this.versions = flushedVersions;
    const { index, compaction } = this.options;
    const sequences = new NumberSet();
    for (const sequence of this.listedSequences()) sequences.add(sequence);
    await pruneIndex(index, { sequences, counters, compaction }, this.options);
    return true;
  }

  /** Sequences of blocks that flushes have written, and of those that sweeps have. */
  private newerSequences(nextSequence: number): { moved: number[]; flushed: number[] } {
    const moved: number[] = [];
    const flushed: number[] = [];
    for (const run of this.options.directory.runs()) {
      for (const value of run) {
        const into = value.run < SWEEP_RUN_FIRST ? flushed : moved;
        for (const sequence of value.sequences) if (sequence >= nextSequence) into.push(sequence);
      }
    }
    return { moved, flushed };
  }

  /** Level-1 blocks are not listed elsewhere: their keys are walked, a microsecond each, without their values. */
  private async newerCounters(nextCounter: number, counters: NumberSet): Promise<BlockKey[]> {
    const found: BlockKey[] = [];
    let nextHi = LEVEL_ONE_KEY_HI_FIRST;
    let nextLo = 0;
    for (let isComplete = false; !isComplete; ) {
      isComplete = true;
      let seen = 0;
      this.options.store.keys(nextHi, nextLo, KEY_HI_END, 0, (keyHi, keyLo) => {
        if (seen === RECOVERY_STRETCH_KEYS) {
          nextHi = keyHi;
          nextLo = keyLo;
          isComplete = false;
          return false;
        }
        seen += 1;
        counters.add(keyLo);
        if (keyLo >= nextCounter) found.push({ keyHi, keyLo });
        return undefined;
      });
      await this.options.pause();
    }
    return found;
  }

  private async applyKeys(keys: readonly BlockKey[]): Promise<void> {
    const { store, onProgress, pause } = this.options;
    let fetched = store.prefetch(keys.slice(0, RECOVERY_BATCH_BLOCKS));
    for (let from = 0; from < keys.length; from += RECOVERY_BATCH_BLOCKS) {
      await fetched;
      const to = from + RECOVERY_BATCH_BLOCKS;
      fetched = store.prefetch(keys.slice(to, to + RECOVERY_BATCH_BLOCKS));
      for (const { keyHi, keyLo } of keys.slice(from, to)) {
        const bytes = store.read(keyHi, keyLo);
        if (bytes === undefined) this.note(keyHi, keyLo, 'it is missing');
        else this.applyBlock(keyHi, keyLo, bytes);
      }
      onProgress(this.doneBytes, this.totalBytes);
      await pause();
    }
    await fetched;
  }

  private async applyRange(fromHi: number, toHi: number): Promise<void> {
    let nextHi = fromHi;
    let nextLo = 0;
    for (let isComplete = false; !isComplete; ) {
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
        this.applyBlock(keyHi, keyLo, bytes);
        return undefined;
      });
      this.options.onProgress(this.doneBytes, this.totalBytes);
      await this.options.pause();
    }
  }

  private applyBlock(keyHi: number, keyLo: number, bytes: Uint8Array): void {
    if (this.scratch.bytes.length < bytes.length) this.scratch = arenaOf(new Uint8Array(2 * bytes.length));
    const arena = this.scratch;
    arena.bytes.set(bytes, 0);
    this.doneBytes += bytes.length;
    if (keyHi === LEVEL_ZERO_KEY_HI) this.noteMissing(keyLo);
    const fault = blockFault(arena, 0, bytes.length);
    if (fault !== undefined) this.note(keyHi, keyLo, fault);
    else {
      if (keyHi !== LEVEL_ZERO_KEY_HI) this.countBlock(arena, bytes.length);
      this.applyRecords(keyHi, keyLo, arena);
    }
  }

  private countBlock(arena: Arena, length: number): void {
    const localPartition = this.localPartition(blockPartitionMin(arena, 0));
    const pages = Math.ceil(length / PAGE_BYTES);
    const usedBytes = arena.words[BLOCK_WORD_USED] as number;
    this.options.units?.addBlock(blockGroup(arena, 0), localPartition, pages, usedBytes);
  }

  private applyRecords(keyHi: number, keyLo: number, arena: Arena): void {
    const { index, compaction, units } = this.options;
    const where = keyHi === LEVEL_ZERO_KEY_HI ? WHERE_LEVEL_ZERO : WHERE_LEVEL_ONE;
    const end = recordsEnd(arena, 0);
    const group = blockGroup(arena, 0);
    const isSource = where === WHERE_LEVEL_ZERO && keyLo < compaction.sourceEnd;
    let touchedTo = recordsStart(0);
    for (let at = recordsStart(0); at < end; at = nextRecord(arena, at)) {
      if (at === touchedTo) touchedTo = this.touch.touch(arena, at, end);
      const partition = readRecordDigestLo(arena.view, at) & PARTITION_MASK;
      const localPartition = this.localPartition(partition);
      this.observe(localPartition, arena.view, at);
      if (isSource && isConsumed(compaction, keyLo, group, partition)) continue;
      if (where === WHERE_LEVEL_ONE) units?.addFound(group, localPartition, arena.view, at);
      applyRecord(index, localPartition, arena, at, where, keyLo, at, units);
      this.versions += 1;
    }
  }

  /** All that the directory lists, ascending. */
  private listedSequences(): Uint32Array {
    const sequences: Uint32Array[] = [];
    for (const run of this.options.directory.runs()) for (const value of run) sequences.push(value.sequences);
    const listed = new Uint32Array(sequences.reduce((sum, some) => sum + some.length, 0));
    let at = 0;
    for (const some of sequences) {
      listed.set(some, at);
      at += some.length;
    }
    return listed.sort();
  }

  /** Notes the listed blocks that a walk in key order has passed without meeting them: damage in LMDB's tree can hide some. */
  private noteMissing(metSequence: number): void {
    for (; this.nextListed < this.listed.length; this.nextListed++) {
      const sequence = this.listed[this.nextListed] as number;
      if (sequence > metSequence) return;
      if (sequence < metSequence) this.note(LEVEL_ZERO_KEY_HI, sequence, 'it is missing');
    }
  }

  private observe(localPartition: number, view: DataView, at: number): void {
    const { partitionClock, windows } = this.options;
    partitionClock.observe(localPartition, readRecordLsn(view, at), readRecordCommitTime(view, at));
    windows.observe(localPartition, view, at);
  }

  private note(keyHi: number, keyLo: number, fault: string): void {
    noteBlock(this.options.damage, this.options.directory, keyHi, keyLo, fault);
  }

  private localPartition(partition: number): number {
    const { shardIndex, shardCount } = this.options;
    return localPartitionOf(partition, shardIndex, shardCount);
  }
}

/** Throws DATA_DIRECTORY_INVALID for a partition of another shard. */
export function localPartitionOf(partition: number, shardIndex: number, shardCount: number): number {
  if (partition % shardCount !== shardIndex) {
    throw new StorageError(
      'DATA_DIRECTORY_INVALID',
      `shard ${shardIndex} of ${shardCount} holds a record of partition ${partition}, which is another shard's`,
    );
  }
  return (partition / shardCount) | 0;
}
