/**
 * Moves a sealed write buffer into level-0 blocks.
 *
 *   1  order the records by group, partition, LSN                         flush-order.ts
 *   2  step by step: pack FLUSH_STEP_BYTES of blocks, write them and their directory in one transaction
 *   3  the last step's transaction also records the checkpoint (flush number and journal position) and the clocks
 *   4  point the index entries that still name the write buffer at the blocks; give the memory back
 *   5  recycle the journal below the checkpoint
 *
 * I1  Until 3 is durable nothing refers to the new blocks: a crash leaves blocks above the recorded flush number,
 *     which recovery deletes, and a journal that still has everything.
 * I2  Between 3 and 4 both places of a record are readable, and a scan takes exactly one of them: `flushNumber`
 *     rises with 3, and from then on the sealed buffer is no longer handed out.
 * I3  One flush at a time. A turn of the event loop packs FLUSH_SLICE_BYTES, or hands one transaction over, or points
 *     FLUSH_SWAP_RECORDS entries anew.
 * I4  Each step's transaction records counters above those it has used, in a checkpoint that otherwise stays as it was
 *     until the last step: compaction may write blocks between two steps.
 */
import { strict as assert } from 'node:assert';
import { LEVEL_ZERO } from './block.ts';
import { BlockBuilder, type BuiltBlock } from './block-builder.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  PARTITION_CLOCKS_KEY_HI,
} from './block-key.ts';
import type { BlockNumbers } from './block-numbers.ts';
import type { BlockStore, BlockWrite } from './block-store.ts';
import { type BufferChunks, placeOffset, placeSlot } from './buffer-chunks.ts';
import { type Checkpoint, encodeCheckpoint } from './checkpoint.ts';
import { flushOrder } from './flush-order.ts';
import { WHERE_BUFFER, WHERE_LEVEL_ZERO } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { IndexTouch } from './index-touch.ts';
import { DirectoryValue, encodeDirectory, type LevelZeroDirectory } from './level-zero-directory.ts';
import { FLUSH_SLICE_BYTES, FLUSH_STEP_BYTES, FLUSH_SWAP_RECORDS } from './limits.ts';
import type { PartitionClock } from './partition-clock.ts';
import { encodePartitionClocks } from './partition-clocks-value.ts';
import { readRecordDigestHi, readRecordDigestLo } from './record.ts';
import type { WriteBuffer } from './write-buffer.ts';

const PARTITION_MASK = 4095;

export interface FlushOptions {
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly store: BlockStore;
  readonly chunks: BufferChunks;
  readonly index: IndexTable;
  readonly checkpoint: Checkpoint;
  readonly numbers: BlockNumbers;
  readonly directory: LevelZeroDirectory;
  readonly partitionClock: PartitionClock;
  readonly blockFillBytes: number;
  /** Resolves in a later turn of the event loop. */
  readonly pause: () => Promise<void>;
}

/**
 * Where each record of the buffer went, in writing order, and its digest: read while the record is in the processor's cache,
 * so that pointing the index at its new place does not fetch it again. (m) a third of a flush's time.
 */
class NewPlaces {
  readonly sequence: Uint32Array;
  readonly offset: Uint16Array;
  readonly digestLo: Uint32Array;
  readonly digestHi: Uint32Array;
  readonly groups: Uint16Array;

  constructor(count: number) {
    this.sequence = new Uint32Array(count);
    this.offset = new Uint16Array(count);
    this.digestLo = new Uint32Array(count);
    this.digestHi = new Uint32Array(count);
    this.groups = new Uint16Array(count);
  }
}

export class Flush {
  /** What the store holds on disk. */
  checkpoint: Checkpoint;
  private readonly options: FlushOptions;
  private readonly touch: IndexTouch;
  private readonly builder: BlockBuilder;

  constructor(options: FlushOptions) {
    this.options = options;
    this.builder = new BlockBuilder(LEVEL_ZERO, options.blockFillBytes);
    this.touch = new IndexTouch(options.index, options.shardCount);
    this.checkpoint = options.checkpoint;
  }

  /**
   * Writes the buffer, whose records are all those between the last checkpoint and `journalPosition`. Calls
   * `onCheckpoint` in the turn in which the checkpoint is known to be durable. Rejects on any write error.
   */
  async run(buffer: WriteBuffer, journalPosition: number, onCheckpoint: () => void): Promise<void> {
    const order = await flushOrder(buffer, this.options.localPartitionCount, this.options.pause);
    const places = new NewPlaces(buffer.count);
    await this.writeBlocks(buffer, order, places, journalPosition);
    onCheckpoint();
    await this.swap(buffer, order, places);
  }

  private async writeBlocks(
    buffer: WriteBuffer,
    order: Uint32Array,
    places: NewPlaces,
    journalPosition: number,
  ): Promise<void> {
    const { store, directory, numbers } = this.options;
    const flushNumber = this.checkpoint.flushNumber + 1;
    const listed: DirectoryValue[] = [];
    let position = 0;
    do {
      this.builder.reset(flushNumber);
      const from = position;
      position = await this.packStep(buffer, order, from, places);
      const blocks = this.builder.finish();
      const firstSequence = numbers.takeSequences(blocks.length);
      for (let at = from; at < position; at++) {
        places.sequence[at] = firstSequence + (places.sequence[at] as number);
      }
      const value = {
        number: numbers.takeDirectory(),
        bytes: encodeDirectory(flushNumber, flushNumber, firstSequence, blocks),
      };
      listed.push(new DirectoryValue(value.number, value.bytes));
      const isLast = position === order.length;
      const batch = this.stepWrites(blocks, firstSequence, value);
      const checkpoint = this.nextCheckpoint(isLast ? { flushNumber, journalPosition } : this.checkpoint);
      batch.push({
        keyHi: CHECKPOINT_KEY_HI,
        keyLo: CHECKPOINT_KEY_LO,
        bytes: encodeCheckpoint(checkpoint),
      });
      if (isLast) {
        const bytes = encodePartitionClocks(this.options.partitionClock);
        batch.push({ keyHi: PARTITION_CLOCKS_KEY_HI, keyLo: 1, bytes });
      }
      await store.write(batch);
      this.checkpoint = checkpoint;
    } while (position < order.length);
    for (const value of listed) directory.addValue(value);
  }

  private stepWrites(
    blocks: readonly BuiltBlock[],
    firstSequence: number,
    value: { number: number; bytes: Uint8Array },
  ): BlockWrite[] {
    const batch: BlockWrite[] = blocks.map(({ bytes }, index) => ({
      keyHi: LEVEL_ZERO_KEY_HI,
      keyLo: firstSequence + index,
      bytes,
    }));
    batch.push({ keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI, keyLo: value.number, bytes: value.bytes });
    return batch;
  }

  private nextCheckpoint(reached: { flushNumber: number; journalPosition: number }): Checkpoint {
    const { nextSequence, nextDirectory } = this.options.numbers;
    const { flushNumber, journalPosition } = reached;
    return { flushNumber, journalPosition, nextSequence, nextDirectory };
  }

  /** Packs records from `position` on, one step's worth, in slices; answers how far it came. Places get block indexes first. */
  private async packStep(
    buffer: WriteBuffer,
    order: Uint32Array,
    position: number,
    places: NewPlaces,
  ): Promise<number> {
    let at = position;
    for (let end = FLUSH_SLICE_BYTES; ; end += FLUSH_SLICE_BYTES) {
      at = this.pack(buffer, order, at, places, Math.min(end, FLUSH_STEP_BYTES));
      await this.options.pause();
      if (at === order.length || end >= FLUSH_STEP_BYTES) return at;
    }
  }

  /** Until the blocks have so many bytes. */
  private pack(
    buffer: WriteBuffer,
    order: Uint32Array,
    position: number,
    places: NewPlaces,
    bytesEnd: number,
  ): number {
    const { builder } = this;
    const { chunks } = this.options;
    let at = position;
    while (at < order.length && builder.bytes < bytesEnd) {
      const record = order[at] as number;
      const place = buffer.places[record] as number;
      const { arena } = chunks.chunk(placeSlot(place));
      const offset = placeOffset(place);
      places.digestLo[at] = readRecordDigestLo(arena.view, offset);
      places.digestHi[at] = readRecordDigestHi(arena.view, offset);
      places.groups[at] = buffer.groups[record] as number;
      places.offset[at] = builder.append(arena, offset);
      places.sequence[at] = builder.blockIndex;
      at += 1;
    }
    return at;
  }

  private async swap(buffer: WriteBuffer, order: Uint32Array, places: NewPlaces): Promise<void> {
    const { digestLo, digestHi, groups } = places;
    for (let from = 0; from < order.length; from += FLUSH_SWAP_RECORDS) {
      const to = Math.min(from + FLUSH_SWAP_RECORDS, order.length);
      let touchedTo = from;
      for (let at = from; at < to; at++) {
        if (at === touchedTo) touchedTo = this.touch.touchColumns(digestLo, digestHi, groups, at, to);
        this.swapOne(buffer, order[at] as number, places, at);
      }
      await this.options.pause();
    }
  }

  private swapOne(buffer: WriteBuffer, record: number, places: NewPlaces, at: number): void {
    const { chunks, index, shardCount } = this.options;
    const place = buffer.places[record] as number;
    const digestLo = places.digestLo[at] as number;
    const digestHi = places.digestHi[at] as number;
    const localPartition = ((digestLo & PARTITION_MASK) / shardCount) | 0;
    const group = places.groups[at] as number;
    const handle = index.findPlace(localPartition, digestHi, digestLo, group, WHERE_BUFFER, place, 0);
    if (handle >= 0) {
      const sequence = places.sequence[at] as number;
      assert(sequence > 0);
      index.setPlace(handle, WHERE_LEVEL_ZERO, sequence, places.offset[at] as number);
    }
    chunks.release(place);
  }
}
