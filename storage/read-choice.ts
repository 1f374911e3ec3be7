/**
 * Whether a lookup reads a block that is not cached itself, or has it fetched by another thread: decided from the times that
 * such reads took lately.
 *
 *   direct    the blocks are in the page cache: a read takes a microsecond or two, another thread ten
 *      │  ▲        READS_SLOW_MIN of the last 32 reads were slow          │  at most READS_SLOW_FEW of the last 32 were
 *      ▼  │
 *   fetching  a read waits for the device, and with it everybody: other threads wait instead. Each READ_SAMPLE_EVERYth
 *             block is read directly all the same, to see whether that has changed, and so is a lone read.
 *
 * A lone read is one that nobody would wait for (cold-blocks.ts says when). Another thread costs it two more wake-ups: (m) 155 µs
 * until its block was there instead of 75, 105 µs of CPU time instead of 54, and twice the p99.
 *
 * I1  In either state one lookup waits for the device SLOW_READS_MICROS_MAX at most, and one read more, and reads at most
 *     READS_DIRECT_MAX blocks: `mayRead` then says no.
 * I2  It names no clock: times are handed in.
 * I3  After a lone read that took LONE_READ_STALL_MICROS, LONE_READS_PAUSED blocks are left to other threads: a device that
 *     stalls stops the shard once, not read after read.
 *
 * A slow read that was only interrupted counts like one of the device; a few of these in 32 do not change the state.
 */
import {
  LONE_READ_STALL_MICROS,
  LONE_READS_PAUSED,
  READ_SAMPLE_EVERY,
  READ_SLOW_MICROS,
  READ_SLOW_MICROS_PER_KIB,
  READS_DIRECT_MAX,
  READS_SLOW_FEW,
  READS_SLOW_MIN,
  SLOW_READS_MICROS_MAX,
} from './limits.ts';

export class ReadChoice {
  isFetching = false;
  /** The last 32 timed reads, the newest in bit 0: 1 was slow. */
  #history = 0;
  /** Reads timed since the state changed, up to 32. */
  #seen = 0;
  #untilSample: number = READ_SAMPLE_EVERY;
  #slowMicros = 0;
  #directReads = 0;
  /** Blocks until a lone read may be made again. */
  #lonePause = 0;

  /** A lookup begins. */
  begin(): void {
    this.#slowMicros = 0;
    this.#directReads = 0;
  }

  /** Whether the lookup may read the next block that it misses itself; the read must then be told to `record`. */
  mayRead(): boolean {
    if (this.#slowMicros >= SLOW_READS_MICROS_MAX || this.#directReads >= READS_DIRECT_MAX) return false;
    if (!this.isFetching) return true;
    this.#untilSample -= 1;
    if (this.#untilSample > 0) return false;
    this.#untilSample = READ_SAMPLE_EVERY;
    return true;
  }

  /** Whether a block that `mayRead` has just refused may be read all the same, nobody being there who would wait for it. */
  mayReadAlone(): boolean {
    if (this.#lonePause === 0) return true;
    this.#lonePause -= 1;
    return false;
  }

  /** To be told, with `record`, how long a lone read took. */
  recordAlone(micros: number): void {
    if (micros >= LONE_READ_STALL_MICROS) this.#lonePause = LONE_READS_PAUSED;
  }

  record(micros: number, bytes: number): void {
    const isSlow = micros >= READ_SLOW_MICROS + (bytes / 1024) * READ_SLOW_MICROS_PER_KIB;
    if (isSlow) this.#slowMicros += micros;
    this.#directReads += 1;
    this.#history = (this.#history << 1) | (isSlow ? 1 : 0);
    this.#seen = Math.min(this.#seen + 1, 32);
    const slow = bitsOf(this.#history);
    if (!this.isFetching && slow >= READS_SLOW_MIN) this.#change(true);
    else if (this.isFetching && this.#seen === 32 && slow <= READS_SLOW_FEW) this.#change(false);
  }

  #change(isFetching: boolean): void {
    this.isFetching = isFetching;
    this.#history = 0;
    this.#seen = 0;
    this.#untilSample = READ_SAMPLE_EVERY;
  }
}

function bitsOf(word: number): number {
  let bits = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) bits += 1;
  return bits;
}
