/**
 * Tells the latest moment before which every accepted write has been applied: what a flush that begins now is sealed with.
 *
 *   | old: requests that were accepted before `since` | current: those accepted from `since` on |
 *
 * I1  Whatever order requests end in, `sealedMicros` is never above the moment at which one that has not ended was accepted.
 *
 * Compaction needs it to drop a tombstone: no write older than the lateness is accepted any more, and none that was is on its way.
 */
import { strict as assert } from 'node:assert';

export class SealClock {
  private since = -Infinity;
  /** Everything accepted before this has ended. */
  private oldSince = -Infinity;
  private old = 0;
  private current = 0;
  /** Rises with each change of `since`. */
  private epoch = 0;

  /** A request is accepted: the answer goes to `end` when it has ended. */
  begin(): number {
    this.current += 1;
    return this.epoch;
  }

  end(epoch: number): void {
    if (epoch === this.epoch) this.current -= 1;
    else this.old -= 1;
    assert(this.old >= 0 && this.current >= 0, 'a request ends once');
  }

  sealedMicros(nowMicros: number): number {
    if (this.old > 0) return this.oldSince;
    if (this.current === 0) {
      this.since = nowMicros;
      this.oldSince = nowMicros;
      return nowMicros;
    }
    // All from before `since` have ended; those accepted since then are the old ones now.
    this.oldSince = this.since;
    this.since = nowMicros;
    this.old = this.current;
    this.current = 0;
    this.epoch += 1;
    return this.oldSince;
  }
}
