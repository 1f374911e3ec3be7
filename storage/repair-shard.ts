/**
 * Takes out of a shard's block store what verification found to be unreadable, so that the rest is served again. No node runs.
 *
 *   damaged block            its key goes, and a level-0 block's line in the directory
 *   block that is missing    its line in the directory goes
 *   damaged directory value  it goes; the blocks that it listed are read, and those that are right are listed anew
 *   damaged clocks           they go: a start takes LSNs and commit times from the versions themselves
 *   checkpoint, state of compaction, journal: never; without them nobody can say which of the rest counts
 *
 * I1  Nothing that can be read is dropped. All changes are one transaction: a crash leaves all or none of them.
 * I2  No number is used twice: a changed directory value is a new one, under a new number and as a run of its own, and the next
 *     numbers are recorded in the same transaction.
 */
import { type Arena, arenaOf } from './arena.ts';
import { blockFlushNumber, blockGroup, blockPartitionMax, blockPartitionMin } from './block.ts';
import {
  COMPACTION_STATE_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  PARTITION_CLOCKS_KEY_HI,
} from './block-key.ts';
import { BlockNumbers } from './block-numbers.ts';
import type { BlockKey, BlockStore, BlockWrite } from './block-store.ts';
import { encodeCompactionState } from './compaction-state.ts';
import {
  type DirectoryEntry,
  DirectoryValue,
  encodeDirectoryEntries,
  SWEEP_RUN_FIRST,
} from './level-zero-directory.ts';
import { LMDB_PAGE_HEADER_BYTES, PAGE_BYTES, PARTITION_COUNT } from './limits.ts';
import type { Finding, VerifiedBlocks } from './verify-shard.ts';

export interface RepairPlan {
  /** What is lost: blocks, with their records as far as their headers can be believed, and meta values. */
  readonly drops: readonly Finding[];
  /** Right blocks that are listed again. */
  readonly relisted: readonly Finding[];
  /** What no repair of blocks can mend: nothing is changed while there is any. */
  readonly beyond: readonly Finding[];
}

export function planRepair(findings: readonly Finding[]): RepairPlan {
  const isMeta = (finding: Finding, keyHi: number): boolean =>
    finding.kind === 'meta' && finding.keyHi === keyHi;
  const drops = findings.filter(
    (finding) =>
      ['block', 'missing', 'directory'].includes(finding.kind) || isMeta(finding, PARTITION_CLOCKS_KEY_HI),
  );
  const relisted = findings.filter(({ kind }) => kind === 'unlisted');
  // An index checkpoint is never needed; the caller removes it.
  const beyond = findings.filter(
    (finding) => !drops.includes(finding) && !relisted.includes(finding) && finding.kind !== 'index',
  );
  return { drops, relisted, beyond };
}

/** Carries the plan out, whose `beyond` is empty. Remove the shard's index checkpoint afterwards: it knows of what is gone. */
export async function repairBlocks(
  store: BlockStore,
  plan: RepairPlan,
  verified: VerifiedBlocks,
): Promise<void> {
  const repair = new Repair(store, plan, verified);
  const { writes, removals } = repair.changes();
  await store.write(writes, removals);
}

interface Changes {
  readonly writes: BlockWrite[];
  readonly removals: BlockKey[];
}

class Repair {
  private readonly store: BlockStore;
  private readonly plan: RepairPlan;
  private readonly verified: VerifiedBlocks;
  private readonly numbers: BlockNumbers;
  private nextRun: number;
  private readonly writes: BlockWrite[] = [];
  private readonly removals: BlockKey[] = [];

  constructor(store: BlockStore, plan: RepairPlan, verified: VerifiedBlocks) {
    this.store = store;
    this.plan = plan;
    this.verified = verified;
    this.numbers = new BlockNumbers(verified.checkpoint, verified.compaction);
    this.nextRun = verified.compaction.sweepNumber + 1;
  }

  changes(): Changes {
    const lostSequences = new Set<number>();
    for (const { kind, keyHi, keyLo } of this.plan.drops) {
      if (kind !== 'missing') this.removals.push({ keyHi, keyLo });
      if (keyHi === LEVEL_ZERO_KEY_HI) lostSequences.add(keyLo);
    }
    this.rewriteDirectory(lostSequences);
    this.relist();
    this.recordNumbers();
    return { writes: this.writes, removals: this.removals };
  }

  /** Replaces the values that list a lost block. */
  private rewriteDirectory(lost: ReadonlySet<number>): void {
    const damaged = new Set(
      this.plan.drops.filter(({ kind }) => kind === 'directory').map(({ keyLo }) => keyLo),
    );
    const hi = LEVEL_ZERO_DIRECTORY_KEY_HI;
    const touched: DirectoryValue[] = [];
    this.store.scan(hi, 0, hi + 1, 0, (_keyHi, keyLo, bytes) => {
      if (damaged.has(keyLo)) return undefined;
      const value = new DirectoryValue(keyLo, bytes);
      if (value.sequences.some((sequence) => lost.has(sequence))) touched.push(value);
      return undefined;
    });
    for (const value of touched) {
      this.removals.push({ keyHi: hi, keyLo: value.number });
      const kept = entriesOf(value).filter(({ sequence }) => !lost.has(sequence));
      if (kept.length > 0) this.list(value.flushNumber, kept);
    }
  }

  /** Lists right blocks whose directory value was damaged: as few values as their order allows. */
  private relist(): void {
    let flushNumber = -1;
    let entries: DirectoryEntry[] = [];
    const finish = (): void => {
      if (entries.length > 0) this.list(flushNumber, entries);
      entries = [];
    };
    for (const { keyLo } of [...this.plan.relisted].sort((a, b) => a.keyLo - b.keyLo)) {
      const bytes = this.store.read(LEVEL_ZERO_KEY_HI, keyLo);
      if (bytes === undefined) continue;
      const arena = arenaOf(bytes.slice());
      const entry = entryOf(keyLo, arena, bytes.length);
      const last = entries.at(-1);
      const follows = last === undefined || !isBefore(entry, last);
      if (blockFlushNumber(arena, 0) !== flushNumber || !follows) finish();
      flushNumber = blockFlushNumber(arena, 0);
      entries.push(entry);
    }
    finish();
  }

  private list(flushNumber: number, entries: readonly DirectoryEntry[]): void {
    const run = SWEEP_RUN_FIRST + this.nextRun;
    this.nextRun += 1;
    this.writes.push({
      keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI,
      keyLo: this.numbers.takeDirectory(),
      bytes: encodeDirectoryEntries(flushNumber, run, entries),
    });
  }

  private recordNumbers(): void {
    const { compaction } = this.verified;
    const { nextSequence, nextDirectory } = this.numbers;
    const changeNumber = compaction.changeNumber + 1;
    const state = { ...compaction, changeNumber, sweepNumber: this.nextRun - 1, nextSequence, nextDirectory };
    this.writes.push({ keyHi: COMPACTION_STATE_KEY_HI, keyLo: 1, bytes: encodeCompactionState(state) });
  }
}

function entriesOf(value: DirectoryValue): DirectoryEntry[] {
  return Array.from(value.sequences, (sequence, index) => {
    const lowest = value.lowest[index] as number;
    return {
      sequence,
      group: Math.floor(lowest / PARTITION_COUNT),
      partitionMin: lowest % PARTITION_COUNT,
      partitionMax: (value.highest[index] as number) % PARTITION_COUNT,
      pages: value.pages[index] as number,
    };
  });
}

function entryOf(sequence: number, arena: Arena, length: number): DirectoryEntry {
  return {
    sequence,
    group: blockGroup(arena, 0),
    partitionMin: blockPartitionMin(arena, 0),
    partitionMax: blockPartitionMax(arena, 0),
    pages: Math.ceil((length + LMDB_PAGE_HEADER_BYTES) / PAGE_BYTES),
  };
}

function isBefore(entry: DirectoryEntry, last: DirectoryEntry): boolean {
  return entry.group < last.group || (entry.group === last.group && entry.partitionMin < last.partitionMax);
}
