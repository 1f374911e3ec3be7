/**
 * How much DRAM the index may take, and whether one more row may enter it.
 *
 * Of all that a shard holds in memory the index grows with the rows without a bound of its own, and a little of what stands beside it
 * does (the tables of units and of level-0 blocks, idempotency windows); the write buffer and the cache have their bounds. So a
 * memory limit comes down to bytes of index and what is beside it, and to refusing new keys before they are reached.
 *
 * I1  While `mayInsert` is asked before each request that may bring new keys, the index stays within its bytes: rows that are
 *     accepted and not in it yet are counted, and so is what the largest table takes when it grows.
 * I2  Overwrites, deletes and reads need no room and are never refused.
 * I3  Room that removed rows have left is found again: tables do not shrink, but a row counts only what it takes at worst.
 */
import { INDEX_GROWTH_RESERVE_BYTES, INDEX_ROW_BYTES_MAX } from './limits.ts';

export interface MemoryBudgetOptions {
  /** For the index and what is beside it. Infinity: no limit. */
  readonly indexBytesMax: number;
  /** DRAM that the index holds, and its rows. */
  readonly index: { readonly bytes: number; readonly rowCount: number };
  /** Bytes of records that were accepted and are not in the index yet: each takes more of them than of the index. */
  readonly pendingBytes: () => number;
  /** DRAM beside the index that counts against its budget. Asked by `refresh` alone: it takes some microseconds. */
  readonly besideBytes: () => number;
}

export class MemoryBudget {
  private readonly options: MemoryBudgetOptions;
  private besideBytes = 0;

  constructor(options: MemoryBudgetOptions) {
    this.options = options;
    this.refresh();
  }

  /** To be called every second or so: what is beside the index grows by a megabyte or two in that time at most. */
  refresh(): void {
    this.besideBytes = this.options.besideBytes();
  }

  /** 0: no limit. */
  get indexBytesMax(): number {
    const { indexBytesMax } = this.options;
    return Number.isFinite(indexBytesMax) ? indexBytesMax : 0;
  }

  mayInsert(): boolean {
    const { indexBytesMax, index, pendingBytes } = this.options;
    if (indexBytesMax === Number.POSITIVE_INFINITY) return true;
    const room = indexBytesMax - this.besideBytes - pendingBytes() - INDEX_GROWTH_RESERVE_BYTES;
    return index.bytes <= room || index.rowCount * INDEX_ROW_BYTES_MAX <= room;
  }
}
