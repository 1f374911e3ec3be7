/** What the parts of one client share: its options, its identity towards the server, and the turn of the loop. */
import { randomBytes } from 'node:crypto';
import type { ResolvedOptions } from './options.ts';
import { Turn } from './turn.ts';

export class ClientContext {
  readonly options: ResolvedOptions;
  readonly turn: Turn = new Turn();
  /** Random for this client: with a request's sequence, the write's idempotency key. */
  readonly clientIdLo: number;
  readonly clientIdHi: number;
  /** Epoch of the partition map in use, 0 while there is none; sent with every request. */
  mapEpoch = 0;
  private lastSequence = 0;

  constructor(options: ResolvedOptions) {
    this.options = options;
    const random = randomBytes(8);
    this.clientIdLo = random.readUInt32LE(0);
    // The lowest bit is set, because an id of 0 means that a request carries none.
    this.clientIdHi = (random.readUInt32LE(4) | 1) >>> 0;
  }

  /** The idempotency sequence of the next write, from 1. */
  nextSequence(): number {
    this.lastSequence += 1;
    return this.lastSequence;
  }
}
