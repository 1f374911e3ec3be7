/**
 * Reads partitions of a group from the shard's blocks, for scans: in another thread than the shard, from an LMDB
 * snapshot, beside the versions that the shard still has in its write buffer.
 *
 * I1  A step holds exactly the versions of its partitions that were durable when the shard answered: those in the
 *     blocks of flushes up to the answer's flush number, and those in the answer. A snapshot whose checkpoint has
 *     another flush number is refused (`open` answers undefined), and the caller asks the shard again.
 * I2  Blocks of a flush that is not finished, or did not finish before a crash, are not read.
 * I3  A step reads each block once and checks it once, and takes fewer partitions than offered rather than gathering
 *     much more than STEP_PAGES_MAX; a single partition may be larger, for it is squeezed as it is read (version-merge.ts).
 * I4  `advance` does a bounded amount of work, so that a thread serves several scans in turn. The step's snapshot pins
 *     pages only until its last `advance`: never while a consumer is waited for.
 *
 * How: the level-0 directory says which blocks touch the partitions, and they are read in their order in the file;
 * level 1 is one key range. What the blocks hold of other partitions is skipped, so partitions ascend from step to step
 * and a block that spans several is seldom met twice.
 *
 * The directory is kept between steps and follows the store: when a flush or a sweep has changed it, the values that are
 * new are decoded and those that are gone are dropped. What a sweep under way has consumed is left out (compaction-state.ts).
 */
import { strict as assert } from 'node:assert';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  levelOneKeyHi,
} from './block-key.ts';
import type { BlockKey, BlockSnapshot, BlockStore } from './block-store.ts';
import { CHECKPOINT_EMPTY, type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
import {
  COMPACTION_STATE_EMPTY,
  type CompactionState,
  decodeCompactionState,
  firstPartitionOf,
} from './compaction-state.ts';
import { LevelZeroDirectory } from './level-zero-directory.ts';
import { PAGE_BYTES, PARTITION_COUNT } from './limits.ts';
import { LATEST, type ReadView } from './read-view.ts';
import { StorageError } from './storage-error.ts';
import type { VersionMerge } from './version-merge.ts';

/** What a step gathers: 4 MiB, some 35,000 flights; enough that asking the shard costs nothing a row, and it fits a cache. */
const STEP_PAGES_MAX = 1024;
/** Partitions of a step, so that one message to the shard and its answer stay small when each holds little. */
export const STEP_PARTITIONS_MAX = 256;
/** Pages read in one `advance`: about 2 ms. */
const ADVANCE_PAGES_MAX = 512;

export class SnapshotReader {
  readonly #store: BlockStore;
  readonly #shardCount: number;
  #directory = new LevelZeroDirectory();
  /** What `#directory` is of; undefined before the first snapshot. */
  #followed: { readonly flushNumber: number; readonly changeNumber: number } | undefined;
  #compaction: CompactionState = COMPACTION_STATE_EMPTY;

  constructor(store: BlockStore, shardCount: number) {
    this.#store = store;
    this.#shardCount = shardCount;
  }

  /** Bytes of memory held between steps. */
  get bytesHeld(): number {
    return this.#directory.bytes;
  }

  /**
   * How many of `partitions[from, …)` a step should take, at least one. An estimate from what is known of the blocks:
   * `open` decides.
   */
  plan(group: number, partitions: Uint16Array, from: number): number {
    if (this.#followed === undefined) {
      const snapshot = this.#store.openSnapshot();
      try {
        this.#follow(snapshot);
      } finally {
        snapshot.close();
      }
    }
    const end = Math.min(partitions.length, from + STEP_PARTITIONS_MAX);
    return this.#blocksOf(group, partitions.subarray(from, end)).partitionCount;
  }

  /**
   * Begins to gather `partitions`, which ascend, into `merge`, with the records that the shard had in its write buffer
   * when its flush number was `flushNumber`. Undefined when the store's is another: ask the shard again.
   */
  open(
    flushNumber: number,
    group: number,
    partitions: Uint16Array,
    buffered: Uint8Array,
    merge: VersionMerge,
    view: ReadView = LATEST,
  ): SnapshotStep | undefined {
    assert(partitions.length > 0, 'a step has partitions');
    const snapshot = this.#store.openSnapshot();
    try {
      if (this.#follow(snapshot).flushNumber !== flushNumber) {
        snapshot.close();
        return undefined;
      }
      const { sequences, partitionCount } = this.#blocksOf(group, partitions);
      const taken = partitions.subarray(0, partitionCount);
      merge.begin(group, taken, view);
      merge.addRecords(buffered);
      return new SnapshotStep(snapshot, group, taken, sequences, this.#compaction, merge, this.#shardCount);
    } catch (error) {
      snapshot.close();
      throw error;
    }
  }

  /** Brings blocks from the device into memory, several at once, on other threads. Never rejects. */
  prefetch(keys: readonly BlockKey[]): Promise<void> {
    return this.#store.prefetch(keys);
  }

  /** Gives the memory back; the next step reads the directory anew. */
  release(): void {
    this.#directory = new LevelZeroDirectory();
    this.#followed = undefined;
  }

  /** Brings the directory to the snapshot's state, without what unfinished flushes wrote. Answers the checkpoint. */
  #follow(snapshot: BlockSnapshot): Checkpoint {
    const bytes = snapshot.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
    const checkpoint = bytes === undefined ? CHECKPOINT_EMPTY : decodeCheckpoint(bytes);
    const { flushNumber } = checkpoint;
    this.#compaction = decodeCompactionState(snapshot.read(COMPACTION_STATE_KEY_HI, 1));
    const { changeNumber } = this.#compaction;
    const followed = this.#followed;
    if (followed?.flushNumber === flushNumber && followed.changeNumber === changeNumber) return checkpoint;
    const gone = new Set(this.#directory.numbers());
    const hi = LEVEL_ZERO_DIRECTORY_KEY_HI;
    snapshot.scan(hi, 0, hi + 1, 0, (_keyHi, number, value) => {
      if (gone.delete(number)) return undefined;
      if (this.#directory.add(number, value).flushNumber > flushNumber) this.#directory.remove(number);
      return undefined;
    });
    for (const number of gone) this.#directory.remove(number);
    this.#followed = { flushNumber, changeNumber };
    return checkpoint;
  }

  /** The level-0 blocks of the first of these partitions, as many as make a step; in the order of the file. */
  #blocksOf(group: number, partitions: Uint16Array): { sequences: Uint32Array; partitionCount: number } {
    const seen = new Set<number>();
    let pages = 0;
    let partitionCount = 0;
    for (const partition of partitions) {
      const added: number[] = [];
      let addedPages = 0;
      this.#directory.visit(group, partition, (sequence, blockPages) => {
        if (seen.has(sequence) || firstPartitionOf(this.#compaction, sequence, group) > partition) {
          return undefined;
        }
        added.push(sequence);
        addedPages += blockPages;
        return undefined;
      });
      if (partitionCount > 0 && pages + addedPages > STEP_PAGES_MAX) break;
      for (const sequence of added) seen.add(sequence);
      pages += addedPages;
      partitionCount++;
    }
    return { sequences: Uint32Array.from(seen).sort(), partitionCount };
  }
}

/** One step: some partitions being gathered. */
export class SnapshotStep {
  /** Partitions gathered, from the first: final when `advance` answered true. */
  partitionCount: number;

  readonly #snapshot: BlockSnapshot;
  readonly #group: number;
  readonly #partitions: Uint16Array;
  readonly #sequences: Uint32Array;
  readonly #compaction: CompactionState;
  readonly #merge: VersionMerge;
  readonly #shardCount: number;
  #nextBlock = 0;
  /** Where level 1 is read on: a partition, by its number in `#partitions`, and a counter in it. */
  #nextPartition = 0;
  #nextCounter = 0;
  /** The last partition of which a level-1 block was gathered. */
  #gatheredPartition = -1;
  /** Pages gathered: what I3 is measured by. */
  #pages = 0;
  #isOpen = true;

  /** Takes the snapshot over. */
  constructor(
    snapshot: BlockSnapshot,
    group: number,
    partitions: Uint16Array,
    sequences: Uint32Array,
    compaction: CompactionState,
    merge: VersionMerge,
    shardCount: number,
  ) {
    this.#snapshot = snapshot;
    this.#group = group;
    this.#partitions = partitions;
    this.#sequences = sequences;
    this.#compaction = compaction;
    this.#merge = merge;
    this.#shardCount = shardCount;
    this.partitionCount = partitions.length;
  }

  /** Gathers on. True when all is gathered and the snapshot closed: the merge may be finished with `partitionCount`. */
  advance(): boolean {
    assert(this.#isOpen, 'a step that goes on');
    const limit = this.#pages + ADVANCE_PAGES_MAX;
    this.#readLevelZero(limit);
    while (this.#pages < limit && this.#nextPartition < this.partitionCount) this.#readLevelOne(limit);
    if (this.#nextBlock < this.#sequences.length || this.#nextPartition < this.partitionCount) return false;
    this.close();
    return true;
  }

  /** Pages gathered so far. */
  get pages(): number {
    return this.#pages;
  }

  /** The blocks that the next `advance` will read, for a prefetch: large ones make it read fewer. */
  ahead(): readonly BlockKey[] {
    const keys: BlockKey[] = [];
    for (const keyLo of this.#sequences.subarray(this.#nextBlock, this.#nextBlock + ADVANCE_PAGES_MAX)) {
      keys.push({ keyHi: LEVEL_ZERO_KEY_HI, keyLo });
    }
    let fromLo = this.#nextCounter;
    for (const partition of this.#partitions.subarray(this.#nextPartition, this.partitionCount)) {
      if (keys.length >= ADVANCE_PAGES_MAX) break;
      const fromHi = levelOneKeyHi(this.#group, partition);
      this.#snapshot.keys(fromHi, fromLo, fromHi + 1, 0, (keyHi, keyLo) => {
        keys.push({ keyHi, keyLo });
        return keys.length < ADVANCE_PAGES_MAX ? undefined : false;
      });
      fromLo = 0;
    }
    return keys;
  }

  /** Lets go of the snapshot; may be called at any time, and again. */
  close(): void {
    if (this.#isOpen) this.#snapshot.close();
    this.#isOpen = false;
  }

  #readLevelZero(pagesLimit: number): void {
    while (this.#pages < pagesLimit && this.#nextBlock < this.#sequences.length) {
      const sequence = this.#sequences[this.#nextBlock++]!;
      const block = this.#snapshot.read(LEVEL_ZERO_KEY_HI, sequence);
      if (block === undefined) {
        throw new StorageError('BLOCK_CORRUPT', `level-0 block ${sequence} is listed, but missing`, {
          block: { keyHi: LEVEL_ZERO_KEY_HI, keyLo: sequence, fault: 'it is missing' },
        });
      }
      this.#add(
        block,
        LEVEL_ZERO_KEY_HI,
        sequence,
        firstPartitionOf(this.#compaction, sequence, this.#group),
      );
    }
  }

  /** Reads one run of neighbouring partitions, or as much of it as the limit allows. */
  #readLevelOne(pagesLimit: number): void {
    const first = this.#nextPartition;
    const last = this.#runEnd(first) - 1;
    const fromHi = levelOneKeyHi(this.#group, this.#partitions[first]!);
    const toHi = levelOneKeyHi(this.#group, this.#partitions[last]!) + 1;
    let isWhole = true;
    this.#snapshot.scan(fromHi, this.#nextCounter, toHi, 0, (keyHi, keyLo, block) => {
      const partition = (keyHi >>> 8) & (PARTITION_COUNT - 1);
      while (this.#partitions[this.#nextPartition]! < partition) this.#nextPartition++;
      const isNewPartition = this.#nextPartition > this.#gatheredPartition;
      if (isNewPartition && this.#nextPartition > 0 && this.#pages >= STEP_PAGES_MAX) {
        this.partitionCount = this.#nextPartition;
        isWhole = false;
        return false;
      }
      if (this.#pages >= pagesLimit) {
        this.#nextCounter = keyLo;
        isWhole = false;
        return false;
      }
      this.#add(block, keyHi, keyLo, 0);
      this.#gatheredPartition = this.#nextPartition;
      return undefined;
    });
    if (!isWhole) return;
    this.#nextPartition = last + 1;
    this.#nextCounter = 0;
  }

  /** Where the run of partitions that are neighbours in this shard ends, in `#partitions`. */
  #runEnd(first: number): number {
    let end = first + 1;
    while (
      end < this.partitionCount &&
      this.#partitions[end]! - this.#partitions[end - 1]! <= this.#shardCount
    ) {
      end++;
    }
    return end;
  }

  #add(block: Uint8Array, keyHi: number, keyLo: number, firstPartition: number): void {
    this.#pages += Math.ceil(block.length / PAGE_BYTES);
    this.#merge.addBlock(block, keyHi, keyLo, firstPartition);
  }
}
