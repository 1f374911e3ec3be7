/**
 * A put or patch of any number of rows, as a pipeline of bounded requests.
 *
 *   rows ──▶ chunk (PUT_CHUNK_ROWS, PUT_CHUNK_BYTES) ──▶ one request a shard ──▶ results, back in the caller's order
 *            up to PUT_CHUNKS_IN_FLIGHT or PATCH_CHUNKS_IN_FLIGHT at a time; the event loop gets a turn between two
 *
 * I1  A chunk is sent only when all its rows are valid.
 * I2  After the first failure no further chunk is sent; the job ends when those under way have, and its error says how
 *     many rows were acknowledged.
 */
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import type { Group } from './group.ts';
import { PATCH_CHUNKS_IN_FLIGHT, PUT_CHUNKS_IN_FLIGHT } from './limits.ts';
import type { RowSource } from './row-chunk.ts';
import { PatchOperation, type PutOperation, type WriteConditions } from './write-operation.ts';
import { type WriteResult, WriteTally } from './write-result.ts';

/** What sends one chunk: puts and patches differ in that alone. */
export type ChunkOperation = typeof PutOperation | typeof PatchOperation;

/** Time-outs are counted for each chunk from its sending. */
export class PutJob {
  private readonly dispatcher: Dispatcher;
  private readonly group: Group<unknown, unknown, unknown>;
  private readonly operation: ChunkOperation;
  private readonly source: RowSource;
  private readonly conditions: WriteConditions;
  private readonly timeoutMs: number | undefined;
  private readonly tally: WriteTally;
  private readonly resolve: (result: WriteResult) => void;
  private readonly reject: (error: MillraceError) => void;
  private from = 0;
  private openChunks = 0;
  private isScheduled = false;
  private failure: MillraceError | null = null;

  constructor(
    dispatcher: Dispatcher,
    group: Group<unknown, unknown, unknown>,
    operation: ChunkOperation,
    source: RowSource,
    conditions: WriteConditions,
    withLsns: boolean,
    timeoutMs: number | undefined,
    resolve: (result: WriteResult) => void,
    reject: (error: MillraceError) => void,
  ) {
    this.dispatcher = dispatcher;
    this.group = group;
    this.operation = operation;
    this.source = source;
    this.conditions = conditions;
    this.timeoutMs = timeoutMs;
    this.tally = new WriteTally(source.count, withLsns);
    this.resolve = resolve;
    this.reject = reject;
  }

  /** Encodes and sends the next chunk, if there is one and room for it; ends the job when nothing is left. */
  advance(): void {
    if (this.hasMore && this.openChunks < this.chunksMax) this.sendChunk();
    this.goOn();
  }

  private get chunksMax(): number {
    return this.operation === PatchOperation ? PATCH_CHUNKS_IN_FLIGHT : PUT_CHUNKS_IN_FLIGHT;
  }

  private get hasMore(): boolean {
    return this.failure === null && this.from < this.source.count;
  }

  private sendChunk(): void {
    const base = this.from;
    try {
      this.dispatcher.assertOpen();
      const chunk = this.source.encode(base);
      this.from += chunk.count;
      this.openChunks += 1;
      const deadlineMs = this.dispatcher.deadline(this.timeoutMs);
      const done = (error: MillraceError | null): void => this.chunkEnded(error);
      const { dispatcher, group, conditions, tally } = this;
      const Operation = this.operation;
      new Operation(dispatcher, deadlineMs, group, chunk, conditions, tally, base, done).start();
    } catch (error) {
      this.failure ??= toMillraceError(error);
    }
  }

  private chunkEnded(error: MillraceError | null): void {
    this.openChunks -= 1;
    this.failure ??= error;
    this.goOn();
  }

  /** One chunk a turn: encoding takes milliseconds, and others use this event loop. */
  private goOn(): void {
    if (!this.hasMore) {
      if (this.openChunks === 0) this.end();
      return;
    }
    if (this.isScheduled || this.openChunks >= this.chunksMax) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      this.advance();
    });
  }

  private end(): void {
    if (this.failure !== null) this.reject(withProgress(this.failure, this.tally));
    else settleWrite(this.tally, this.resolve, this.reject);
  }
}

/** Answers a call all of whose rows were answered. */
export function settleWrite(
  tally: WriteTally,
  resolve: (result: WriteResult) => void,
  reject: (error: MillraceError) => void,
): void {
  try {
    resolve(tally.result());
  } catch (error) {
    reject(toMillraceError(error));
  }
}

/** Says how much of a larger put is there. */
function withProgress(error: MillraceError, tally: WriteTally): MillraceError {
  if (tally.acknowledged === 0) return error;
  const message = `${error.message} (${tally.acknowledged} of ${tally.rows} rows were acknowledged)`;
  const { retryable, indeterminate, retryAfterMs } = error;
  return new MillraceError(error.code, message, { cause: error, retryable, indeterminate, retryAfterMs });
}
