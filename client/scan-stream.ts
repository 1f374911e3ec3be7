/**
 * The scan of one shard: a connection of its own to the shard's scan port, and one SCAN request with many answers.
 *
 *   dialling ──▶ streaming ── last frame ──▶ ended
 *       ▲            └── failed before any data ──▶ a pause, then dialling (as often as a read is tried again)
 *
 * I1  The shard never has more than `creditBytes` plus one frame under way or waiting here: credit given back is what
 *     the consumer took.
 * I2  A failure after the first data ends the scan: the rows already given could not be told from those of another try.
 * I3  While the shard may send and does not, its silence is counted; past `scanIdleTimeoutMs` the scan fails (TIMEOUT).
 */
import {
  type ByteWriter,
  decodeScanData,
  decodeScanEnd,
  encodeScanCreditRequest,
  encodeScanRequest,
  type Frame,
  OPERATIONS,
  type RequestOptions,
  type ScanRequest,
  type ScanSummary,
} from '../protocol/index.ts';
import type { Call } from './call.ts';
import type { Connection } from './connection.ts';
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import { openConnection } from './handshake.ts';
import type { Address } from './options.ts';
import { retryDelayMs } from './retry.ts';

/** One data frame's content. */
export interface ScanData {
  readonly stream: ScanStream;
  /** True for the stream's first, whose bytes begin with the Arrow schema message. */
  readonly isFirst: boolean;
  /** Partition of the last row. */
  readonly partition: number;
  readonly rows: number;
  /** Whole Arrow IPC messages, from an 8-byte boundary of their buffer. */
  readonly bytes: Uint8Array;
}

/** Who takes what the stream brings. */
export interface ScanSink {
  onData(data: ScanData): void;
  onEnd(summary: ScanSummary): void;
  onFailure(error: MillraceError): void;
}

export class ScanStream implements Call {
  readonly operation: number = OPERATIONS.SCAN;
  readonly deadlineMs: number = Number.POSITIVE_INFINITY;
  readonly sequence = 0;
  private readonly dispatcher: Dispatcher;
  private readonly address: Address;
  private readonly request: ScanRequest;
  private readonly sink: ScanSink;
  private readonly startDeadlineMs: number;
  private connection: Connection | null = null;
  private correlationId = 0;
  private creditBytes: number;
  private hasData = false;
  private isEnded = false;
  private attempts = 0;
  private lastHeardMs: number = performance.now();
  private pauseTimer: NodeJS.Timeout | null = null;

  constructor(dispatcher: Dispatcher, address: Address, request: ScanRequest, sink: ScanSink) {
    this.dispatcher = dispatcher;
    this.address = address;
    this.request = request;
    this.sink = sink;
    this.creditBytes = request.creditBytes;
    this.startDeadlineMs = dispatcher.deadline(undefined);
  }

  start(): void {
    this.attempts += 1;
    openConnection(this.address, this.dispatcher.context).then(
      ({ connection, hello }) => {
        if (this.isEnded) return connection.close(ended());
        this.connection = connection;
        try {
          this.dispatcher.assertSameCluster(hello);
        } catch (error) {
          return this.fail(toMillraceError(error));
        }
        this.lastHeardMs = performance.now();
        this.correlationId = connection.send(this);
      },
      (error: unknown) => this.fail(toMillraceError(error)),
    );
  }

  /** Lets the shard send as much again as the consumer took. */
  giveCredit(bytes: number): void {
    if (this.isEnded || bytes === 0) return;
    if (this.creditBytes <= 0) this.lastHeardMs = performance.now();
    this.creditBytes += bytes;
    this.connection?.sendUnanswered((writer, options) => {
      encodeScanCreditRequest(writer, options, { scanCorrelationId: this.correlationId, bytes });
    });
  }

  checkIdle(nowMs: number): void {
    const { scanIdleTimeoutMs } = this.dispatcher.context.options;
    if (this.isEnded || this.connection === null || this.creditBytes <= 0) return;
    if (nowMs - this.lastHeardMs < scanIdleTimeoutMs) return;
    const { host, port } = this.address;
    this.end(
      new MillraceError('TIMEOUT', `the scan of ${host}:${port} sent nothing for ${scanIdleTimeoutMs} ms`),
    );
  }

  /** Ends the scan early; closing the connection tells the shard. */
  stop(): void {
    this.isEnded = true;
    if (this.pauseTimer !== null) clearTimeout(this.pauseTimer);
    this.connection?.close(ended());
  }

  encode(writer: ByteWriter, options: RequestOptions): void {
    encodeScanRequest(writer, options, this.request);
  }

  receive(frame: Frame, isLast: boolean, isOwn: boolean): void {
    if (this.isEnded) return;
    this.lastHeardMs = performance.now();
    if (isLast) {
      const summary = decodeScanEnd(frame);
      this.stop();
      this.sink.onEnd(summary);
      return;
    }
    const { partition, rowCount, from, to } = decodeScanData(frame);
    const isFirst = !this.hasData;
    this.hasData = true;
    this.creditBytes -= to - from;
    const bytes = isOwn
      ? new Uint8Array(frame.bytes.buffer, frame.bytes.byteOffset + from, to - from)
      : frame.bytes.slice(from, to);
    this.sink.onData({ stream: this, isFirst, partition, rows: rowCount, bytes });
  }

  fail(error: MillraceError): void {
    if (this.isEnded) return;
    this.connection?.close(error);
    this.connection = null;
    const leftMs = this.startDeadlineMs - performance.now();
    const delayMs = this.hasData ? -1 : retryDelayMs('read', error, this.attempts, leftMs, false);
    if (delayMs < 0) {
      this.end(error);
      return;
    }
    this.creditBytes = this.request.creditBytes;
    this.pauseTimer = setTimeout(() => this.start(), delayMs);
  }

  private end(error: MillraceError): void {
    this.stop();
    this.sink.onFailure(error);
  }
}

function ended(): MillraceError {
  return new MillraceError('CANCELLED', 'the scan has ended');
}
