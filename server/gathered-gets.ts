/**
 * Single gets of one chunk of requests, gathered and looked up together.
 *
 *   | GET k1 | GET k2 | GET k3 | PING | GET k4 |    ->  one lookup of k1 k2 k3 k4, four responses
 *
 * A lookup costs a handful of cache misses (index, block table, row). One by one they wait for each other; of many keys
 * they overlap, which is what makes a batch three times as fast a key. A pipelining client sends its gets in one chunk,
 * so they are a batch that only has to be noticed.
 *
 * I1  A get is gathered when it has been decoded, digested and found to be this shard's: what refuses it is thrown
 *     before, to its own dispatch.
 * I2  Gathered gets of rows in memory are answered in the turn in which they came, in their order.
 * I3  When the joint lookup throws, or has to wait for the device, each is looked up alone: a corrupt block refuses only those
 *     who asked for it, and a get waits for its own block only (pending-reads.ts).
 */
import { type Frame, getRowsAt, KeyBatch, OPERATIONS, REQUEST_HEADER_BYTES } from '../protocol/index.ts';
import { ReadBatch } from '../storage/index.ts';
import { NO_DEADLINE } from './deadlines.ts';
import type { Group } from './group-table.ts';
import { GATHERED_GETS_MAX } from './limits.ts';
import type { SessionContext } from './operation.ts';
import type { PendingReads, ReadResponder } from './pending-reads.ts';
import { correlationIdOf, timeoutMsOf } from './request-fields.ts';
import { measureRows, writeRows } from './row-response.ts';
import { errorCodeOf, messageOf } from './server-error.ts';
import type { ShardServices } from './shard-services.ts';

/** Room for the gathered keys' bytes: 32 of usual length; a key that does not fit makes the gathered ones go first. */
const KEY_BYTES = 4096;

/** What a get that waits counts for: its frame is gone, its bookkeeping is not. */
const GET_FRAME_BYTES = 256;

/** Where the key of a get of one plain key begins: after group, flags, count 1 and the stride. */
const PLAIN_KEY_AT = 16;

export class GatheredGets {
  readonly #shard: ShardServices;
  readonly #reads: PendingReads;
  readonly #responder: ReadResponder;
  readonly #keys: KeyBatch = new KeyBatch(GATHERED_GETS_MAX);
  readonly #batch: ReadBatch = new ReadBatch(GATHERED_GETS_MAX);
  readonly #single: KeyBatch = new KeyBatch(1);
  readonly #correlationIds: Uint32Array = new Uint32Array(GATHERED_GETS_MAX);
  readonly #timeoutsMs: Uint32Array = new Uint32Array(GATHERED_GETS_MAX);
  #groupId = 0;

  constructor(shard: ShardServices, reads: PendingReads, responder: ReadResponder) {
    this.#shard = shard;
    this.#reads = reads;
    this.#responder = responder;
    this.#keys.bytes = new Uint8Array(KEY_BYTES);
  }

  /**
   * Takes a get of one plain key without decoding it in general: what `decodeGetRequest` would read is compared with the
   * only bytes that such a request can have. False: it is another request, or a wrong one. 100 ns less a get.
   */
  addPlain(context: SessionContext, group: Group, frame: Frame): boolean {
    const { view, offset, end } = frame;
    const { plainKeyBytes } = group;
    const body = offset + REQUEST_HEADER_BYTES;
    if (
      end - body !== PLAIN_KEY_AT + plainKeyBytes ||
      plainKeyBytes === 0 ||
      view.getUint16(body + 2, true) !== 0 ||
      view.getUint32(body + 4, true) !== 0 ||
      view.getUint32(body + 8, true) !== 1 ||
      view.getUint32(body + 12, true) !== plainKeyBytes
    ) {
      return false;
    }
    const index = this.#place(context, group.schema.id, plainKeyBytes);
    this.#shard.resolveOne(frame.bytes, body + PLAIN_KEY_AT, plainKeyBytes, this.#keys.digests, index);
    this.#take(index, frame.bytes, body + PLAIN_KEY_AT, plainKeyBytes, frame);
    return true;
  }

  /** Takes the one key of `keys`, digested. False: it is too long to be gathered. */
  add(context: SessionContext, groupId: number, keys: KeyBatch, frame: Frame): boolean {
    const from = keys.offsets[0]!;
    const keyBytes = keys.offsets[1]! - from;
    if (keyBytes > KEY_BYTES / 4) return false;
    const index = this.#place(context, groupId, keyBytes);
    this.#keys.digests[2 * index] = keys.digests[0]!;
    this.#keys.digests[2 * index + 1] = keys.digests[1]!;
    this.#take(index, keys.bytes, from, keyBytes, frame);
    return true;
  }

  /** Where the next key goes; what was gathered goes first when there is no room, or another group's. */
  #place(context: SessionContext, groupId: number, keyBytes: number): number {
    const keys = this.#keys;
    const isFull = keys.count === GATHERED_GETS_MAX || keys.offsets[keys.count]! + keyBytes > KEY_BYTES;
    if (isFull || groupId !== this.#groupId) this.run(context);
    this.#groupId = groupId;
    return keys.count;
  }

  #take(index: number, bytes: Uint8Array, from: number, keyBytes: number, frame: Frame): void {
    const keys = this.#keys;
    const at = keys.offsets[index]!;
    for (let byte = 0; byte < keyBytes; byte++) keys.bytes[at + byte] = bytes[from + byte]!;
    keys.offsets[index + 1] = at + keyBytes;
    keys.count = index + 1;
    this.#correlationIds[index] = correlationIdOf(frame);
    this.#timeoutsMs[index] = timeoutMsOf(frame);
  }

  /** Answers what was gathered: all of it came in one chunk of this connection. */
  run(context: SessionContext): void {
    const count = this.#keys.count;
    if (count === 0) return;
    let isFound: boolean;
    try {
      isFound = this.#shard.tryRead(this.#groupId, this.#keys, context.receivedAtMicros, this.#batch);
    } catch {
      isFound = false;
    }
    if (isFound && this.#batch.count === count) {
      for (let index = 0; index < count; index++) this.#respond(context, index, this.#correlationIds[index]!);
    } else {
      this.#runOneByOne(context);
    }
    this.#keys.count = 0;
  }

  #respond(context: SessionContext, index: number, correlationId: number): void {
    const { arenas } = this.#shard.store;
    const bodyBytes = getRowsAt(1) + measureRows(this.#batch, arenas, index, index + 1);
    const body = context.reserve(OPERATIONS.GET, correlationId, bodyBytes, 0);
    writeRows(this.#batch, arenas, index, index + 1, context.output, body);
  }

  #runOneByOne(context: SessionContext): void {
    const single = this.#single;
    single.bytes = this.#keys.bytes;
    single.count = 1;
    for (let index = 0; index < this.#keys.count; index++) {
      single.offsets[0] = this.#keys.offsets[index]!;
      single.offsets[1] = this.#keys.offsets[index + 1]!;
      single.digests[0] = this.#keys.digests[2 * index]!;
      single.digests[1] = this.#keys.digests[2 * index + 1]!;
      const correlationId = this.#correlationIds[index]!;
      const timeoutMs = this.#timeoutsMs[index]!;
      const deadlineMs = timeoutMs === 0 ? NO_DEADLINE : context.receivedAtMs + timeoutMs;
      const origin = { context, correlationId, deadlineMs, frameBytes: GET_FRAME_BYTES };
      try {
        this.#reads.start(origin, this.#groupId, context.receivedAtMicros, single, this.#responder);
      } catch (error) {
        const code = errorCodeOf(error);
        if (code === undefined) throw error;
        context.respondError(OPERATIONS.GET, correlationId, code, messageOf(error));
      }
    }
  }
}
