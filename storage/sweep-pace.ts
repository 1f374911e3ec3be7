/**
 * Whether a sweep's source blocks are fetched by other threads before they are read, or read at once: decided by how long reads
 * took. Level 0 is young, so its blocks are mostly still in memory, and a fetch costs the shard's thread more than the reads.
 *
 *   at once ── SWEEP_SLOW_READS slow reads since the last fetch ──▶ fetched, for the next SWEEP_FETCHES ──▶ at once
 *
 * It names no clock: times are handed in.
 */
import { READ_SLOW_MICROS, SWEEP_FETCHES, SWEEP_SLOW_READS } from './limits.ts';

export class SweepPace {
  private slowReads = 0;
  private fetchesLeft = 0;

  /** Blocks are needed: true when other threads are to fetch them. */
  next(): boolean {
    this.slowReads = 0;
    if (this.fetchesLeft === 0) return false;
    this.fetchesLeft -= 1;
    return true;
  }

  /** A block was read. True: from here on blocks are to be fetched first, those that were to be read at once included. */
  isTooSlow(micros: number): boolean {
    if (micros < READ_SLOW_MICROS) return false;
    this.slowReads += 1;
    if (this.slowReads < SWEEP_SLOW_READS || this.fetchesLeft > 0) return false;
    this.fetchesLeft = SWEEP_FETCHES;
    return true;
  }
}
