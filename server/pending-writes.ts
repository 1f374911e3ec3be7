/**
 * Writes on their way to the journal: what is kept of a PUT, PATCH or DELETE between its decoding and its answer.
 *
 *   begin(context, frame …) -> submit -> store.write -> … journal … -> done -> response -> back to the pool
 *
 * I1  A write is answered once: by its completion, or DEADLINE_EXCEEDED before. It is released when the store has
 *     completed it, also after its deadline, for until then it is in flight.
 * I2  Nothing of the request's bytes is kept past `submit`: the store has copied them.
 * I3  At most SHARD_WRITES_MAX are in flight; one more is refused OVERLOADED.
 *
 * The objects and their result arrays are used again, so that a small write allocates nothing here.
 */
import { strict as assert } from 'node:assert';
import { align8, type Frame, KeyBatch, ProtocolError, writeInt64 } from '../protocol/index.ts';
import {
  KIND_DELETE,
  KIND_PUT,
  type PatchMerge,
  type ShardStore,
  type StorageError,
  type WriteRequest,
} from '../storage/index.ts';
import { type Deadline, type Deadlines, deadlineOf, NO_DEADLINE } from './deadlines.ts';
import { SHARD_WRITES_MAX, WRITE_SPARE_ROWS_MAX, WRITE_SPARES_MAX } from './limits.ts';
import type { SessionContext } from './operation.ts';
import { correlationIdOf, operationOf, readIdempotencyKey } from './request-fields.ts';

const NO_BYTES: Uint8Array = new Uint8Array(0);
const NO_KEYS: KeyBatch = new KeyBatch(0);
const NO_TIMES: Float64Array = new Float64Array(0);

/** Where results begin in the response's body. */
const RESULTS_AT = 8;

/** What a PUT, PATCH or DELETE asks for, decoded and checked. */
export interface DecodedWrite {
  readonly groupId: number;
  readonly ttlSeconds: number;
  readonly keys: KeyBatch;
  readonly eventTimes: Float64Array;
  readonly rows: Uint8Array;
  /** Null: a delete. */
  readonly rowOffsets: Uint32Array | null;
  readonly isBackfill: boolean;
  /** Of a patch: event times are floors. */
  readonly isTimeFloor?: boolean;
  readonly ifVersions: Float64Array | null;
  /** Given for a patch, whose `rows` are patches. */
  readonly merge: PatchMerge | null;
}

class PendingWrite implements WriteRequest, Deadline {
  group = 0;
  kind = 0;
  count = 0;
  keys: KeyBatch = NO_KEYS;
  eventTimes: Float64Array = NO_TIMES;
  ttlSeconds = 0;
  payload: Uint8Array = NO_BYTES;
  payloadOffsets: Uint32Array | null = null;
  isBackfill = false;
  isTimeFloor = false;
  ifVersions: Float64Array | null = null;
  merge: PatchMerge | null = null;
  clientIdLo = 0;
  clientIdHi = 0;
  sequence = 0;
  results: Uint8Array = new Uint8Array(1);
  lsns: Float64Array = new Float64Array(1);
  context: SessionContext | undefined;
  operation = 0;
  correlationId = 0;
  bytes = 0;
  deadlineMs: number = NO_DEADLINE;
  isAnswered = false;
  readonly done: (error: StorageError | null) => void;

  constructor(owner: PendingWrites) {
    this.done = (error: StorageError | null): void => owner.complete(this, error);
  }

  expire(): void {
    this.isAnswered = true;
    this.context?.respondError(
      this.operation,
      this.correlationId,
      'DEADLINE_EXCEEDED',
      'the write was not durable in the time it had; it may still become so',
    );
  }

  ensure(count: number): void {
    if (this.results.length >= count) return;
    this.results = new Uint8Array(count);
    this.lsns = new Float64Array(count);
  }

  /** Lets go of the request's bytes. */
  dropInput(): void {
    this.keys = NO_KEYS;
    this.eventTimes = NO_TIMES;
    this.payload = NO_BYTES;
    this.payloadOffsets = null;
    this.ifVersions = null;
  }
}

export class PendingWrites {
  readonly #store: ShardStore;
  readonly #deadlines: Deadlines;
  readonly #isBusy: () => boolean;
  readonly #spare: PendingWrite[] = [];
  #inFlight = 0;

  constructor(store: ShardStore, deadlines: Deadlines) {
    this.#store = store;
    this.#deadlines = deadlines;
    this.#isBusy = (): boolean => store.pressure;
  }

  /** Writes that await their completion. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Hands a write to the store. Throws what refuses it; then nothing was written and nothing is kept. */
  submit(context: SessionContext, frame: Frame, decoded: DecodedWrite): void {
    if (this.#inFlight >= SHARD_WRITES_MAX) {
      throw new ProtocolError('OVERLOADED', `${SHARD_WRITES_MAX} writes already wait on this shard`);
    }
    const write = this.#spare.pop() ?? new PendingWrite(this);
    fill(write, decoded);
    readIdempotencyKey(frame, write);
    write.operation = operationOf(frame);
    try {
      this.#store.write(write, write.done);
    } catch (error) {
      write.dropInput();
      this.#recycle(write);
      throw error;
    }
    write.dropInput();
    write.context = context;
    write.correlationId = correlationIdOf(frame);
    write.bytes = frame.end - frame.offset;
    write.deadlineMs = deadlineOf(context, frame);
    if (write.deadlineMs !== NO_DEADLINE) this.#deadlines.add(write);
    context.acquire(write.bytes);
    this.#inFlight += 1;
    if (this.#store.pressure) context.holdWhile(this.#isBusy);
  }

  complete(write: PendingWrite, error: StorageError | null): void {
    const { context } = write;
    assert(context !== undefined, 'a write completes once, and not before it was submitted');
    if (write.deadlineMs !== NO_DEADLINE) this.#deadlines.remove(write);
    if (!write.isAnswered) {
      if (error === null) respond(write, context);
      else context.respondError(write.operation, write.correlationId, error.code, error.message);
    }
    this.#inFlight -= 1;
    context.release(write.bytes);
    this.#recycle(write);
  }

  #recycle(write: PendingWrite): void {
    write.context = undefined;
    write.isAnswered = false;
    write.deadlineMs = NO_DEADLINE;
    if (this.#spare.length < WRITE_SPARES_MAX && write.results.length <= WRITE_SPARE_ROWS_MAX) {
      this.#spare.push(write);
    }
  }
}

function fill(write: PendingWrite, decoded: DecodedWrite): void {
  const { count } = decoded.keys;
  write.group = decoded.groupId;
  write.kind = decoded.rowOffsets === null ? KIND_DELETE : KIND_PUT;
  write.count = count;
  write.keys = decoded.keys;
  write.eventTimes = decoded.eventTimes;
  write.ttlSeconds = decoded.ttlSeconds;
  write.payload = decoded.rows;
  write.payloadOffsets = decoded.rowOffsets;
  write.isBackfill = decoded.isBackfill;
  write.isTimeFloor = decoded.isTimeFloor ?? false;
  write.ifVersions = decoded.ifVersions;
  write.merge = decoded.merge;
  write.ensure(count);
}

/** count u32 | 0 u32 | results, padded to 8 | LSNs (protocol/requests/write-response.ts). */
function respond(write: PendingWrite, context: SessionContext): void {
  const { count, results, lsns } = write;
  const lsnsAt = align8(RESULTS_AT + count);
  const body = context.reserve(write.operation, write.correlationId, lsnsAt + 8 * count, 0);
  const { bytes, view } = context.output;
  view.setUint32(body, count, true);
  view.setUint32(body + 4, 0, true);
  for (let row = 0; row < count; row++) {
    bytes[body + RESULTS_AT + row] = results[row]!;
    writeInt64(view, body + lsnsAt + 8 * row, lsns[row]!);
  }
  for (let at = RESULTS_AT + count; at < lsnsAt; at++) bytes[body + at] = 0;
}
