/**
 * Arenas: the few large buffers that records live in, each with the three views that read it.
 *
 * A place in memory is (arena index, byte offset), two integers that fit typed arrays, so a batch of
 * a thousand rows carries its places without an object a row. Write-buffer chunks, the block cache's
 * slabs and the temporary buffers of large rows are arenas alike.
 *
 * I1  The three views of an arena cover the same bytes, and offset 0 is 8-aligned in its buffer.
 * I2  An index means one arena from `add` to `remove`; a removed index is given out again, so whoever
 *     keeps places must not keep them past the removal.
 *
 * When an arena may be removed is its owner's business.
 */
import { strict as assert } from 'node:assert';

/** Places carry the arena's index in 16 bits; 65,536 arenas of 16 MiB are 1 TiB of cache. */
export const ARENAS_MAX: number = 2 ** 16;

export interface Arena {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
}

/** The views of one buffer. Its length must be a multiple of 4 and its start 8-aligned. */
export function arenaOf(bytes: Uint8Array): Arena {
  assert(bytes.byteOffset % 8 === 0 && bytes.byteLength % 4 === 0, 'an arena is 8-aligned');
  const { buffer, byteOffset, byteLength } = bytes;
  return {
    bytes,
    words: new Uint32Array(buffer, byteOffset, byteLength >>> 2),
    view: new DataView(buffer, byteOffset, byteLength),
  };
}

export class ArenaTable {
  private readonly arenas: (Arena | undefined)[] = [];
  private readonly free: number[] = [];

  /** Registers a buffer; returns its index. */
  add(bytes: Uint8Array): number {
    const arena = arenaOf(bytes);
    const index = this.free.pop() ?? this.arenas.length;
    assert(index < ARENAS_MAX, 'arena table full');
    this.arenas[index] = arena;
    return index;
  }

  get(index: number): Arena {
    const arena = this.arenas[index];
    assert(arena !== undefined, 'no such arena');
    return arena;
  }

  /** Forgets the arena; its index may be given to the next one. */
  remove(index: number): void {
    assert(this.arenas[index] !== undefined, 'no such arena');
    this.arenas[index] = undefined;
    this.free.push(index);
  }

  /** Arenas registered now. */
  get count(): number {
    return this.arenas.length - this.free.length;
  }
}
