/**
 * The newest version of each key among the records that wait for the journal: what a conditional write or a patch is
 * decided by, since the index knows only what is durable.
 *
 *   slot, 24 bytes   | digest low | digest high | feature group (0 free) | second hash | place | number of write group |
 *
 * I1  Nothing is read until somebody asks: then each waiting record is read once, however often is asked. Plain puts
 *     pay nothing.
 * I2  What `find` answers waits for the journal still, is not history only, and is the newest of its key among such, unless
 *     the index has a newer one. Versions of committed groups stay in the table and are not answered: the index has
 *     them, or a newer one, and so everything older that waits is not the newest either.
 * I3  The table is emptied when the last group that was read has been committed, so it is as large as what waits.
 *
 * Open addressing, linear probing, at most half full. Keys are told apart as in the index (row-index.ts, I2).
 */
import type { Arena } from './arena.ts';
import { type BufferChunks, placeOf, placeOffset, placeSlot } from './buffer-chunks.ts';
import { PENDING_SLOTS_KEPT_MAX, PENDING_SLOTS_MIN } from './limits.ts';
import {
  FLAG_HISTORY_ONLY,
  readRecordDigestHi,
  readRecordDigestLo,
  readRecordEventTime,
  readRecordFlags,
  readRecordGroup,
  readRecordKeyBytes,
  readRecordLsn,
  recordKeyOffset,
} from './record.ts';
import { secondHashOf } from './row-index.ts';
import type { WriteGroup } from './write-group.ts';
import type { WriteQueue } from './write-queue.ts';

export const NONE_PENDING = -1;

const SLOT_WORDS = 6;
const DIGEST_LO = 0;
const DIGEST_HI = 1;
const GROUP = 2;
const HASH2 = 3;
const PLACE = 4;
const NUMBER = 5;

export class PendingVersions {
  private readonly queue: WriteQueue;
  private readonly chunks: BufferChunks;
  private table: Uint32Array = new Uint32Array(PENDING_SLOTS_MIN * SLOT_WORDS);
  private used = 0;
  /** Number of the newest group that was read. */
  private lastRead = 0;

  constructor(queue: WriteQueue, chunks: BufferChunks) {
    this.queue = queue;
    this.chunks = chunks;
  }

  /** Place of the key's newest waiting version, or NONE_PENDING. */
  find(digestLo: number, digestHi: number, group: number, hash2: number): number {
    const first = this.queue.groups[0];
    if (first === undefined) return NONE_PENDING;
    this.readWaiting();
    const { table } = this;
    const slot = this.slotOf(table, digestLo, digestHi, group, hash2);
    if (table[slot + GROUP] === 0 || !isAtOrAfter(table[slot + NUMBER] as number, first.number)) {
      return NONE_PENDING;
    }
    return table[slot + PLACE] as number;
  }

  /** To be called when a group has left the queue. */
  committed(): void {
    if (this.used === 0) return;
    const first = this.queue.groups[0];
    if (first === undefined || !isAtOrAfter(this.lastRead, first.number)) this.clear();
  }

  clear(): void {
    if (this.table.length > PENDING_SLOTS_KEPT_MAX * SLOT_WORDS) {
      this.table = new Uint32Array(PENDING_SLOTS_MIN * SLOT_WORDS);
    } else this.table.fill(0);
    this.used = 0;
  }

  /** Only the last group grows, so what is new is at the end. */
  private readWaiting(): void {
    const { groups } = this.queue;
    for (let index = groups.length - 1; index >= 0; index--) {
      const group = groups[index] as WriteGroup;
      if (!this.readGroup(group)) return;
    }
  }

  /** Answers false when there was nothing new in it. */
  private readGroup(group: WriteGroup): boolean {
    let hasRead = false;
    while (group.readRange < group.ranges.length) {
      const { chunk, from, to } = group.ranges[group.readRange] as WriteGroup['ranges'][number];
      const { arena, slot } = chunk;
      let at = group.readTo < 0 ? from : group.readTo;
      hasRead ||= at < to;
      for (; at < to; at += arena.words[at >>> 2] as number) this.add(arena, slot, at, group.number);
      group.readTo = at;
      if (group.readRange === group.ranges.length - 1) break;
      group.readRange += 1;
      group.readTo = -1;
    }
    if (hasRead && (this.used === 0 || isAtOrAfter(group.number, this.lastRead)))
      this.lastRead = group.number;
    return hasRead;
  }

  private add(arena: Arena, chunkSlot: number, at: number, number: number): void {
    const { view } = arena;
    if ((readRecordFlags(view, at) & FLAG_HISTORY_ONLY) !== 0) return;
    if (2 * (this.used + 1) * SLOT_WORDS > this.table.length) this.makeRoom();
    const digestLo = readRecordDigestLo(view, at);
    const digestHi = readRecordDigestHi(view, at);
    const group = readRecordGroup(view, at);
    const hash2 = secondHashOf(arena.bytes, recordKeyOffset(at), readRecordKeyBytes(view, at));
    const { table } = this;
    const slot = this.slotOf(table, digestLo, digestHi, group, hash2);
    if (table[slot + GROUP] === 0) {
      table[slot + DIGEST_LO] = digestLo;
      table[slot + DIGEST_HI] = digestHi;
      table[slot + GROUP] = group;
      table[slot + HASH2] = hash2;
      this.used += 1;
    } else if (this.isWaiting(table[slot + NUMBER] as number)) {
      if (!this.isNewer(view, at, table[slot + PLACE] as number)) return;
    }
    table[slot + PLACE] = placeOf(chunkSlot, at);
    table[slot + NUMBER] = number;
  }

  private isNewer(view: DataView, at: number, otherPlace: number): boolean {
    const other = this.chunks.chunk(placeSlot(otherPlace)).arena.view;
    const otherAt = placeOffset(otherPlace);
    const eventTime = readRecordEventTime(view, at);
    const otherTime = readRecordEventTime(other, otherAt);
    if (eventTime !== otherTime) return eventTime > otherTime;
    return readRecordLsn(view, at) > readRecordLsn(other, otherAt);
  }

  private isWaiting(number: number): boolean {
    const first = this.queue.groups[0];
    return first !== undefined && isAtOrAfter(number, first.number);
  }

  /** The key's slot, or the free one where it would stand. */
  private slotOf(
    table: Uint32Array,
    digestLo: number,
    digestHi: number,
    group: number,
    hash2: number,
  ): number {
    const slots = table.length / SLOT_WORDS;
    let slot = ((Math.imul(digestLo ^ hash2 ^ group, 0x9e3779b1) ^ digestHi) >>> 0) & (slots - 1);
    for (;;) {
      const word = slot * SLOT_WORDS;
      if (table[word + GROUP] === 0) return word;
      if (
        table[word + DIGEST_LO] === digestLo &&
        table[word + DIGEST_HI] === digestHi &&
        table[word + HASH2] === hash2 &&
        table[word + GROUP] === group
      ) {
        return word;
      }
      slot = (slot + 1) & (slots - 1);
    }
  }

  /** Drops what has been committed; twice the slots unless that was half of the table. */
  private makeRoom(): void {
    const from = this.table;
    let waiting = 0;
    for (let word = 0; word < from.length; word += SLOT_WORDS) {
      if (from[word + GROUP] !== 0 && this.isWaiting(from[word + NUMBER] as number)) waiting += 1;
    }
    const to = new Uint32Array(4 * waiting * SLOT_WORDS > from.length ? 2 * from.length : from.length);
    for (let word = 0; word < from.length; word += SLOT_WORDS) {
      if (from[word + GROUP] === 0 || !this.isWaiting(from[word + NUMBER] as number)) continue;
      const slot = this.slotOf(
        to,
        from[word + DIGEST_LO] as number,
        from[word + DIGEST_HI] as number,
        from[word + GROUP] as number,
        from[word + HASH2] as number,
      );
      for (let field = 0; field < SLOT_WORDS; field++) to[slot + field] = from[word + field] as number;
    }
    this.table = to;
    this.used = waiting;
  }
}

/** Whether a group's number is the other's or later; numbers wrap, and fewer than 2^31 groups wait at once. */
function isAtOrAfter(number: number, other: number): boolean {
  return ((number - other) | 0) >= 0;
}
