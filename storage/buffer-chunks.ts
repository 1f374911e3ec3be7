/**
 * The memory that records are written into: fixed chunks, each registered as an arena so that reads
 * find a record by (arena, offset).
 *
 * A record is written once. The bytes that a chunk receives are the bytes that the journal writes and
 * the bytes that lookups copy from, until a flush has moved the record into a block.
 *
 *   chunk   | record | record | … | record |   free   |
 *           0                              used        BUFFER_CHUNK_BYTES
 *
 * I1  A record lies in one chunk, starts 8-aligned and never moves.
 * I2  A chunk returns to the pool when it takes no more records, each of its records was released and nobody holds it.
 * I3  A place is a u32: chunk slot (13 bits) above the offset in units of 8 bytes (19 bits).
 *
 * What is durable, and when records may be released, is the write path's and the flush's business.
 */
import { strict as assert } from 'node:assert';
import type { Arena, ArenaTable } from './arena.ts';
import { BUFFER_CHUNK_BYTES, BUFFER_CHUNKS_MAX } from './limits.ts';

const PLACE_OFFSET_BITS = 19;
const PLACE_OFFSET_MASK = 2 ** PLACE_OFFSET_BITS - 1;

export interface BufferChunk {
  readonly slot: number;
  readonly arenaIndex: number;
  readonly arena: Arena;
  usedBytes: number;
  recordsWritten: number;
  recordsReleased: number;
}

export function placeOf(slot: number, offset: number): number {
  return ((slot << PLACE_OFFSET_BITS) | (offset >>> 3)) >>> 0;
}

export function placeSlot(place: number): number {
  return place >>> PLACE_OFFSET_BITS;
}

/** Byte offset of the record inside its chunk. */
export function placeOffset(place: number): number {
  return (place & PLACE_OFFSET_MASK) << 3;
}

export class BufferChunks {
  private readonly arenas: ArenaTable;
  private readonly sparesMax: number;
  private readonly bySlot: (BufferChunk | undefined)[] = [];
  private readonly freeSlots: number[] = [];
  private readonly spareBuffers: Uint8Array[] = [];
  private open: BufferChunk | undefined;

  /** Keeps empty chunks of `spareBytes` for reuse: what one flush gives back is what the next writes need. */
  constructor(arenas: ArenaTable, spareBytes: number) {
    this.arenas = arenas;
    this.sparesMax = Math.ceil(spareBytes / BUFFER_CHUNK_BYTES);
  }

  /** Reserves room for one record and counts it; returns the chunk, whose last `bytes` are the record's. */
  reserve(bytes: number): BufferChunk {
    assert(bytes > 0 && bytes <= BUFFER_CHUNK_BYTES && bytes % 8 === 0);
    let chunk = this.open;
    if (chunk === undefined || chunk.usedBytes + bytes > BUFFER_CHUNK_BYTES) chunk = this.rotate();
    chunk.usedBytes += bytes;
    chunk.recordsWritten += 1;
    return chunk;
  }

  chunk(slot: number): BufferChunk {
    const chunk = this.bySlot[slot];
    assert(chunk !== undefined);
    return chunk;
  }

  /** A record was moved into a block, and nothing refers to its place any more. */
  release(place: number): void {
    const chunk = this.chunk(placeSlot(place));
    chunk.recordsReleased += 1;
    assert(chunk.recordsReleased <= chunk.recordsWritten);
    if (chunk !== this.open) this.recycleIfEmpty(chunk);
  }

  /** Keeps the chunk's bytes until `letGo`, although its records may be released before: counts as one more record. */
  hold(chunk: BufferChunk): void {
    chunk.recordsWritten += 1;
  }

  letGo(chunk: BufferChunk): void {
    this.release(placeOf(chunk.slot, 0));
  }

  /** DRAM held, spare chunks included. */
  get bytesHeld(): number {
    const inUse = this.bySlot.length - this.freeSlots.length;
    return (inUse + this.spareBuffers.length) * BUFFER_CHUNK_BYTES;
  }

  private rotate(): BufferChunk {
    const full = this.open;
    const slot = this.freeSlots.pop() ?? this.bySlot.length;
    assert(slot < BUFFER_CHUNKS_MAX);
    const arenaIndex = this.arenas.add(this.spareBuffers.pop() ?? new Uint8Array(BUFFER_CHUNK_BYTES));
    const chunk: BufferChunk = {
      slot,
      arenaIndex,
      arena: this.arenas.get(arenaIndex),
      usedBytes: 0,
      recordsWritten: 0,
      recordsReleased: 0,
    };
    this.bySlot[slot] = chunk;
    this.open = chunk;
    if (full !== undefined) this.recycleIfEmpty(full);
    return chunk;
  }

  private recycleIfEmpty(chunk: BufferChunk): void {
    if (chunk.recordsReleased < chunk.recordsWritten) return;
    this.bySlot[chunk.slot] = undefined;
    this.freeSlots.push(chunk.slot);
    this.arenas.remove(chunk.arenaIndex);
    if (this.spareBuffers.length < this.sparesMax) this.spareBuffers.push(chunk.arena.bytes);
  }
}
