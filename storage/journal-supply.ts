/**
 * The supply of journal segments: files ready to be written, prepared ahead and made from what a flush gave back.
 *
 *   recycled file ──rename──┐
 *                           ├─▶ header written ─▶ ready ─▶ taken by the journal
 *   new file of zeros ──────┘
 *
 * I1  A segment handed out has its final name, its full size and a durable header of this incarnation.
 * I2  At most one segment is ready or in preparation, and at most JOURNAL_SPARE_SEGMENTS_MAX recycled files wait; a
 *     recycled file beyond that is removed.
 * I3  A recycled file keeps its old name while it waits: a crash leaves nothing half done, since all its frames lie
 *     below the checkpoint.
 *
 * I4  A preparation that fails for another reason than a full device is the last: `failure` keeps it, for the journal to stop. So does
 *     a removal that fails.
 * I5  Nothing here waits for the device in the shard's thread: files are made, renamed and removed on others.
 *
 * When a segment is needed, and which files may be recycled, is the journal's business.
 */
import { strict as assert } from 'node:assert';
import type { Disk, DiskFile } from './environment.ts';
import type { SegmentFile } from './journal-segment.ts';
import {
  encodeSegmentHeader,
  type Incarnation,
  segmentName,
  UNFINISHED_SEGMENT_NAME,
} from './journal-segment.ts';
import { JOURNAL_SPARE_SEGMENTS_MAX } from './limits.ts';

export interface ReadySegment {
  readonly sequence: number;
  readonly path: string;
  readonly file: DiskFile;
}

/** A full device is no failure: room may be made. */
export function isDeviceFull(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

export type SegmentTaker = (error: Error | null, segment: ReadySegment | null) => void;

export interface SupplyOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly incarnation: Incarnation;
  readonly chainStart: number;
  readonly firstSequence: number;
}

export class SegmentSupply {
  /** The device had no room for the last preparation; null once one has succeeded. */
  error: Error | null = null;
  /** Another error of a preparation: the device is not to be trusted, and nothing is prepared any more. */
  failure: Error | null = null;
  private readonly options: SupplyOptions;
  private readonly spares: string[] = [];
  /** Files that are on their way out. */
  private readonly removals: Set<Promise<void>> = new Set();
  private nextSequence: number;
  private ready: ReadySegment | null = null;
  private preparation: Promise<void> | null = null;
  private taker: SegmentTaker | null = null;

  constructor(options: SupplyOptions) {
    this.options = options;
    this.nextSequence = options.firstSequence;
  }

  /** Starts making the next segment, unless one is ready or under way. Renames a file and syncs its directory first. */
  prepare(): void {
    if (this.ready !== null || this.preparation !== null || this.failure !== null) return;
    this.preparation = this.makeReady();
  }

  /** Hands over the ready segment, at once or when its preparation ends. One taker at a time. */
  take(taker: SegmentTaker): void {
    assert(this.taker === null, 'one segment is taken at a time');
    const { ready, failure } = this;
    if (ready !== null || failure !== null) {
      this.ready = null;
      taker(failure, ready);
      return;
    }
    this.taker = taker;
    this.prepare();
  }

  /** Takes back a file that nobody needs any more. One of another size (cut short by a crash or a copy) is no spare. */
  recycle(segment: SegmentFile): void {
    const isWhole = segment.sizeBytes === this.options.segmentBytes;
    if (isWhole && this.spares.length < JOURNAL_SPARE_SEGMENTS_MAX) this.spares.push(segment.path);
    else this.remove(segment.path);
    if (this.error !== null) this.prepare();
  }

  /**
   * Deletes the files that wait to be used again, with all that they held, and makes the next segment of zeros. Rejects
   * when that is not possible. A segment that is taken meanwhile was made of zeros, too, or before.
   */
  async discard(): Promise<void> {
    if (this.preparation !== null) await this.preparation;
    const { ready } = this;
    this.ready = null;
    if (ready !== null) {
      ready.file.close();
      this.remove(ready.path);
    }
    for (const path of this.spares.splice(0)) this.remove(path);
    await Promise.all(this.removals);
    this.options.disk.syncDirectory(this.options.directory);
    this.prepare();
    if (this.preparation !== null) await this.preparation;
    const error = this.failure ?? this.error;
    if (error !== null) throw error;
  }

  /** The segment that is ready, or null. */
  takeReady(): ReadySegment | null {
    const { ready } = this;
    this.ready = null;
    return ready;
  }

  /** Waits for the preparation under way and closes what is ready. */
  async close(): Promise<void> {
    if (this.preparation !== null) await this.preparation;
    await Promise.all(this.removals);
    this.ready?.file.close();
    this.ready = null;
  }

  /** `discard` and `close` wait for it. */
  private remove(path: string): void {
    const removal = this.options.disk
      .removeLater(path)
      .catch((error: Error) => {
        this.failure ??= error;
      })
      .finally(() => this.removals.delete(removal));
    this.removals.add(removal);
  }

  private async makeReady(): Promise<void> {
    let error: Error | null = null;
    let segment: ReadySegment | null = null;
    try {
      segment = await this.makeSegment();
    } catch (caught) {
      error = caught as Error;
    }
    this.preparation = null;
    this.error = error !== null && isDeviceFull(error) ? error : null;
    if (error !== null && this.error === null) this.failure = error;
    const { taker } = this;
    this.taker = null;
    if (taker !== null) taker(error, segment);
    else this.ready = segment;
  }

  private async makeSegment(): Promise<ReadySegment> {
    const { disk, directory, segmentBytes, incarnation, chainStart } = this.options;
    // A sequence whose preparation failed is never used again: part of its header may be on disk.
    const sequence = this.nextSequence++;
    const path = `${directory}/${segmentName(sequence)}`;
    const file = await this.makeFile(path);
    const page = encodeSegmentHeader({ sequence, segmentBytes, incarnation, chainStart });
    try {
      await new Promise<void>((resolve, reject) => {
        file.writev([page], 0, (error) => (error === null ? resolve() : reject(error)));
      });
    } catch (error) {
      file.close();
      await disk.removeLater(path);
      throw error;
    }
    return { sequence, path, file };
  }

  private async makeFile(path: string): Promise<DiskFile> {
    const { disk, directory, segmentBytes } = this.options;
    const spare = this.spares.pop();
    if (spare !== undefined) {
      await disk.rename(spare, path);
      return disk.openDurable(path);
    }
    const unfinished = `${directory}/${UNFINISHED_SEGMENT_NAME}`;
    const file = await disk.createDurable(unfinished, segmentBytes);
    await disk.rename(unfinished, path);
    return file;
  }
}
