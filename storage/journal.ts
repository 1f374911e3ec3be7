/**
 * The journal of one shard: group commits, each durable before it is acknowledged, read back after a crash.
 *
 *   commit ─▶ frame ─▶ active segment ─full─▶ held (frames above the checkpoint) ─recycleBefore─▶ spare ─▶ next segment
 *
 * I1  `done(null)` is called only when the frame's bytes are durable (Disk D1), and `nextPosition` passes the frame then.
 * I2  One commit is in flight at a time, in one positioned write of whole 4 KiB pages, so whatever a crash does to it,
 *     acknowledged frames are not touched. The last page is filled with zeros: a part of a page would make the kernel
 *     read the rest of it first, (m) 280 µs a 16 KB commit instead of 180 where a recycled file has left its cache.
 * I3  After a failed write nothing is written any more: every later commit is refused with that error, for only a
 *     restart, which reads the files, can know what is on disk. The shard must stop.
 * I4  A segment that holds a frame at or above the checkpoint is neither removed nor reused.
 * I5  The body is written from the caller's buffers and copied nowhere but into the checksum.
 *
 * A new segment is prepared while the active one fills (journal-supply.ts), so rolling does not wait for a file to be
 * filled with zeros. If that preparation fails because the device is full, `spaceError` says so up to a segment ahead of
 * the first commit that must fail.
 *
 * What a frame and a segment look like: journal-frame.ts, journal-segment.ts. What is read back: journal-replay.ts.
 * What the records mean, and when to checkpoint: the write path and the flush.
 */
import { strict as assert } from 'node:assert';
import { checksum64Parts, loadChecksum } from './checksum.ts';
import type { Disk, Random } from './environment.ts';
import { writeFrameChecksum, writeFrameHeader } from './journal-frame.ts';
import { type FrameVisitor, type ReplayResult, replayJournal } from './journal-replay.ts';
import {
  type Incarnation,
  isSameIncarnation,
  type SegmentFile,
  UNFINISHED_SEGMENT_NAME,
} from './journal-segment.ts';
import { isDeviceFull, type ReadySegment, SegmentSupply } from './journal-supply.ts';
import {
  JOURNAL_FRAME_BYTES_MAX,
  JOURNAL_FRAME_HEADER_BYTES,
  JOURNAL_SEGMENT_BYTES,
  PAGE_BYTES,
} from './limits.ts';
import { alignPage } from './record.ts';
import { StorageError } from './storage-error.ts';

export interface Journal {
  /** Where the next frame would start. Everything before it is durable: a checkpoint may name it. */
  readonly nextPosition: number;
  /** Bytes of the segments that hold frames not yet recycled, the active one included. */
  readonly bytesHeld: number;
  /**
   * Why the next segment could not be prepared, or null. While it stands, refuse writes with STORAGE_FULL: what is left
   * of the active segment is all there is. Recycling a segment tries again.
   */
  readonly spaceError: Error | null;
  /**
   * Appends one frame of the parts' bytes (`bodyBytes` in all, a multiple of 8) and reports when it is durable. One at a
   * time. The parts are written from where they lie: the caller leaves them alone until `done`, which is never called
   * before `commit` returns. Adjacent bytes should come as one part: the kernel takes 1024 parts a write.
   *
   * Errors: STORAGE_FULL when a new segment was needed and could not be made: nothing was written, a later commit may
   * succeed. Any other: the shard must stop (I3).
   */
  commit(
    parts: readonly Uint8Array[],
    bodyBytes: number,
    recordCount: number,
    done: (error: Error | null) => void,
  ): void;
  /** Gives back segments whose frames all lie before `position`, which a durable checkpoint must have recorded. */
  recycleBefore(position: number): void;
  /**
   * Goes on in a new segment of zeros, and deletes files that wait to be used again, with all that they held. Resolves when
   * no later frame goes into an older segment: those are then given back by `recycleBefore`.
   */
  renew(): Promise<void>;
  /** Deletes files that wait to be used again. */
  discardSpares(): Promise<void>;
  /** Tries again to prepare the next segment, if that has failed; `spaceError` is null once it has succeeded. */
  retrySpace(): void;
  /** Resolves when the commit in flight and the background work have ended and the files are closed. */
  close(): Promise<void>;
}

export interface JournalOptions {
  readonly disk: Disk;
  readonly random: Random;
  readonly directory: string;
  /** The checkpoint: frames below it are not read. A value that `nextPosition` once had, or 0. */
  readonly fromPosition: number;
  /** Receives the records of each frame at or above the checkpoint, in order. */
  readonly onFrame: FrameVisitor;
  /** For tests; fixed in the files. */
  readonly segmentBytes?: number;
}

const ZERO_PAGE = new Uint8Array(PAGE_BYTES);

type CommitDone = (error: Error | null) => void;

/** Frames are bounded so that they fit any segment, small ones in tests included. */
function frameBytesMax(segmentBytes: number): number {
  return Math.min(JOURNAL_FRAME_BYTES_MAX, segmentBytes - PAGE_BYTES);
}

/** Replays what is there and starts a new incarnation in a fresh segment. */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { disk, directory } = options;
  const segmentBytes = options.segmentBytes ?? JOURNAL_SEGMENT_BYTES;
  assert(segmentBytes % PAGE_BYTES === 0 && segmentBytes > PAGE_BYTES, 'segments are whole pages');
  await loadChecksum();
  disk.makeDirectory(directory);
  disk.remove(`${directory}/${UNFINISHED_SEGMENT_NAME}`);

  const { fromPosition, onFrame } = options;
  const replayed = replayJournal({ disk, directory, segmentBytes, fromPosition, onFrame });
  await hardenLastFrame(disk, replayed, segmentBytes);

  const newest = Math.max(replayed.segments.at(-1)?.sequence ?? 0, Math.floor(fromPosition / segmentBytes));
  const incarnation = drawIncarnation(options.random, replayed.incarnations);
  const supply = new SegmentSupply({
    disk,
    directory,
    segmentBytes,
    incarnation,
    chainStart: replayed.lastFrame,
    firstSequence: newest + 1,
  });
  const unneeded = replayed.segments.filter((file) => file.lastFrame === 0);
  // Of what lies below the checkpoint nothing is read again, so one such file may become the fresh segment. The others
  // wait until its header is durable: it bounds what a later replay takes from older segments, and until it is there
  // the newest file is what shows that the journal reaches the checkpoint.
  const reusable = unneeded.find((file) => (file.sequence + 1) * segmentBytes <= fromPosition);
  if (reusable !== undefined) supply.recycle(reusable);
  const active = await takeSegment(supply);
  for (const file of unneeded) if (file !== reusable) supply.recycle(file);

  const held = replayed.segments.filter((file) => file.lastFrame !== 0);
  return new SegmentedJournal(segmentBytes, incarnation, supply, active, held, replayed.lastFrame);
}

class SegmentedJournal implements Journal {
  private readonly segmentBytes: number;
  private readonly incarnation: Incarnation;
  private readonly supply: SegmentSupply;
  private readonly header: Uint8Array = new Uint8Array(JOURNAL_FRAME_HEADER_BYTES);
  private readonly headerView: DataView = new DataView(this.header.buffer);
  private readonly sum: Uint32Array = new Uint32Array(2);
  /** Full segments that hold frames, oldest first. */
  private held: SegmentFile[];
  private active: ReadySegment;
  /** Where in the active segment the next frame starts. */
  private offset = PAGE_BYTES;
  /** Position of the last durable frame in the active segment, 0 none; and in the whole chain. */
  private lastInActive = 0;
  private lastFrame: number;
  private isCommitting = false;
  private failure: Error | null = null;
  private onIdle: (() => void) | null = null;
  /** Somebody waits for the commit in flight, to go on in a new segment. */
  private onFinished: (() => void) | null = null;

  constructor(
    segmentBytes: number,
    incarnation: Incarnation,
    supply: SegmentSupply,
    active: ReadySegment,
    held: SegmentFile[],
    lastFrame: number,
  ) {
    this.segmentBytes = segmentBytes;
    this.incarnation = incarnation;
    this.supply = supply;
    this.active = active;
    this.held = held;
    this.lastFrame = lastFrame;
    supply.prepare();
  }

  get nextPosition(): number {
    return this.active.sequence * this.segmentBytes + this.offset;
  }

  get bytesHeld(): number {
    return (this.held.length + 1) * this.segmentBytes;
  }

  get spaceError(): Error | null {
    return this.supply.error;
  }

  commit(parts: readonly Uint8Array[], bodyBytes: number, recordCount: number, done: CommitDone): void {
    assert(!this.isCommitting, 'one commit in flight at a time');
    assert(bodyBytes > 0 && bodyBytes % 8 === 0, 'a frame body is a positive multiple of 8 bytes');
    const frameBytes = JOURNAL_FRAME_HEADER_BYTES + bodyBytes;
    assert(frameBytes <= frameBytesMax(this.segmentBytes), 'frame too large');
    this.isCommitting = true;
    this.failure ??= this.supply.failure;
    if (this.failure !== null) {
      const { failure } = this;
      queueMicrotask(() => this.finish(failure, done));
    } else if (this.offset + frameBytes <= this.segmentBytes) {
      this.write(parts, bodyBytes, recordCount, done);
    } else {
      this.supply.take((error, segment) => {
        if (segment === null) {
          queueMicrotask(() => this.finish(this.refusal(error), done));
          return;
        }
        this.roll(segment);
        this.write(parts, bodyBytes, recordCount, done);
        this.supply.prepare();
      });
    }
  }

  retrySpace(): void {
    if (this.supply.error !== null) this.supply.prepare();
  }

  recycleBefore(position: number): void {
    assert(position <= this.nextPosition, 'a checkpoint lies within the journal');
    const kept: SegmentFile[] = [];
    for (const file of this.held) {
      if (file.lastFrame < position) this.supply.recycle(file);
      else kept.push(file);
    }
    this.held = kept;
  }

  async renew(): Promise<void> {
    await this.supply.discard();
    if (this.isCommitting) {
      await new Promise<void>((resolve) => {
        this.onFinished = resolve;
      });
    } else {
      this.rollReady();
    }
  }

  discardSpares(): Promise<void> {
    return this.supply.discard();
  }

  async close(): Promise<void> {
    if (this.isCommitting) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    this.failure ??= new StorageError('SHUTTING_DOWN', 'the journal is closed');
    await this.supply.close();
    this.active.file.close();
  }

  private write(
    parts: readonly Uint8Array[],
    bodyBytes: number,
    recordCount: number,
    done: CommitDone,
  ): void {
    const position = this.nextPosition;
    const { header, headerView, sum } = this;
    writeFrameHeader(headerView, this.incarnation, position, this.lastFrame, bodyBytes, recordCount);
    const written = [header, ...parts];
    let frameBytes = 0;
    for (const part of written) frameBytes += part.length;
    assert(frameBytes === JOURNAL_FRAME_HEADER_BYTES + bodyBytes, 'the parts are the body');
    checksum64Parts(written, sum);
    writeFrameChecksum(headerView, sum[0]!, sum[1]!);
    const end = alignPage(this.offset + frameBytes, PAGE_BYTES);
    const padBytes = end - this.offset - frameBytes;
    if (padBytes > 0) written.push(ZERO_PAGE.subarray(0, padBytes));
    this.active.file.writev(written, this.offset, (error) => {
      if (error === null) {
        this.lastFrame = position;
        this.lastInActive = position;
        this.offset = end;
      } else {
        this.failure = error;
      }
      this.finish(error, done);
    });
  }

  /** Between two commits. Nothing is ready when a commit has just rolled: into the fresh segment. */
  private rollReady(): void {
    const segment = this.failure === null ? this.supply.takeReady() : null;
    if (segment === null) return;
    this.roll(segment);
    this.supply.prepare();
  }

  private roll(segment: ReadySegment): void {
    const { sequence, path, file } = this.active;
    file.close();
    this.held.push({ sequence, path, sizeBytes: this.segmentBytes, lastFrame: this.lastInActive });
    this.active = segment;
    this.offset = PAGE_BYTES;
    this.lastInActive = 0;
  }

  /** A full device refuses this commit and lets a later one try again; anything else stops the journal. */
  private refusal(error: Error | null): Error {
    if (error !== null && isDeviceFull(error)) {
      return new StorageError('STORAGE_FULL', 'the device has no room for a new journal segment', {
        cause: error,
      });
    }
    this.failure = error ?? new StorageError('INTERNAL', 'no journal segment and no reason');
    return this.failure;
  }

  private finish(error: Error | null, done: CommitDone): void {
    this.isCommitting = false;
    const { onIdle } = this;
    this.onIdle = null;
    onIdle?.();
    const { onFinished } = this;
    this.onFinished = null;
    if (onFinished !== null) {
      this.rollReady();
      onFinished();
    }
    done(error);
  }
}

/**
 * Writes the last frame once more, in place. Killed while it was being written, it may be readable and yet not durable,
 * and no later frame proves it; what replay has shown to readers must not be lost to a power failure afterwards.
 */
async function hardenLastFrame(disk: Disk, replayed: ReplayResult, segmentBytes: number): Promise<void> {
  const segment = replayed.segments.find((file) => file.lastFrame === replayed.lastFrame);
  if (replayed.lastFrame === 0 || segment === undefined) return;
  const bytes = new Uint8Array(replayed.lastFrameBytes);
  const offset = replayed.lastFrame % segmentBytes;
  const file = disk.openDurable(segment.path);
  try {
    const read = file.readSync(bytes, offset);
    assert(read === bytes.length, 'a replayed frame is read again as a whole');
    await new Promise<void>((resolve, reject) => {
      file.writev([bytes], offset, (error) => (error === null ? resolve() : reject(error)));
    });
  } finally {
    file.close();
  }
}

function drawIncarnation(random: Random, used: readonly Incarnation[]): Incarnation {
  let drawn: Incarnation = { lo: random.uint32(), hi: random.uint32() };
  while (used.some((other) => isSameIncarnation(other, drawn))) {
    drawn = { lo: random.uint32(), hi: random.uint32() };
  }
  return drawn;
}

function takeSegment(supply: SegmentSupply): Promise<ReadySegment> {
  return new Promise((resolve, reject) => {
    supply.take((error, segment) => {
      if (segment === null) reject(error);
      else resolve(segment);
    });
  });
}
