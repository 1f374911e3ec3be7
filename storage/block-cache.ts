/**
 * The block cache: blocks in DRAM, within a budget, found by their key in one cache miss.
 *
 *   table, 16 bytes a slot   | key high | key low | frame + 1 | batch |    open addressing, half full
 *   frame                    page of 4096 bytes in an arena of 16 MiB, its block in the first 4072
 *
 * I1  A block's checksum is verified when it enters; it is not when it is found again.
 * I2  Frames that the current batch has used are not evicted: places that it was given stay true until the
 *     next `beginBatch`.
 * I3  A block that is larger than a page, or that finds every frame in use by the batch, lies in an arena
 *     of its own until the next `beginBatch`. `temporaryBytes` says how much that is: bound the batch by it.
 * I4  A key never comes to mean another block (block-key.ts), so nothing is ever invalidated.
 * I5  Whoever reads for the cache may answer that a block must be waited for: nothing changes then.
 *
 * Eviction is CLOCK. The batch number in a slot is its reference mark: a lookup writes it, the hand passing
 * over sets it to 0, and takes the frame if it was 0 already. The hand walks the table, whose order is the
 * keys' hash, instead of the frames: it needs no way back from a frame to its slot.
 */
import { strict as assert } from 'node:assert';
import type { ArenaTable } from './arena.ts';
import { verifyBlock } from './block.ts';
import { BLOCK_BYTES, CACHE_ARENA_BYTES, PAGE_BYTES } from './limits.ts';

/** Words of a slot. */
const SLOT_WORDS = 4;
const KEY_HI = 0;
const KEY_LO = 1;
const FRAME = 2;
const BATCH = 3;

/**
 * Slots of a run: counters that differ in these bits only are neighbours, on four cache lines. With runs of a page (256)
 * two full runs that meet push each other's slots 250 places on: (m) 250 ns a hit instead of 44.
 */
const RUN_BITS = 4;
const RUN_MASK = 2 ** RUN_BITS - 1;

export const NO_FRAME: number = -1;
/** The block is not here, and its reader will not read it now. */
export const FRAME_AWAITED: number = -2;
/** Frames from here on are temporary: (this + index). A cache of 2^30 frames would be 4 TiB. */
const TEMPORARY_FRAME = 2 ** 30;
/** Batches are numbered from 1, since 0 is the mark that the hand leaves, and wrap. */
const BATCH_MAX = 2 ** 32 - 1;

const ARENA_FRAMES = CACHE_ARENA_BYTES / PAGE_BYTES;
const ARENA_FRAMES_SHIFT = 12;

export interface BlockCacheOptions {
  /** DRAM for frames. The table adds 0.8 to 1.6 %. */
  readonly budgetBytes: number;
  readonly arenas: ArenaTable;
  /** The block, undefined when there is none, null when it has to be waited for. */
  readonly read: (keyHi: number, keyLo: number) => Uint8Array | undefined | null;
}

export class BlockCache {
  hits = 0;
  misses = 0;
  private readonly arenas: ArenaTable;
  private readonly readBlock: (keyHi: number, keyLo: number) => Uint8Array | undefined | null;
  private readonly frameCount: number;
  private readonly table: Uint32Array;
  private readonly runShift: number;
  private readonly frameArenas: number[] = [];
  private framesTouched = 0;
  /** Frames whose block proved corrupt when it entered. */
  private readonly freeFrames: number[] = [];
  private hand = 0;
  private batch = 1;
  private framesInBatch = 0;
  private readonly temporaryArenas: number[] = [];
  private readonly temporaryByKey: Map<string, number> = new Map();
  private temporarySize = 0;

  constructor(options: BlockCacheOptions) {
    this.arenas = options.arenas;
    this.readBlock = options.read;
    this.frameCount = Math.max(1, Math.floor(options.budgetBytes / PAGE_BYTES));
    const slotBits = Math.max(RUN_BITS, Math.ceil(Math.log2(2 * this.frameCount)));
    this.table = new Uint32Array(2 ** slotBits * SLOT_WORDS);
    this.runShift = 31 - (slotBits - RUN_BITS);
  }

  /** DRAM held: frames of the arenas in use, the table, and what the batch holds outside them. */
  get bytes(): number {
    const frames = Math.min(this.frameCount, this.frameArenas.length * ARENA_FRAMES);
    return frames * PAGE_BYTES + this.table.byteLength + this.temporarySize;
  }

  /** Bytes that the current batch holds outside the frames. */
  get temporaryBytes(): number {
    return this.temporarySize;
  }

  /** Ends the batch before: places given so far may now be overwritten. */
  beginBatch(): void {
    if (this.temporaryArenas.length > 0) this.dropTemporaries();
    this.batch = this.batch === BATCH_MAX ? 1 : this.batch + 1;
    this.framesInBatch = 0;
  }

  /**
   * The frame that holds the block, read from the store if it is not here; NO_FRAME if there is no such block,
   * FRAME_AWAITED if it must be waited for. Throws BLOCK_CORRUPT.
   */
  frame(keyHi: number, keyLo: number): number {
    const { table } = this;
    let slot = this.homeSlot(keyHi, keyLo);
    for (;;) {
      const frame = table[slot + FRAME] as number;
      if (frame === 0) return this.load(keyHi, keyLo);
      if (table[slot + KEY_LO] === keyLo && table[slot + KEY_HI] === keyHi) {
        if (table[slot + BATCH] !== this.batch) this.framesInBatch += 1;
        table[slot + BATCH] = this.batch;
        this.hits += 1;
        return frame - 1;
      }
      slot = slot + SLOT_WORDS === table.length ? 0 : slot + SLOT_WORDS;
    }
  }

  /** Loads the line that `frame` will look at first: for a batch of keys, whose misses then overlap. */
  peek(keyHi: number, keyLo: number): number {
    return this.table[this.homeSlot(keyHi, keyLo)] as number;
  }

  /** Index of the arena that the frame lies in. */
  arenaOf(frame: number): number {
    if (frame >= TEMPORARY_FRAME) return this.temporaryArenas[frame - TEMPORARY_FRAME] as number;
    return this.frameArenas[frame >>> ARENA_FRAMES_SHIFT] as number;
  }

  /** Where the frame starts in its arena. */
  offsetOf(frame: number): number {
    return frame >= TEMPORARY_FRAME ? 0 : (frame & (ARENA_FRAMES - 1)) * PAGE_BYTES;
  }

  /** Asserts that each slot is reachable from its home and that each frame has one owner. */
  verify(): void {
    const { table } = this;
    const owned = new Uint8Array(this.framesTouched);
    for (const frame of this.freeFrames) owned[frame] = 1;
    let inBatch = 0;
    for (let slot = 0; slot < table.length; slot += SLOT_WORDS) {
      if (table[slot + FRAME] === 0) continue;
      const frame = (table[slot + FRAME] as number) - 1;
      assert(frame < owned.length && owned[frame] === 0, 'a frame has one owner');
      owned[frame] = 1;
      if (table[slot + BATCH] === this.batch) inBatch += 1;
      let at = this.homeSlot(table[slot + KEY_HI] as number, table[slot + KEY_LO] as number);
      while (at !== slot) {
        assert(table[at + FRAME] !== 0, 'a slot is reachable from its home');
        at = at + SLOT_WORDS === table.length ? 0 : at + SLOT_WORDS;
      }
    }
    assert(!owned.includes(0), 'no frame is lost');
    assert(inBatch === this.framesInBatch, 'the frames of the batch are counted');
  }

  /**
   * Blocks with neighbouring counters, which is what level 0 consists of, have neighbouring slots: the table is as large
   * as the budget and mostly empty at first, and slots strewn over it would each cost a miss of the TLB.
   */
  private homeSlot(keyHi: number, keyLo: number): number {
    const range = Math.imul(keyHi, 0x85ebca6b);
    const run = (Math.imul((keyLo >>> RUN_BITS) ^ range, 0x9e3779b1) >>> 1) >>> this.runShift;
    return ((run << RUN_BITS) | ((keyLo + (range >>> 24)) & RUN_MASK)) * SLOT_WORDS;
  }

  private load(keyHi: number, keyLo: number): number {
    const key = this.temporaryByKey.size > 0 ? `${keyHi} ${keyLo}` : '';
    const temporary = key === '' ? undefined : this.temporaryByKey.get(key);
    if (temporary !== undefined) {
      this.hits += 1;
      return temporary;
    }
    const bytes = this.readBlock(keyHi, keyLo);
    if (bytes === null) return FRAME_AWAITED;
    this.misses += 1;
    if (bytes === undefined) return NO_FRAME;
    const frame = bytes.length === BLOCK_BYTES ? this.takeFrame() : NO_FRAME;
    if (frame === NO_FRAME) return this.addTemporary(keyHi, keyLo, bytes);
    const arena = this.arenas.get(this.arenaOf(frame));
    const offset = this.offsetOf(frame);
    arena.bytes.set(bytes, offset);
    try {
      verifyBlock(arena, offset, BLOCK_BYTES, keyHi, keyLo);
    } catch (error) {
      this.freeFrames.push(frame);
      throw error;
    }
    this.enter(keyHi, keyLo, frame);
    return frame;
  }

  private enter(keyHi: number, keyLo: number, frame: number): void {
    const { table } = this;
    let slot = this.homeSlot(keyHi, keyLo);
    while (table[slot + FRAME] !== 0) slot = slot + SLOT_WORDS === table.length ? 0 : slot + SLOT_WORDS;
    table[slot + KEY_HI] = keyHi;
    table[slot + KEY_LO] = keyLo;
    table[slot + FRAME] = frame + 1;
    table[slot + BATCH] = this.batch;
    this.framesInBatch += 1;
  }

  /** A frame that holds nothing the batch needs, or -1 if each is in use by it. */
  private takeFrame(): number {
    const free = this.freeFrames.pop();
    if (free !== undefined) return free;
    if (this.framesTouched < this.frameCount) {
      const frame = this.framesTouched;
      if ((frame & (ARENA_FRAMES - 1)) === 0) {
        const frames = Math.min(ARENA_FRAMES, this.frameCount - frame);
        this.frameArenas.push(this.arenas.add(new Uint8Array(frames * PAGE_BYTES)));
      }
      this.framesTouched += 1;
      return frame;
    }
    return this.framesInBatch === this.frameCount ? NO_FRAME : this.evict();
  }

  /** Ends: some mark is not the batch's; it is 0 after at most one turn of the hand. */
  private evict(): number {
    const { table, batch } = this;
    for (;;) {
      const slot = this.hand;
      const frame = table[slot + FRAME] as number;
      if (frame !== 0 && table[slot + BATCH] === 0) {
        this.removeSlot(slot);
        return frame - 1;
      }
      if (frame !== 0 && table[slot + BATCH] !== batch) table[slot + BATCH] = 0;
      this.hand = slot + SLOT_WORDS === table.length ? 0 : slot + SLOT_WORDS;
    }
  }

  /** Empties a slot and moves up what probing would no longer reach. */
  private removeSlot(removed: number): void {
    const { table } = this;
    let gap = removed;
    let slot = removed;
    for (;;) {
      slot = slot + SLOT_WORDS === table.length ? 0 : slot + SLOT_WORDS;
      if (table[slot + FRAME] === 0) break;
      const home = this.homeSlot(table[slot + KEY_HI] as number, table[slot + KEY_LO] as number);
      const stays = gap < slot ? home > gap && home <= slot : home > gap || home <= slot;
      if (stays) continue;
      table.copyWithin(gap, slot, slot + SLOT_WORDS);
      gap = slot;
    }
    table.fill(0, gap, gap + SLOT_WORDS);
  }

  private addTemporary(keyHi: number, keyLo: number, bytes: Uint8Array): number {
    const index = this.arenas.add(Uint8Array.from(bytes));
    try {
      verifyBlock(this.arenas.get(index), 0, bytes.length, keyHi, keyLo);
    } catch (error) {
      this.arenas.remove(index);
      throw error;
    }
    const frame = TEMPORARY_FRAME + this.temporaryArenas.length;
    this.temporaryArenas.push(index);
    this.temporaryByKey.set(`${keyHi} ${keyLo}`, frame);
    this.temporarySize += bytes.length;
    return frame;
  }

  private dropTemporaries(): void {
    for (const index of this.temporaryArenas) this.arenas.remove(index);
    this.temporaryArenas.length = 0;
    this.temporaryByKey.clear();
    this.temporarySize = 0;
  }
}
