/**
 * Conditional writes and patches whose rows' newest versions must be read before they can be decided.
 *
 *   submit ─▶ in memory, and nobody waits ─▶ lay
 *        └──▶ copied, its blocks fetched ──▶ [ oldest … newest ] ─▶ oldest, once its blocks are there ─▶ lay
 *
 * I1  Such requests are decided in the order in which they came, all their fetches under way at once. So of two patches
 *     of a key the first is the first, and the second sees it.
 * I2  A request is decided in the turn in which its rows were read: nothing changes in between.
 * I3  What waits is copied, for a request's buffers are its owner's when `write` returns; `bytes` counts it.
 *
 * Plain puts do not wait behind it: requests that are on their way at once may be applied in either order.
 */
import { KeyBatch } from '../protocol/index.ts';
import { ReadBatch } from './read-batch.ts';
import { StorageError } from './storage-error.ts';
import type { WriteRequest } from './write-request.ts';

export type WriteDone = (error: StorageError | null) => void;

/**
 * Finds the live rows of `keys`. True: their places are in `batch`. False: blocks are being fetched, and `done` follows in a
 * later turn, when a repeat is likely to find them. Throws what makes the rows unreadable.
 */
export type ReadBases = (
  group: number,
  keys: KeyBatch,
  nowSeconds: number,
  batch: ReadBatch,
  done: (error: StorageError | null) => void,
) => boolean;

export interface WriteDeferralOptions {
  readonly readBases: ReadBases;
  readonly needsRecords: (request: WriteRequest) => boolean;
  readonly nowSeconds: () => number;
  readonly lay: (request: WriteRequest, done: WriteDone, bases: ReadBatch | null) => void;
}

interface Waiting {
  request: WriteRequest;
  readonly done: WriteDone;
  readonly bytes: number;
  isFetching: boolean;
  error: StorageError | null;
}

export class WriteDeferral {
  /** Of the requests that wait. */
  bytes = 0;
  private readonly options: WriteDeferralOptions;
  private readonly waiting: Waiting[] = [];
  private readonly batch: ReadBatch = new ReadBatch(64);

  constructor(options: WriteDeferralOptions) {
    this.options = options;
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** Lays the request down, now or later. Throws when its rows cannot be read: then nothing comes of it. */
  submit(request: WriteRequest, done: WriteDone): void {
    const isFirst = this.isEmpty;
    const needsRecords = this.options.needsRecords(request);
    const entry: Waiting = { request, done, bytes: bytesOf(request), isFetching: false, error: null };
    // The blocks of one that is not the first are fetched while it waits for its turn.
    const isReady = !needsRecords || this.read(entry);
    if (isFirst && isReady) {
      this.options.lay(request, done, needsRecords ? this.batch : null);
      return;
    }
    entry.request = copyOf(request);
    this.waiting.push(entry);
    this.bytes += entry.bytes;
  }

  /** Empties the queue, and answers who waited: the shard has failed. */
  abandon(): WriteDone[] {
    this.bytes = 0;
    return this.waiting.splice(0).map(({ done }) => done);
  }

  private read(entry: Waiting): boolean {
    const { group, keys } = entry.request;
    const isRead = this.options.readBases(group, keys, this.options.nowSeconds(), this.batch, (error) => {
      entry.isFetching = false;
      entry.error = error;
      this.layReady();
    });
    entry.isFetching = !isRead;
    return isRead;
  }

  private layReady(): void {
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      if (first.isFetching) return;
      try {
        if (first.error !== null) throw first.error;
        const needsRecords = this.options.needsRecords(first.request);
        if (needsRecords && !this.read(first)) return;
        this.shift();
        this.options.lay(first.request, first.done, needsRecords ? this.batch : null);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        if (this.waiting[0] === first) this.shift();
        first.done(error);
      }
    }
  }

  private shift(): void {
    this.bytes -= this.waiting.shift()?.bytes ?? 0;
  }
}

function bytesOf(request: WriteRequest): number {
  const { keys, count, payload, payloadOffsets } = request;
  const keyBytes = (keys.offsets[count] as number) - (keys.offsets[0] as number);
  return keyBytes + 16 * count + (payloadOffsets === null ? 0 : payload.length);
}

/** A request that owns its input; the answers still go to the caller's columns. */
function copyOf(request: WriteRequest): WriteRequest {
  const { count, payloadOffsets } = request;
  const keys = new KeyBatch(count);
  keys.count = count;
  const keysFrom = request.keys.offsets[0] as number;
  keys.bytes = request.keys.bytes.slice(keysFrom, request.keys.offsets[count] as number);
  for (let row = 0; row <= count; row++) keys.offsets[row] = (request.keys.offsets[row] as number) - keysFrom;
  keys.digests.set(request.keys.digests.subarray(0, 2 * count));
  const payloadFrom = payloadOffsets === null ? 0 : (payloadOffsets[0] as number);
  const payloadTo = payloadOffsets === null ? 0 : (payloadOffsets[count] as number);
  return {
    group: request.group,
    kind: request.kind,
    count,
    keys,
    eventTimes: request.eventTimes.slice(0, count),
    ttlSeconds: request.ttlSeconds,
    payload: request.payload.slice(payloadFrom, payloadTo),
    payloadOffsets:
      payloadOffsets === null ? null : payloadOffsets.slice(0, count + 1).map((at) => at - payloadFrom),
    isBackfill: request.isBackfill,
    ifVersions: request.ifVersions === null ? null : request.ifVersions.slice(0, count),
    merge: request.merge,
    isTimeFloor: request.isTimeFloor,
    clientIdLo: request.clientIdLo,
    clientIdHi: request.clientIdHi,
    sequence: request.sequence,
    results: request.results,
    lsns: request.lsns,
  };
}
