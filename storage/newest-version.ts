/**
 * The newest version of one key, as a conditional write or a patch sees it: the newest by (event time, LSN) of those that
 * wait for the journal and the one in the index.
 *
 * I1  A tombstone or an expired version is there and not live: it has an event time and an LSN, and no row.
 * I2  The row of a live version lies in `arena` when the caller has given `bases`, or when it waits for the journal; it holds
 *     until the next call into the store.
 *
 * One object, filled by each `find`.
 */
import { strict as assert } from 'node:assert';
import type { Arena, ArenaTable } from './arena.ts';
import { type BufferChunks, placeOffset, placeSlot } from './buffer-chunks.ts';
import { hoursNow } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { NONE_PENDING, type PendingVersions } from './pending-versions.ts';
import { RECORD_MISSING, type ReadBatch } from './read-batch.ts';
import {
  KIND_DELETE,
  readRecordBytes,
  readRecordEventTime,
  readRecordExpirySeconds,
  readRecordKind,
  readRecordLsn,
  recordPayloadOffset,
} from './record.ts';

export class NewestVersion {
  /** There is a version, live or not. */
  exists = false;
  isLive = false;
  /** It is not durable yet. */
  isPending = false;
  eventTimeMicros = 0;
  lsn = 0;
  /** The encoded row, when it is live and known. */
  arena: Arena | null = null;
  payloadFrom = 0;
  payloadTo = 0;
  private readonly index: IndexTable;
  private readonly chunks: BufferChunks;
  private readonly arenas: ArenaTable;
  private readonly pending: PendingVersions;

  constructor(index: IndexTable, chunks: BufferChunks, arenas: ArenaTable, pending: PendingVersions) {
    this.index = index;
    this.chunks = chunks;
    this.arenas = arenas;
    this.pending = pending;
  }

  /** `bases` holds the live rows of the request's keys at `row`, read in this turn; null: only the version is asked for. */
  find(
    localPartition: number,
    digestLo: number,
    digestHi: number,
    group: number,
    hash2: number,
    nowSeconds: number,
    bases: ReadBatch | null,
    row: number,
  ): void {
    this.exists = false;
    this.isLive = false;
    this.isPending = false;
    this.arena = null;
    const handle = this.index.findForWrite(localPartition, digestHi, digestLo, group, hash2);
    if (handle >= 0) {
      this.exists = true;
      this.eventTimeMicros = this.index.eventTimeMicros(handle);
      this.lsn = this.index.lsn(handle);
    }
    const place = this.pending.find(digestLo, digestHi, group, hash2);
    if (place !== NONE_PENDING && this.isNewer(place)) this.takePending(place, nowSeconds);
    else if (handle >= 0) this.takeIndexed(handle, nowSeconds, bases, row);
  }

  /**
   * Whether only the record can say if the indexed version is expired: the index knows hours. So is a patch's row, which
   * it does not know at all.
   */
  needsRecord(
    localPartition: number,
    digestLo: number,
    digestHi: number,
    group: number,
    hash2: number,
    nowSeconds: number,
  ): boolean {
    const handle = this.index.findForWrite(localPartition, digestHi, digestLo, group, hash2);
    if (handle < 0 || this.index.isTombstone(handle)) return false;
    const expiryHours = this.index.expiryHours(handle);
    return expiryHours !== 0 && hoursNow(nowSeconds) === expiryHours - 1;
  }

  /** An immediate record that waits for the journal is the indexed one, too. */
  private isNewer(place: number): boolean {
    if (!this.exists) return true;
    const { view } = this.chunks.chunk(placeSlot(place)).arena;
    const at = placeOffset(place);
    const eventTime = readRecordEventTime(view, at);
    if (eventTime !== this.eventTimeMicros) return eventTime > this.eventTimeMicros;
    return readRecordLsn(view, at) >= this.lsn;
  }

  private takePending(place: number, nowSeconds: number): void {
    const { arena } = this.chunks.chunk(placeSlot(place));
    const at = placeOffset(place);
    this.exists = true;
    this.isPending = true;
    this.eventTimeMicros = readRecordEventTime(arena.view, at);
    this.lsn = readRecordLsn(arena.view, at);
    const expirySeconds = readRecordExpirySeconds(arena.view, at);
    const isExpired = expirySeconds !== 0 && expirySeconds <= nowSeconds;
    this.isLive = !isExpired && readRecordKind(arena.view, at) !== KIND_DELETE;
    if (this.isLive) this.takeRow(arena, at);
  }

  private takeIndexed(handle: number, nowSeconds: number, bases: ReadBatch | null, row: number): void {
    if (bases === null) {
      const expiryHours = this.index.expiryHours(handle);
      const isExpired = expiryHours !== 0 && expiryHours <= hoursNow(nowSeconds);
      this.isLive = !isExpired && !this.index.isTombstone(handle);
      return;
    }
    const at = bases.offset[row] as number;
    this.isLive = at !== RECORD_MISSING;
    if (!this.isLive) return;
    const arena = this.arenas.get(bases.arena[row] as number);
    assert(readRecordLsn(arena.view, at) === this.lsn, 'the row read is the one that the index names');
    this.takeRow(arena, at);
  }

  private takeRow(arena: Arena, at: number): void {
    this.arena = arena;
    this.payloadFrom = recordPayloadOffset(arena.view, at);
    this.payloadTo = at + readRecordBytes(arena.view, at);
  }
}
