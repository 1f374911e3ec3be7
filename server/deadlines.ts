/**
 * Deadlines of the requests of one thread that are answered in a later turn.
 *
 * I1  An entry expires once, at most DEADLINE_TICK_MS late, unless it was removed before.
 * I2  The timer runs only while there are entries; a tick looks at each of them, which in-flight bounds keep few.
 *
 * One timer for all: a Node timer a request costs about as much as a whole small read.
 */
import type { Frame } from '../protocol/index.ts';
import { DEADLINE_TICK_MS } from './limits.ts';
import type { SessionContext } from './operation.ts';
import { timeoutMsOf } from './request-fields.ts';

/** The request has no deadline and is in no `Deadlines`. */
export const NO_DEADLINE = 0;

export interface Deadline {
  /** On the monotonic clock of `receivedAtMs`. */
  readonly deadlineMs: number;
  /** Called in a turn of its own. */
  expire(): void;
}

/** When the request's time is up, or NO_DEADLINE. */
export function deadlineOf(context: SessionContext, frame: Frame): number {
  const timeoutMs = timeoutMsOf(frame);
  return timeoutMs === 0 ? NO_DEADLINE : context.receivedAtMs + timeoutMs;
}

export class Deadlines {
  readonly #nowMs: () => number;
  readonly #entries: Set<Deadline> = new Set();
  #timer: NodeJS.Timeout | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(entry: Deadline): void {
    this.#entries.add(entry);
    this.#timer ??= setInterval(() => this.#tick(), DEADLINE_TICK_MS);
  }

  remove(entry: Deadline): void {
    this.#entries.delete(entry);
  }

  #tick(): void {
    const nowMs = this.#nowMs();
    for (const entry of this.#entries) {
      if (entry.deadlineMs > nowMs) continue;
      this.#entries.delete(entry);
      entry.expire();
    }
    if (this.#entries.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
