/**
 * Reads that take more than one turn: their blocks come from the device, or they are too much for one.
 *
 *   start ─▶ ready ─▶ look up a slice ──found──▶ its rows go into the response ──more──▶ ready
 *              ▲                   └──awaited──▶ waits in the store ──done──▶ ready
 *              '─ one queue for all reads: a round of the event loop takes from it for READ_TURN_MS
 *
 * I1  A read is answered once: by its rows, by what refused it, or DEADLINE_EXCEEDED before. Others of its connection may
 *     be answered first. It is released when the store has let go of it, also after its deadline.
 * I2  It keeps its own keys, so the frame they came in may go. What it keeps is counted against its connection
 *     (`acquire`) and, over all connections, bounded by SHARD_READS_MAX and SHARD_READ_BYTES_MAX: what exceeds these is refused
 *     OVERLOADED; well before, the connection is held.
 * I3  All reads together take READ_TURN_MS of a round of the event loop and the rest of one slice: of READ_SLICE_KEYS keys, or
 *     some READ_TURN_BYTES of rows.
 * I4  Each slice is looked up in the state of its turn. Rows are atomic, batches are not.
 *
 * A read that is found within one slice is answered like one that never waited, straight into the connection's output; one of
 * several slices fills buffers of its own, which the connection then takes over.
 */
import { strict as assert } from 'node:assert';
import { KeyBatch, ProtocolError } from '../protocol/index.ts';
import type { ArenaTable, ReadBatch, StorageError } from '../storage/index.ts';
import { type Deadline, type Deadlines, NO_DEADLINE } from './deadlines.ts';
import {
  READ_PRESSURE_BYTES,
  READ_SLICE_KEYS,
  READ_SPARE_KEYS_MAX,
  READ_SPARES_MAX,
  READ_TURN_MS,
  SHARD_READ_BYTES_MAX,
  SHARD_READS_MAX,
} from './limits.ts';
import type { ResponseBytes, SessionContext } from './operation.ts';
import type { OutputChunkPool, OutputPiece } from './output-buffer.ts';
import { errorCodeOf, messageOf } from './server-error.ts';
import type { ShardServices } from './shard-services.ts';

/** A response that is filled slice by slice. */
export interface SlicedResponse {
  /** Takes rows from the batch, whose first is the request's `from`th: how many, at least one. Throws what refuses the whole. */
  add(batch: ReadBatch, arenas: ArenaTable, from: number): number;
  /** The whole frame, in pieces that are not written again. */
  finish(correlationId: number): readonly OutputPiece[];
}

/** Zeroed bytes of a response that is made beside the connection's output. */
export function ownResponse(byteLength: number): ResponseBytes {
  const buffer = new ArrayBuffer((byteLength + 7) & ~7);
  return {
    bytes: new Uint8Array(buffer, 0, byteLength),
    view: new DataView(buffer),
    words: new Uint32Array(buffer),
  };
}

/** What an operation makes of the rows. */
export interface ReadResponder {
  readonly operation: number;
  /** True when it has answered from a batch that holds every key; false when that is too much for one turn. */
  respond(context: SessionContext, correlationId: number, batch: ReadBatch): boolean;
  /** The most that a sliced response of `count` keys keeps in memory. */
  slicedBytes(count: number): number;
  /** `chunks`: of the connection that it will be sent on. */
  slice(count: number, chunks: OutputChunkPool): SlicedResponse;
}

/** What is left of a request when its frame is gone. */
export interface ReadOrigin {
  readonly context: SessionContext;
  readonly correlationId: number;
  readonly deadlineMs: number;
  readonly frameBytes: number;
}

class PendingRead implements Deadline {
  readonly keys: KeyBatch = new KeyBatch(1);
  readonly slice: KeyBatch = new KeyBatch(0);
  context: SessionContext | undefined;
  responder: ReadResponder | undefined;
  sliced: SlicedResponse | undefined;
  group = 0;
  nowSeconds = 0;
  correlationId = 0;
  deadlineMs: number = NO_DEADLINE;
  /** Counted against the connection and the shard. */
  bytes = 0;
  /** Keys whose rows are in the response. */
  position = 0;
  isAnswered = false;
  /** What the wait ended with, if not with blocks. */
  error: StorageError | null = null;
  readonly done: (error: StorageError | null) => void;

  constructor(owner: PendingReads) {
    this.done = (error): void => {
      this.error = error;
      owner.makeReady(this);
    };
  }

  expire(): void {
    this.isAnswered = true;
    this.context?.respondError(
      this.responder?.operation ?? 0,
      this.correlationId,
      'DEADLINE_EXCEEDED',
      'the rows had not come from the device in the time that the request had',
    );
  }
}

export interface PendingReadsOptions {
  readonly shard: ShardServices;
  readonly deadlines: Deadlines;
  /** The monotonic clock of deadlines. */
  readonly nowMs: () => number;
  /** Runs a function in a turn of its own, after what came meanwhile. */
  readonly schedule: (run: () => void) => void;
}

export class PendingReads {
  readonly #options: PendingReadsOptions;
  readonly #isBusy: () => boolean;
  readonly #spare: PendingRead[] = [];
  /** Reads that can go on, and how many of the first have. */
  #ready: PendingRead[] = [];
  #taken = 0;
  #isScheduled = false;
  readonly #runReady: () => void;
  #count = 0;
  #bytes = 0;

  constructor(options: PendingReadsOptions) {
    this.#options = options;
    this.#runReady = (): void => this.#run();
    const { store } = options.shard;
    this.#isBusy = (): boolean => store.readPressure || this.#bytes >= READ_PRESSURE_BYTES;
  }

  /** Reads that await their rows. */
  get inFlight(): number {
    return this.#count;
  }

  /** Bytes that they keep. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes over a read of resolved keys, which are copied. Throws what refuses it before anything is kept. */
  start(
    origin: ReadOrigin,
    group: number,
    nowMicros: number,
    keys: KeyBatch,
    responder: ReadResponder,
  ): void {
    const { context } = origin;
    const isSliced = keys.count > READ_SLICE_KEYS;
    const keyBytes = keys.offsets[keys.count]! - keys.offsets[0]!;
    const ownBytes = origin.frameBytes + keyBytes + 12 * keys.count;
    this.#admit(ownBytes + (isSliced ? responder.slicedBytes(keys.count) : 0));
    const read = this.#spare.pop() ?? new PendingRead(this);
    copyKeys(keys, read.keys);
    read.context = context;
    read.responder = responder;
    read.group = group;
    read.nowSeconds = Math.floor(nowMicros / 1e6);
    read.correlationId = origin.correlationId;
    read.deadlineMs = origin.deadlineMs;
    this.#count += 1;
    this.#take(read, ownBytes);
    if (read.deadlineMs !== NO_DEADLINE) this.#options.deadlines.add(read);
    if (isSliced) {
      // Decoding so many keys was this turn's work.
      this.#slice(read);
      this.makeReady(read);
    } else {
      this.#step(read);
    }
    if (this.#count > 0 && this.#isBusy()) context.holdWhile(this.#isBusy);
  }

  /** Goes on with the read in this round of the event loop, or in one of the next. */
  makeReady(read: PendingRead): void {
    this.#ready.push(read);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.schedule(this.#runReady);
  }

  /** Takes steps of the reads that are ready, in turn, for READ_TURN_MS. */
  #run(): void {
    this.#isScheduled = false;
    const { nowMs, schedule } = this.#options;
    const untilMs = nowMs() + READ_TURN_MS;
    do {
      const read = this.#ready[this.#taken];
      if (read === undefined) break;
      this.#taken += 1;
      this.#step(read);
    } while (nowMs() < untilMs);
    if (this.#taken < this.#ready.length) {
      this.#isScheduled = true;
      schedule(this.#runReady);
    }
    if (this.#taken === this.#ready.length || this.#taken >= READ_SPARES_MAX) {
      this.#ready = this.#ready.slice(this.#taken);
      this.#taken = 0;
    }
  }

  /** One slice of a read: then it is answered, waits in the store, or is ready again. */
  #step(read: PendingRead): void {
    const { context } = read;
    assert(context !== undefined, 'a read goes on until it is answered');
    if (!read.isAnswered && context.isOpen) {
      try {
        if (read.error !== null) throw read.error;
        if (!this.#advance(read, context)) return;
      } catch (thrown) {
        const code = errorCodeOf(thrown);
        if (code === undefined) {
          this.#end(read);
          throw thrown;
        }
        context.respondError(read.responder!.operation, read.correlationId, code, messageOf(thrown));
      }
    }
    this.#end(read);
  }

  /** True when the read has been answered; false when it goes on later. */
  #advance(read: PendingRead, context: SessionContext): boolean {
    const { batch, store } = this.#options.shard;
    const { count } = read.keys;
    if (!store.tryRead(read.group, sliceOf(read), read.nowSeconds, batch, read.done)) return false;
    if (read.sliced === undefined) {
      if (batch.count === count && read.responder!.respond(context, read.correlationId, batch)) return true;
      this.#slice(read);
    }
    read.position += read.sliced!.add(batch, store.arenas, read.position);
    if (read.position < count) {
      this.makeReady(read);
      return false;
    }
    context.adopt(read.sliced!.finish(read.correlationId));
    return true;
  }

  /** From here on the read fills a response of its own. */
  #slice(read: PendingRead): void {
    const { count } = read.keys;
    const bytes = read.responder!.slicedBytes(count);
    this.#admit(bytes);
    read.sliced = read.responder!.slice(count, read.context!.chunks);
    const before = read.bytes;
    this.#take(read, bytes);
    // One request, with more bytes than it had.
    read.context!.release(before);
  }

  #admit(bytes: number): void {
    if (this.#count >= SHARD_READS_MAX || this.#bytes + bytes > SHARD_READ_BYTES_MAX) {
      throw new ProtocolError(
        'OVERLOADED',
        `${this.#count} reads with ${this.#bytes} bytes already wait on this shard`,
      );
    }
  }

  #take(read: PendingRead, bytes: number): void {
    read.bytes += bytes;
    this.#bytes += bytes;
    read.context!.acquire(read.bytes);
  }

  #end(read: PendingRead): void {
    const { context } = read;
    if (read.deadlineMs !== NO_DEADLINE) this.#options.deadlines.remove(read);
    this.#count -= 1;
    this.#bytes -= read.bytes;
    context!.release(read.bytes);
    read.context = undefined;
    read.responder = undefined;
    read.sliced = undefined;
    read.bytes = 0;
    read.position = 0;
    read.isAnswered = false;
    read.error = null;
    read.deadlineMs = NO_DEADLINE;
    if (this.#spare.length < READ_SPARES_MAX && read.keys.digests.length <= 2 * READ_SPARE_KEYS_MAX) {
      this.#spare.push(read);
    }
  }
}

function copyKeys(from: KeyBatch, to: KeyBatch): void {
  const { count } = from;
  const start = from.offsets[0]!;
  const byteCount = from.offsets[count]! - start;
  to.ensure(count);
  to.count = count;
  if (to.bytes.length < byteCount || to.bytes.length > 64 * READ_SPARE_KEYS_MAX)
    to.bytes = new Uint8Array(byteCount);
  to.bytes.set(from.bytes.subarray(start, start + byteCount));
  for (let index = 0; index <= count; index++) to.offsets[index] = from.offsets[index]! - start;
  to.digests.set(from.digests.subarray(0, 2 * count));
}

/** The keys that the next look-up takes: views of the read's own. */
function sliceOf(read: PendingRead): KeyBatch {
  const { keys, slice, position } = read;
  if (keys.count <= READ_SLICE_KEYS && position === 0) return keys;
  const end = Math.min(position + READ_SLICE_KEYS, keys.count);
  slice.count = end - position;
  slice.bytes = keys.bytes;
  slice.offsets = keys.offsets.subarray(position, end + 1);
  slice.digests = keys.digests.subarray(2 * position, 2 * end);
  return slice;
}
