/**
 * GET: rows as objects, for keys that may lie on several shards.
 *
 * `RowRead` asks and decodes; where the rows go is its subclass's: `getMany` fills one array and fails as a whole, a
 * turn's coalesced `get` calls each have their own promise (coalescer.ts).
 */
import {
  type ByteWriter,
  decodeGetResponse,
  encodeGetRequest,
  type Frame,
  GET_KEYS_MAX,
  type GetResponse,
  type KeyBatch,
  OPERATIONS,
  ProtocolError,
  type RequestOptions,
} from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { MillraceError } from './errors.ts';
import type { Group, GroupReader } from './group.ts';
import { KeyedOperation, type Pick } from './keyed-operation.ts';

export abstract class RowRead extends KeyedOperation {
  protected readonly group: Group<unknown, unknown, unknown>;

  constructor(
    dispatcher: Dispatcher,
    group: Group<unknown, unknown, unknown>,
    deadlineMs: number,
    keys: KeyBatch,
  ) {
    super(dispatcher, OPERATIONS.GET, 'read', deadlineMs, keys, GET_KEYS_MAX);
    this.group = group;
  }

  /** Takes row `index` of an answer, which belongs to key `key` of the batch. */
  protected abstract deliver(response: GetResponse, index: number, key: number): void;

  encode(writer: ByteWriter, options: RequestOptions, pick: Pick): void {
    encodeGetRequest(writer, options, this.group.schema.id, this.keys, pick);
  }

  accept(frame: Frame, pick: Pick): void {
    const response = decodeGetResponse(frame);
    const asked = pick === null ? this.keys.count : pick.length;
    if (response.count !== asked) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `the answer has ${response.count} rows; ${asked} were asked for`,
      );
    }
    for (let index = 0; index < asked; index++)
      this.deliver(response, index, pick === null ? index : pick[index]!);
  }
}

/** One answer a key, in the keys' order; null where there is none. */
abstract class WholeRead<T> extends RowRead {
  protected readonly reader: GroupReader;
  protected readonly answers: T[];
  private readonly resolve: (answers: T[]) => void;
  private readonly reject: (error: MillraceError) => void;
  private failure: MillraceError | null = null;

  constructor(
    dispatcher: Dispatcher,
    group: Group<unknown, unknown, unknown>,
    deadlineMs: number,
    keys: KeyBatch,
    reader: GroupReader,
    resolve: (answers: T[]) => void,
    reject: (error: MillraceError) => void,
  ) {
    super(dispatcher, group, deadlineMs, keys);
    this.reader = reader;
    this.answers = new Array(keys.count).fill(null);
    this.resolve = resolve;
    this.reject = reject;
  }

  refuse(error: MillraceError): void {
    this.failure ??= error;
  }

  finish(): void {
    if (this.failure === null) this.resolve(this.answers);
    else this.reject(this.failure);
  }
}

/** The rows of many keys. */
export class ManyRead<R> extends WholeRead<R | null> {
  protected deliver(response: GetResponse, index: number, key: number): void {
    this.answers[key] = this.group.readRow(response, index, this.keys, key, this.reader) as R | null;
  }
}

/** A row with its LSN, which is what `ifVersion` compares. */
export interface VersionedRow<R> {
  readonly row: R | null;
  /** 0: there is no row. */
  readonly version: number;
}

/** The rows of many keys with their versions. */
export class VersionedRead<R> extends WholeRead<VersionedRow<R>> {
  protected deliver(response: GetResponse, index: number, key: number): void {
    const row = this.group.readRow(response, index, this.keys, key, this.reader) as R | null;
    this.answers[key] = { row, version: response.lsn(index) };
  }
}
