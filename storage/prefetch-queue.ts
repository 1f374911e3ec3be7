/**
 * Blocks on their way from the device into the page cache, many calls sharing a few slots.
 *
 *   prefetch(keys) ──▶ waiting jobs, in a ring ──▶ slot ──▶ libuv thread: looks the keys up, touches each page ──▶ done
 *                      each turn of the ring takes one stretch of a job
 *
 * I1  At most `slots` stretches are under way, so that the threads which commits need stay free. (m) without the cap a
 *     journal write went from 0.15 to 6–18 ms under cold reads, with it to 0.56 ms.
 * I2  Jobs take turns by stretches of at most PREFETCH_STRETCH_KEYS: a single read waits for one stretch of each job
 *     before it, and not for the whole of a batch of thousands.
 * I3  A job that fits is spread evenly over all slots, so that its reads overlap, unless it asks for fewer: each call costs the
 *     shard's thread (m) 20 µs, and background work is in no hurry.
 * I4  A prefetch is a hint. It answers when its keys have been looked for, whether they were there or not, and at once
 *     when the queue is closed; the reader then reads, and sees for itself.
 *
 * How many may wait is the callers' business (they bound their requests); what a key means is the block store's.
 */
import { PREFETCH_STRETCH_KEYS } from './limits.ts';

export interface PrefetchQueueOptions<Key> {
  readonly slots: number;
  /** Begins a stretch on another thread. `done` is called in a later turn, once. */
  readonly fetch: (keys: readonly Key[], done: () => void) => void;
}

interface Job<Key> {
  readonly keys: readonly Key[];
  /** Stretches that it is cut into, if each is short enough. */
  readonly spread: number;
  next: number;
  /** Stretches begun. */
  begun: number;
  /** Stretches under way. */
  inFlight: number;
  readonly done: () => void;
}

export class PrefetchQueue<Key> {
  /** Keys that have been asked for and are not there yet. */
  keysWaiting = 0;
  /** Stretches begun since the start, and the sum of how many were under way with each: their quotient is what overlaps. */
  begun = 0;
  begunBeside = 0;
  readonly #slots: number;
  readonly #fetch: (keys: readonly Key[], done: () => void) => void;
  /** Jobs with keys that no slot has taken yet. */
  #ring: Job<Key>[] = [];
  #slotsUsed = 0;
  #isClosed = false;

  constructor(options: PrefetchQueueOptions<Key>) {
    this.#slots = options.slots;
    this.#fetch = options.fetch;
  }

  /** Stretches under way: reads that the device has at once. */
  get inFlight(): number {
    return this.#slotsUsed;
  }

  /** `spread`: over how many slots, if they are free. The keys are the caller's again when it resolves. */
  prefetch(keys: readonly Key[], spread: number = this.#slots): Promise<void> {
    if (keys.length === 0 || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#ring.push({ keys, spread, next: 0, begun: 0, inFlight: 0, done: resolve });
      this.keysWaiting += keys.length;
      this.#fill();
    });
  }

  /** Nothing new is begun; what waits is answered, what is under way ends by itself. */
  close(): void {
    this.#isClosed = true;
    const waiting = this.#ring;
    this.#ring = [];
    for (const job of waiting) {
      this.keysWaiting -= job.keys.length - job.next;
      job.next = job.keys.length;
      if (job.inFlight === 0) job.done();
    }
  }

  #fill(): void {
    while (this.#slotsUsed < this.#slots) {
      const job = this.#ring.shift();
      if (job === undefined) return;
      this.#begin(job);
      if (job.next < job.keys.length) this.#ring.push(job);
    }
  }

  #begin(job: Job<Key>): void {
    const from = job.next;
    // Of what is left, not of all: 20 keys in 16 stretches are four of two and twelve of one, and not ten of two.
    const share = Math.ceil((job.keys.length - from) / Math.max(1, job.spread - job.begun));
    job.begun += 1;
    job.next = from + Math.min(share, PREFETCH_STRETCH_KEYS);
    job.inFlight += 1;
    this.#slotsUsed += 1;
    this.begun += 1;
    this.begunBeside += this.#slotsUsed;
    const count = job.next - from;
    this.#fetch(count === job.keys.length ? job.keys : job.keys.slice(from, job.next), () => {
      this.#slotsUsed -= 1;
      job.inFlight -= 1;
      this.keysWaiting -= count;
      if (job.inFlight === 0 && job.next === job.keys.length) job.done();
      this.#fill();
    });
  }
}
