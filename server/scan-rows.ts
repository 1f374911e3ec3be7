/**
 * A scan's rows: from its partitions to settled merges, a step at a time.
 *
 *   asking → (answer) → gathering → rows → asking …        each arrow is one `advance`, a bounded amount of work
 *
 * I1  Every partition is read once, in order, each at one moment between the scan's start and its end: what its view sees
 *     then (storage/read-view.ts; an as-of view sees the same at any moment). Rows that are taken are not seen again, none is left out.
 * I2  While rows of a step are being taken, the shard is asked for the next one: at most one question is in flight.
 * I3  `release` at any time: memory and snapshot are given back, an answer that still comes is ignored, and the next
 *     `advance` goes on behind the last row taken, with the partition's state at that time.
 * I4  When blocks come slowly, as they do from a device, those of the next `advance` are fetched by other threads first, many at
 *     once; when they then come fast, they are read directly again.
 *
 * Left to others: what becomes of the rows and when (scan-stream.ts), what a step reads (storage/snapshot.ts).
 */
import { strict as assert } from 'node:assert';
import {
  type ReadView,
  type RowCursor,
  type SnapshotReader,
  type SnapshotStep,
  VersionMerge,
} from '../storage/index.ts';
import {
  SCAN_FETCH_FAST_MICROS,
  SCAN_READ_PAGES_MIN,
  SCAN_READ_SLOW_MICROS,
  SCAN_RETRIES_MAX,
  SCAN_RETRY_DELAY_MS,
} from './scan-limits.ts';
import type { BufferedVersions, BufferedVersionsDone, ShardPeer } from './scan-peer.ts';
import { ServerError } from './server-error.ts';

/** Rows can be taken; there is more to do at once; an answer is waited for; there are no more rows. */
export type ScanProgress = 'rows' | 'more' | 'waiting' | 'end';

/** What the scans of a thread read from, and how they wait. */
export interface ScanSource {
  readonly reader: SnapshotReader;
  readonly peer: Pick<ShardPeer, 'ask' | 'report'>;
  readonly nowMicros: () => number;
  readonly after: (delayMs: number, run: () => void) => () => void;
}

interface Question {
  /** The partitions asked for: `[from, to)` of the scan's. */
  readonly from: number;
  readonly to: number;
  answer: BufferedVersions | undefined;
  error: Error | undefined;
}

export class ScanRows {
  readonly merge: VersionMerge = new VersionMerge();
  /** The next row to be taken, of `merge`'s. */
  row = 0;
  readonly #source: ScanSource;
  readonly #groupId: number;
  readonly #partitions: Uint16Array;
  readonly #view: ReadView;
  readonly #wake: () => void;
  #question: Question | undefined;
  #retries = 0;
  #step: SnapshotStep | undefined;
  /** Blocks are fetched before they are read. */
  #isFetching = false;
  /** What the next `advance` reads: not asked for, on its way, there. */
  #ahead: 'unknown' | 'awaited' | 'fetched' = 'unknown';
  /** Where the step at hand, or the next one, begins. */
  #position = 0;
  /** Where the step at hand ends: known when its rows are there. */
  #stepEnd = 0;
  /** The last row taken of the partition at `#position`, if the scan was released within it. */
  #cursor: RowCursor | undefined;

  /** `wake` is called when `advance` would no longer answer 'waiting'. */
  constructor(
    source: ScanSource,
    groupId: number,
    partitions: Uint16Array,
    view: ReadView,
    wake: () => void,
  ) {
    this.#view = view;
    this.#source = source;
    this.#groupId = groupId;
    this.#partitions = partitions;
    this.#wake = wake;
  }

  /** Partitions of which all rows were taken. */
  get partitionsDone(): number {
    return this.row < this.merge.count ? this.#position : this.#stepEnd;
  }

  advance(): ScanProgress {
    if (this.row < this.merge.count) return 'rows';
    if (this.#step !== undefined) return this.#gather(this.#step);
    if (this.#position !== this.#stepEnd) this.#cursor = undefined;
    this.#position = this.#stepEnd;
    if (this.#position === this.#partitions.length) return 'end';
    this.#question ??= this.#ask(this.#position);
    const { answer, error } = this.#question;
    if (error !== undefined) throw error;
    return answer === undefined ? 'waiting' : this.#open(this.#question, answer);
  }

  release(): void {
    const { merge } = this;
    this.#question = undefined;
    this.#step?.close();
    this.#step = undefined;
    this.#ahead = 'unknown';
    if (this.row < merge.count && this.row > 0) {
      const cursor = merge.cursorAt(this.row - 1);
      this.#position = this.#partitions.indexOf(cursor.partition, this.#position);
      assert(this.#position >= 0, 'rows are of the partitions that were asked for');
      this.#cursor = cursor;
    } else if (this.row === merge.count) {
      this.#position = this.#stepEnd;
    }
    this.#stepEnd = this.#position;
    this.row = 0;
    merge.release();
  }

  #ask(from: number): Question {
    const { reader, peer } = this.#source;
    const to = from + reader.plan(this.#groupId, this.#partitions, from);
    const question: Question = { from, to, answer: undefined, error: undefined };
    const answered: BufferedVersionsDone = (error, answer) => {
      question.error = error ?? undefined;
      question.answer = answer ?? undefined;
      if (this.#question === question) this.#wake();
    };
    const readPointMicros = this.#view.bounds?.readPointMicros ?? null;
    peer.ask(this.#groupId, this.#partitions.subarray(from, to), answered, readPointMicros);
    return question;
  }

  #open(question: Question, answer: BufferedVersions): ScanProgress {
    this.#question = undefined;
    const { reader } = this.#source;
    const partitions = this.#partitions.subarray(question.from, question.to);
    this.#step = reader.open(
      answer.flushNumber,
      this.#groupId,
      partitions,
      answer.bytes,
      this.merge,
      this.#view,
    );
    if (this.#step !== undefined) {
      this.#retries = 0;
      return 'more';
    }
    this.#retries += 1;
    if (this.#retries > SCAN_RETRIES_MAX) {
      throw new ServerError(
        'INTERNAL',
        `the store is at another flush than the shard's ${answer.flushNumber}`,
      );
    }
    // The first time the answer was an old one, asked for ahead; after that a flush is just being finished.
    if (this.#retries === 1) return 'more';
    this.#source.after(SCAN_RETRY_DELAY_MS, this.#wake);
    return 'waiting';
  }

  #gather(step: SnapshotStep): ScanProgress {
    if (this.#isFetching && this.#ahead !== 'fetched') {
      if (this.#ahead === 'unknown') this.#fetchAhead(step);
      return 'waiting';
    }
    this.#ahead = 'unknown';
    const { nowMicros } = this.#source;
    const startMicros = nowMicros();
    const pagesBefore = step.pages;
    const isGathered = step.advance();
    const pages = step.pages - pagesBefore;
    if (pages >= SCAN_READ_PAGES_MIN && nowMicros() - startMicros > pages * SCAN_READ_SLOW_MICROS) {
      this.#isFetching = true;
    }
    if (!isGathered) return 'more';
    this.#step = undefined;
    this.#stepEnd = this.#position + step.partitionCount;
    this.merge.finish(step.partitionCount, Math.floor(this.#source.nowMicros() / 1e6));
    this.row = this.#cursor === undefined ? 0 : this.merge.rowsThrough(this.#cursor);
    if (this.#stepEnd < this.#partitions.length) this.#question = this.#ask(this.#stepEnd);
    return 'more';
  }

  #fetchAhead(step: SnapshotStep): void {
    this.#ahead = 'awaited';
    const { reader, nowMicros } = this.#source;
    const keys = step.ahead();
    const startMicros = nowMicros();
    void reader.prefetch(keys).then(() => {
      // Released meanwhile, and perhaps gone on with.
      if (this.#step !== step || this.#ahead !== 'awaited') return;
      if (nowMicros() - startMicros < keys.length * SCAN_FETCH_FAST_MICROS) this.#isFetching = false;
      this.#ahead = 'fetched';
      this.#wake();
    });
  }
}
