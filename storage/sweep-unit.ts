/**
 * What compaction has gathered of one unit (a group's partition): copies of the records, where each came from, and their order.
 *
 *   arena    | record | record | …     as gathered
 *   order    record numbers by (digest, key, event time, LSN)      after `sort`
 *   fates    what becomes of each                                  after `decide`
 *
 * I1  Record numbers count from 0 as they were added; `order` is a permutation of them.
 * I2  No turn of the event loop sorts or decides more than about COMPACTION_SLICE_RECORDS records: between slices `pause` is
 *     awaited. The sort is stable and takes O(n log n) whatever the order and however many versions one key has: pieces of a
 *     slice are sorted natively by the high half of the digest, and merged from the bottom up.
 *
 * One object serves all units; its memory grows to the largest and is bounded by COMPACTION_GATHER_BYTES and a record.
 */
import { strict as assert } from 'node:assert';
import { type Arena, arenaOf } from './arena.ts';
import { COMPACTION_SLICE_RECORDS } from './limits.ts';
import { decideKey, type FateRules, type UnitVersions } from './sweep-fate.ts';
import { compareRecords, isSameKey } from './sweep-order.ts';

const ARENA_FIRST_BYTES: number = 2 ** 20;
const RECORDS_FIRST = 4096;
/** A digest's high word and a record number share a double. */
const RECORDS_MAX: number = 2 ** 21;
const DIGEST_HI_WORD = 3;

export class SweepUnit implements UnitVersions {
  count = 0;
  bytes = 0;
  arena: Arena = arenaOf(new Uint8Array(ARENA_FIRST_BYTES));
  starts: Uint32Array = new Uint32Array(RECORDS_FIRST);
  wheres: Uint8Array = new Uint8Array(RECORDS_FIRST);
  /** The block it came from: a sequence or a counter; and the offset in it. */
  blocks: Uint32Array = new Uint32Array(RECORDS_FIRST);
  blockOffsets: Uint16Array = new Uint16Array(RECORDS_FIRST);
  order: Uint32Array = new Uint32Array(RECORDS_FIRST);
  fates: Uint8Array = new Uint8Array(RECORDS_FIRST);
  deaths: Float64Array = new Float64Array(RECORDS_FIRST);
  private spare: Uint32Array = new Uint32Array(RECORDS_FIRST);
  private readonly sortKeys: Float64Array = new Float64Array(COMPACTION_SLICE_RECORDS);

  reset(): void {
    this.count = 0;
    this.bytes = 0;
  }

  /** Forgets the records from number `count` on, which had `bytes` before them. Not after `sort`. */
  cut(count: number, bytes: number): void {
    this.count = count;
    this.bytes = bytes;
  }

  /** Copies a record in. */
  add(from: Arena, offset: number, where: number, block: number, offsetInBlock: number): void {
    const { count } = this;
    const recordBytes = from.words[offset >>> 2] as number;
    if (this.bytes + recordBytes > this.arena.bytes.length) this.growArena(recordBytes);
    if (count === this.starts.length) this.growColumns();
    copyWords(from.words, offset >>> 2, this.arena.words, this.bytes >>> 2, recordBytes >>> 2);
    this.starts[count] = this.bytes;
    this.wheres[count] = where;
    this.blocks[count] = block;
    this.blockOffsets[count] = offsetInBlock;
    this.count = count + 1;
    this.bytes += recordBytes;
  }

  /** Null: done, since there are few: most units are small, and a promise each costs more than the work. */
  sort(pause: () => Promise<void>): Promise<void> | null {
    if (this.count > COMPACTION_SLICE_RECORDS) return this.sortLarge(pause);
    this.sortPiece(0, this.count);
    return null;
  }

  /** Decides on all keys. The records are sorted. Null: done. */
  decide(rules: FateRules, newestMayGo: number, pause: () => Promise<void>): Promise<void> | null {
    if (this.count > COMPACTION_SLICE_RECORDS) return this.decideLarge(rules, newestMayGo, pause);
    for (let from = 0; from < this.count; ) from = this.decideNext(rules, newestMayGo, from);
    return null;
  }

  private async sortLarge(pause: () => Promise<void>): Promise<void> {
    for (let from = 0; from < this.count; from += COMPACTION_SLICE_RECORDS) {
      if (from > 0) await pause();
      this.sortPiece(from, Math.min(from + COMPACTION_SLICE_RECORDS, this.count));
    }
    for (let width = COMPACTION_SLICE_RECORDS; width < this.count; width *= 2) await this.merge(width, pause);
  }

  private async decideLarge(
    rules: FateRules,
    newestMayGo: number,
    pause: () => Promise<void>,
  ): Promise<void> {
    let slice = 0;
    for (let from = 0; from < this.count; ) {
      const to = this.decideNext(rules, newestMayGo, from);
      slice += to - from;
      from = to;
      if (slice >= COMPACTION_SLICE_RECORDS) {
        slice = 0;
        await pause();
      }
    }
  }

  /** Decides on the key whose versions begin at `from`; answers where they end. */
  private decideNext(rules: FateRules, newestMayGo: number, from: number): number {
    const { words } = this.arena;
    const first = (this.starts[this.order[from] as number] as number) >>> 2;
    let to = from + 1;
    while (to < this.count && isSameKey(words, first, this.wordOf(to))) to += 1;
    decideKey(rules, newestMayGo, this, from, to);
    return to;
  }

  /** By the digest's high half natively; what is equal in it, which is mostly versions of one key, by insertion. */
  private sortPiece(from: number, to: number): void {
    const { starts, order } = this;
    const { words } = this.arena;
    const keys = this.sortKeys.subarray(0, to - from);
    for (let record = from; record < to; record += 1) {
      const high = words[((starts[record] as number) >>> 2) + DIGEST_HI_WORD] as number;
      keys[record - from] = high * RECORDS_MAX + record;
    }
    keys.sort();
    for (let at = from; at < to; at += 1) {
      const record = (keys[at - from] as number) % RECORDS_MAX;
      const word = (starts[record] as number) >>> 2;
      let hole = at;
      while (hole > from && compareRecords(words, this.wordOf(hole - 1), word) > 0) {
        order[hole] = order[hole - 1] as number;
        hole -= 1;
      }
      order[hole] = record;
    }
  }

  /** One round: neighbouring pieces of `width` become one. */
  private async merge(width: number, pause: () => Promise<void>): Promise<void> {
    const { starts, order, spare, count } = this;
    const { words } = this.arena;
    let slice = 0;
    for (let from = 0; from < count; from += 2 * width) {
      const middle = Math.min(from + width, count);
      const end = Math.min(from + 2 * width, count);
      let left = from;
      let right = middle;
      for (let to = from; to < end; to += 1) {
        const takesLeft =
          right === end ||
          (left < middle &&
            compareRecords(
              words,
              (starts[order[left] as number] as number) >>> 2,
              (starts[order[right] as number] as number) >>> 2,
            ) <= 0);
        spare[to] = order[takesLeft ? left : right] as number;
        if (takesLeft) left += 1;
        else right += 1;
        slice += 1;
        if (slice === 4 * COMPACTION_SLICE_RECORDS) {
          slice = 0;
          await pause();
        }
      }
    }
    this.order = spare;
    this.spare = order;
  }

  private wordOf(position: number): number {
    return (this.starts[this.order[position] as number] as number) >>> 2;
  }

  private growArena(recordBytes: number): void {
    let size = 2 * this.arena.bytes.length;
    while (size < this.bytes + recordBytes) size *= 2;
    const bytes = new Uint8Array(size);
    bytes.set(this.arena.bytes.subarray(0, this.bytes));
    this.arena = arenaOf(bytes);
  }

  private growColumns(): void {
    const size = 2 * this.starts.length;
    assert(size <= RECORDS_MAX, 'a unit is gathered in bounded parts');
    const grow = <Column extends Uint32Array | Uint16Array | Uint8Array>(
      grown: Column,
      from: Column,
    ): Column => {
      grown.set(from);
      return grown;
    };
    this.starts = grow(new Uint32Array(size), this.starts);
    this.wheres = grow(new Uint8Array(size), this.wheres);
    this.blocks = grow(new Uint32Array(size), this.blocks);
    this.blockOffsets = grow(new Uint16Array(size), this.blockOffsets);
    this.order = new Uint32Array(size);
    this.spare = new Uint32Array(size);
    this.fates = new Uint8Array(size);
    this.deaths = new Float64Array(size);
  }
}

/** By words: for records of a few hundred bytes half the cost of `set` with a `subarray`. */
function copyWords(
  from: Uint32Array,
  fromWord: number,
  to: Uint32Array,
  toWord: number,
  count: number,
): void {
  for (let index = 0; index < count; index += 1) to[toWord + index] = from[fromWord + index] as number;
}
