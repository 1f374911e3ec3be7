/**
 * Moves records into new shards: from blocks, directories and journal frames of whatever shards had them, into stores of another
 * shard count. What restore and reshard share.
 *
 *   level-1 block  (of one partition) ────────────────── as it is ──▶ its partition's new shard
 *   level-0 block, journal frame ─▶ record by record ─▶ buffer of its new shard ─▶ sorted run: blocks and directory
 *
 * I1  Every version that the sources count is written once: obsolete records of a sweep under way are left out, as every
 *     reader does (compaction-state.ts, I1). Nothing is merged and nothing dropped: history, tombstones, keyed records move.
 * I2  A target is complete only after `finish`, which writes checkpoint, clocks, state of compaction and read point. Until
 *     then it is nobody's: who makes it starts over after a crash.
 * I3  Numbers given to blocks of a target lie above those of the level-1 blocks that were copied, and partitions go on above
 *     every LSN and commit time that the sources gave out.
 * I4  Memory: the run buffers, MOVER_BUFFER_BYTES in all, one record or frame more each, and a MiB of blocks being built.
 *
 * Left to others: which values a source has (restore.ts, reshard.ts in server/), and when the targets count.
 */
import { strict as assert } from 'node:assert';
import { type Arena, arenaOf } from './arena.ts';
import { LEVEL_ZERO, nextRecord, recordsEnd, recordsStart } from './block.ts';
import { BlockBuilder } from './block-builder.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  PARTITION_CLOCKS_KEY_HI,
} from './block-key.ts';
import { BlockNumbers } from './block-numbers.ts';
import type { BlockStore, BlockWrite } from './block-store.ts';
import { CHECKPOINT_EMPTY, encodeCheckpoint } from './checkpoint.ts';
import {
  COMPACTION_STATE_EMPTY,
  type CompactionState,
  encodeCompactionState,
  isConsumed,
} from './compaction-state.ts';
import { encodeDirectory } from './level-zero-directory.ts';
import { FLUSH_STEP_BYTES, PARTITION_COUNT } from './limits.ts';
import { PartitionClock } from './partition-clock.ts';
import { encodePartitionClocks, observePartitionClocks } from './partition-clocks-value.ts';
import {
  RECORD_MALFORMED,
  readRecordBytes,
  readRecordCommitTime,
  readRecordDigestLo,
  readRecordGroup,
  readRecordLsn,
  verifyRecord,
} from './record.ts';
import { StorageError } from './storage-error.ts';
import { storedKind, ValueVerifier } from './stored-value.ts';

/** Records waiting to be sorted, of all targets together: runs long enough that compaction has little to do with them. */
export const MOVER_BUFFER_BYTES: number = 128 * 1024 * 1024;
/** Of one target. */
const RUN_BYTES_MAX: number = 32 * 1024 * 1024;
const RUN_BYTES_MIN: number = 512 * 1024;
const PARTITION_MASK: number = PARTITION_COUNT - 1;
const ROOM_FIRST = 64 * 1024;

export interface RecordMoverOptions {
  /** The new shards' stores, empty, in their order. */
  readonly targets: readonly BlockStore[];
  /** The highest flush number of any source: what is written goes on above it. */
  readonly flushNumber: number;
}

export class RecordMover {
  /** Records moved, those of copied blocks included. */
  records = 0;
  /** The highest group seen. */
  groupMax = 0;
  private readonly targets: readonly TargetShard[];
  private readonly verifier = new ValueVerifier();

  constructor(options: RecordMoverOptions) {
    const { targets, flushNumber } = options;
    const share = Math.floor(MOVER_BUFFER_BYTES / targets.length);
    const runBytes = Math.max(RUN_BYTES_MIN, Math.min(RUN_BYTES_MAX, share));
    this.targets = targets.map(
      (store, index) => new TargetShard(store, index, targets.length, flushNumber, runBytes),
    );
  }

  /**
   * Takes one value of a source's store whose state of compaction is `state`. Call `drain` when it answers true.
   * Throws BLOCK_CORRUPT.
   */
  addValue(state: CompactionState, keyHi: number, keyLo: number, bytes: Uint8Array): boolean {
    const kind = storedKind(keyHi);
    if (kind === 'level-0 directory') return false;
    assert(kind !== 'other', 'blocks and directories are moved');
    const arena = this.verifier.block(keyHi, keyLo, bytes);
    const end = recordsEnd(arena, 0);
    for (let at = recordsStart(0); at < end; at = nextRecord(arena, at)) {
      if (verifyRecord(arena.view, at, end) === RECORD_MALFORMED) {
        throw new StorageError('BLOCK_CORRUPT', `block ${keyHi}/${keyLo} holds a malformed record at ${at}`);
      }
      const group = readRecordGroup(arena.view, at);
      const partition = readRecordDigestLo(arena.view, at) & PARTITION_MASK;
      this.note(group, partition, arena.view, at);
      if (kind === 'level-1 block' || isConsumed(state, keyLo, group, partition)) continue;
      this.target(partition).addRecord(arena.bytes, at, readRecordBytes(arena.view, at));
    }
    if (kind === 'level-1 block') {
      this.target((keyHi >>> 8) & PARTITION_MASK).addBlock({ keyHi, keyLo, bytes: new Uint8Array(bytes) });
    }
    return this.isDue;
  }

  /** Takes the records of a journal frame's body. Throws JOURNAL_CORRUPT. */
  addFrame(bytes: Uint8Array, from: number, end: number, position: number): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = from; at < end; ) {
      const next = verifyRecord(view, at, end);
      if (next === RECORD_MALFORMED) {
        throw new StorageError('JOURNAL_CORRUPT', `journal frame at position ${position}: malformed record`);
      }
      const partition = readRecordDigestLo(view, at) & PARTITION_MASK;
      this.note(readRecordGroup(view, at), partition, view, at);
      this.target(partition).addRecord(bytes, at, next - at);
      at = next;
    }
    return this.isDue;
  }

  /** Lets partition `partition` go on above these. */
  observe(partition: number, lsn: number, commitTimeMicros: number): void {
    this.target(partition).observe(partition, lsn, commitTimeMicros);
  }

  /** Lets partitions go on above what shard `index` of `count` shards gave out, by its clocks' value. */
  observeClocks(bytes: Uint8Array, index: number, count: number): void {
    const clock = new PartitionClock(Math.ceil((PARTITION_COUNT - index) / count));
    observePartitionClocks(bytes, clock);
    for (let local = 0; local < clock.partitionCount; local++) {
      this.observe(local * count + index, clock.lsn(local), clock.commitTimeMicros(local));
    }
  }

  /** Writes what is due. */
  async drain(): Promise<void> {
    for (const target of this.targets) if (target.isDue) await target.write();
  }

  /** Writes the rest and completes the targets. `meta` goes into each of them: the read point. */
  async finish(state: CompactionState, meta: readonly BlockWrite[]): Promise<void> {
    for (const target of this.targets) await target.finish(state, meta);
  }

  private get isDue(): boolean {
    return this.targets.some((target) => target.isDue);
  }

  private target(partition: number): TargetShard {
    return this.targets[partition % this.targets.length]!;
  }

  private note(group: number, partition: number, view: DataView, at: number): void {
    this.records += 1;
    this.groupMax = Math.max(this.groupMax, group);
    this.observe(partition, readRecordLsn(view, at), readRecordCommitTime(view, at));
  }
}

/** One new shard: copied blocks that wait for a transaction, and records that wait for a run. */
class TargetShard {
  private readonly store: BlockStore;
  private readonly shardCount: number;
  private readonly runBytes: number;
  private readonly clock: PartitionClock;
  private readonly builder: BlockBuilder = new BlockBuilder(LEVEL_ZERO);
  private readonly numbers: BlockNumbers = new BlockNumbers(CHECKPOINT_EMPTY, COMPACTION_STATE_EMPTY);
  private flushNumber: number;
  private blocks: BlockWrite[] = [];
  private blockBytes = 0;
  private buffer: Arena = arenaOf(new Uint8Array(ROOM_FIRST));
  private used = 0;
  private offsets: number[] = [];

  constructor(store: BlockStore, index: number, shardCount: number, flushNumber: number, runBytes: number) {
    this.store = store;
    this.shardCount = shardCount;
    this.flushNumber = flushNumber;
    this.runBytes = runBytes;
    this.clock = new PartitionClock(Math.ceil((PARTITION_COUNT - index) / shardCount));
  }

  get isDue(): boolean {
    return this.used >= this.runBytes || this.blockBytes >= FLUSH_STEP_BYTES;
  }

  observe(partition: number, lsn: number, commitTimeMicros: number): void {
    this.clock.observe((partition / this.shardCount) | 0, lsn, commitTimeMicros);
  }

  addBlock(block: BlockWrite): void {
    this.numbers.nextCounter = Math.max(this.numbers.nextCounter, block.keyLo + 1);
    this.blocks.push(block);
    this.blockBytes += block.bytes.length;
  }

  addRecord(source: Uint8Array, offset: number, recordBytes: number): void {
    const end = this.used + recordBytes;
    if (end > this.buffer.bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.buffer.bytes.length));
      grown.set(this.buffer.bytes.subarray(0, this.used));
      this.buffer = arenaOf(grown);
    }
    this.buffer.bytes.set(source.subarray(offset, offset + recordBytes), this.used);
    this.offsets.push(this.used);
    this.used = end;
  }

  async write(): Promise<void> {
    if (this.blocks.length > 0) await this.store.write(this.blocks);
    this.blocks = [];
    this.blockBytes = 0;
    if (this.used >= this.runBytes) await this.writeRun();
  }

  async finish(state: CompactionState, meta: readonly BlockWrite[]): Promise<void> {
    await this.write();
    if (this.used > 0) await this.writeRun();
    const { nextSequence, nextDirectory } = this.numbers;
    const nextCounter = Math.max(this.numbers.nextCounter, state.nextCounter);
    const moved = {
      ...state,
      sourceEnd: 0,
      cursorGroup: 0,
      cursorPartition: 0,
      nextSequence,
      nextDirectory,
      nextCounter,
    };
    const checkpoint = { flushNumber: this.flushNumber, journalPosition: 0, nextSequence, nextDirectory };
    await this.store.write([
      ...meta,
      { keyHi: PARTITION_CLOCKS_KEY_HI, keyLo: 1, bytes: encodePartitionClocks(this.clock) },
      { keyHi: COMPACTION_STATE_KEY_HI, keyLo: 1, bytes: encodeCompactionState(moved) },
      { keyHi: CHECKPOINT_KEY_HI, keyLo: CHECKPOINT_KEY_LO, bytes: encodeCheckpoint(checkpoint) },
    ]);
  }

  /** Writes the buffered records as one run, in steps of one transaction each. */
  private async writeRun(): Promise<void> {
    this.flushNumber += 1;
    const order = runOrder(this.buffer, this.offsets);
    for (let position = 0; position < order.length; ) {
      this.builder.reset(this.flushNumber);
      while (position < order.length && this.builder.bytes < FLUSH_STEP_BYTES) {
        this.builder.append(this.buffer, this.offsets[order[position]!]!);
        position += 1;
      }
      const blocks = this.builder.finish();
      const first = this.numbers.takeSequences(blocks.length);
      const batch: BlockWrite[] = blocks.map(({ bytes }, index) => ({
        keyHi: LEVEL_ZERO_KEY_HI,
        keyLo: first + index,
        bytes,
      }));
      batch.push({
        keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI,
        keyLo: this.numbers.takeDirectory(),
        bytes: encodeDirectory(this.flushNumber, this.flushNumber, first, blocks),
      });
      await this.store.write(batch);
    }
    this.used = 0;
    this.offsets = [];
  }
}

/** Positions in `offsets` in the order of a run: group, partition, LSN. */
function runOrder(buffer: Arena, offsets: readonly number[]): Uint32Array {
  const units = new Float64Array(offsets.length);
  const lsns = new Float64Array(offsets.length);
  for (const [index, at] of offsets.entries()) {
    const partition = readRecordDigestLo(buffer.view, at) & PARTITION_MASK;
    units[index] = readRecordGroup(buffer.view, at) * PARTITION_COUNT + partition;
    lsns[index] = readRecordLsn(buffer.view, at);
  }
  const order = new Uint32Array(offsets.length).map((_, index) => index);
  return order.sort((a, b) => units[a]! - units[b]! || lsns[a]! - lsns[b]!);
}
