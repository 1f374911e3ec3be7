/**
 * Coalescing: the `get` calls of one turn of the event loop on one group become one request a shard.
 *
 * A server that answers many users at once asks for one entity at a time in many places; a request of its own for each
 * would cost both sides some ten times what one more key in a batch costs.
 *
 * I1  A key is encoded when `get` is called, and a bad key fails its own call alone.
 * I2  A bucket is sent at the end of the turn, or when it is full.
 * I3  Each call settles by its own key's part: one shard's failure leaves the other shards' calls alone.
 */
import { ByteWriter, encodeKey, GET_KEYS_MAX, type GetResponse, KeyBatch } from '../protocol/index.ts';
import type { Dispatcher } from './dispatcher.ts';
import { type MillraceError, toMillraceError } from './errors.ts';
import type { Group, GroupReader } from './group.ts';
import type { Pick } from './keyed-operation.ts';
import { RowRead } from './row-read.ts';
import type { TurnTask } from './turn.ts';

/** One `get` that waits for its row. */
interface Waiter {
  readonly reader: GroupReader;
  readonly resolve: (row: unknown) => void;
  readonly reject: (error: MillraceError) => void;
}

export class Coalescer implements TurnTask {
  isQueued = false;
  private readonly dispatcher: Dispatcher;
  private readonly group: Group<unknown, unknown, unknown>;
  private waiters: Waiter[] = [];
  private writer: ByteWriter = new ByteWriter();
  private keyEnds: number[] = [];

  constructor(dispatcher: Dispatcher, group: Group<unknown, unknown, unknown>) {
    this.dispatcher = dispatcher;
    this.group = group;
  }

  add(key: unknown, waiter: Waiter): void {
    encodeKey(this.group.schema.key, key, this.writer);
    this.keyEnds.push(this.writer.length);
    this.waiters.push(waiter);
    if (this.waiters.length === GET_KEYS_MAX) this.endTurn();
    else this.dispatcher.context.turn.addGatherer(this);
  }

  /** Sends what was gathered. */
  endTurn(): void {
    const { waiters, keyEnds } = this;
    if (waiters.length === 0) return;
    const keys = new KeyBatch(waiters.length);
    keys.count = waiters.length;
    keys.bytes = this.writer.finish();
    for (let i = 0; i < keyEnds.length; i++) keys.offsets[i + 1] = keyEnds[i]!;
    this.waiters = [];
    this.keyEnds = [];
    new CoalescedRead(this.dispatcher, this.group, keys, waiters).start();
  }
}

class CoalescedRead extends RowRead {
  private readonly waiters: readonly Waiter[];

  constructor(
    dispatcher: Dispatcher,
    group: Group<unknown, unknown, unknown>,
    keys: KeyBatch,
    waiters: readonly Waiter[],
  ) {
    super(dispatcher, group, dispatcher.deadline(undefined), keys);
    this.waiters = waiters;
  }

  refuse(error: MillraceError, pick: Pick): void {
    if (pick === null) for (const waiter of this.waiters) waiter.reject(error);
    else for (let i = 0; i < pick.length; i++) this.waiters[pick[i]!]!.reject(error);
  }

  finish(): void {
    // Every waiter has been answered by its own part.
  }

  protected deliver(response: GetResponse, index: number, key: number): void {
    const waiter = this.waiters[key]!;
    try {
      waiter.resolve(this.group.readRow(response, index, this.keys, key, waiter.reader));
    } catch (error) {
      waiter.reject(toMillraceError(error));
    }
  }
}
