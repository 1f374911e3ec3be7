/**
 * A scan thread's line to its shard's thread: the versions that are still in the write buffer, flushes for backups, and blocks found
 * damaged.
 *
 * I1  Every question is answered once, in any order; a question's answer may be no longer wanted, which is the asker's
 *     to know.
 * I2  Questions in flight are bounded by those who ask: a scan has at most one.
 */
import { strict as assert } from 'node:assert';
import type { CorruptBlock } from '../storage/index.ts';
import { ServerError } from './server-error.ts';
import type { PeerAnswer, PeerRequest } from './worker-messages.ts';

/** What of a MessagePort is used here. */
export interface PeerPort {
  postMessage(message: PeerRequest): void;
  on(event: 'message', listener: (message: PeerAnswer) => void): unknown;
}

export interface BufferedVersions {
  readonly flushNumber: number;
  /** Records back to back. */
  readonly bytes: Uint8Array;
}

export type BufferedVersionsDone = (error: ServerError | null, versions: BufferedVersions | null) => void;

export class ShardPeer {
  readonly #port: PeerPort;
  readonly #pending: Map<number, BufferedVersionsDone> = new Map();
  #nextRequestId = 1;

  constructor(port: PeerPort) {
    this.#port = port;
    port.on('message', (answer) => this.#receive(answer));
  }

  /**
   * Asks for `group`'s buffered versions of the partitions; `done` follows in a later turn, with READ_POINT_INVALID when
   * the shard has not closed the read point that is named.
   */
  ask(
    group: number,
    partitions: Uint16Array,
    done: BufferedVersionsDone,
    readPointMicros: number | null = null,
  ): void {
    const requestId = this.#nextRequestId++;
    this.#pending.set(requestId, done);
    // A copy of its own: posting a view would copy the whole buffer under it.
    this.#port.postMessage({ requestId, group, partitions: partitions.slice(), readPointMicros });
  }

  /** Asks for a flush; `done` follows when everything durable by now is in blocks. */
  flush(done: (error: ServerError | null) => void): void {
    const requestId = this.#nextRequestId++;
    this.#pending.set(requestId, done);
    this.#port.postMessage({ requestId, isFlush: true });
  }

  /** Tells the shard of a damaged block, so that it refuses what the block held to everybody. */
  report(damaged: CorruptBlock): void {
    this.#port.postMessage({ damaged });
  }

  #receive(answer: PeerAnswer): void {
    const done = this.#pending.get(answer.requestId);
    assert(done !== undefined, 'a shard answers each question once');
    this.#pending.delete(answer.requestId);
    if ('code' in answer) done(new ServerError(answer.code, answer.message), null);
    else done(null, { flushNumber: answer.flushNumber, bytes: answer.bytes });
  }
}
