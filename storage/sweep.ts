/**
 * A sweep: one pass over all level-0 runs that were there when it began, unit by unit in (group, partition) order.
 *
 *   begin   state: source end, cursor at the first unit
 *   steps   state: cursor behind the last unit consumed; what was kept is in new blocks; source directories that the cursor
 *           has passed go with a later step, with all their blocks
 *   end     the last sources are gone; state: no sweep under way
 *
 * I1  The state on disk always says where to go on: a sweep that was stopped, or killed, is resumed there by `run`.
 * I2  Sources are the finished runs: it begins while no flush is under way, so a sequence below the source end is a source's.
 * I3  A source block that cannot be read is noted as damage and carried along (sweep-step.ts); the sweep goes on.
 * I4  `isStopping` is asked after each unit; what is packed and not written by then is forgotten, and was not lost.
 */

import { LEVEL_ZERO_KEY_HI } from './block-key.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { CURSOR_GROUP_END } from './compaction-state.ts';
import { type Damage, noteBlock } from './damage.ts';
import { type DirectoryValue, type LevelZeroDirectory, unitOf } from './level-zero-directory.ts';
import { COMPACTION_SLICE_RECORDS, PARTITION_COUNT } from './limits.ts';
import { SweepSources, UNIT_END } from './sweep-sources.ts';
import type { SweepStep } from './sweep-step.ts';
import type { UnitMerge } from './unit-merge.ts';

/** Small units consumed between two pauses. */
const UNITS_A_TURN: number = COMPACTION_SLICE_RECORDS / 8;

export interface SweepOptions {
  readonly store: BlockStore;
  readonly directory: LevelZeroDirectory;
  readonly damage: Damage;
  readonly step: SweepStep;
  readonly merge: UnitMerge;
  readonly pause: () => Promise<void>;
  /** A monotonic clock in µs. */
  readonly timerMicros: () => number;
  /** Everything accepted before this moment is in the sources or in level 1; -Infinity: not known. */
  readonly sealedMicros: number;
  /** After a transaction: waits as long as the bandwidth limit asks. */
  readonly throttle: () => Promise<void>;
  readonly isStopping: () => boolean;
}

/** Makes everything below `sourceEnd` a source. */
export async function beginSweep(step: SweepStep, sourceEnd: number): Promise<void> {
  const sweepNumber = step.state.sweepNumber + 1;
  await step.commit({ sweepNumber, sourceEnd, cursorGroup: 1, cursorPartition: 0 });
}

/** Goes on with the sweep under way. True: it has ended; false: it was stopped. */
export async function runSweep(options: SweepOptions): Promise<boolean> {
  const { store, directory, damage, step, merge, sealedMicros, timerMicros } = options;
  const { sourceEnd, cursorGroup, cursorPartition } = step.state;
  const runs = directory
    .runs()
    .map((values) => values.filter((value) => (value.sequences[0] as number) < sourceEnd))
    .filter((values) => values.length > 0);
  const sources = new SweepSources(
    store,
    runs,
    unitOf(cursorGroup, cursorPartition),
    timerMicros,
    (source) => {
      noteBlock(damage, directory, LEVEL_ZERO_KEY_HI, source.sequence, source.fault);
      step.carry(source);
    },
  );
  merge.beginSweep();
  const passing = runs.flat().sort((a, b) => a.lastUnit - b.lastUnit);
  let passed = 0;
  let unitsInTurn = 0;

  async function commit(unit: number): Promise<void> {
    while (passed < passing.length && (passing[passed] as DirectoryValue).lastUnit < unit) {
      retireSource(step, passing[passed] as DirectoryValue);
      passed += 1;
    }
    await step.commit({
      cursorGroup: Math.floor(unit / PARTITION_COUNT),
      cursorPartition: unit % PARTITION_COUNT,
    });
    await options.throttle();
  }

  for (;;) {
    // A fetch that meets slow reads leaves runs hungry: the lowest unit is known only when none is.
    while (sources.isHungry) await sources.fetch();
    const { unit } = sources;
    if (options.isStopping()) return false;
    if (unit === UNIT_END) break;
    const partition = unit % PARTITION_COUNT;
    const group = (unit - partition) / PARTITION_COUNT;
    await merge.consume(sources, unit, group, partition, sealedMicros, () => commit(unit));
    if (step.isFull) await commit(unit + 1);
    unitsInTurn += 1;
    if (unitsInTurn >= UNITS_A_TURN) {
      unitsInTurn = 0;
      await options.pause();
    }
  }
  await commit(unitOf(CURSOR_GROUP_END, 0));
  while (step.hasDue) {
    await step.commit({});
    await options.throttle();
  }
  await step.commit({ sourceEnd: 0, cursorGroup: 0, cursorPartition: 0 });
  return true;
}

/** A directory value goes with all the blocks that it lists. */
function retireSource(step: SweepStep, value: DirectoryValue): void {
  const keys: BlockKey[] = [];
  for (const keyLo of value.sequences) keys.push({ keyHi: LEVEL_ZERO_KEY_HI, keyLo });
  step.retire(keys, value.number);
}
