/**
 * The two counters of each partition: its LSN and its commit time, both strictly rising.
 *
 * I1  No LSN and no commit time is given twice within a partition, restarts included: recovery calls
 *     `observe` for every version it finds before the first `advance`.
 * I2  A commit time never runs backwards, even when the node's clock does; it then leads the clock
 *     by one microsecond a version until the clock has caught up.
 * I3  After `raise(T)` every commit time given out is above T, and none given out before is.
 */
import { strict as assert } from 'node:assert';
import { LSN_MAX } from './limits.ts';

export class PartitionClock {
  private readonly lsns: Float64Array;
  private readonly commitTimes: Float64Array;

  constructor(localPartitionCount: number) {
    this.lsns = new Float64Array(localPartitionCount);
    this.commitTimes = new Float64Array(localPartitionCount);
  }

  /** Numbers the partition's next version: returns its LSN; `commitTimeMicros` then gives its commit time. */
  advance(localPartition: number, nowMicros: number): number {
    const lsn = (this.lsns[localPartition] as number) + 1;
    assert(lsn <= LSN_MAX);
    this.lsns[localPartition] = lsn;
    const last = this.commitTimes[localPartition] as number;
    this.commitTimes[localPartition] = nowMicros > last ? nowMicros : last + 1;
    return lsn;
  }

  get partitionCount(): number {
    return this.lsns.length;
  }

  /** The LSN given out last; 0 before the first. */
  lsn(localPartition: number): number {
    return this.lsns[localPartition] as number;
  }

  commitTimeMicros(localPartition: number): number {
    return this.commitTimes[localPartition] as number;
  }

  /** Closes all that was numbered: answers the least commit time that `atLeastMicros` and no commit time so far exceed. */
  raise(atLeastMicros: number): number {
    const { commitTimes } = this;
    let highest = atLeastMicros;
    for (const commitTime of commitTimes) if (commitTime > highest) highest = commitTime;
    commitTimes.fill(highest);
    return highest;
  }

  observe(localPartition: number, lsn: number, commitTimeMicros: number): void {
    if (lsn > (this.lsns[localPartition] as number)) this.lsns[localPartition] = lsn;
    if (commitTimeMicros > (this.commitTimes[localPartition] as number)) {
      this.commitTimes[localPartition] = commitTimeMicros;
    }
  }
}
