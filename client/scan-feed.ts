/**
 * The scans of all shards as one bounded sequence of data, in the order of arrival.
 *
 * I1  `next` answers each piece once, null after the last, and rejects after a failure of any shard, an abort, or the
 *     client's close; whatever was not taken by then is dropped.
 * I2  Taking a piece gives its bytes back to its shard as credit, so a consumer that pauses pauses every shard, and at
 *     most (creditBytes + one frame) a shard waits here.
 * I3  Nothing is dialled before the first `next`; nothing stays open after the end, `stop`, or a failure.
 */
import type { ScanRequest, ScanSummary } from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import { type ScanData, type ScanSink, ScanStream } from './scan-stream.ts';

interface Consumer {
  readonly resolve: (data: ScanData | null) => void;
  readonly reject: (error: MillraceError) => void;
}

/** Completes a request before it is sent to this many shards. */
export type PrepareScan = (request: ScanRequest, shardCount: number) => Promise<ScanRequest>;

export class ScanFeed implements ScanSink {
  /** What the shards that have ended say they sent. */
  readonly summary: ScanSummary = { rows: 0, bytes: 0, partitions: 0 };
  private readonly dispatcher: Dispatcher;
  private request: ScanRequest;
  private readonly prepare: PrepareScan;
  private readonly signal: AbortSignal | undefined;
  private streams: ScanStream[] = [];
  private openStreams = 0;
  private hasStarted = false;
  private isPreparing = false;
  private waiting: ScanData[] = [];
  private consumers: Consumer[] = [];
  private failure: MillraceError | null = null;
  private isStopped = false;
  private idleTimer: NodeJS.Timeout | null = null;
  private readonly onAbort = (): void => this.onFailure(aborted(this.signal));
  private readonly onClientClosed = (error: MillraceError): void => this.onFailure(error);

  constructor(
    dispatcher: Dispatcher,
    request: ScanRequest,
    signal: AbortSignal | undefined,
    prepare: PrepareScan = (prepared) => Promise.resolve(prepared),
  ) {
    this.dispatcher = dispatcher;
    this.request = request;
    this.prepare = prepare;
    this.signal = signal;
  }

  /** What the request says, once it is complete; null: the latest. */
  get readPoint(): number | null {
    return this.request.readPoint ?? null;
  }

  next(): Promise<ScanData | null> {
    if (!this.hasStarted) this.start();
    const data = this.waiting.shift();
    if (data !== undefined) {
      data.stream.giveCredit(data.bytes.length);
      return Promise.resolve(data);
    }
    if (this.failure !== null) return Promise.reject(this.failure);
    if ((this.openStreams === 0 && !this.isPreparing) || this.isStopped) return Promise.resolve(null);
    return new Promise((resolve, reject) => this.consumers.push({ resolve, reject }));
  }

  /** Ends everything; later `next` calls answer null. */
  stop(): void {
    this.hasStarted = true;
    this.isStopped = true;
    this.waiting = [];
    this.release();
    for (const consumer of this.consumers.splice(0)) consumer.resolve(null);
  }

  onData(data: ScanData): void {
    const consumer = this.consumers.shift();
    if (consumer === undefined) {
      this.waiting.push(data);
      return;
    }
    data.stream.giveCredit(data.bytes.length);
    consumer.resolve(data);
  }

  onEnd(summary: ScanSummary): void {
    this.summary.rows += summary.rows;
    this.summary.bytes += summary.bytes;
    this.summary.partitions += summary.partitions;
    this.openStreams -= 1;
    if (this.openStreams > 0) return;
    this.release();
    for (const consumer of this.consumers.splice(0)) consumer.resolve(null);
  }

  onFailure(error: MillraceError): void {
    if (this.failure !== null || this.isStopped) return;
    this.failure = error;
    this.waiting = [];
    this.release();
    for (const consumer of this.consumers.splice(0)) consumer.reject(error);
  }

  private start(): void {
    this.hasStarted = true;
    try {
      this.dispatcher.assertOpen();
      if (this.signal?.aborted) throw aborted(this.signal);
    } catch (error) {
      this.failure = toMillraceError(error);
      return;
    }
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    this.dispatcher.closeListeners.add(this.onClientClosed);
    const asked = this.shardsAsked();
    this.isPreparing = true;
    this.prepare(this.request, asked.size).then(
      (request) => this.send(request, asked),
      (error: unknown) => {
        this.isPreparing = false;
        this.onFailure(toMillraceError(error));
      },
    );
  }

  private send(request: ScanRequest, asked: ReadonlySet<number>): void {
    this.isPreparing = false;
    if (this.isStopped || this.failure !== null) return;
    this.request = request;
    const { shards } = this.dispatcher.map;
    for (const shard of asked) {
      const { host, scanPort } = shards[shard]!;
      this.streams.push(new ScanStream(this.dispatcher, { host, port: scanPort }, this.request, this));
    }
    this.openStreams = this.streams.length;
    const { scanIdleTimeoutMs } = this.dispatcher.context.options;
    this.idleTimer = setInterval(() => this.checkIdle(), Math.min(1_000, scanIdleTimeoutMs / 2));
    this.idleTimer.unref();
    for (const stream of this.streams) stream.start();
    if (this.openStreams > 0) return;
    this.release();
    for (const consumer of this.consumers.splice(0)) consumer.resolve(null);
  }

  /** Indices of the shards that own one of the partitions. */
  private shardsAsked(): Set<number> {
    const { shardOfPartition } = this.dispatcher.map;
    const asked = new Set<number>();
    for (const [from, to] of this.request.partitions ?? [[0, shardOfPartition.length]]) {
      for (let partition = from; partition < to; partition++) asked.add(shardOfPartition[partition]!);
    }
    return asked;
  }

  private checkIdle(): void {
    const nowMs = performance.now();
    for (const stream of this.streams) stream.checkIdle(nowMs);
  }

  private release(): void {
    if (this.idleTimer !== null) clearInterval(this.idleTimer);
    this.signal?.removeEventListener('abort', this.onAbort);
    this.dispatcher.closeListeners.delete(this.onClientClosed);
    for (const stream of this.streams) stream.stop();
  }
}

function aborted(signal: AbortSignal | undefined): MillraceError {
  return new MillraceError('CANCELLED', 'the scan was aborted by its caller', { cause: signal?.reason });
}
