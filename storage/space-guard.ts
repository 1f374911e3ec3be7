/**
 * Room on the device and in the block store's map: writes are refused while it is still enough to bring everything
 * accepted into blocks.
 *
 *   | blocks, journal …                     |  room for writes  |        reserve         |
 *                                           writes go on        writes STORAGE_FULL      flush, compaction step
 *
 * I1  The reserve is what a flush of both write-buffer generations, the next journal segments and one step of compaction
 *     can need at the most, for every shard of the device. So what was accepted always finds its place, and the process does
 *     not end because somebody's disk is full.
 * I2  A transaction of the block store begins only when its pages fit; until then it waits, and reads go on. That is for
 *     what the reserve cannot see: another process that fills the device.
 * I3  Room is looked at once in SPACE_CHECK_MICROS and once in SPACE_CHECK_BYTES accepted, (m) 20 µs a look. Writes go on by
 *     themselves when there is room again.
 *
 * Pages that compaction freed stay in the block store's file and are used again from there, so they count as room; by half,
 * because readers may still pin some, and a row of several pages needs them side by side.
 */
import type { Clock, Disk } from './environment.ts';
import {
  COMPACTION_RESERVE_BYTES,
  FLUSH_GROWTH_MAX,
  JOURNAL_RESERVE_SEGMENTS,
  PAGE_BYTES,
  RECORD_GROUP_MAX,
  SPACE_CHECK_BYTES,
  SPACE_CHECK_MICROS,
  SPACE_WAIT_MS,
  TREE_RESERVE_BYTES,
} from './limits.ts';
import { StorageError } from './storage-error.ts';

/** How the block store fills its file. */
export interface BlockSpace {
  /** Up to the last page ever used. */
  readonly fileBytes: number;
  /** Pages inside that hold nothing. */
  readonly reusableBytes: number;
  /** What `fileBytes` may grow to. */
  readonly mapBytes: number;
}

export interface SpaceSource {
  space(): BlockSpace;
}

export interface SpaceGuardOptions {
  readonly disk: Disk;
  /** On the device that is watched. */
  readonly directory: string;
  readonly clock: Clock;
  /** See `spaceReserveBytes`. */
  readonly reserveBytes: number;
  /** Resolves after so many milliseconds. */
  readonly delay: (ms: number) => Promise<void>;
}

/** What one shard must always find free for what it has accepted, times the shards that share the device. */
export function spaceReserveBytes(
  writeBufferBytes: number,
  journalSegmentBytes: number,
  shardCount: number,
): number {
  const flush = FLUSH_GROWTH_MAX * writeBufferBytes + RECORD_GROUP_MAX * PAGE_BYTES;
  const journal = JOURNAL_RESERVE_SEGMENTS * journalSegmentBytes;
  return shardCount * Math.ceil(flush + journal + COMPACTION_RESERVE_BYTES);
}

export class SpaceGuard {
  private readonly options: SpaceGuardOptions;
  private lookedAtMicros = Number.NEGATIVE_INFINITY;
  private acceptedBytes = 0;
  private roomBytes = Number.POSITIVE_INFINITY;
  private isClosed = false;

  constructor(options: SpaceGuardOptions) {
    this.options = options;
  }

  /** Throws STORAGE_FULL when a write of so many bytes would use up what a flush needs. */
  admit(source: SpaceSource, bytes: number): void {
    const { clock, reserveBytes } = this.options;
    const nowMicros = clock.nowMicros();
    this.acceptedBytes += bytes;
    const isOld = Math.abs(nowMicros - this.lookedAtMicros) >= SPACE_CHECK_MICROS;
    if (isOld || this.acceptedBytes >= SPACE_CHECK_BYTES) {
      this.lookedAtMicros = nowMicros;
      this.acceptedBytes = bytes;
      this.roomBytes = this.room(source.space());
    }
    if (this.roomBytes >= reserveBytes) return;
    throw new StorageError(
      'STORAGE_FULL',
      `write refused: ${this.roomBytes} bytes are left for the shard, of which ${reserveBytes} are kept for flushes; ` +
        'reads go on, and writes do when there is room',
    );
  }

  /** Resolves at once or later, when a transaction of so many bytes fits. Rejects STORAGE_FULL once closed. */
  async waitForRoom(source: SpaceSource, bytes: number): Promise<void> {
    while (!this.fits(source, bytes)) {
      if (this.isClosed) {
        throw new StorageError(
          'STORAGE_FULL',
          `no room for ${bytes} bytes of blocks; the journal keeps them`,
        );
      }
      await this.options.delay(SPACE_WAIT_MS);
    }
  }

  fits(source: SpaceSource, bytes: number): boolean {
    return this.room(source.space()) >= bytes + TREE_RESERVE_BYTES;
  }

  /** Nothing waits any more: what does not fit now stays in the journal. */
  close(): void {
    this.isClosed = true;
  }

  private room(space: BlockSpace): number {
    const { disk, directory } = this.options;
    const growth = Math.min(disk.freeBytes(directory), Math.max(0, space.mapBytes - space.fileBytes));
    return growth + Math.floor(space.reusableBytes / 2 / PAGE_BYTES) * PAGE_BYTES;
  }
}
