/**
 * From a request to a durable, visible row: records are laid into the write buffer, group-committed to the
 * journal, and only then applied to the index and acknowledged.
 *
 *   write ──▶ decide, lay down ──▶ open group ──▶ commit in flight ──▶ apply: index, write buffer ──▶ done
 *              record-writer.ts     fills while      one at a time        in commit order
 *
 * I1  Nothing is visible or acknowledged before the journal reports it durable. Immediate rows, of feature groups with
 *     durability 'memory', are the exception: they are visible at once, acknowledged at the end of the turn, and
 *     journalled by the commits that follow.
 * I2  Rows are applied in the order of their LSNs within a feature group, so `results` say what a reader will see.
 * I3  At most WRITE_QUEUE_BYTES_MAX wait; a request that would exceed it is refused OVERLOADED, and the store's `pressure`
 *     asks callers to hold back well before.
 * I4  After a journal error no write is ever acknowledged again: what waits is refused as indeterminate, and
 *     `onFatal` stops the shard.
 * I5  An answer leaves when its own rows are durable, and everything that its decisions saw: groups are committed in
 *     order, so it waits for the last group there was when it was decided.
 * I6  When a full device refuses a group, all that waits is refused with it, since later groups were decided by it; only
 *     immediate rows stay, which were acknowledged: they are tried again until there is room.
 *
 * When to flush is the caller's business (`onApplied`). A flush may move immediate rows into blocks before the journal has
 * them; then both have them, which recovery and compaction take for the one version that they are.
 */
import { strict as assert } from 'node:assert';
import type { ArenaTable } from './arena.ts';
import type { BufferChunks } from './buffer-chunks.ts';
import type { Clock } from './environment.ts';
import type { GroupPolicies, GroupPolicy } from './group-policy.ts';
import type { IdempotencyWindows } from './idempotency-windows.ts';
import type { IndexTable } from './index-table.ts';
import type { Journal } from './journal.ts';
import { LSN_MAX, PARTITION_MASK, SPACE_RETRY_MICROS, WRITE_QUEUE_BYTES_MAX } from './limits.ts';
import type { PartitionClock } from './partition-clock.ts';
import { PendingVersions } from './pending-versions.ts';
import type { ReadBatch } from './read-batch.ts';
import { FLAG_KEYED, readRecordDigestLo, readRecordFlags, readRecordLsn } from './record.ts';
import { RecordApplier } from './record-applier.ts';
import { RecordWriter } from './record-writer.ts';
import { StorageError } from './storage-error.ts';
import type { UnitTable } from './unit-table.ts';
import type { WriteBuffer } from './write-buffer.ts';
import { type ReadBases, WriteDeferral, type WriteDone } from './write-deferral.ts';
import type { PendingWrite, WriteGroup } from './write-group.ts';
import { WriteQueue } from './write-queue.ts';
import type { WriteRequest } from './write-request.ts';

export interface WritePathOptions {
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly chunks: BufferChunks;
  readonly arenas: ArenaTable;
  readonly index: IndexTable;
  readonly units: UnitTable;
  readonly partitionClock: PartitionClock;
  readonly windows: IdempotencyWindows;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly policies: GroupPolicies;
  /** False: memory is short, and keys that the index does not know are refused MEMORY_FULL. */
  readonly mayInsert: (group: number) => boolean;
  readonly readBases: ReadBases;
  /** Resolves after so many milliseconds. */
  readonly delay: (ms: number) => Promise<void>;
  /** Runs a function at the end of this turn of the event loop. */
  readonly schedule: (run: () => void) => void;
  /** The generation that visible records go to now. */
  readonly activeBuffer: () => WriteBuffer;
  /** After records have been applied: how many. */
  readonly onApplied: (records: number) => void;
  readonly onFatal: (error: StorageError) => void;
}

export class WritePath {
  /** Journal position below which every record has been applied. */
  appliedPosition: number;
  private readonly options: WritePathOptions;
  private readonly queue: WriteQueue;
  private readonly pending: PendingVersions;
  private readonly applier: RecordApplier;
  private readonly records: RecordWriter;
  private readonly deferral: WriteDeferral;
  /** To be answered at the end of the turn: they wait for nothing. */
  private readonly answerable: PendingWrite[] = [];
  private isScheduled = false;
  private spaceTriedAtMicros = 0;
  private isClosing = false;
  private failure: StorageError | undefined;
  /** Called whenever something has left the queue. */
  private readonly watchers: (() => void)[] = [];

  constructor(options: WritePathOptions) {
    this.options = options;
    const { chunks, index, shardCount, clock, readBases } = options;
    this.queue = new WriteQueue(chunks);
    this.pending = new PendingVersions(this.queue, chunks);
    this.applier = new RecordApplier(index, options.units, shardCount, options.activeBuffer);
    const { queue, pending, applier } = this;
    this.records = new RecordWriter({ ...options, queue, pending, applier });
    this.deferral = new WriteDeferral({
      readBases,
      needsRecords: (request) => this.records.needsRecords(request, clock.nowMicros()),
      nowSeconds: () => Math.floor(clock.nowMicros() / 1e6),
      lay: (request, done, bases) => this.lay(request, done, bases),
    });
    this.appliedPosition = options.journal.nextPosition;
  }

  /** Bytes accepted and not yet durable. */
  get pendingBytes(): number {
    return this.queue.bytes + this.deferral.bytes;
  }

  /**
   * Lays the request's rows down; `done` follows in a later turn, when `results` and `lsns` have been filled. Throws when
   * nothing comes of it.
   */
  write(request: WriteRequest, done: WriteDone): void {
    this.refuseIfUnable(request);
    if (request.merge === null && request.ifVersions === null) this.lay(request, done, null);
    else this.deferral.submit(request, done);
  }

  /** Resolves when everything laid down before is durable and applied. Rejects when the shard fails. */
  async settled(): Promise<void> {
    const { last } = this.queue;
    if (last !== undefined) {
      while (this.failure === undefined && this.queue.holds(last.number)) await this.change();
    }
    if (this.failure !== undefined) throw this.failure;
  }

  /** Resolves when everything accepted has been answered; nothing more is accepted. */
  async drain(): Promise<void> {
    this.isClosing = true;
    this.startCommit();
    while (!this.isIdle) await this.change();
  }

  /** There may be room again for immediate rows that a full device has refused. */
  retry(): void {
    if (!this.isClosing && this.queue.isStalled) this.startCommit();
  }

  /**
   * The idempotency windows as bytes, without rows that only wait for the journal: a crash may yet undo them. Immediate
   * rows are in: they count as written.
   */
  encodeWindows(): Uint8Array {
    const waiting = new Set<number>();
    this.queue.visitUnapplied((view, at) => {
      if ((readRecordFlags(view, at) & FLAG_KEYED) === 0) return;
      waiting.add(this.localPartition(view, at) * (LSN_MAX + 1) + readRecordLsn(view, at));
    });
    return this.options.windows.encode((localPartition, lsn) =>
      waiting.has(localPartition * (LSN_MAX + 1) + lsn),
    );
  }

  private get isIdle(): boolean {
    if (this.failure !== undefined) return true;
    // Immediate rows that a full device keeps from the journal wait for no one here: the last flush takes them.
    const isQueueIdle = this.queue.isEmpty || this.queue.isStalled;
    return isQueueIdle && this.deferral.isEmpty && this.answerable.length === 0;
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.watchers.push(resolve));
  }

  private announce(): void {
    for (const watcher of this.watchers.splice(0)) watcher();
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
    if (this.pendingBytes >= WRITE_QUEUE_BYTES_MAX) {
      throw new StorageError(
        'OVERLOADED',
        `write refused: ${this.pendingBytes} bytes wait for the journal, ${WRITE_QUEUE_BYTES_MAX} are allowed`,
      );
    }
  }

  /** Somebody may have made room: asked at most every SPACE_RETRY_MICROS, whatever the clock does. */
  private retrySpace(nowMicros: number): void {
    if (Math.abs(nowMicros - this.spaceTriedAtMicros) < SPACE_RETRY_MICROS) return;
    this.spaceTriedAtMicros = nowMicros;
    this.options.journal.retrySpace();
    this.retry();
  }

  private policyOf(group: number): GroupPolicy {
    const policy = this.options.policies.policyOf(group);
    if (policy === undefined)
      throw new StorageError('GROUP_NOT_FOUND', `write refused: there is no group ${group}`);
    return policy;
  }

  private lay(request: WriteRequest, done: WriteDone, bases: ReadBatch | null): void {
    const policy = this.policyOf(request.group);
    // Rows that wait from when the group's durability was 'journal' are applied first: these go behind them.
    const isImmediate = policy.durability === 'memory' && !this.queue.holdsUnapplied(request.group);
    const write: PendingWrite = {
      request,
      done,
      isImmediate,
      rowsLaid: 0,
      isPartlyWritten: false,
      hasSeenPending: false,
      refusal: undefined,
    };
    this.records.lay(write, policy, bases, this.options.clock.nowMicros());
    const { last } = this.queue;
    const waits = last !== undefined && !isImmediate && (write.rowsLaid > 0 || write.hasSeenPending);
    if (waits) last.waiters.push(write);
    else this.answerable.push(write);
    this.scheduleTurnEnd();
  }

  /** A commit begins at the end of the turn, so that all requests of one turn share it. */
  private scheduleTurnEnd(): void {
    if (this.isScheduled || (this.queue.isCommitting && this.answerable.length === 0)) return;
    this.isScheduled = true;
    this.options.schedule(() => {
      this.isScheduled = false;
      this.startCommit();
      this.answer();
    });
  }

  private answer(): void {
    if (this.answerable.length === 0) return;
    const writes = this.answerable.splice(0);
    let applied = 0;
    for (const { isImmediate, rowsLaid } of writes) if (isImmediate) applied += rowsLaid;
    if (applied > 0) this.options.onApplied(applied);
    for (const { done } of writes) done(this.failure ?? null);
    this.announce();
  }

  private startCommit(): void {
    if (this.queue.isCommitting || this.failure !== undefined) return;
    const group = this.queue.start();
    if (group === undefined) return;
    this.options.journal.commit(group.parts(), group.bytes, group.recordCount, (error) => {
      if (error === null) this.committed(group);
      else if (error instanceof StorageError && error.code === 'STORAGE_FULL') this.refuse(error);
      else this.fail(error);
    });
  }

  private committed(group: WriteGroup): void {
    const endPosition = this.options.journal.nextPosition;
    this.queue.finish();
    this.pending.committed();
    // The next commit writes while this group is applied.
    this.startCommit();
    this.applier.applyGroup(group);
    this.appliedPosition = endPosition;
    this.options.onApplied(group.recordCount - group.immediateCount);
    for (const { write } of group.slices) write.isPartlyWritten = true;
    for (const { done, refusal } of group.waiters) done(refusal ?? null);
    this.announce();
  }

  /** There was no room: whoever waits is told so, and the memory given back. Tried again when there may be some. */
  private refuse(error: StorageError): void {
    const refused = this.queue.drop((chunk, at) => this.unremember(chunk.arena.view, at));
    this.pending.clear();
    for (const { slices } of refused) {
      for (const { write } of slices) write.refusal ??= refusalOf(write, error);
    }
    for (const { waiters } of refused) {
      for (const write of waiters) write.done(write.refusal ?? refusalOf(write, error));
    }
    if (!this.queue.isEmpty) void this.options.delay(SPACE_RETRY_MICROS / 1000).then(() => this.retry());
    this.announce();
  }

  /** A keyed row that was not written is not to be found by its repeat. */
  private unremember(view: DataView, at: number): void {
    if ((readRecordFlags(view, at) & FLAG_KEYED) === 0) return;
    this.options.windows.of(this.localPartition(view, at)).remove(readRecordLsn(view, at));
  }

  private localPartition(view: DataView, at: number): number {
    return ((readRecordDigestLo(view, at) & PARTITION_MASK) / this.options.shardCount) | 0;
  }

  /** Nobody knows what of the commit in flight is on disk: only a restart, which reads the journal, does. */
  private fail(cause: Error): void {
    const failure = new StorageError('INTERNAL', `journal write failed: ${cause.message}`, { cause });
    this.failure = failure;
    const groups = this.queue.abandon();
    const deferred = this.deferral.abandon();
    for (const { waiters } of groups) for (const { done } of waiters) done(failure);
    for (const done of deferred) done(failure);
    this.announce();
    this.options.onFatal(failure);
  }
}

/** When other rows of the request are durable, a plain STORAGE_FULL would say that nothing was written. */
function refusalOf(write: PendingWrite, error: StorageError): StorageError {
  if (!write.isPartlyWritten) return error;
  return new StorageError('INTERNAL', `some rows of the request were not written: ${error.message}`, {
    cause: error,
  });
}
