/**
 * One step of compaction: what is packed between two transactions, and the transaction itself.
 *
 *   keep, drop …  ─▶  packed blocks and moves          carry  ─▶  damaged source blocks, copied as they are
 *   commit        ─▶  1  one transaction: new blocks, the new level-0 directory, the state of compaction; and what an
 *                        earlier step has replaced goes
 *                     2  index entries that name the old places are pointed at the new ones, in slices
 *                     3  what this step has replaced (`retire`) is due to go with a later transaction
 *
 * I1  A block goes only after the index has let go of it, in a later transaction than the one that wrote what replaces it: a
 *     read never meets an entry without its block.
 * I2  What was retired in one call goes in one transaction.
 * I3  A crash before 1 leaves nothing; after 1 the state says what of the sources is obsolete. Replaced level-1 blocks that
 *     a crash leaves are read again by everybody, and say nothing new: their versions are copies of those written, or ones that
 *     a newer one among them hides.
 * I4  `isSettled` is false exactly between 1 and the end of 2.
 * I5  A damaged source block is copied, byte for byte, to a number that is no source's, in no later transaction than the one that
 *     puts the cursor behind its units; it is a run of its own. So the source may go like any other, and the damage is not forgotten:
 *     everybody who reads level 0 meets it, whatever happened to the process.
 */
import { LEVEL_ONE, LEVEL_ZERO } from './block.ts';
import { BlockBuilder, type BuiltBlock } from './block-builder.ts';
import {
  COMPACTION_STATE_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  levelOneKeyHi,
} from './block-key.ts';
import type { BlockNumbers } from './block-numbers.ts';
import type { BlockKey, BlockStore, BlockWrite } from './block-store.ts';
import { type CompactionState, encodeCompactionState } from './compaction-state.ts';
import { WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import {
  CARRIED_RUN_FIRST,
  encodeDirectory,
  encodeDirectoryEntries,
  type LevelZeroDirectory,
  SWEEP_RUN_FIRST,
} from './level-zero-directory.ts';
import {
  COMPACTION_MOVES_MAX,
  COMPACTION_SLICE_RECORDS,
  COMPACTION_STEP_BYTES,
  COMPACTION_STEP_REMOVALS,
  PARTITION_COUNT,
} from './limits.ts';
import { readRecordDigestHi, readRecordDigestLo, readRecordGroup } from './record.ts';
import { SweepMoves, TO_NOWHERE } from './sweep-moves.ts';
import type { DamagedSource } from './sweep-sources.ts';
import type { SweepUnit } from './sweep-unit.ts';
import type { UnitTable } from './unit-table.ts';

export interface SweepStepOptions {
  readonly shardCount: number;
  readonly store: BlockStore;
  readonly index: IndexTable;
  readonly units: UnitTable;
  readonly numbers: BlockNumbers;
  readonly directory: LevelZeroDirectory;
  readonly state: CompactionState;
  readonly blockFillBytes: number;
  /** Of the last finished flush. */
  readonly flushNumber: () => number;
  readonly pause: () => Promise<void>;
  /** When a record that was moved although it is no row's newest version any more may go. Seconds. */
  readonly supersededDeathSeconds: (group: number) => number;
  readonly nowSeconds: () => number;
  /** A damaged block has another number now. */
  readonly onCarried: (fromSequence: number, toSequence: number) => void;
}

/** Keys that go in one transaction; with them a directory value, if they are all that it lists. */
interface Retired {
  readonly keys: readonly BlockKey[];
  readonly directoryNumber: number | undefined;
}

export class SweepStep {
  /** As on disk. */
  state: CompactionState;
  isSettled = true;
  /** Written since the start: pages of blocks. */
  bytesWritten = 0;
  private readonly options: SweepStepOptions;
  private readonly toOne: BlockBuilder;
  private readonly toZero: BlockBuilder;
  private readonly moves: SweepMoves = new SweepMoves();
  private readonly due: Retired[] = [];
  private retired: Retired[] = [];
  private carried: DamagedSource[] = [];
  private dense: { readonly group: number; readonly localPartition: number }[] = [];

  constructor(options: SweepStepOptions) {
    this.options = options;
    this.state = options.state;
    this.toOne = new BlockBuilder(LEVEL_ONE, options.blockFillBytes);
    this.toZero = new BlockBuilder(LEVEL_ZERO, options.blockFillBytes);
    this.reset();
  }

  /** Enough is packed for a transaction. */
  get isFull(): boolean {
    return (
      this.toOne.bytes + this.toZero.bytes >= COMPACTION_STEP_BYTES ||
      this.moves.count >= COMPACTION_MOVES_MAX
    );
  }

  get isEmpty(): boolean {
    return this.moves.count === 0 && this.retired.length === 0 && this.carried.length === 0;
  }

  /** Replaced blocks wait for their transaction. */
  get hasDue(): boolean {
    return this.due.length > 0;
  }

  /** Forgets what was packed: nothing of it was written. */
  reset(): void {
    const flushNumber = this.options.flushNumber();
    this.toOne.reset(flushNumber);
    this.toZero.reset(flushNumber);
    this.moves.reset();
    this.retired = [];
    this.carried = [];
    this.dense = [];
  }

  /** Packs a record into a level. `uncountedBytes`: to be counted as superseded if the index does not name it. */
  keep(unit: SweepUnit, record: number, toWhere: number, uncountedBytes: number): void {
    const builder = toWhere === WHERE_LEVEL_ONE ? this.toOne : this.toZero;
    const offset = builder.append(unit.arena, unit.starts[record] as number);
    this.move(unit, record, toWhere, builder.blockIndex, offset, uncountedBytes);
  }

  /** A copy of the record that was kept or dropped last: an entry that names it is treated as that one's. */
  follow(unit: SweepUnit, record: number): void {
    const last = this.moves.last();
    this.move(unit, record, last.toWhere, last.toBlock, last.toOffset, 0);
  }

  /** The record is not written anew; an entry that names it is removed. */
  drop(unit: SweepUnit, record: number): void {
    this.move(unit, record, TO_NOWHERE, 0, 0, 0);
  }

  /** These blocks are replaced by what is packed: they go together, after the index has let go of them. */
  retire(keys: readonly BlockKey[], directoryNumber?: number): void {
    this.retired.push({ keys, directoryNumber });
  }

  /** A source block that cannot be read goes along as it is (I5). */
  carry(source: DamagedSource): void {
    this.carried.push(source);
  }

  /** With what is packed the unit has been written anew as a whole. */
  markDense(group: number, localPartition: number): void {
    this.dense.push({ group, localPartition });
  }

  /** Writes what is packed, with these changes of the state, and settles the index. */
  async commit(changes: Partial<CompactionState>): Promise<void> {
    const { store, numbers, directory } = this.options;
    const toOne = this.toOne.finish();
    const toZero = this.toZero.finish();
    const firstCounter = numbers.takeCounters(toOne.length);
    const firstSequence = numbers.takeSequences(toZero.length);
    const batch = blockWrites(toOne, firstCounter, toZero, firstSequence);
    const listed = toZero.length === 0 ? [] : [this.directoryWrite(toZero, firstSequence)];
    const carriedTo = numbers.takeSequences(this.carried.length);
    for (const [index, source] of this.carried.entries()) {
      listed.push(this.carriedDirectoryWrite(source, carriedTo + index));
      const { bytes } = source;
      if (bytes !== undefined) batch.push({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: carriedTo + index, bytes });
    }
    batch.push(...listed);
    const going = this.takeDue();
    const isLevelZeroChanged =
      listed.length > 0 || going.some(({ directoryNumber }) => directoryNumber !== undefined);
    const state = {
      ...this.state,
      ...changes,
      changeNumber: this.state.changeNumber + (isLevelZeroChanged ? 1 : 0),
      nextSequence: numbers.nextSequence,
      nextDirectory: numbers.nextDirectory,
      nextCounter: numbers.nextCounter,
    };
    batch.push({ keyHi: COMPACTION_STATE_KEY_HI, keyLo: 1, bytes: encodeCompactionState(state) });
    this.isSettled = false;
    await store.write(batch, removalsOf(going));
    this.state = state;
    for (const { bytes } of batch) this.bytesWritten += bytes.length;
    for (const { keyLo, bytes } of listed) directory.add(keyLo, bytes);
    for (const [index, { sequence }] of this.carried.entries()) {
      this.options.onCarried(sequence, carriedTo + index);
    }
    for (const { directoryNumber } of going)
      if (directoryNumber !== undefined) directory.remove(directoryNumber);
    this.countBlocks(toOne);
    for (const { group, localPartition } of this.dense) this.options.units.markDense(group, localPartition);
    await this.settle({ [WHERE_LEVEL_ZERO]: firstSequence, [WHERE_LEVEL_ONE]: firstCounter });
    this.isSettled = true;
    for (const retired of this.retired) this.due.push(retired);
    this.reset();
  }

  private move(
    unit: SweepUnit,
    record: number,
    toWhere: number,
    toBlock: number,
    toOffset: number,
    uncountedBytes: number,
  ): void {
    const { view } = unit.arena;
    const start = unit.starts[record] as number;
    this.moves.add(
      readRecordDigestLo(view, start),
      readRecordDigestHi(view, start),
      readRecordGroup(view, start),
      unit.wheres[record] as number,
      unit.blocks[record] as number,
      unit.blockOffsets[record] as number,
      toWhere,
      toBlock,
      toOffset,
      uncountedBytes,
    );
  }

  private async settle(firstOf: Readonly<Record<number, number>>): Promise<void> {
    const { index, shardCount, units, pause, nowSeconds, supersededDeathSeconds } = this.options;
    const onSuperseded = (group: number, localPartition: number, recordBytes: number): void => {
      units.die(group, localPartition, recordBytes, supersededDeathSeconds(group), nowSeconds());
    };
    const { moves } = this;
    for (let from = 0; from < moves.count; from += COMPACTION_SLICE_RECORDS) {
      const to = Math.min(from + COMPACTION_SLICE_RECORDS, moves.count);
      moves.apply(index, shardCount, from, to, firstOf, onSuperseded);
      await pause();
    }
  }

  /** Of what is due as much as one transaction removes: at least one call's. */
  private takeDue(): Retired[] {
    let keys = 0;
    let count = 0;
    while (count < this.due.length && (count === 0 || keys < COMPACTION_STEP_REMOVALS)) {
      keys += (this.due[count] as Retired).keys.length;
      count += 1;
    }
    return this.due.splice(0, count);
  }

  private directoryWrite(blocks: readonly BuiltBlock[], firstSequence: number): BlockWrite {
    const run = SWEEP_RUN_FIRST + this.state.sweepNumber;
    return {
      keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI,
      keyLo: this.options.numbers.takeDirectory(),
      bytes: encodeDirectory(this.options.flushNumber(), run, firstSequence, blocks),
    };
  }

  private carriedDirectoryWrite(source: DamagedSource, sequence: number): BlockWrite {
    const number = this.options.numbers.takeDirectory();
    const entry = {
      sequence,
      group: Math.floor(source.lowest / PARTITION_COUNT),
      partitionMin: source.lowest % PARTITION_COUNT,
      partitionMax: source.highest % PARTITION_COUNT,
      pages: source.pages,
    };
    return {
      keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI,
      keyLo: number,
      bytes: encodeDirectoryEntries(this.options.flushNumber(), CARRIED_RUN_FIRST + number, [entry]),
    };
  }

  private countBlocks(blocks: readonly BuiltBlock[]): void {
    const { units, shardCount } = this.options;
    for (const { group, partitionMin, pages, usedBytes } of blocks) {
      units.addBlock(group, (partitionMin / shardCount) | 0, pages, usedBytes);
    }
  }
}

function blockWrites(
  toOne: readonly BuiltBlock[],
  firstCounter: number,
  toZero: readonly BuiltBlock[],
  firstSequence: number,
): BlockWrite[] {
  const batch: BlockWrite[] = [];
  for (const [index, { bytes, group, partitionMin }] of toOne.entries()) {
    batch.push({ keyHi: levelOneKeyHi(group, partitionMin), keyLo: firstCounter + index, bytes });
  }
  for (const [index, { bytes }] of toZero.entries()) {
    batch.push({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: firstSequence + index, bytes });
  }
  return batch;
}

function removalsOf(going: readonly Retired[]): BlockKey[] {
  const removals: BlockKey[] = [];
  for (const { keys, directoryNumber } of going) {
    for (const key of keys) removals.push(key);
    if (directoryNumber !== undefined) {
      removals.push({ keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI, keyLo: directoryNumber });
    }
  }
  return removals;
}
