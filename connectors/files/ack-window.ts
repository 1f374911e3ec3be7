/**
 * Batches in flight, and the place below which every row is acknowledged.
 *
 * Promises: at most `limit` puts are under way; `position` only moves forward, and only past batches that are acknowledged
 * together with all before them, whatever the order of the answers; after a failure nothing more is begun and `failure` is the
 * first one. `drained()` resolves when no put is under way.
 */
import type { SourcePosition } from './source.ts';

interface Flight {
  readonly end: SourcePosition;
  isAcknowledged: boolean;
}

export class AckWindow {
  position: SourcePosition;
  failure: unknown;
  private readonly limit: number;
  private readonly onAdvance: (position: SourcePosition) => void;
  private readonly flights: Flight[] = [];
  private underWay = 0;
  private wake: (() => void) | undefined;

  constructor(start: SourcePosition, limit: number, onAdvance: (position: SourcePosition) => void) {
    this.position = start;
    this.limit = limit;
    this.onAdvance = onAdvance;
  }

  /** Begins a put of the rows up to `end` as soon as there is room; does nothing once a put has failed. */
  async begin(end: SourcePosition, put: () => Promise<void>): Promise<void> {
    while (this.underWay >= this.limit && this.failure === undefined) await this.settled();
    if (this.failure !== undefined) return;
    const flight: Flight = { end, isAcknowledged: false };
    this.flights.push(flight);
    this.underWay++;
    put().then(
      () => this.settle(flight, undefined),
      (error) => this.settle(flight, error),
    );
  }

  async drained(): Promise<void> {
    while (this.underWay > 0) await this.settled();
  }

  private settle(flight: Flight, error: unknown): void {
    this.underWay--;
    if (error === undefined) {
      flight.isAcknowledged = true;
      this.advance();
    } else {
      this.failure ??= error;
    }
    this.wake?.();
    this.wake = undefined;
  }

  private advance(): void {
    let position: SourcePosition | undefined;
    while (this.flights[0]?.isAcknowledged === true) position = this.flights.shift()!.end;
    if (position === undefined) return;
    this.position = position;
    this.onAdvance(position);
  }

  /** The next answer. Only one caller waits at a time: the import's loop. */
  private settled(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}
