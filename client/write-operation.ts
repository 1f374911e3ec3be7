/**
 * PUT, PATCH and DELETE: one batch of writes, split over the shards that own its keys.
 *
 * I1  A request's form is checked by the server as a whole: one bad row refuses all rows that went to that shard with
 *     it. What depends on the rows that are there is answered row by row (write-result.ts).
 * I2  An acknowledged row is durable on its shard. Shards commit apart, so a batch over several may be applied in part;
 *     the first error is what is reported, after every part has ended.
 * I3  A keyed batch has one idempotency sequence, which all its requests and their retries carry.
 */
import {
  type ByteWriter,
  decodePutResponse,
  encodeDeleteRequest,
  encodePatchRequest,
  encodePutRequest,
  type Frame,
  GET_KEYS_MAX,
  type KeyBatch,
  OPERATIONS,
  ProtocolError,
  PUT_ROWS_MAX,
  type RequestOptions,
} from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import { MillraceError } from './errors.ts';
import type { Group } from './group.ts';
import { KeyedOperation, type Pick } from './keyed-operation.ts';
import type { RowChunk } from './row-chunk.ts';
import type { WriteTally } from './write-result.ts';

/** What a write says beside its rows; each array stands by row of the whole call. */
export interface WriteConditions {
  readonly isBackfill: boolean;
  /** Of patches: a row with a later event time keeps it, and no patch is late. */
  readonly isTimeFloor: boolean;
  /** The LSN that each row must have now, 0: none must be there. */
  readonly ifVersions: Float64Array | null;
  /** It may be sent again after an unclear end: the server keeps its key and does nothing twice. */
  readonly isKeyed: boolean;
}

/** One batch of writes; `done` is called once with the first error, or null. */
abstract class WriteOperation extends KeyedOperation {
  protected readonly conditions: WriteConditions;
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
    conditions: WriteConditions,
    tally: WriteTally,
    base: number,
    done: (error: MillraceError | null) => void,
  ) {
    super(dispatcher, operation, conditions.isKeyed ? 'keyed' : 'write', deadlineMs, keys, keysMax);
    this.conditions = conditions;
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

  /** The conditions of this batch's rows, by place in its key batch. */
  protected chunkVersions(): Float64Array | null {
    const { ifVersions } = this.conditions;
    return ifVersions === null ? null : ifVersions.subarray(this.base, this.base + this.keys.count);
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
    conditions: WriteConditions,
    tally: WriteTally,
    base: number,
    done: (error: MillraceError | null) => void,
  ) {
    super(dispatcher, OPERATIONS.PUT, deadlineMs, chunk.keys, PUT_ROWS_MAX, conditions, tally, base, done);
    this.group = group;
    this.chunk = chunk;
  }

  encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void {
    const { schema } = this.group;
    const { keys, eventTimes, rows, rowOffsets } = this.chunk;
    const { isBackfill } = this.conditions;
    encodePutRequest(
      writer,
      options,
      {
        groupId: schema.id,
        schemaVersion: schema.version,
        eventTimes,
        keys,
        rows,
        rowOffsets,
        isBackfill,
        ifVersions: this.chunkVersions(),
      },
      pick,
    );
  }
}

/** One chunk of patches. */
export class PatchOperation extends WriteOperation {
  private readonly group: Group<unknown, unknown, unknown>;
  private readonly chunk: RowChunk;

  constructor(
    dispatcher: Dispatcher,
    deadlineMs: number,
    group: Group<unknown, unknown, unknown>,
    chunk: RowChunk,
    conditions: WriteConditions,
    tally: WriteTally,
    base: number,
    done: (error: MillraceError | null) => void,
  ) {
    super(dispatcher, OPERATIONS.PATCH, deadlineMs, chunk.keys, GET_KEYS_MAX, conditions, tally, base, done);
    this.group = group;
    this.chunk = chunk;
  }

  encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void {
    const { keys, eventTimes, rows, rowOffsets } = this.chunk;
    const { isTimeFloor } = this.conditions;
    const groupId = this.group.schema.id;
    const ifVersions = this.chunkVersions();
    encodePatchRequest(
      writer,
      options,
      { groupId, eventTimes, keys, rows, rowOffsets, ifVersions, isTimeFloor },
      pick,
    );
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
    conditions: WriteConditions,
    tally: WriteTally,
    done: (error: MillraceError | null) => void,
  ) {
    super(dispatcher, OPERATIONS.DELETE, deadlineMs, keys, GET_KEYS_MAX, conditions, tally, 0, done);
    this.groupId = group.schema.id;
    this.eventTimes = eventTimes;
  }

  encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void {
    const { groupId, eventTimes, keys } = this;
    const { isBackfill, ifVersions } = this.conditions;
    encodeDeleteRequest(writer, options, { groupId, eventTimes, keys, isBackfill, ifVersions }, pick);
  }
}
