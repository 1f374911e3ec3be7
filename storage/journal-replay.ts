/**
 * Replay: reads a journal back after a stop of any kind, and tells a torn tail from corruption.
 *
 * Which frame may follow which. Frames form one chain through `previous`, over rolls and restarts alike:
 *
 *   incarnation A   [5: header A | a1 | a2 | torn ]
 *   incarnation A   [6: header A | (prepared ahead, nothing written) ]
 *   incarnation B   [7: header B, chain start a2 | b1 | b2 ]   b1.previous = a2
 *   incarnation C   [8: header C, chain start b2 | ]
 *
 * R1  In a segment, a frame starts at the page after the last one's end. What does not fit starts the next segment.
 * R2  A frame is taken when its checksum, its position and its segment's incarnation are right and `previous` is the
 *     frame taken before it. The first one taken names a frame below the checkpoint, or none.
 * R3  One commit is in flight at a time, so a valid frame proves that its predecessor was durable. A place without a
 *     valid frame is therefore a torn tail (never acknowledged, dropped) when no valid frame comes after it in the
 *     chain, and corruption (JOURNAL_CORRUPT, start refused) when one does: later in the segment, or first in a later
 *     segment with a `previous` that was not taken.
 * R4  A restart goes on in a fresh segment, never behind a torn tail, and its header says where the chain stood. Frames
 *     above that in older segments are dead: whatever a torn tail reads as later, it stays dropped. And if the chain no
 *     longer reaches that frame, it was lost since: corruption, even if nothing was written after the restart.
 * R5  A segment without a valid header of its own never held a frame of its own (a crash while it was made), unless a
 *     valid frame of its position is in it: then the header was lost, and that is corruption.
 *
 * Rejected: taking "a bad frame, then a valid one of the same incarnation" as the whole test, as the chain's links make
 * possible to do without. It cannot tell the unused end of a segment from a lost last frame before a roll, and it loses
 * sight of frames destroyed after a restart has begun a new incarnation.
 *
 * Bounds: one buffer of a segment's size, each segment at or above the checkpoint read once, headers twice.
 * Records inside a frame are the reader's business (verifyRecord).
 */
import type { Disk } from './environment.ts';
import { NO_FRAME, readFramePrevious, verifyFrame } from './journal-frame.ts';
import {
  decodeSegmentHeader,
  type Incarnation,
  isSameIncarnation,
  type SegmentFile,
  type SegmentHeader,
  segmentName,
  segmentSequence,
} from './journal-segment.ts';
import { JOURNAL_FRAME_HEADER_BYTES, PAGE_BYTES } from './limits.ts';
import { alignPage } from './record.ts';
import { StorageError } from './storage-error.ts';

/** Receives the records of one frame: `bytes[offset, end)`, 8-aligned, valid during the call. */
export type FrameVisitor = (bytes: Uint8Array, offset: number, end: number, position: number) => void;

export interface ReplayOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly fromPosition: number;
  readonly onFrame: FrameVisitor;
}

export interface ReplayResult {
  readonly segments: SegmentFile[];
  readonly incarnations: Incarnation[];
  /** Position and size of the last frame of the chain at or above the checkpoint; 0 when there is none. */
  readonly lastFrame: number;
  readonly lastFrameBytes: number;
}

interface ReplaySegment {
  readonly file: SegmentFile;
  readonly header: SegmentHeader | undefined;
  /** Frames above this position are dead (R4). */
  limit: number;
}

export function replayJournal(options: ReplayOptions): ReplayResult {
  const { disk, directory, segmentBytes, fromPosition } = options;
  if (fromPosition % PAGE_BYTES !== 0) {
    throw corrupt(`the checkpoint names position ${fromPosition}, which is no frame boundary`);
  }
  const files = listSegments(disk, directory);
  const needed = files.filter((file) => (file.sequence + 1) * segmentBytes > fromPosition);
  checkReach(files, options);
  const segments = needed.map((file) => openSegment(disk, file, segmentBytes));
  setLimits(segments);

  const replay = new Replay(options);
  for (const segment of segments) replay.readSegment(segment);
  return {
    segments: files,
    incarnations: segments.flatMap((segment) => (segment.header ? [segment.header.incarnation] : [])),
    lastFrame: replay.lastFrame,
    lastFrameBytes: replay.lastFrameBytes,
  };
}

class Replay {
  lastFrame = 0;
  lastFrameBytes = 0;
  private readonly options: ReplayOptions;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private incarnation: Incarnation | undefined;

  constructor(options: ReplayOptions) {
    this.options = options;
    this.bytes = new Uint8Array(options.segmentBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  readSegment(segment: ReplaySegment): void {
    const { file, header, limit } = segment;
    if (header !== undefined) this.checkChainStart(header, file);
    const base = file.sequence * this.options.segmentBytes;
    const start = Math.max(PAGE_BYTES, this.options.fromPosition - base);
    // Everything in it is dead: spares the read.
    if (base + start > limit) return;
    const end = readSegmentFile(this.options.disk, file, this.bytes);
    const stopped = header === undefined ? start : this.takeFrames(segment, start, end);
    const stray = this.findFrame(stopped, end, base, limit, header?.incarnation);
    if (stray === 0) return;
    const place = header === undefined ? 'the header page' : `a valid frame at offset ${stopped}`;
    throw corrupt(
      `segment ${segmentName(file.sequence)} lacks ${place}, but holds a valid frame at offset ${stray}: ` +
        'acknowledged writes were damaged',
    );
  }

  /** Takes the frames that stand one behind the other from `start` on; returns where the next one would stand. */
  private takeFrames(segment: ReplaySegment, start: number, end: number): number {
    const { bytes, view, options } = this;
    const { file, header, limit } = segment;
    const base = file.sequence * options.segmentBytes;
    let at = start;
    while (base + at <= limit) {
      const frameBytes = verifyFrame(bytes, view, at, end, base + at, header?.incarnation);
      if (frameBytes === NO_FRAME) break;
      this.checkPrevious(readFramePrevious(view, at), file, at);
      options.onFrame(bytes, at + JOURNAL_FRAME_HEADER_BYTES, at + frameBytes, base + at);
      this.lastFrame = base + at;
      this.lastFrameBytes = frameBytes;
      file.lastFrame = base + at;
      at = alignPage(at + frameBytes, PAGE_BYTES);
    }
    return at;
  }

  /** The offset of any valid frame from `start` on that is not dead, or 0. Bound: one look a page, one sum a true frame. */
  private findFrame(
    start: number,
    end: number,
    base: number,
    limit: number,
    incarnation: Incarnation | undefined,
  ): number {
    for (let at = start; at < end && base + at <= limit; at += PAGE_BYTES) {
      if (verifyFrame(this.bytes, this.view, at, end, base + at, incarnation) !== NO_FRAME) return at;
    }
    return 0;
  }

  /** R2: the chain's links. */
  private checkPrevious(previous: number, file: SegmentFile, at: number): void {
    if (previous === this.lastFrame || (this.lastFrame === 0 && previous < this.options.fromPosition)) return;
    throw corrupt(
      `the frame at offset ${at} of segment ${segmentName(file.sequence)} follows the one at ` +
        `${this.place(previous)}, but the journal can be read up to ${this.place(this.lastFrame)} only: ` +
        'acknowledged writes between them are missing',
    );
  }

  /** R4: the chain must reach what the incarnation that begins here has built on. */
  private checkChainStart(header: SegmentHeader, file: SegmentFile): void {
    if (this.incarnation !== undefined && isSameIncarnation(this.incarnation, header.incarnation)) return;
    this.incarnation = header.incarnation;
    if (header.chainStart < this.options.fromPosition || header.chainStart === this.lastFrame) return;
    throw corrupt(
      `segment ${segmentName(file.sequence)} continues after the frame at ${this.place(header.chainStart)}, but the ` +
        `journal can be read up to ${this.place(this.lastFrame)} only: acknowledged writes between them are missing`,
    );
  }

  private place(position: number): string {
    if (position < this.options.segmentBytes) return 'the beginning';
    const offset = position % this.options.segmentBytes;
    return `offset ${offset} of segment ${segmentName((position - offset) / this.options.segmentBytes)}`;
  }
}

function corrupt(message: string, cause?: unknown): StorageError {
  return new StorageError(
    'JOURNAL_CORRUPT',
    `journal: ${message}`,
    cause === undefined ? undefined : { cause },
  );
}

function listSegments(disk: Disk, directory: string): SegmentFile[] {
  const files: SegmentFile[] = [];
  for (const name of disk.listFiles(directory)) {
    const sequence = segmentSequence(name);
    if (sequence === 0) continue;
    const path = `${directory}/${name}`;
    const file = disk.openDurable(path);
    files.push({ sequence, path, sizeBytes: file.sizeBytes(), lastFrame: 0 });
    file.close();
  }
  return files.sort((a, b) => a.sequence - b.sequence);
}

/** The segment that the checkpoint stands in is never recycled, so a journal that ends below it has lost files. */
function checkReach(files: SegmentFile[], options: ReplayOptions): void {
  if (options.fromPosition === 0) return;
  const sequence = Math.floor((options.fromPosition - 1) / options.segmentBytes);
  const newest = files.at(-1)?.sequence ?? 0;
  if (newest >= sequence) return;
  const seen = newest === 0 ? 'there are no segments' : `the newest one is ${segmentName(newest)}`;
  throw corrupt(
    `the checkpoint stands in segment ${segmentName(sequence)} of ${options.directory}, but ${seen}`,
  );
}

function openSegment(disk: Disk, file: SegmentFile, segmentBytes: number): ReplaySegment {
  const page = new Uint8Array(PAGE_BYTES);
  const read = readSegmentFile(disk, file, page);
  const header = decodeSegmentHeader(page.subarray(0, read), file.sequence, segmentBytes);
  return { file, header, limit: Number.POSITIVE_INFINITY };
}

/** Reads a file's beginning; a device that cannot read it is reported as what it means here. */
function readSegmentFile(disk: Disk, segment: SegmentFile, into: Uint8Array): number {
  const file = disk.openDurable(segment.path);
  try {
    return file.readSync(into, 0);
  } catch (cause) {
    throw corrupt(
      `segment ${segmentName(segment.sequence)} cannot be read: ${(cause as Error).message}`,
      cause,
    );
  } finally {
    file.close();
  }
}

/** R4: from the newest segment back, each incarnation's chain start bounds the frames of the older ones. */
function setLimits(segments: ReplaySegment[]): void {
  let limit = Number.POSITIVE_INFINITY;
  let limitHere = limit;
  let incarnation: Incarnation | undefined;
  for (const segment of segments.toReversed()) {
    const { header } = segment;
    if (
      header !== undefined &&
      (incarnation === undefined || !isSameIncarnation(incarnation, header.incarnation))
    ) {
      limitHere = limit;
      incarnation = header.incarnation;
    }
    segment.limit = limitHere;
    if (header !== undefined) limit = Math.min(limitHere, header.chainStart);
  }
}
