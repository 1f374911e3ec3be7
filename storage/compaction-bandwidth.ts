/**
 * How fast compaction may write: a bucket of bytes that fills at the limit and holds BURST_SECONDS of it.
 *
 * I1  Over any long time not more than the limit is written, give or take one step.
 * I2  A clock that steps back, or stands still, delays compaction by at most WAIT_MILLIS_MAX a step.
 */

/** What may be written at once after a rest. */
const BURST_SECONDS = 0.25;
const WAIT_MILLIS_MAX = 1000;

export class CompactionBandwidth {
  private readonly bytesPerSecond: number;
  private readonly nowMicros: () => number;
  private tokens = 0;
  private filledAtMicros: number;

  /** 0 bytes a second: no limit. */
  constructor(bytesPerSecond: number, nowMicros: () => number) {
    this.bytesPerSecond = bytesPerSecond;
    this.nowMicros = nowMicros;
    this.filledAtMicros = nowMicros();
    this.tokens = bytesPerSecond * BURST_SECONDS;
  }

  /** Takes what was written: answers how long to wait before the next write, in milliseconds. */
  take(bytes: number): number {
    if (this.bytesPerSecond === 0) return 0;
    const nowMicros = this.nowMicros();
    const elapsedSeconds = Math.max(nowMicros - this.filledAtMicros, 0) / 1e6;
    this.filledAtMicros = nowMicros;
    const filled = this.tokens + elapsedSeconds * this.bytesPerSecond;
    this.tokens = Math.min(filled, this.bytesPerSecond * BURST_SECONDS) - bytes;
    if (this.tokens >= 0) return 0;
    return Math.min((-this.tokens / this.bytesPerSecond) * 1000, WAIT_MILLIS_MAX);
  }
}
