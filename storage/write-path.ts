/**
 * From a request to a durable, visible row: records are laid into the write buffer, group-committed to the
 * journal, and only then applied to the index and acknowledged.
 *
 *   write ──▶ open group ──▶ commit in flight ──▶ apply: index, write buffer ──▶ done
 *              fills while      one at a time        in commit order
 *
 * I1  Nothing is visible or acknowledged before the journal reports it durable.
 * I2  Rows are applied in the order of their LSNs, so `results` say what a reader will see.
 * I3  At most WRITE_QUEUE_BYTES_MAX wait for the journal; a request that would exceed it is refused OVERLOADED,
 *     and the store's `pressure` asks callers to hold back well before.
 * I4  After a journal error no write is ever acknowledged again: what waits is refused as indeterminate, and
 *     `onFatal` stops the shard.
 *
 * When to flush is the caller's business (`onApplied`).
 */
import { strict as assert } from 'node:assert';
import type { Arena } from './arena.ts';
import type { BufferChunks } from './buffer-chunks.ts';
import { placeOf } from './buffer-chunks.ts';
import type { Clock } from './environment.ts';
import { WHERE_BUFFER } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { IndexTouch } from './index-touch.ts';
import type { Journal } from './journal.ts';
import { SPACE_RETRY_MICROS, WRITE_GROUP_BYTES_MAX, WRITE_QUEUE_BYTES_MAX } from './limits.ts';
import type { PartitionClock } from './partition-clock.ts';
import {
  readRecordDigestLo,
  readRecordGroup,
  recordBytesOf,
  recordKeyOffset,
  writeRecordHeader,
} from './record.ts';
import { applyRecord } from './row-index.ts';
import { StorageError } from './storage-error.ts';
import type { WriteBuffer } from './write-buffer.ts';
import { type PendingWrite, WriteGroup } from './write-group.ts';
import type { WriteRequest } from './write-request.ts';

const PARTITION_MASK = 4095;
const EXPIRY_SECONDS_MAX = 2 ** 32 - 1;

export interface WritePathOptions {
  readonly shardCount: number;
  readonly chunks: BufferChunks;
  readonly index: IndexTable;
  readonly partitionClock: PartitionClock;
  readonly clock: Clock;
  readonly journal: Journal;
  /** Runs a function at the end of this turn of the event loop. */
  readonly schedule: (run: () => void) => void;
  /** The generation that durable records go to now. */
  readonly activeBuffer: () => WriteBuffer;
  /** After each group has been applied: how many records it had. */
  readonly onApplied: (records: number) => void;
  readonly onFatal: (error: StorageError) => void;
}

export class WritePath {
  /** Journal position below which every record has been applied. */
  appliedPosition: number;
  private readonly options: WritePathOptions;
  private readonly touch: IndexTouch;
  private readonly queue: WriteGroup[] = [];
  private inFlight: WriteGroup | undefined;
  private queuedBytes = 0;
  private isScheduled = false;
  private spaceTriedAtMicros = 0;
  private isClosing = false;
  private failure: StorageError | undefined;
  private drained: (() => void) | undefined;

  constructor(options: WritePathOptions) {
    this.options = options;
    this.touch = new IndexTouch(options.index, options.shardCount);
    this.appliedPosition = options.journal.nextPosition;
  }

  /** Bytes accepted and not yet applied. */
  get pendingBytes(): number {
    return this.queuedBytes;
  }

  write(request: WriteRequest, done: (error: StorageError | null) => void): void {
    this.refuseIfUnable(request);
    const nowMicros = this.options.clock.nowMicros();
    const write: PendingWrite = { request, done, refusal: undefined };
    for (let row = 0; row < request.count; row++) this.layDown(write, row, nowMicros);
    this.scheduleCommit();
  }

  /** Resolves when everything accepted has been applied; nothing more is accepted. */
  drain(): Promise<void> {
    this.isClosing = true;
    if (this.inFlight === undefined && this.queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.drained = resolve;
    });
  }

  private refuseIfUnable(request: WriteRequest): void {
    assert(request.count > 0 && request.results.length >= request.count);
    if (this.failure !== undefined) throw this.failure;
    if (this.isClosing) throw new StorageError('SHUTTING_DOWN', 'write refused: the shard is closing');
    const { journal, clock } = this.options;
    const { spaceError } = journal;
    if (spaceError !== null) {
      this.retrySpace(clock.nowMicros());
      throw new StorageError('STORAGE_FULL', `write refused: no room for the journal: ${spaceError.message}`);
    }
    if (this.queuedBytes >= WRITE_QUEUE_BYTES_MAX) {
      throw new StorageError(
        'OVERLOADED',
        `write refused: ${this.queuedBytes} bytes wait for the journal, ${WRITE_QUEUE_BYTES_MAX} are allowed`,
      );
    }
  }

  /** Somebody may have made room: asked at most every SPACE_RETRY_MICROS, whatever the clock does. */
  private retrySpace(nowMicros: number): void {
    if (Math.abs(nowMicros - this.spaceTriedAtMicros) < SPACE_RETRY_MICROS) return;
    this.spaceTriedAtMicros = nowMicros;
    this.options.journal.retrySpace();
  }

  /** Numbers one row and writes its record into the write buffer, where the journal will take it from. */
  private layDown(write: PendingWrite, row: number, nowMicros: number): void {
    const { request } = write;
    const { keys, payloadOffsets } = request;
    const keyAt = keys.offsets[row] as number;
    const keyBytes = (keys.offsets[row + 1] as number) - keyAt;
    const payloadAt = payloadOffsets === null ? 0 : (payloadOffsets[row] as number);
    const payloadBytes = payloadOffsets === null ? 0 : (payloadOffsets[row + 1] as number) - payloadAt;
    const recordBytes = recordBytesOf(keyBytes, payloadBytes);
    const group = this.openGroup(recordBytes);
    const chunk = this.options.chunks.reserve(recordBytes);
    const offset = chunk.usedBytes - recordBytes;

    const digestLo = keys.digests[2 * row] as number;
    const localPartition = ((digestLo & PARTITION_MASK) / this.options.shardCount) | 0;
    const lsn = this.options.partitionClock.advance(localPartition, nowMicros);
    const eventTimeMicros = request.eventTimes[row] as number;
    const { bytes, view } = chunk.arena;
    writeRecordHeader(
      view,
      offset,
      recordBytes,
      request.group,
      request.kind,
      digestLo,
      keys.digests[2 * row + 1] as number,
      eventTimeMicros,
      lsn,
      this.options.partitionClock.commitTimeMicros(localPartition),
      expirySecondsOf(eventTimeMicros, request.ttlSeconds),
      keyBytes,
    );
    const payloadStart = offset + recordBytes - payloadBytes;
    copyPadded(keys.bytes, keyAt, keyBytes, bytes, recordKeyOffset(offset), payloadStart);
    if (payloadBytes > 0) copyBytes(request.payload, payloadAt, payloadBytes, bytes, payloadStart);
    request.lsns[row] = lsn;
    group.add(write, row, chunk, recordBytes);
    this.queuedBytes += recordBytes;
  }

  private openGroup(recordBytes: number): WriteGroup {
    const last = this.queue[this.queue.length - 1];
    if (last !== undefined && last.bytes + recordBytes <= WRITE_GROUP_BYTES_MAX) return last;
    const group = new WriteGroup();
    this.queue.push(group);
    return group;
  }

  /** A commit begins at the end of the turn, so that all requests of one turn share it. */
  private scheduleCommit(): void {
    if (this.inFlight !== undefined || this.isScheduled) return;
    this.isScheduled = true;
    this.options.schedule(() => {
      this.isScheduled = false;
      this.startCommit();
    });
  }

  private startCommit(): void {
    if (this.inFlight !== undefined || this.failure !== undefined) return;
    const group = this.queue.shift();
    if (group === undefined) return;
    this.inFlight = group;
    this.options.journal.commit(group.parts(), group.bytes, group.recordCount, (error) => {
      if (error === null) this.committed(group);
      else if (error instanceof StorageError && error.code === 'STORAGE_FULL') this.refuse(group, error);
      else this.fail(error);
    });
  }

  private committed(group: WriteGroup): void {
    const endPosition = this.options.journal.nextPosition;
    this.inFlight = undefined;
    // The next commit writes while this group is applied.
    this.startCommit();
    this.apply(group);
    this.appliedPosition = endPosition;
    this.queuedBytes -= group.bytes;
    this.options.onApplied(group.recordCount);
    this.finish(group);
  }

  private apply(group: WriteGroup): void {
    const buffer = this.options.activeBuffer();
    let sliceIndex = 0;
    let slice = group.slices[0];
    let row = slice?.fromRow ?? 0;
    for (const range of group.ranges) {
      const { arena, slot } = range.chunk;
      let touchedTo = range.from;
      for (let at = range.from; at < range.to; at += arena.words[at >>> 2] as number) {
        assert(slice !== undefined);
        if (at === touchedTo) touchedTo = this.touch.touch(arena, at, range.to);
        const result = this.applyOne(buffer, arena, slot, at);
        slice.write.request.results[row] = result;
        row += 1;
        if (row === slice.toRow) {
          sliceIndex += 1;
          slice = group.slices[sliceIndex];
          row = slice?.fromRow ?? 0;
        }
      }
    }
    assert(slice === undefined);
  }

  private applyOne(buffer: WriteBuffer, arena: Arena, slot: number, offset: number): number {
    const partition = readRecordDigestLo(arena.view, offset) & PARTITION_MASK;
    const localPartition = (partition / this.options.shardCount) | 0;
    const place = placeOf(slot, offset);
    buffer.add(
      localPartition,
      readRecordGroup(arena.view, offset),
      place,
      arena.words[offset >>> 2] as number,
    );
    return applyRecord(this.options.index, localPartition, arena, offset, WHERE_BUFFER, place, 0);
  }

  /** Nothing of the group was written: its writers are told so, and its memory is given back. */
  private refuse(group: WriteGroup, error: StorageError): void {
    this.inFlight = undefined;
    this.queuedBytes -= group.bytes;
    for (const { chunk, from, to } of group.ranges) {
      for (let at = from; at < to; at += chunk.arena.words[at >>> 2] as number) {
        this.options.chunks.release(placeOf(chunk.slot, at));
      }
    }
    for (const { write, fromRow, toRow } of group.slices) {
      const isWhole = fromRow === 0 && toRow === write.request.count;
      write.refusal ??= isWhole ? error : partlyWritten(error);
    }
    this.finish(group);
    this.startCommit();
  }

  /** Answers the requests whose last row this group held. */
  private finish(group: WriteGroup): void {
    for (const { write, toRow } of group.slices) {
      if (toRow === write.request.count) write.done(write.refusal ?? null);
    }
    if (this.inFlight === undefined && this.queue.length === 0) this.drained?.();
  }

  /** Nobody knows what of the commit in flight is on disk: only a restart, which reads the journal, does. */
  private fail(cause: Error): void {
    const failure = new StorageError('INTERNAL', `journal write failed: ${cause.message}`, { cause });
    this.failure = failure;
    const groups = this.inFlight === undefined ? this.queue : [this.inFlight, ...this.queue];
    const refused = new Set<PendingWrite>();
    for (const group of groups) for (const slice of group.slices) refused.add(slice.write);
    this.queue.length = 0;
    this.inFlight = undefined;
    for (const write of refused) write.done(failure);
    this.drained?.();
    this.options.onFatal(failure);
  }
}

/** Other rows of the request are, or will be, durable: a plain STORAGE_FULL would say that nothing was written. */
function partlyWritten(error: StorageError): StorageError {
  return new StorageError('INTERNAL', `some rows of the request were not written: ${error.message}`, {
    cause: error,
  });
}

function expirySecondsOf(eventTimeMicros: number, ttlSeconds: number): number {
  if (ttlSeconds === 0) return 0;
  const seconds = Math.floor(eventTimeMicros / 1e6) + ttlSeconds;
  return Math.min(Math.max(seconds, 1), EXPIRY_SECONDS_MAX);
}

/** Copies the key and zeroes what is left up to `end`. A loop: keys are short, `set` on a subarray costs 50 ns. */
function copyPadded(
  from: Uint8Array,
  fromAt: number,
  count: number,
  to: Uint8Array,
  toAt: number,
  end: number,
): void {
  for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i] as number;
  for (let at = toAt + count; at < end; at++) to[at] = 0;
}

/** Below this a byte loop beats the call into a native copy. */
const NATIVE_COPY_BYTES_MIN = 128;

function copyBytes(from: Uint8Array, fromAt: number, count: number, to: Uint8Array, toAt: number): void {
  if (count < NATIVE_COPY_BYTES_MIN) {
    for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i] as number;
  } else {
    to.set(from.subarray(fromAt, fromAt + count), toAt);
  }
}
