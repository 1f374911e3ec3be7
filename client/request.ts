/**
 * A request that is tried again: the calls that the client's operations make.
 *
 * I1  A request ends once: its answer was received, or `refuse` was called with the error that stands.
 * I2  All attempts share one deadline, counted from the operation's beginning.
 * I3  When an attempt may have been carried out, so may the request, whatever a later attempt failed with: the error says so.
 * I4  From its first submission to its end it counts as open, which `close` waits for.
 *
 * A promise is made by the operation, not by the attempt: the path without failures has no wrapper around it.
 */
import type { ByteWriter, Frame, RequestOptions } from '../protocol/index.ts';
import type { Call } from './call.ts';
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError } from './errors.ts';
import { type RequestKind, retryDelayMs } from './retry.ts';

export abstract class Request implements Call {
  abstract readonly operation: number;
  readonly kind: RequestKind;
  readonly deadlineMs: number;
  readonly sequence: number;
  protected readonly dispatcher: Dispatcher;
  protected attempts: number;
  /** An attempt has ended without saying whether it was carried out. */
  private isUnclear = false;

  constructor(
    dispatcher: Dispatcher,
    kind: RequestKind,
    deadlineMs: number,
    sequence: number,
    attemptsBefore: number = 0,
  ) {
    this.dispatcher = dispatcher;
    this.kind = kind;
    this.deadlineMs = deadlineMs;
    this.sequence = sequence;
    this.attempts = attemptsBefore;
  }

  abstract encode(writer: ByteWriter, options: RequestOptions): void;

  /** Takes the answer in; a throw refuses the request with what was thrown. `isOwn`: its bytes may be kept. */
  protected abstract accept(frame: Frame, isOwn: boolean): void;

  /** The error that stands. */
  protected abstract refuse(error: MillraceError): void;

  /** Chooses a link and submits. `error` is why the attempt before failed, null at the first. */
  protected abstract route(error: MillraceError | null): void;

  start(): void {
    this.dispatcher.openRequests += 1;
    this.attempt(null);
  }

  receive(frame: Frame, _isLast: boolean, isOwn: boolean): void {
    this.accept(frame, isOwn);
    this.end();
  }

  fail(error: MillraceError): void {
    const { dispatcher } = this;
    if (error.indeterminate) this.isUnclear = true;
    const leftMs = this.deadlineMs - performance.now();
    const { retryWrites } = dispatcher.context.options;
    const delayMs = dispatcher.isClosed
      ? -1
      : retryDelayMs(this.kind, error, this.attempts, leftMs, retryWrites);
    if (delayMs >= 0) {
      dispatcher.retryLater(delayMs, error, this);
      return;
    }
    this.refuse(this.isUnclear && !error.indeterminate ? unclear(error) : error);
    this.end();
  }

  /** The next attempt, when its wait is over. */
  retry(error: MillraceError): void {
    this.attempt(error);
  }

  protected end(): void {
    this.dispatcher.openRequests -= 1;
    if (this.dispatcher.openRequests === 0) this.dispatcher.onIdle();
  }

  private attempt(error: MillraceError | null): void {
    this.attempts += 1;
    this.route(error);
  }
}

function unclear(error: MillraceError): MillraceError {
  const { code, message, retryable, retryAfterMs } = error;
  return new MillraceError(code, message, { cause: error, indeterminate: true, retryable, retryAfterMs });
}

/** A request that any node answers (schemas, map, status, ping), or one shard for itself. */
export class ControlRequest<T> extends Request {
  readonly operation: number;
  private readonly encodeFrame: (writer: ByteWriter, options: RequestOptions) => void;
  private readonly decodeFrame: (frame: Frame) => T;
  private readonly resolve: (value: T) => void;
  private readonly reject: (error: MillraceError) => void;
  /** Of the map; null: any node. */
  private readonly shard: number | null;

  constructor(
    dispatcher: Dispatcher,
    kind: RequestKind,
    deadlineMs: number,
    operation: number,
    encodeFrame: (writer: ByteWriter, options: RequestOptions) => void,
    decodeFrame: (frame: Frame) => T,
    resolve: (value: T) => void,
    reject: (error: MillraceError) => void,
    shard: number | null = null,
  ) {
    super(dispatcher, kind, deadlineMs, 0);
    this.shard = shard;
    this.operation = operation;
    this.encodeFrame = encodeFrame;
    this.decodeFrame = decodeFrame;
    this.resolve = resolve;
    this.reject = reject;
  }

  encode(writer: ByteWriter, options: RequestOptions): void {
    this.encodeFrame(writer, options);
  }

  protected accept(frame: Frame): void {
    this.resolve(this.decodeFrame(frame));
  }

  protected refuse(error: MillraceError): void {
    this.reject(error);
  }

  protected route(): void {
    const { dispatcher, shard } = this;
    (shard === null ? dispatcher.controlLink() : dispatcher.shardLink(shard)).submit(this);
  }
}
