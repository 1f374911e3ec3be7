/**
 * The level-0 runs that a sweep reads, walked in step: unit by unit in (group, partition) order, each block once.
 *
 *   run 1   | block | block | …      each stands on its next record; the lowest unit of all is the next to be gathered
 *   run 2   | block | …
 *
 * I1  Records of units before the first one are skipped: an earlier part of the sweep has consumed them.
 * I2  Blocks are fed COMPACTION_AHEAD_BLOCKS a run: `take` stops in front of one that was not (`isHungry`), and `fetch` goes on. While
 *     reads are slow they are fetched on other threads first, so that reading one finds it in memory (sweep-pace.ts).
 * I3  A block that is missing or whose checksum differs is handed to `onDamaged` and passed over, before a unit that it may hold
 *     is complete: a run stands on a record of a later block only when all before it were read.
 */
import { type Arena, arenaOf } from './arena.ts';
import { blockFault, nextRecord, recordsEnd, recordsStart } from './block.ts';
import { LEVEL_ZERO_KEY_HI } from './block-key.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { WHERE_LEVEL_ZERO } from './index-entry.ts';
import { type DirectoryValue, firstBlockReaching, unitOf } from './level-zero-directory.ts';
import { COMPACTION_AHEAD_BLOCKS, COMPACTION_PREFETCH_SPREAD, PAGE_BYTES } from './limits.ts';
import { readRecordDigestLo, readRecordGroup } from './record.ts';
import { SweepPace } from './sweep-pace.ts';
import type { SweepUnit } from './sweep-unit.ts';

const PARTITION_MASK = 4095;
/** A source block that cannot be read, and what the directory says of it. */
export interface DamagedSource {
  readonly sequence: number;
  /** As they are stored; undefined when there is none. */
  readonly bytes: Uint8Array | undefined;
  /** The units that it may hold and that no earlier part of the sweep has consumed. */
  readonly lowest: number;
  readonly highest: number;
  readonly pages: number;
  readonly fault: string;
}

type OnDamaged = (source: DamagedSource) => void;

/** The unit of a run that is at its end. */
export const UNIT_END: number = Infinity;

export class SweepSources {
  private readonly store: BlockStore;
  private readonly cursors: RunCursor[];
  private readonly pace: SweepPace = new SweepPace();

  /** Each run's values in their order; `fromUnit` is the first unit to be gathered. Call `fetch` before anything else. */
  constructor(
    store: BlockStore,
    runs: readonly (readonly DirectoryValue[])[],
    fromUnit: number,
    timerMicros: () => number,
    onDamaged: OnDamaged,
  ) {
    this.store = store;
    const onRead = (micros: number): void => {
      if (this.pace.isTooSlow(micros)) for (const cursor of this.cursors) cursor.starve();
    };
    this.cursors = runs.map((values) => new RunCursor(values, fromUnit, timerMicros, onRead, onDamaged));
  }

  /** Some run cannot go on before `fetch`. */
  get isHungry(): boolean {
    for (const cursor of this.cursors) if (cursor.isHungry) return true;
    return false;
  }

  /** The lowest unit that has records left, or UNIT_END. No run is hungry. */
  get unit(): number {
    let lowest = UNIT_END;
    for (const cursor of this.cursors) if (cursor.unit < lowest) lowest = cursor.unit;
    return lowest;
  }

  /** Brings the next blocks of each run into memory, if they are believed not to be there. */
  async fetch(): Promise<void> {
    const keys: BlockKey[] = [];
    for (const cursor of this.cursors) cursor.collectAhead(keys);
    if (this.pace.next() && keys.length > 0) await this.store.prefetch(keys, COMPACTION_PREFETCH_SPREAD);
    for (const cursor of this.cursors) cursor.feed(this.store);
  }

  /**
   * Adds records of `unit` until about `bytesMax` bytes or `recordsMax` records were added, or a run is hungry. True when
   * the unit has none left.
   */
  take(unit: number, into: SweepUnit, recordsMax: number, bytesMax: number): boolean {
    const recordsEndCount = into.count + recordsMax;
    const bytesEnd = into.bytes + bytesMax;
    for (const cursor of this.cursors) {
      while (cursor.unit === unit) {
        if (into.count >= recordsEndCount || into.bytes >= bytesEnd) return false;
        into.add(cursor.arena, cursor.offset, WHERE_LEVEL_ZERO, cursor.sequence, cursor.offset);
        cursor.advance(this.store);
      }
      if (cursor.isHungry) return false;
    }
    return true;
  }
}

class RunCursor {
  arena: Arena = arenaOf(new Uint8Array(PAGE_BYTES));
  /** The next record and its unit; the block it is in. */
  offset = 0;
  sequence = 0;
  unit = UNIT_END;
  isHungry = true;
  private end = 0;
  private readonly values: readonly DirectoryValue[];
  private readonly fromUnit: number;
  private readonly timerMicros: () => number;
  private readonly onRead: (micros: number) => void;
  private readonly onDamaged: OnDamaged;
  /** The next block to be read. */
  private value = 0;
  private block = 0;
  /** How many blocks from there on may be read. */
  private fed = 0;

  constructor(
    values: readonly DirectoryValue[],
    fromUnit: number,
    timerMicros: () => number,
    onRead: (micros: number) => void,
    onDamaged: OnDamaged,
  ) {
    this.values = values;
    this.fromUnit = fromUnit;
    this.timerMicros = timerMicros;
    this.onRead = onRead;
    this.onDamaged = onDamaged;
    while (this.value < values.length && (values[this.value] as DirectoryValue).lastUnit < fromUnit) {
      this.value += 1;
    }
    const first = values[this.value];
    if (first !== undefined) this.block = firstBlockReaching(first, fromUnit);
  }

  /** No block is read before the next fetch. */
  starve(): void {
    this.fed = 0;
  }

  collectAhead(keys: BlockKey[]): void {
    if (!this.isHungry) return;
    let { value, block } = this;
    for (; this.fed < COMPACTION_AHEAD_BLOCKS && value < this.values.length; this.fed += 1) {
      const { sequences } = this.values[value] as DirectoryValue;
      keys.push({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: sequences[block] as number });
      block += 1;
      if (block === sequences.length) {
        value += 1;
        block = 0;
      }
    }
  }

  /** Goes on after `collectAhead` and the fetch of its keys. */
  feed(store: BlockStore): void {
    if (!this.isHungry) return;
    this.isHungry = false;
    this.load(store);
    while (this.unit < this.fromUnit && !this.isHungry) this.advance(store);
  }

  advance(store: BlockStore): void {
    this.offset = nextRecord(this.arena, this.offset);
    if (this.offset === this.end) this.load(store);
    else this.unit = this.unitAtOffset();
  }

  /** Goes to the first record of the next block that can be read. */
  private load(store: BlockStore): void {
    for (;;) {
      const value = this.values[this.value];
      if (value === undefined) {
        this.unit = UNIT_END;
        return;
      }
      if (this.fed === 0) {
        this.isHungry = true;
        // Nothing lies before it, so nobody takes it for the lowest while it is hungry.
        this.unit = UNIT_END;
        return;
      }
      this.fed -= 1;
      const { block } = this;
      this.block += 1;
      if (this.block === value.count) {
        this.value += 1;
        this.block = 0;
      }
      if (this.read(store, value, block)) return;
    }
  }

  private read(store: BlockStore, value: DirectoryValue, block: number): boolean {
    this.sequence = value.sequences[block] as number;
    const startMicros = this.timerMicros();
    const bytes = store.read(LEVEL_ZERO_KEY_HI, this.sequence);
    const fault = bytes === undefined ? 'it is missing' : this.faultOf(bytes);
    this.onRead(this.timerMicros() - startMicros);
    if (fault !== undefined) {
      this.onDamaged({
        sequence: this.sequence,
        bytes: bytes?.slice(),
        lowest: Math.max(value.lowest[block] as number, this.fromUnit),
        highest: value.highest[block] as number,
        pages: value.pages[block] as number,
        fault,
      });
      return false;
    }
    this.offset = recordsStart(0);
    this.end = recordsEnd(this.arena, 0);
    this.unit = this.unitAtOffset();
    return true;
  }

  /** Takes the bytes over and checks them. */
  private faultOf(bytes: Uint8Array): string | undefined {
    if (bytes.length > this.arena.bytes.length) this.arena = arenaOf(new Uint8Array(bytes.length));
    this.arena.bytes.set(bytes);
    return blockFault(this.arena, 0, bytes.length);
  }

  private unitAtOffset(): number {
    const { view } = this.arena;
    const partition = readRecordDigestLo(view, this.offset) & PARTITION_MASK;
    return unitOf(readRecordGroup(view, this.offset), partition);
  }
}
