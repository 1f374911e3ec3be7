/**
 * A prototype of the merge from level 0 to level 1, to prove that the block formats carry it.
 *
 *   16 level-0 runs, each by (group, partition)  ─▶  one walk in that order  ─┬▶ level 1: what fills blocks, by digest
 *                                                                             └▶ one new level-0 run: what does not
 *
 * A group's partition moves to level 1 when its rows fill at least LEVEL_ONE_FILL of a block; smaller ones would waste most
 * of a page each, and stay packed with their neighbours. Index entries are pointed at the new places as the rows are
 * written. Every version is kept: dropping those that retention allows to go is compaction's business, as are crashes
 * and bounded steps.
 */
import { strict as assert } from 'node:assert';
import { type Arena, arenaOf } from '../storage/arena.ts';
import { LEVEL_ONE, LEVEL_ZERO, nextRecord, recordsEnd, recordsStart } from '../storage/block.ts';
import { BlockBuilder } from '../storage/block-builder.ts';
import { LEVEL_ZERO_KEY_HI, levelOneKeyHi } from '../storage/block-key.ts';
import type { BlockStore, BlockWrite } from '../storage/block-store.ts';
import { WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from '../storage/index-entry.ts';
import type { IndexTable } from '../storage/index-table.ts';
import { BLOCK_BYTES, BLOCK_HEADER_BYTES, PARTITION_COUNT } from '../storage/limits.ts';
import { readRecordDigestHi, readRecordDigestLo, readRecordGroup } from '../storage/record.ts';

const LEVEL_ONE_FILL = 0.75;
const STEP_BYTES = 1024 * 1024;
const GATHER_BYTES = 16 * 1024 * 1024;
/** A digest's high word and a row number below 2^21 share a double. */
const ROWS_MAX = 2 ** 21;

/** The blocks of one flush: sequences from `first` to `end`. */
export interface Run {
  readonly first: number;
  readonly end: number;
}

/** Where a record came from. */
interface Origin {
  readonly sequence: number;
  readonly offset: number;
}

/** Reads one run's records in order, a block at a time. */
class RunCursor {
  readonly arena: Arena = arenaOf(new Uint8Array(BLOCK_BYTES + 24));
  offset = 0;
  sequence: number;
  private end = 0;
  private readonly run: Run;
  private readonly store: BlockStore;

  constructor(store: BlockStore, run: Run) {
    this.store = store;
    this.run = run;
    this.sequence = run.first - 1;
    this.load();
  }

  /** False past the last record. */
  get isOpen(): boolean {
    return this.sequence < this.run.end;
  }

  /** (group, partition) as one number, in the run's order. */
  get range(): number {
    const { view } = this.arena;
    const partition = readRecordDigestLo(view, this.offset) & (PARTITION_COUNT - 1);
    return readRecordGroup(view, this.offset) * PARTITION_COUNT + partition;
  }

  advance(): void {
    this.offset = nextRecord(this.arena, this.offset);
    if (this.offset === this.end) this.load();
  }

  private load(): void {
    this.sequence += 1;
    if (!this.isOpen) return;
    const bytes = this.store.read(LEVEL_ZERO_KEY_HI, this.sequence);
    assert(bytes !== undefined && bytes.length === BLOCK_BYTES);
    this.arena.bytes.set(bytes);
    this.offset = recordsStart(0);
    this.end = recordsEnd(this.arena, 0);
  }
}

/** One level's blocks on their way to the store, with the places that the index still has to learn. */
class LevelWriter {
  rows = 0;
  blocks = 0;
  private readonly builder: BlockBuilder;
  private readonly store: BlockStore;
  private readonly keyOf: (group: number, partition: number) => { keyHi: number; counter: number };

  constructor(
    store: BlockStore,
    level: number,
    flushNumber: number,
    keyOf: (group: number, partition: number) => { keyHi: number; counter: number },
  ) {
    this.store = store;
    this.keyOf = keyOf;
    this.builder = new BlockBuilder(level);
    this.builder.reset(flushNumber);
    this.flushNumber = flushNumber;
  }

  private readonly flushNumber: number;

  get isFull(): boolean {
    return this.builder.bytes >= STEP_BYTES;
  }

  append(arena: Arena, offset: number): { blockIndex: number; offset: number } {
    this.rows += 1;
    const at = this.builder.append(arena, offset);
    return { blockIndex: this.builder.blockIndex, offset: at };
  }

  /** Writes what was packed; answers each block's counter, by its index. */
  async write(): Promise<number[]> {
    const counters: number[] = [];
    const batch: BlockWrite[] = this.builder.finish().map((block) => {
      const { keyHi, counter } = this.keyOf(block.group, block.partitionMin);
      counters.push(counter);
      return { keyHi, keyLo: counter, bytes: block.bytes };
    });
    await this.store.write(batch);
    this.blocks += batch.length;
    this.builder.reset(this.flushNumber);
    return counters;
  }
}

/** Rows written since the last step, as columns: where they were and where they went. */
class Moves {
  count = 0;
  readonly digestLo: number[] = [];
  readonly digestHi: number[] = [];
  readonly group: number[] = [];
  readonly from: Origin[] = [];
  readonly blockIndex: number[] = [];
  readonly offset: number[] = [];

  add(view: DataView, at: number, from: Origin, to: { blockIndex: number; offset: number }): void {
    const i = this.count++;
    this.digestLo[i] = readRecordDigestLo(view, at);
    this.digestHi[i] = readRecordDigestHi(view, at);
    this.group[i] = readRecordGroup(view, at);
    this.from[i] = from;
    this.blockIndex[i] = to.blockIndex;
    this.offset[i] = to.offset;
  }

  /** Points the index at the new places; answers how many entries still pointed at the old ones. */
  apply(index: IndexTable, where: number, counters: readonly number[]): number {
    let moved = 0;
    for (let i = 0; i < this.count; i++) {
      const lo = this.digestLo[i] as number;
      const { sequence, offset } = this.from[i] as Origin;
      const partition = lo & (PARTITION_COUNT - 1);
      const handle = index.findPlace(
        partition,
        this.digestHi[i] as number,
        lo,
        this.group[i] as number,
        WHERE_LEVEL_ZERO,
        sequence,
        offset,
      );
      if (handle < 0) continue;
      const counter = counters[this.blockIndex[i] as number] as number;
      index.setPlace(handle, where, counter, this.offset[i] as number);
      moved += 1;
    }
    this.count = 0;
    return moved;
  }
}

export interface MergeResult {
  readonly levelOneRows: number;
  readonly levelOneBlocks: number;
  readonly levelZeroRows: number;
  readonly levelZeroBlocks: number;
  readonly entriesMoved: number;
}

/** Merges the runs of a store of one shard; the runs' blocks are left for a later transaction to remove. */
export async function mergeRuns(
  store: BlockStore,
  index: IndexTable,
  runs: readonly Run[],
): Promise<MergeResult> {
  const cursors = runs.map((run) => new RunCursor(store, run));
  let nextSequence = Math.max(...runs.map((run) => run.end));
  let nextCounter = 1;
  const levels = [
    {
      where: WHERE_LEVEL_ZERO,
      moves: new Moves(),
      writer: new LevelWriter(store, LEVEL_ZERO, 1, () => ({
        keyHi: LEVEL_ZERO_KEY_HI,
        counter: nextSequence++,
      })),
    },
    {
      where: WHERE_LEVEL_ONE,
      moves: new Moves(),
      writer: new LevelWriter(store, LEVEL_ONE, 1, (group, partition) => ({
        keyHi: levelOneKeyHi(group, partition),
        counter: nextCounter++,
      })),
    },
  ] as const;
  const gathered = new Gathered();
  let entriesMoved = 0;
  for (;;) {
    const range = lowestRange(cursors);
    if (range === Infinity) break;
    for (const cursor of cursors) gathered.take(cursor, range);
    const fills = gathered.bytes >= LEVEL_ONE_FILL * (BLOCK_BYTES - BLOCK_HEADER_BYTES);
    const level = levels[fills ? 1 : 0];
    gathered.drain(fills, (arena, at, from) => {
      level.moves.add(arena.view, at, from, level.writer.append(arena, at));
    });
    if (level.writer.isFull)
      entriesMoved += level.moves.apply(index, level.where, await level.writer.write());
  }
  for (const level of levels) {
    entriesMoved += level.moves.apply(index, level.where, await level.writer.write());
  }
  const [zero, one] = levels;
  return {
    levelOneRows: one.writer.rows,
    levelOneBlocks: one.writer.blocks,
    levelZeroRows: zero.writer.rows,
    levelZeroBlocks: zero.writer.blocks,
    entriesMoved,
  };
}

function lowestRange(cursors: readonly RunCursor[]): number {
  let lowest = Infinity;
  for (const cursor of cursors) if (cursor.isOpen && cursor.range < lowest) lowest = cursor.range;
  return lowest;
}

/** One (group, partition)'s records out of all runs. */
class Gathered {
  bytes = 0;
  private readonly arena: Arena = arenaOf(new Uint8Array(GATHER_BYTES));
  private readonly places: number[] = [];
  private readonly origins: Origin[] = [];
  private readonly order: Float64Array = new Float64Array(ROWS_MAX);

  take(cursor: RunCursor, range: number): void {
    while (cursor.isOpen && cursor.range === range) {
      const { arena, offset, sequence } = cursor;
      const recordBytes = arena.words[offset >>> 2] as number;
      assert(this.bytes + recordBytes <= GATHER_BYTES);
      this.arena.bytes.set(arena.bytes.subarray(offset, offset + recordBytes), this.bytes);
      this.places.push(this.bytes);
      this.origins.push({ sequence, offset });
      this.bytes += recordBytes;
      cursor.advance();
    }
  }

  /** Visits the records, by digest or as they came, and forgets them. */
  drain(byDigest: boolean, visit: (arena: Arena, at: number, from: Origin) => void): void {
    const count = this.places.length;
    const order = this.order.subarray(0, count);
    for (let i = 0; i < count; i++) {
      const high = byDigest ? readRecordDigestHi(this.arena.view, this.places[i] as number) : 0;
      order[i] = high * ROWS_MAX + i;
    }
    if (byDigest) {
      order.sort();
      this.orderTies(order);
    }
    for (let i = 0; i < count; i++) {
      const row = (order[i] as number) % ROWS_MAX;
      visit(this.arena, this.places[row] as number, this.origins[row] as Origin);
    }
    this.places.length = 0;
    this.origins.length = 0;
    this.bytes = 0;
  }

  /** Rows whose high words are equal, which is rare, by their low words. */
  private orderTies(order: Float64Array): void {
    const lowOf = (packed: number): number =>
      readRecordDigestLo(this.arena.view, this.places[packed % ROWS_MAX] as number);
    for (let i = 1; i < order.length; i++) {
      const packed = order[i] as number;
      let at = i;
      while (
        at > 0 &&
        isTie(order[at - 1] as number, packed) &&
        lowOf(order[at - 1] as number) > lowOf(packed)
      ) {
        order[at] = order[at - 1] as number;
        at -= 1;
      }
      order[at] = packed;
    }
  }
}

function isTie(a: number, b: number): boolean {
  return Math.floor(a / ROWS_MAX) === Math.floor(b / ROWS_MAX);
}
