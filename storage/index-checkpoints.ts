/**
 * When index checkpoints are written, and with which numbers: the life of `index/` while a shard serves.
 *
 *   due, and settled ─▶ header's numbers, values ─▶ tables, slice by slice ─▶ renamed         index-checkpoint-writer.ts
 *
 * A checkpoint is due when much was written since the last one, or after some minutes in which anything was; and at a clean close.
 *
 * I1  The numbers are taken when they are settled: no flush runs and compaction stands between two steps. Then every block below them
 *     is where the index points, or is obsolete, and what comes later has numbers from them on.
 * I2  Write amplification is bounded: a checkpoint of n bytes begins after INDEX_CHECKPOINT_WRITE_RATIO × n bytes of blocks, or
 *     INDEX_CHECKPOINT_MICROS after the last one.
 * I3  A checkpoint is never needed. One that fails is given up and told; the one before it stays, and the next one is tried when due.
 * I4  While something runs `without` one no file of a checkpoint is there, and none is begun.
 */
import type { Clock, Disk } from './environment.ts';
import type { IndexCheckpointHeader } from './index-checkpoint-format.ts';
import {
  type CheckpointValue,
  INDEX_CHECKPOINT_NAME,
  INDEX_CHECKPOINT_UNFINISHED_NAME,
  IndexCheckpointWriter,
} from './index-checkpoint-writer.ts';
import type { IndexTable } from './index-table.ts';
import {
  INDEX_CHECKPOINT_CLOSE_BYTES_MAX,
  INDEX_CHECKPOINT_MICROS,
  INDEX_CHECKPOINT_WRITE_BYTES_MIN,
  INDEX_CHECKPOINT_WRITE_RATIO,
  INDEX_ENTRY_BYTES,
  PAGE_BYTES,
} from './limits.ts';

/** What the header says beyond which shard it is. */
export type SettledNumbers = Omit<IndexCheckpointHeader, 'shardIndex' | 'shardCount'>;

export interface IndexCheckpointsOptions {
  readonly disk: Disk;
  /** The shard's `index/`; made when the first checkpoint is written. */
  readonly directory: string;
  readonly clock: Clock;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly index: IndexTable;
  /** The numbers from which on blocks are new; undefined while a flush or a step of compaction is under way. */
  readonly settled: () => SettledNumbers | undefined;
  /** What other parts keep with the index, as of the settled numbers. */
  readonly values: () => readonly CheckpointValue[];
  /** The checkpoint that the start has loaded. */
  readonly loaded: SettledNumbers | undefined;
  /** Replaces the rule of I2 when given. */
  readonly indexCheckpointBytes?: number;
  /** Tells that a checkpoint was given up. */
  readonly onFailed: (error: Error) => void;
}

export class IndexCheckpoints {
  /** Written since the start. */
  count = 0;
  private readonly options: IndexCheckpointsOptions;
  private last: SettledNumbers | undefined;
  private lastMicros: number;
  private writer: IndexCheckpointWriter | undefined;
  private running: Promise<void> | undefined;
  private isStopped = false;
  /** How much runs that must not be met by a checkpoint. */
  private withheld = 0;

  constructor(options: IndexCheckpointsOptions) {
    this.options = options;
    this.last = options.loaded;
    this.lastMicros = options.clock.nowMicros();
  }

  /** To be called after a flush, after a step of compaction and now and then: begins a checkpoint if one is due. */
  consider(): void {
    if (this.running !== undefined || this.isStopped || this.withheld > 0) return;
    const settled = this.options.settled();
    if (settled !== undefined && this.isDue(settled)) void this.start(settled);
  }

  /** Writes one now, if anything was written since the last: at a clean close, when nothing else runs any more. */
  async writeLast(): Promise<void> {
    await this.running;
    const settled = this.options.settled();
    if (settled === undefined || this.isStopped || this.withheld > 0 || this.writtenSince(settled) === 0)
      return;
    if (this.options.index.rowCount * INDEX_ENTRY_BYTES > INDEX_CHECKPOINT_CLOSE_BYTES_MAX) return;
    await this.start(settled);
  }

  /** Gives up what is under way, and begins nothing any more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.writer?.abandon();
    await this.running;
  }

  /**
   * Runs what removes rows that a checkpoint has: before, every checkpoint is discarded, and none is begun until it has ended. So
   * no start, after a crash at whatever point, loads entries of rows that are gone.
   */
  async without(run: () => Promise<void>): Promise<void> {
    this.withheld += 1;
    try {
      await this.discard();
      await run();
    } finally {
      this.withheld -= 1;
    }
  }

  private async discard(): Promise<void> {
    const { disk, directory, clock } = this.options;
    this.writer?.abandon();
    await this.running;
    removeFiles(disk, directory);
    this.last = undefined;
    this.lastMicros = clock.nowMicros();
  }

  private isDue(settled: SettledNumbers): boolean {
    const written = this.writtenSince(settled);
    if (written === 0) return false;
    const { indexCheckpointBytes } = this.options;
    if (indexCheckpointBytes !== undefined) return written >= indexCheckpointBytes;
    const indexBytes = this.options.index.rowCount * INDEX_ENTRY_BYTES;
    const enough = Math.max(INDEX_CHECKPOINT_WRITE_BYTES_MIN, INDEX_CHECKPOINT_WRITE_RATIO * indexBytes);
    return written >= enough || this.options.clock.nowMicros() - this.lastMicros >= INDEX_CHECKPOINT_MICROS;
  }

  /** Bytes of blocks: larger ones count as one page, which is near enough for when to begin. */
  private writtenSince(settled: SettledNumbers): number {
    const sequences = settled.nextSequence - (this.last?.nextSequence ?? 1);
    const counters = settled.nextCounter - (this.last?.nextCounter ?? 1);
    return (sequences + counters) * PAGE_BYTES;
  }

  private start(settled: SettledNumbers): Promise<void> {
    const { options } = this;
    const { disk, directory, index, localPartitionCount, shardIndex, shardCount } = options;
    const values = options.values();
    this.last = settled;
    this.lastMicros = options.clock.nowMicros();
    this.running = (async () => {
      disk.makeDirectory(directory);
      this.writer = new IndexCheckpointWriter({ disk, directory, index, localPartitionCount });
      const bytes = await this.writer.write({ ...settled, shardIndex, shardCount }, values);
      if (bytes > 0) this.count += 1;
    })()
      .catch((error: unknown) => options.onFailed(error as Error))
      .finally(() => {
        this.writer = undefined;
        this.running = undefined;
      });
    return this.running;
  }
}

/** Removes the checkpoint of a shard that is not open: whoever changes its blocks does so first. */
export function removeIndexCheckpoint(disk: Disk, shardDirectory: string): void {
  removeFiles(disk, `${shardDirectory}/index`);
}

function removeFiles(disk: Disk, directory: string): void {
  const names = disk.listFiles(directory);
  for (const name of [INDEX_CHECKPOINT_NAME, INDEX_CHECKPOINT_UNFINISHED_NAME]) {
    if (names.includes(name)) disk.remove(`${directory}/${name}`);
  }
  if (names.length > 0) disk.syncDirectory(directory);
}
