/**
 * PUT and DELETE: one batch of writes, split over the shards that own its keys.
 *
 * I1  A request is validated by the server as a whole: one bad row refuses all rows that went to that shard with it.
 * I2  An acknowledged row is durable on its shard. Shards commit apart, so a batch over several may be applied in part;
 *     the first error is what is reported, after every part has ended.
 * I3  Each request has its own idempotency sequence, which its retries keep.
 */
import {
  type ByteWriter,
  decodePutResponse,
  encodeDeleteRequest,
  encodePutRequest,
  type Frame,
  GET_KEYS_MAX,
  type KeyBatch,
  OPERATIONS,
  ProtocolError,
  PUT_ROWS_MAX,
  RESULT_APPLIED,
  type RequestOptions,
  type WriteResponse,
} from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError } from './errors.ts';
import type { Group } from './group.ts';
import { KeyedOperation, type Pick } from './keyed-operation.ts';
import type { RowChunk } from './row-chunk.ts';

/** What a put or delete did. */
export interface WriteResult {
  /** Rows written: all that were given. */
  readonly rows: number;
  /** Rows that are the latest of their key now. */
  readonly applied: number;
  /** Rows that came late: a newer event is there. They are kept as history and seen by training reads only. */
  readonly superseded: number;
  /** Each row's LSN, in the order given; null unless asked for. */
  readonly lsns: Float64Array | null;
}

/** Collects the results of one write call, over all of its requests. */
export class WriteTally {
  readonly rows: number;
  readonly lsns: Float64Array | null;
  acknowledged = 0;
  private applied = 0;

  constructor(rows: number, withLsns: boolean) {
    this.rows = rows;
    this.lsns = withLsns ? new Float64Array(rows) : null;
  }

  /** Adds a request's answer; its row i is the call's row base + pick[i]. */
  add(response: WriteResponse, base: number, pick: Pick): void {
    const { results, lsns } = response;
    this.acknowledged += results.length;
    for (let i = 0; i < results.length; i++) if (results[i] === RESULT_APPLIED) this.applied += 1;
    if (this.lsns === null) return;
    for (let i = 0; i < results.length; i++) this.lsns[base + (pick === null ? i : pick[i]!)] = lsns[i]!;
  }

  result(): WriteResult {
    const { rows, applied, acknowledged, lsns } = this;
    return { rows, applied, superseded: acknowledged - applied, lsns };
  }
}

/** One batch of writes; `done` is called once with the first error, or null. */
abstract class WriteOperation extends KeyedOperation {
  private readonly tally: WriteTally;
  private readonly base: number;
  private readonly done: (error: MillraceError | null) => void;
  private failure: MillraceError | null = null;

  constructor(
    dispatcher: Dispatcher,
    operation: number,
    deadlineMs: number,
    keys: KeyBatch,
    keysMax: number,
    tally: WriteTally,
    base: number,
    done: (error: MillraceError | null) => void,
  ) {
    super(dispatcher, operation, 'write', deadlineMs, keys, keysMax);
    this.tally = tally;
    this.base = base;
    this.done = done;
  }

  accept(frame: Frame, pick: Pick): void {
    const response = decodePutResponse(frame);
    const sent = pick === null ? this.keys.count : pick.length;
    if (response.results.length !== sent) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `the answer has ${response.results.length} results; ${sent} rows were sent`,
      );
    }
    this.tally.add(response, this.base, pick);
  }

  refuse(error: MillraceError, pick: Pick): void {
    this.failure ??= renumbered(error, this.base, pick);
  }

  finish(): void {
    this.done(this.failure);
  }
}

const ROW_NUMBER = /^(row|key) ([0-9]+):/;

/** The server counts rows in its request; the caller counts those that were given. */
function renumbered(error: MillraceError, base: number, pick: Pick): MillraceError {
  const match = ROW_NUMBER.exec(error.message);
  if (match === null) return error;
  const index = Number(match[2]);
  const row = base + (pick === null ? index : (pick[index] ?? index));
  const message = `row ${row}:${error.message.slice(match[0].length)}`;
  const { retryable, indeterminate, retryAfterMs } = error;
  return new MillraceError(error.code, message, { cause: error, retryable, indeterminate, retryAfterMs });
}

/** One chunk of rows. */
export class PutOperation extends WriteOperation {
  private readonly group: Group<unknown, unknown, unknown>;
  private readonly chunk: RowChunk;

  constructor(
    dispatcher: Dispatcher,
    deadlineMs: number,
    group: Group<unknown, unknown, unknown>,
    chunk: RowChunk,
    tally: WriteTally,
    base: number,
    done: (error: MillraceError | null) => void,
  ) {
    super(dispatcher, OPERATIONS.PUT, deadlineMs, chunk.keys, PUT_ROWS_MAX, tally, base, done);
    this.group = group;
    this.chunk = chunk;
  }

  encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void {
    const { schema } = this.group;
    const { keys, eventTimes, rows, rowOffsets } = this.chunk;
    const request = { groupId: schema.id, schemaVersion: schema.version, eventTimes, keys, rows, rowOffsets };
    encodePutRequest(writer, options, request, pick);
  }
}

/** Deletes of keys, each at its event time. */
export class DeleteOperation extends WriteOperation {
  private readonly groupId: number;
  private readonly eventTimes: Float64Array;

  constructor(
    dispatcher: Dispatcher,
    deadlineMs: number,
    group: Group<unknown, unknown, unknown>,
    keys: KeyBatch,
    eventTimes: Float64Array,
    tally: WriteTally,
    done: (error: MillraceError | null) => void,
  ) {
    super(dispatcher, OPERATIONS.DELETE, deadlineMs, keys, GET_KEYS_MAX, tally, 0, done);
    this.groupId = group.schema.id;
    this.eventTimes = eventTimes;
  }

  encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void {
    const { groupId, eventTimes, keys } = this;
    encodeDeleteRequest(writer, options, { groupId, eventTimes, keys }, pick);
  }
}
