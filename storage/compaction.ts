/**
 * Compaction of one shard: when to sweep level 0 into level 1, when to rewrite a unit in place, and what it may take.
 *
 *   idle ──flushed bytes over the trigger──▶ sweep ──▶ idle
 *     └──a unit wastes its pages──▶ rewrite, a step's worth ──▶ idle          any ──close──▶ stopped at a unit
 *
 * I1  One activity at a time, in turns of a few slices' work (COMPACTION_SLICE_RECORDS); between turns everything else is served.
 * I2  Level 0 is bounded: a sweep begins when flushes have brought more than the trigger (a quarter of what is there, between
 *     four generations of the write buffer and `levelZeroBytesMax`), and writers are held back at PRESSURE_TRIGGERS times that.
 * I3  A block that is missing or damaged is noted as damage, and the units that it held wait for a repair: what can be read of them
 *     moves on with a sweep, nothing of them is dropped or rewritten. All other units go on. A failed write is fatal for the
 *     shard, as everywhere.
 * I4  What a crash or a close leaves is gone on with at the next start.
 *
 * How a sweep goes is sweep.ts, what happens to a unit unit-merge.ts, which versions may go sweep-fate.ts.
 */
import type { BlockNumbers } from './block-numbers.ts';
import type { BlockStore } from './block-store.ts';
import { CompactionBandwidth } from './compaction-bandwidth.ts';
import type { CompactionState } from './compaction-state.ts';
import type { Damage } from './damage.ts';
import type { Clock } from './environment.ts';
import type { GroupPolicies } from './group-policy.ts';
import type { IndexTable } from './index-table.ts';
import type { LevelZeroDirectory } from './level-zero-directory.ts';
import { COMPACTION_RETRY_SECONDS, PAGE_BYTES } from './limits.ts';
import { StorageError } from './storage-error.ts';
import { beginSweep, runSweep } from './sweep.ts';
import type { RecordFilter } from './sweep-fate.ts';
import { SweepStep } from './sweep-step.ts';
import { UnitMerge } from './unit-merge.ts';
import type { UnitTable } from './unit-table.ts';

/** What an operator may set. */
export interface CompactionSettings {
  /** False: level 0 only grows. For experiments and repairs. */
  readonly isEnabled: boolean;
  /** Bytes a second of blocks that compaction writes; 0: no limit. */
  readonly bytesPerSecond: number;
  /** Flushed bytes at which a sweep begins however much is stored. */
  readonly levelZeroBytesMax: number;
}

export const COMPACTION_SETTINGS_DEFAULT: CompactionSettings = {
  isEnabled: true,
  bytesPerSecond: 0,
  levelZeroBytesMax: 512 * 1024 * 1024,
};

export interface CompactionOptions {
  readonly settings: CompactionSettings;
  readonly shardIndex: number;
  readonly shardCount: number;
  /** Bytes of records of one generation of the write buffer. */
  readonly generationBytes: number;
  readonly store: BlockStore;
  readonly index: IndexTable;
  readonly units: UnitTable;
  readonly numbers: BlockNumbers;
  readonly directory: LevelZeroDirectory;
  readonly policies: GroupPolicies;
  readonly damage: Damage;
  readonly clock: Clock;
  /** A monotonic clock in µs. */
  readonly timerMicros: () => number;
  /** As a start found it. */
  readonly state: CompactionState;
  readonly blockFillBytes: number;
  readonly flushNumber: () => number;
  /** A flush has written some of its blocks and not all. */
  readonly isFlushing: () => boolean;
  /** What the last finished flush was sealed with (seal-clock.ts). */
  readonly sealedMicros: () => number;
  readonly pause: () => Promise<void>;
  readonly sleep: (millis: number) => Promise<void>;
  readonly onVersionsDropped: (count: number) => void;
  readonly onFatal: (error: StorageError) => void;
}

/** Plain numbers, as STATUS shows them. */
export interface CompactionStatus {
  readonly levelZeroBytes: number;
  readonly levelZeroRuns: number;
  readonly levelOneBytes: number;
  /** Of records in level 1: an estimate. */
  readonly deadBytes: number;
  readonly sweeps: number;
  readonly compactedBytes: number;
  /** Units whose level-1 blocks were written anew since the start. */
  readonly unitsRewritten: number;
  /** Where the sweep under way stands: group, partition; 0 and 0 when none is. */
  readonly sweepGroup: number;
  readonly sweepPartition: number;
}

/** With a trigger of a quarter, level 0 stays below half of what is there, and a flush: 2.5 times the live data in all. */
const PRESSURE_TRIGGERS = 2;
const GENERATIONS_MIN = 4;
/** Of the bytes that are there, sources not counted, a sweep waits for this part in flushes. */
const TRIGGER_PART = 0.25;
/** Units looked at in one turn: about 0.1 ms. */
const LOOK_UNITS = 4096;
/** Between two rounds over all units. */
const ROUND_SECONDS = 60;

export class Compaction {
  /** What was fatal. */
  private failed: StorageError | undefined;
  private readonly options: CompactionOptions;
  private readonly step: SweepStep;
  private readonly merge: UnitMerge;
  private readonly bandwidth: CompactionBandwidth;
  private running: Promise<void> | undefined;
  private isStopping = false;
  private isSweepAsked = false;
  private bytesPaid = 0;
  /**
   * How long a version that was moved although a newer one has its entry counts as alive. What a sweep moves may go with the next
   * sweep, which brings the newer one; a rewrite of level 1 alone would meet it again, without the newer one, and rewrite for nothing.
   */
  private retrySeconds = 0;
  /** Where the round over the units goes on. */
  private place = 0;
  private roundEndedSeconds = 0;
  private versionsTold = 0;
  /** The unit that is being erased from. */
  private erased: { group: number; partition: number; filter: RecordFilter } | undefined;
  private deadBytes = 0;

  constructor(options: CompactionOptions) {
    this.options = options;
    const { shardCount, store, index, units, numbers, directory, policies, damage, state, pause } = options;
    const nowMicros = (): number => options.clock.nowMicros();
    this.step = new SweepStep({
      shardCount,
      store,
      index,
      units,
      numbers,
      directory,
      state,
      blockFillBytes: options.blockFillBytes,
      flushNumber: options.flushNumber,
      pause,
      supersededDeathSeconds: (group) => this.supersededDeathSeconds(group),
      nowSeconds: () => nowMicros() / 1e6,
      onCarried: (from, to) => damage.renumber(from, to),
    });
    this.merge = new UnitMerge({
      shardCount,
      store,
      units,
      policies,
      damage,
      directory,
      step: this.step,
      pause,
      nowMicros,
      filterOf: (group, partition) => this.filterOf(group, partition),
    });
    this.bandwidth = new CompactionBandwidth(options.settings.bytesPerSecond, nowMicros);
  }

  /** No transaction whose index entries are still being settled: what the index says is what the state on disk says. */
  get isBetweenSteps(): boolean {
    return this.step.isSettled;
  }

  get state(): CompactionState {
    return this.step.state;
  }

  /** Level 0 is far beyond what a sweep should have taken away. */
  get pressure(): boolean {
    if (!this.options.settings.isEnabled || this.failed !== undefined) return false;
    return this.options.directory.flushedBytes >= PRESSURE_TRIGGERS * this.triggerBytes;
  }

  status(): CompactionStatus {
    const { directory, units } = this.options;
    const { state } = this.step;
    const isUnderWay = state.sourceEnd > 0;
    return {
      levelZeroBytes: directory.blockBytes,
      levelZeroRuns: directory.runCount,
      levelOneBytes: units.pageCount * PAGE_BYTES,
      deadBytes: this.deadBytes,
      sweeps: state.sweepNumber,
      compactedBytes: this.step.bytesWritten,
      unitsRewritten: this.merge.unitsRewritten,
      sweepGroup: isUnderWay ? state.cursorGroup : 0,
      sweepPartition: isUnderWay ? state.cursorPartition : 0,
    };
  }

  /** To be called in the turn in which a flush has finished, and now and then: begins what is due. */
  consider(): void {
    if (this.running !== undefined || this.isStopping || this.failed !== undefined) return;
    if (!this.options.settings.isEnabled && !this.isSweepAsked) return;
    if (this.step.state.sourceEnd > 0) {
      // What was sealed before a restart is not known: its sweep drops no tombstones.
      this.start(() => this.sweep(-Infinity));
    } else if (this.isSweepDue && !this.options.isFlushing()) {
      this.isSweepAsked = false;
      const sourceEnd = this.options.numbers.nextSequence;
      const sealedMicros = this.options.sealedMicros();
      this.start(async () => {
        await beginSweep(this.step, sourceEnd);
        await this.sweep(sealedMicros);
      });
    } else if (!this.isSweepDue && this.isRoundDue) {
      this.start(() => this.rewriteDue());
    }
  }

  /** Sweeps everything flushed so far, whatever the trigger says. Resolves when that is done, or a write has failed. */
  async sweepNow(): Promise<void> {
    const target = this.step.state.sweepNumber + 1;
    // One under way has older sources.
    this.isSweepAsked = true;
    while (this.step.state.sweepNumber < target || this.step.state.sourceEnd > 0) {
      if (this.isStopping || this.failed !== undefined) return;
      this.consider();
      if (this.running === undefined) await this.options.sleep(1);
      else await this.running;
    }
  }

  /**
   * Removes the versions of the unit for which `filter` answers true, wherever blocks hold them, and entries that name
   * them. Resolves when the blocks that held them are gone. What is not flushed is not seen. Rejects with BLOCK_CORRUPT when the
   * unit is, or is found to be, damaged: what cannot be read may hold some.
   */
  async dropRecords(group: number, partition: number, filter: RecordFilter): Promise<void> {
    const { damage } = this.options;
    damage.assertServable(group, partition);
    while (this.erased !== undefined) await this.options.sleep(1);
    this.erased = { group, partition, filter };
    try {
      while (this.running !== undefined) await this.running;
      await this.sweepNow();
      while (this.running !== undefined) await this.running;
      if (this.failed === undefined && !this.isStopping) {
        this.start(async () => {
          this.retrySeconds = COMPACTION_RETRY_SECONDS;
          await this.merge.rewrite(group, partition, -Infinity, () => this.commit());
          await this.drainDue();
        });
        await this.running;
      }
    } finally {
      this.erased = undefined;
    }
    if (this.failed !== undefined) throw this.failed;
    damage.assertServable(group, partition);
    if (this.isStopping) throw new StorageError('SHUTTING_DOWN', 'the shard is closing');
  }

  /** Ends what is under way at the next unit; nothing begins any more. */
  async stop(): Promise<void> {
    this.isStopping = true;
    while (this.running !== undefined) await this.running;
  }

  private get triggerBytes(): number {
    const { directory, units, generationBytes, settings } = this.options;
    const there = units.pageCount * PAGE_BYTES + directory.blockBytes - directory.flushedBytes;
    const least = GENERATIONS_MIN * generationBytes;
    return Math.min(
      Math.max(TRIGGER_PART * there, least),
      Math.max(settings.levelZeroBytesMax, generationBytes),
    );
  }

  private get isSweepDue(): boolean {
    return this.isSweepAsked || this.options.directory.flushedBytes >= this.triggerBytes;
  }

  /** Units die by time alone, which a round every so often finds. */
  private get isRoundDue(): boolean {
    const nowSeconds = this.nowSeconds();
    const elapsed = Math.abs(nowSeconds - this.roundEndedSeconds);
    return this.place > 0 || elapsed >= ROUND_SECONDS;
  }

  /** Runs one activity; what it throws is told and ends compaction. */
  private start(activity: () => Promise<void>): void {
    this.running = activity()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.running = undefined;
        this.tellDropped();
        if (!this.options.isFlushing()) this.consider();
      });
  }

  private async sweep(sealedMicros: number): Promise<void> {
    const { store, directory, damage, pause } = this.options;
    this.retrySeconds = 0;
    const isWhole = await runSweep({
      store,
      directory,
      damage,
      step: this.step,
      merge: this.merge,
      pause,
      timerMicros: this.options.timerMicros,
      sealedMicros,
      throttle: () => this.throttle(),
      isStopping: () => this.isStopping,
    });
    if (!isWhole) await this.abandon();
  }

  /** Goes on with the round over the units: rewrites what is due, up to a step's worth; then a sweep may have its turn. */
  private async rewriteDue(): Promise<void> {
    const { units, policies } = this.options;
    const isDropped = (group: number): boolean => policies.policyOf(group) === undefined;
    this.retrySeconds = COMPACTION_RETRY_SECONDS;
    while (!this.isStopping) {
      const found = units.findDue(this.place, LOOK_UNITS, this.nowSeconds(), isDropped);
      if (found < -1) {
        this.place = -1 - found;
        await this.options.pause();
        continue;
      }
      if (found === -1) {
        this.endRound();
        break;
      }
      this.place = found + 1;
      await this.rewriteUnit(units.groupAt(found), units.localPartitionAt(found));
      if (this.step.isFull) await this.commit();
      if (this.isSweepDue) break;
    }
    if (this.isStopping) return this.abandon();
    await this.drainDue();
  }

  private async rewriteUnit(group: number, localPartition: number): Promise<void> {
    const { shardIndex, shardCount, directory, damage, sealedMicros } = this.options;
    const partition = localPartition * shardCount + shardIndex;
    if (damage.isDamaged(group, partition)) return;
    let isCovered = false;
    directory.visit(group, partition, () => {
      isCovered = true;
      return false;
    });
    // Level 0 may hold older versions than a tombstone that goes: then only a sweep, which sees both, may drop it.
    await this.merge.rewrite(group, partition, isCovered ? -Infinity : sealedMicros(), () => this.commit());
  }

  private endRound(): void {
    this.place = 0;
    this.roundEndedSeconds = this.nowSeconds();
    this.deadBytes = this.options.units.totalDeadBytes(this.roundEndedSeconds);
  }

  private async commit(): Promise<void> {
    await this.step.commit({});
    await this.throttle();
  }

  /** Writes what is packed, and removes what it replaces. */
  private async drainDue(): Promise<void> {
    if (!this.step.isEmpty) await this.commit();
    while (this.step.hasDue) await this.commit();
  }

  /** What is packed was not written and is forgotten; what was replaced goes. */
  private async abandon(): Promise<void> {
    this.step.reset();
    while (this.step.hasDue) await this.step.commit({});
  }

  private async throttle(): Promise<void> {
    const written = this.step.bytesWritten - this.bytesPaid;
    this.bytesPaid = this.step.bytesWritten;
    this.tellDropped();
    const millis = this.bandwidth.take(written);
    if (millis > 0 && !this.isStopping) await this.options.sleep(millis);
  }

  private tellDropped(): void {
    const dropped = this.merge.versionsDropped - this.versionsTold;
    this.versionsTold = this.merge.versionsDropped;
    if (dropped > 0) this.options.onVersionsDropped(dropped);
  }

  private filterOf(group: number, partition: number): RecordFilter | undefined {
    const { erased } = this;
    return erased?.group === group && erased.partition === partition ? erased.filter : undefined;
  }

  private supersededDeathSeconds(group: number): number {
    const policy = this.options.policies.policyOf(group);
    if (policy === undefined) return 0;
    const nowSeconds = this.nowSeconds();
    return nowSeconds + Math.max(policy.retentionMicros / 1e6, this.retrySeconds);
  }

  private fail(error: unknown): void {
    this.step.reset();
    const message = error instanceof Error ? error.message : String(error);
    this.failed =
      error instanceof StorageError
        ? error
        : new StorageError('INTERNAL', `compaction failed: ${message}`, { cause: error });
    this.options.onFatal(this.failed);
  }

  private nowSeconds(): number {
    return this.options.clock.nowMicros() / 1e6;
  }
}
