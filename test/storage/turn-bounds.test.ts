/**
 * What flushes and compaction do in one turn of the event loop is bounded, whatever there is to do: counted, not timed.
 *
 * A shard's own work goes on only where it has been scheduled, so a turn here is what one scheduled function does with all
 * that it resolves.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockBuilder } from '../../storage/block-builder.ts';
import { BlockNumbers } from '../../storage/block-numbers.ts';
import { IndexTable } from '../../storage/index-table.ts';
import {
  COMPACTION_SLICE_BYTES,
  COMPACTION_SLICE_RECORDS,
  COMPACTION_STEP_BYTES,
  FLUSH_SLICE_BYTES,
  FLUSH_STEP_BYTES,
  FLUSH_SWAP_RECORDS,
  PAGE_BYTES,
} from '../../storage/limits.ts';
import { TestShard, temporaryDirectory } from '../support/shard.ts';

const ROWS = 12_000;

/** The most of each that one turn did. */
interface Counts {
  packedBytes: number;
  pointed: number;
  blocksNumbered: number;
}

const nothing = (): Counts => ({ packedBytes: 0, pointed: 0, blocksNumbered: 0 });

class TurnCounter {
  most: Counts = nothing();
  turns = 0;
  private now: Counts = nothing();
  private readonly undo: (() => void)[] = [];

  constructor() {
    const counter = this;
    const { append } = BlockBuilder.prototype;
    BlockBuilder.prototype.append = function (source, offset) {
      counter.now.packedBytes += source.words[offset >>> 2] as number;
      return append.call(this, source, offset);
    };
    const { findPlace } = IndexTable.prototype;
    IndexTable.prototype.findPlace = function (...args) {
      counter.now.pointed += 1;
      return findPlace.apply(this, args);
    };
    const { takeSequences, takeCounters } = BlockNumbers.prototype;
    BlockNumbers.prototype.takeSequences = function (count) {
      counter.now.blocksNumbered += count;
      return takeSequences.call(this, count);
    };
    BlockNumbers.prototype.takeCounters = function (count) {
      counter.now.blocksNumbered += count;
      return takeCounters.call(this, count);
    };
    this.undo.push(() => {
      BlockBuilder.prototype.append = append;
      IndexTable.prototype.findPlace = findPlace;
      Object.assign(BlockNumbers.prototype, { takeSequences, takeCounters });
    });
  }

  readonly schedule = (run: () => void): void => {
    setImmediate(() => {
      this.endTurn();
      run();
    });
  };

  /** Forgets what was counted before. */
  start(): void {
    this.now = nothing();
    this.most = nothing();
    this.turns = 0;
  }

  endTurn(): void {
    for (const name of ['packedBytes', 'pointed', 'blocksNumbered'] as const) {
      this.most[name] = Math.max(this.most[name], this.now[name]);
    }
    this.now = nothing();
    this.turns += 1;
  }

  restore(): void {
    for (const undo of this.undo) undo();
  }
}

async function fill(shard: TestShard, valueBytes: number): Promise<void> {
  const value = 'v'.repeat(valueBytes);
  for (let from = 0; from < ROWS; from += 2000) {
    const rows = Array.from({ length: 2000 }, (_row, at) => ({ key: `key ${from + at}`, value }));
    await shard.put(1, rows);
  }
}

test('a turn of a flush packs a slice, hands over a step, and points so many entries anew', async () => {
  const directory = temporaryDirectory();
  const counter = new TurnCounter();
  try {
    const shard = await new TestShard(directory.path, { schedule: counter.schedule, verifies: false }).open();
    await fill(shard, 200);
    counter.start();
    await shard.store.flush();
    counter.endTurn();
    const { most, turns } = counter;
    const flushedBytes = ROWS * 256;
    assert.ok(turns >= flushedBytes / FLUSH_SLICE_BYTES + ROWS / FLUSH_SWAP_RECORDS, `${turns} turns`);
    // A block is a page, and holds less than one of records.
    assert.ok(most.packedBytes <= FLUSH_SLICE_BYTES + PAGE_BYTES, `${most.packedBytes} bytes packed`);
    assert.equal(most.pointed, FLUSH_SWAP_RECORDS);
    assert.ok(most.blocksNumbered <= FLUSH_STEP_BYTES / PAGE_BYTES + 1, `${most.blocksNumbered} blocks`);
    assert.ok(most.blocksNumbered > 1);
    await shard.store.close();
  } finally {
    counter.restore();
    directory.remove();
  }
});

test('a turn of compaction packs a slice, hands over a step, and points so many entries anew', async () => {
  const directory = temporaryDirectory();
  const counter = new TurnCounter();
  try {
    const shard = await new TestShard(directory.path, { schedule: counter.schedule, verifies: false }).open();
    for (let round = 0; round < 2; round++) {
      await fill(shard, 200);
      await shard.store.flush();
    }
    counter.start();
    await shard.store.compact();
    counter.endTurn();
    const { most, turns } = counter;
    assert.ok(turns >= ROWS / COMPACTION_SLICE_RECORDS, `${turns} turns`);
    assert.ok(most.packedBytes > 0 && most.packedBytes <= 2 * COMPACTION_SLICE_BYTES, `${most.packedBytes}`);
    assert.ok(most.pointed > 0 && most.pointed <= COMPACTION_SLICE_RECORDS, `${most.pointed} entries`);
    assert.ok(most.blocksNumbered <= COMPACTION_STEP_BYTES / PAGE_BYTES + 2, `${most.blocksNumbered} blocks`);
    await shard.store.close();
  } finally {
    counter.restore();
    directory.remove();
  }
});
