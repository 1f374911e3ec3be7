/**
 * An operation on many keys, whatever the number of shards that own them: what get, getMatrix, put and delete share.
 *
 *   operation ── split by shard and size ──▶ parts ── each one request, tried again on its own ──▶ answers
 *
 * I1  Every key is in exactly one open or ended part: a part that another shard owns by now, or that is too large for a
 *     frame, is replaced by parts over the same keys.
 * I2  `accept` or `refuse` is called once for each key's part, `finish` once when no part is open.
 *
 * I3  A keyed write has one idempotency sequence, which every part carries: the server tells a part's rows apart by
 *     partition, and a partition's rows are all in one part. Where they are not, because a shard's keys are too many for
 *     one request, each further part takes a sequence of its own.
 *
 * Keys are encoded once, when the operation begins: what the caller does to them later changes nothing.
 */
import type { ByteWriter, Frame, KeyBatch, RequestOptions } from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { MillraceError } from './errors.ts';
import { Request } from './request.ts';
import type { RequestKind } from './retry.ts';
import { splitKeys } from './split-keys.ts';

/** Positions in the operation's key batch, or null for all in order. */
export type Pick = Uint32Array | null;

export abstract class KeyedOperation {
  readonly dispatcher: Dispatcher;
  readonly operation: number;
  readonly kind: RequestKind;
  readonly deadlineMs: number;
  readonly keys: KeyBatch;
  private readonly keysMax: number;
  private openParts = 0;
  private isDigested = false;

  constructor(
    dispatcher: Dispatcher,
    operation: number,
    kind: RequestKind,
    deadlineMs: number,
    keys: KeyBatch,
    keysMax: number,
  ) {
    this.dispatcher = dispatcher;
    this.operation = operation;
    this.kind = kind;
    this.deadlineMs = deadlineMs;
    this.keys = keys;
    this.keysMax = keysMax;
  }

  /** Appends the request frame for the picked keys. */
  abstract encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void;
  /** Takes the answer for the picked keys in; a throw refuses them. `isOwn`: the frame's bytes may be kept. */
  abstract accept(frame: Frame, pick: Pick, isOwn: boolean): void;
  /** The picked keys failed for good. */
  abstract refuse(error: MillraceError, pick: Pick): void;
  /** Every key was accepted or refused. */
  abstract finish(): void;

  /** Sends everything. There is at least one key. */
  start(): void {
    this.issue(null, this.kind === 'keyed' ? this.dispatcher.context.nextSequence() : 0, 0);
  }

  /** Sends the picked keys to the shards that own them now. */
  issue(pick: Pick, sequence: number, attemptsBefore: number): void {
    const { map, hello, context } = this.dispatcher;
    if (map.shards.length > 1 && !this.isDigested) {
      this.keys.digest(hello.seedLo, hello.seedHi);
      this.isDigested = true;
    }
    const parts: KeyedPart[] = [];
    let shardBefore = -1;
    splitKeys(this.keys, pick, map.shardOfPartition, map.shards.length, this.keysMax, (shard, picked) => {
      const isFurther = sequence !== 0 && shard === shardBefore;
      shardBefore = shard;
      const ownSequence = isFurther ? context.nextSequence() : sequence;
      parts.push(new KeyedPart(this, shard, picked, ownSequence, attemptsBefore));
    });
    // Counted before the first is started, since a part may end within `start`.
    this.openParts += parts.length;
    for (const part of parts) part.start();
  }

  partEnded(): void {
    this.openParts -= 1;
    if (this.openParts === 0) this.finish();
  }
}

/** The request or its answer does not fit a frame, so it was not carried out. */
const TOO_LARGE_CODES: ReadonlySet<string> = new Set(['FRAME_TOO_LARGE', 'BATCH_TOO_LARGE']);

class KeyedPart extends Request {
  readonly operation: number;
  private readonly whole: KeyedOperation;
  private readonly shard: number;
  private readonly pick: Pick;

  constructor(whole: KeyedOperation, shard: number, pick: Pick, sequence: number, attemptsBefore: number) {
    const { dispatcher, kind, deadlineMs } = whole;
    super(dispatcher, kind, deadlineMs, sequence, attemptsBefore);
    this.operation = whole.operation;
    this.whole = whole;
    this.shard = shard;
    this.pick = pick;
  }

  encode(writer: ByteWriter, options: RequestOptions): void {
    this.whole.encode(writer, options, this.pick);
  }

  protected accept(frame: Frame, isOwn: boolean): void {
    this.whole.accept(frame, this.pick, isOwn);
    this.whole.partEnded();
  }

  protected refuse(error: MillraceError): void {
    if (TOO_LARGE_CODES.has(error.code) && this.count > 1) this.halve();
    else this.whole.refuse(error, this.pick);
    this.whole.partEnded();
  }

  protected route(error: MillraceError | null): void {
    if (error?.code !== 'NOT_OWNER') {
      this.dispatcher.shardLink(this.shard).submit(this);
      return;
    }
    // There is a new map: the keys may belong to several shards now. The new parts inherit the count of attempts.
    this.whole.issue(this.pick, this.sequence, this.attempts - 1);
    this.whole.partEnded();
    this.end();
  }

  private get count(): number {
    return this.pick === null ? this.whole.keys.count : this.pick.length;
  }

  /** Half of the keys fit a frame where all do not. What did not fit was never carried out, so the sequence may change. */
  private halve(): void {
    const { count, sequence } = this;
    const second = sequence === 0 ? 0 : this.dispatcher.context.nextSequence();
    const all = this.pick ?? Uint32Array.from({ length: count }, (_, index) => index);
    const middle = count >>> 1;
    this.whole.issue(all.subarray(0, middle), sequence, 0);
    this.whole.issue(all.subarray(middle), second, 0);
  }
}
