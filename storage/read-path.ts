/**
 * Finds the live rows of a batch of keys in memory: index, then blocks, then full keys, in passes over the batch.
 *
 *   pass 1  index entries of all keys        cache misses of different keys overlap
 *   pass 2  places: write-buffer chunk, or a frame of the block cache (read from LMDB when absent)
 *   pass 3  touch: one word of each cache line of each record, so that the copy that follows finds them near
 *   pass 4  full keys compared; tombstones and expired rows dropped
 *
 * I1  What is returned is durable: the index points at nothing else.
 * I2  A row whose stored key differs is never returned, whatever its hashes say.
 * I3  Places stay true until the next call into the store; frames used by a batch are not evicted within it.
 * I4  Tombstones, and rows that the index knows to have expired, are missing without a look at their blocks. Only the
 *     digest is compared for them, so the walk goes on to the next entry of the same digest.
 * I5  `tryRead` never waits for the device longer than read-choice.ts and cold-blocks.ts allow. The index is looked up again by each repeat,
 *     so what a compaction moved meanwhile is found where it is then.
 *
 * What a payload means, and copying it out, is the caller's business.
 */
import type { KeyBatch } from '../protocol/index.ts';
import type { ArenaTable } from './arena.ts';
import { type BlockCache, FRAME_AWAITED, NO_FRAME } from './block-cache.ts';
import { LEVEL_ZERO_KEY_HI, levelOneKeyHi } from './block-key.ts';
import type { BufferChunks } from './buffer-chunks.ts';
import { placeOffset, placeSlot } from './buffer-chunks.ts';
import type { ColdBlocks } from './cold-blocks.ts';
import { hoursNow, WHERE_BUFFER, WHERE_LEVEL_ZERO } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { READ_TEMPORARY_BYTES_MAX, READ_TURN_TEMPORARY_BYTES, RECORD_HEADER_BYTES } from './limits.ts';
import { RECORD_MISSING, type ReadBatch } from './read-batch.ts';
import { RECORD_EXPIRY_AT, RECORD_KEY_BYTES_AT } from './record.ts';
import { StorageError } from './storage-error.ts';

const PARTITION_MASK = 4095;
const NONE = -1;
const CACHE_LINE_WORDS = 16;
const EXPIRY_WORD = RECORD_EXPIRY_AT >>> 2;

export interface ReadPathOptions {
  readonly shardCount: number;
  readonly arenas: ArenaTable;
  readonly chunks: BufferChunks;
  readonly cache: BlockCache;
  /** What the cache reads from. */
  readonly blocks: ColdBlocks;
  readonly index: IndexTable;
}

export class ReadPath {
  /** The touch pass writes its sum here, so that no compiler drops the loads. */
  touched = 0;
  private readonly options: ReadPathOptions;

  constructor(options: ReadPathOptions) {
    this.options = options;
  }

  /** All keys, in this turn, whatever has to be read for it. */
  read(group: number, keys: KeyBatch, nowSeconds: number, batch: ReadBatch): void {
    this.options.blocks.begin(false, keys.count);
    this.look(group, keys, nowSeconds, batch, READ_TEMPORARY_BYTES_MAX);
    if (batch.count < keys.count) {
      throw new StorageError(
        'BATCH_TOO_LARGE',
        `the rows of these ${keys.count} keys need more than ${READ_TEMPORARY_BYTES_MAX} bytes of large blocks at once: ask for fewer`,
      );
    }
  }

  /**
   * As many of the first keys as one turn should take: `batch.count` says how many, at least one. False: none, because blocks
   * are wanted that the caller has to have fetched (cold-blocks.ts) before it calls again.
   */
  tryRead(group: number, keys: KeyBatch, nowSeconds: number, batch: ReadBatch): boolean {
    this.options.blocks.begin(true, keys.count);
    this.look(group, keys, nowSeconds, batch, READ_TURN_TEMPORARY_BYTES);
    return this.options.blocks.wantedCount === 0;
  }

  private look(
    group: number,
    keys: KeyBatch,
    nowSeconds: number,
    batch: ReadBatch,
    temporaryBytesMax: number,
  ): void {
    const { cache, index, shardCount, blocks } = this.options;
    const { count } = keys;
    batch.ensure(count);
    batch.count = count;
    cache.beginBatch();
    index.findBatch(group, keys.digests, count, shardCount, batch.handle);
    this.touched ^= this.touchFrames(group, keys, batch);
    const hours = hoursNow(nowSeconds);
    for (let i = 0; i < batch.count; i++) {
      this.place(i, keys, group, hours, batch);
      if (cache.temporaryBytes > temporaryBytesMax) batch.count = i + 1;
    }
    if (blocks.wantedCount > 0) return;
    this.touched ^= touchRecords(this.options.arenas, batch);
    for (let i = 0; i < batch.count; i++) this.settle(i, keys, group, nowSeconds, hours, batch);
  }

  /** Loads what finding each block's frame will need first. 11 % of a pipelined single get without it. */
  private touchFrames(group: number, keys: KeyBatch, batch: ReadBatch): number {
    const { index, cache } = this.options;
    const { count, handle } = batch;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const entry = handle[i] as number;
      if (entry === NONE) continue;
      const where = index.where(entry);
      if (where === WHERE_BUFFER) continue;
      sum ^= cache.peek(this.keyHi(where, group, keys, i), index.block(entry));
    }
    return sum;
  }

  private keyHi(where: number, group: number, keys: KeyBatch, i: number): number {
    if (where === WHERE_LEVEL_ZERO) return LEVEL_ZERO_KEY_HI;
    return levelOneKeyHi(group, (keys.digests[2 * i] as number) & PARTITION_MASK);
  }

  /** Turns entry i of the batch into a place in memory, reading its block when it is not cached. */
  private place(i: number, keys: KeyBatch, group: number, hours: number, batch: ReadBatch): void {
    const { index, chunks, cache } = this.options;
    let handle = batch.handle[i] as number;
    while (handle !== NONE && index.isGone(handle, hours)) handle = this.nextEntry(handle, i, keys, group);
    batch.handle[i] = handle;
    if (handle === NONE) {
      batch.offset[i] = RECORD_MISSING;
      return;
    }
    const where = index.where(handle);
    const block = index.block(handle);
    if (where === WHERE_BUFFER) {
      batch.arena[i] = chunks.chunk(placeSlot(block)).arenaIndex;
      batch.offset[i] = placeOffset(block);
      return;
    }
    const frame = cache.frame(this.keyHi(where, group, keys, i), block);
    if (frame === NO_FRAME) {
      const partition = (keys.digests[2 * i] as number) & PARTITION_MASK;
      throw new StorageError(
        'BLOCK_CORRUPT',
        `read: the index names block ${block} of group ${group}, partition ${partition}, but there is no such block`,
      );
    }
    if (frame === FRAME_AWAITED) {
      batch.offset[i] = RECORD_MISSING;
      return;
    }
    batch.arena[i] = cache.arenaOf(frame);
    batch.offset[i] = cache.offsetOf(frame) + index.offset(handle);
  }

  private nextEntry(handle: number, i: number, keys: KeyBatch, group: number): number {
    const digestLo = keys.digests[2 * i] as number;
    const digestHi = keys.digests[2 * i + 1] as number;
    const localPartition = ((digestLo & PARTITION_MASK) / this.options.shardCount) | 0;
    return this.options.index.next(handle, localPartition, digestHi, digestLo, group);
  }

  /** Compares the key; walks on to the next entry of the same digest when it differs (once in 2^64 pairs of keys). */
  private settle(
    i: number,
    keys: KeyBatch,
    group: number,
    nowSeconds: number,
    hours: number,
    batch: ReadBatch,
  ): void {
    const { arenas } = this.options;
    const keyAt = keys.offsets[i] as number;
    const keyBytes = (keys.offsets[i + 1] as number) - keyAt;
    while (batch.offset[i] !== RECORD_MISSING) {
      const offset = batch.offset[i] as number;
      const { bytes, words, view } = arenas.get(batch.arena[i] as number);
      if (
        view.getUint16(offset + RECORD_KEY_BYTES_AT, true) === keyBytes &&
        equalBytes(bytes, offset + RECORD_HEADER_BYTES, keys.bytes, keyAt, keyBytes)
      ) {
        const expirySeconds = words[(offset >>> 2) + EXPIRY_WORD] as number;
        if (expirySeconds !== 0 && expirySeconds <= nowSeconds) batch.offset[i] = RECORD_MISSING;
        return;
      }
      batch.handle[i] = this.nextEntry(batch.handle[i] as number, i, keys, group);
      this.place(i, keys, group, hours, batch);
    }
  }
}

/** Loads every cache line of every record found; the loads of different records overlap. 2× on rows out of cache. */
function touchRecords(arenas: ArenaTable, batch: ReadBatch): number {
  const { count, arena, offset } = batch;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const at = offset[i] as number;
    if (at !== RECORD_MISSING) sum ^= arenas.get(arena[i] as number).words[at >>> 2] as number;
  }
  for (let i = 0; i < count; i++) {
    const at = offset[i] as number;
    if (at === RECORD_MISSING) continue;
    const { words } = arenas.get(arena[i] as number);
    const from = at >>> 2;
    const to = from + ((words[from] as number) >>> 2);
    for (let word = from + CACHE_LINE_WORDS; word < to; word += CACHE_LINE_WORDS)
      sum ^= words[word] as number;
  }
  return sum;
}

function equalBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}
