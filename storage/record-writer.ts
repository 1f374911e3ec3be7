/**
 * Lays the rows of a request down as records: decides which are written, numbers them, and appends them to the queue for
 * the journal.
 *
 *   row ─▶ seen before? ─▶ in time? ─▶ condition, patch ─▶ room for a new key? ─▶ LSN, commit time ─▶ record
 *           its first       TOO_LATE    VERSION_MISMATCH    MEMORY_FULL
 *           answer          …_IN_FUTURE LATE_PATCH …
 *
 * I1  Rows are decided in the request's order, each by the newest version there is in that moment, one that waits for the
 *     journal and rows of the same request included. So patches of one key follow each other without a gap.
 * I2  A refused row has its result at once and LSN 0, and uses no number. Others get theirs when they are applied.
 * I3  The result of a keyed row is decided here, since its record holds it; what is applied later comes to the same, because
 *     groups are applied in this order, or refused together.
 * I4  A request without conditions or key looks nothing up: its rows cost an LSN, a header and two copies.
 */
import { strict as assert } from 'node:assert';
import type { ArenaTable } from './arena.ts';
import type { BufferChunks } from './buffer-chunks.ts';
import type { GroupPolicy } from './group-policy.ts';
import { FORGOTTEN, SEEN } from './idempotency-window.ts';
import type { IdempotencyWindows } from './idempotency-windows.ts';
import type { IndexTable } from './index-table.ts';
import {
  EVENT_TIME_FUTURE_MICROS_MAX,
  PARTITION_MASK,
  RECORD_PAYLOAD_BYTES_MAX,
  REQUEST_KEY_BYTES,
} from './limits.ts';
import { NewestVersion } from './newest-version.ts';
import type { PartitionClock } from './partition-clock.ts';
import type { PendingVersions } from './pending-versions.ts';
import type { ReadBatch } from './read-batch.ts';
import {
  FLAG_HISTORY_ONLY,
  FLAG_KEYED,
  recordBytesOf,
  recordKeyOffset,
  writeRecordHeader,
  writeRequestKey,
} from './record.ts';
import type { RecordApplier } from './record-applier.ts';
import { secondHashOf } from './row-index.ts';
import type { StorageErrorCode } from './storage-error.ts';
import type { PendingWrite } from './write-group.ts';
import type { WriteQueue } from './write-queue.ts';
import {
  RESULT_APPLIED,
  RESULT_HISTORY,
  RESULT_SUPERSEDED,
  refusalResult,
  type WriteRequest,
} from './write-request.ts';

const EXPIRY_SECONDS_MAX = 2 ** 32 - 1;

export interface RecordWriterOptions {
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly chunks: BufferChunks;
  readonly arenas: ArenaTable;
  readonly index: IndexTable;
  readonly queue: WriteQueue;
  readonly pending: PendingVersions;
  readonly applier: RecordApplier;
  readonly partitionClock: PartitionClock;
  readonly windows: IdempotencyWindows;
  /** False: memory is short, and keys that the index does not know are refused. */
  readonly mayInsert: (group: number) => boolean;
}

export class RecordWriter {
  private readonly options: RecordWriterOptions;
  private readonly newest: NewestVersion;
  /** By local partition: rows of the request at hand so far; all zero between keyed requests. */
  private readonly ordinals: Uint32Array;
  private nowMicros = 0;
  /** Event times that the request's rows may have. µs. */
  private earliestMicros = 0;
  private latestMicros = 0;
  private flags = 0;
  private mayInsert = true;

  constructor(options: RecordWriterOptions) {
    this.options = options;
    const { index, chunks, arenas, pending } = options;
    this.newest = new NewestVersion(index, chunks, arenas, pending);
    this.ordinals = new Uint32Array(options.localPartitionCount);
  }

  /** Whether `bases` must be read before the request's rows can be decided. */
  needsRecords(request: WriteRequest, nowMicros: number): boolean {
    if (request.merge !== null) return true;
    const { keys, group, count } = request;
    const nowSeconds = Math.floor(nowMicros / 1e6);
    for (let row = 0; row < count; row++) {
      const digestLo = keys.digests[2 * row] as number;
      const digestHi = keys.digests[2 * row + 1] as number;
      const hash2 = this.secondHash(request, row);
      const localPartition = this.localPartition(digestLo);
      if (this.newest.needsRecord(localPartition, digestLo, digestHi, group, hash2, nowSeconds)) return true;
    }
    return false;
  }

  /** Lays all rows down. `bases`: the live rows of its keys, read in this turn, if `needsRecords`. */
  lay(write: PendingWrite, policy: GroupPolicy, bases: ReadBatch | null, nowMicros: number): void {
    const { request } = write;
    const { count, eventTimes, payload, payloadOffsets } = request;
    const isKeyed = request.clientIdLo !== 0 || request.clientIdHi !== 0;
    this.nowMicros = nowMicros;
    this.latestMicros = nowMicros + EVENT_TIME_FUTURE_MICROS_MAX;
    const horizon = Math.max(policy.retentionMicros, policy.latenessMicros);
    const putsFrom = policy.putsFromMicros ?? Number.NEGATIVE_INFINITY;
    const earliest = request.isBackfill ? Number.NEGATIVE_INFINITY : Math.max(nowMicros - horizon, putsFrom);
    this.earliestMicros = Math.max(Number.MIN_SAFE_INTEGER, earliest);
    this.flags = (isKeyed ? FLAG_KEYED : 0) | (request.isBackfill ? FLAG_HISTORY_ONLY : 0);
    this.mayInsert = request.isBackfill || this.options.mayInsert(request.group);
    const isPlain = !isKeyed && this.mayInsert && request.ifVersions === null && request.merge === null;

    let touchedTo = write.isImmediate ? 0 : count;
    for (let row = 0; row < count; row++) {
      if (row === touchedTo) touchedTo = this.touch(request, row);
      if (!isPlain) {
        this.decide(write, row, bases, isKeyed);
        continue;
      }
      const eventTime = eventTimes[row] as number;
      if (eventTime >= this.earliestMicros && eventTime <= this.latestMicros) {
        const from = payloadOffsets === null ? 0 : (payloadOffsets[row] as number);
        const to = payloadOffsets === null ? 0 : (payloadOffsets[row + 1] as number);
        this.append(write, row, eventTime, payload, from, to, 0, 0);
      } else this.refuse(request, row, this.timeRefusal(eventTime));
    }
    if (isKeyed) this.forgetOrdinals(request);
  }

  private touch(request: WriteRequest, row: number): number {
    return this.options.applier.touch.touchDigests(request.group, request.keys.digests, row, request.count);
  }

  private decide(write: PendingWrite, row: number, bases: ReadBatch | null, isKeyed: boolean): void {
    const { request } = write;
    const { keys, group, payloadOffsets } = request;
    const digestLo = keys.digests[2 * row] as number;
    const localPartition = this.localPartition(digestLo);
    let ordinal = 0;
    if (isKeyed) {
      ordinal = this.ordinals[localPartition] as number;
      this.ordinals[localPartition] = ordinal + 1;
      if (this.isRepeated(write, row, localPartition, ordinal)) return;
    }
    let eventTime = request.eventTimes[row] as number;
    if (!(eventTime >= this.earliestMicros && eventTime <= this.latestMicros)) {
      this.refuse(request, row, this.timeRefusal(eventTime));
      return;
    }
    const from = payloadOffsets === null ? 0 : (payloadOffsets[row] as number);
    const to = payloadOffsets === null ? 0 : (payloadOffsets[row + 1] as number);
    if (request.isBackfill) {
      this.append(write, row, eventTime, request.payload, from, to, ordinal, RESULT_HISTORY);
      return;
    }
    const { newest } = this;
    const hash2 = this.secondHash(request, row);
    const digestHi = keys.digests[2 * row + 1] as number;
    const nowSeconds = Math.floor(this.nowMicros / 1e6);
    newest.find(localPartition, digestLo, digestHi, group, hash2, nowSeconds, bases, row);
    if (newest.isPending) write.hasSeenPending = true;
    if (request.isTimeFloor && newest.exists) eventTime = Math.max(eventTime, newest.eventTimeMicros);
    const refusal = this.refusalOf(request, row, eventTime);
    if (refusal !== null) {
      this.refuse(request, row, refusal);
      return;
    }
    const isSuperseded = newest.exists && newest.eventTimeMicros > eventTime;
    const result = isSuperseded ? RESULT_SUPERSEDED : RESULT_APPLIED;
    if (request.merge === null) {
      this.append(write, row, eventTime, request.payload, from, to, ordinal, result);
      return;
    }
    const merged = this.merge(request, from, to);
    if (typeof merged === 'string') this.refuse(request, row, merged);
    else this.append(write, row, eventTime, merged, 0, merged.length, ordinal, result);
  }

  /** Answers a row that was written before as it was answered then, and refuses one that may have been. */
  private isRepeated(write: PendingWrite, row: number, localPartition: number, ordinal: number): boolean {
    const { request } = write;
    const window = this.options.windows.of(localPartition);
    const found = window.find(request.clientIdLo, request.clientIdHi, request.sequence, ordinal);
    if (found === SEEN) {
      request.results[row] = window.result;
      request.lsns[row] = window.lsn;
      // Perhaps it waits for the journal itself; whoever waits for all that does has waited for it.
      write.hasSeenPending = true;
      return true;
    }
    if (found === FORGOTTEN) this.refuse(request, row, 'IDEMPOTENCY_EXPIRED');
    return found === FORGOTTEN;
  }

  private refusalOf(request: WriteRequest, row: number, eventTime: number): StorageErrorCode | null {
    const { newest } = this;
    if (request.ifVersions !== null) {
      const lsn = newest.isLive ? newest.lsn : 0;
      if (request.ifVersions[row] !== lsn) return 'VERSION_MISMATCH';
    }
    if (request.merge !== null && newest.exists && eventTime < newest.eventTimeMicros) return 'LATE_PATCH';
    return newest.exists || this.mayInsert ? null : 'MEMORY_FULL';
  }

  private merge(request: WriteRequest, from: number, to: number): Uint8Array | StorageErrorCode {
    const { merge } = request;
    assert(merge !== null);
    const { arena, payloadFrom, payloadTo } = this.newest;
    const merged = merge(arena, payloadFrom, payloadTo, request.payload, from, to);
    assert(typeof merged === 'string' || merged.length <= RECORD_PAYLOAD_BYTES_MAX);
    return merged;
  }

  private refuse(request: WriteRequest, row: number, code: StorageErrorCode): void {
    request.results[row] = refusalResult(code);
    request.lsns[row] = 0;
  }

  private timeRefusal(eventTimeMicros: number): StorageErrorCode {
    if (!Number.isSafeInteger(eventTimeMicros)) return 'EVENT_TIME_INVALID';
    return eventTimeMicros > this.latestMicros ? 'EVENT_TIME_IN_FUTURE' : 'TOO_LATE';
  }

  /** Numbers one row and writes its record into the write buffer, where the journal will take it from. */
  private append(
    write: PendingWrite,
    row: number,
    eventTimeMicros: number,
    payload: Uint8Array,
    payloadFrom: number,
    payloadTo: number,
    ordinal: number,
    result: number,
  ): void {
    const { request } = write;
    const { keys } = request;
    const { chunks, partitionClock, queue, applier } = this.options;
    const { flags } = this;
    const keyAt = keys.offsets[row] as number;
    const keyBytes = (keys.offsets[row + 1] as number) - keyAt;
    const payloadBytes = payloadTo - payloadFrom;
    const recordBytes = recordBytesOf(keyBytes, payloadBytes, flags);
    const chunk = chunks.reserve(recordBytes);
    const offset = chunk.usedBytes - recordBytes;

    const digestLo = keys.digests[2 * row] as number;
    const localPartition = this.localPartition(digestLo);
    const lsn = partitionClock.advance(localPartition, this.nowMicros);
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
      partitionClock.commitTimeMicros(localPartition),
      expirySecondsOf(eventTimeMicros, request.ttlSeconds),
      keyBytes,
      flags,
    );
    const payloadStart = offset + recordBytes - payloadBytes;
    const keyEnd = (flags & FLAG_KEYED) === 0 ? payloadStart : payloadStart - REQUEST_KEY_BYTES;
    copyPadded(keys.bytes, keyAt, keyBytes, bytes, recordKeyOffset(offset), keyEnd);
    if (keyEnd !== payloadStart) {
      const { clientIdLo, clientIdHi, sequence } = request;
      writeRequestKey(view, keyEnd, clientIdLo, clientIdHi, sequence, ordinal, result);
      this.options.windows.of(localPartition).add(clientIdLo, clientIdHi, sequence, ordinal, lsn, result);
    }
    if (payloadBytes > 0) copyBytes(payload, payloadFrom, payloadBytes, bytes, payloadStart);
    request.lsns[row] = lsn;
    write.rowsLaid += 1;
    queue.add(write, row, chunk, offset, recordBytes);
    if (write.isImmediate) request.results[row] = applier.apply(chunk.arena, chunk.slot, offset);
  }

  private forgetOrdinals(request: WriteRequest): void {
    const { digests } = request.keys;
    for (let row = 0; row < request.count; row++) {
      this.ordinals[this.localPartition(digests[2 * row] as number)] = 0;
    }
  }

  private secondHash(request: WriteRequest, row: number): number {
    const { bytes, offsets } = request.keys;
    const keyAt = offsets[row] as number;
    return secondHashOf(bytes, keyAt, (offsets[row + 1] as number) - keyAt);
  }

  private localPartition(digestLo: number): number {
    return ((digestLo & PARTITION_MASK) / this.options.shardCount) | 0;
  }
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
