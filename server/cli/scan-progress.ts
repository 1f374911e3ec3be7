/**
 * How far a scan has come: one line that is rewritten on a terminal, a line every few seconds elsewhere.
 *
 * A scan does not know how many rows there will be (expired and deleted ones do not come), so there is no bar.
 */
import { formatBytes, formatCount } from './figures.ts';

/** What of a stream is used here. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const REFRESH_MS = 100;
/** A log of a long scan stays short. */
const PLAIN_INTERVAL_MS = 5000;

export class ScanProgress {
  rows = 0;
  private bytes = 0;
  private readonly stream: ProgressStream;
  private readonly name: string;
  private readonly isRewritten: boolean;
  private readonly nowMs: () => number;
  private readonly startedMs: number;
  private endedMs: number | undefined;
  private shownMs: number;
  private width = 0;

  constructor(
    stream: ProgressStream,
    name: string,
    isPlain: boolean,
    nowMs: () => number = () => performance.now(),
  ) {
    this.stream = stream;
    this.name = name;
    this.isRewritten = stream.isTTY === true && !isPlain;
    this.nowMs = nowMs;
    this.startedMs = nowMs();
    this.shownMs = this.startedMs;
  }

  add(rows: number, bytes: number): void {
    this.rows += rows;
    this.bytes += bytes;
    const now = this.nowMs();
    if (now - this.shownMs < (this.isRewritten ? REFRESH_MS : PLAIN_INTERVAL_MS)) return;
    this.shownMs = now;
    const rate = formatCount((this.rows * 1000) / (now - this.startedMs));
    const line = `${this.name}: ${formatCount(this.rows)} rows, ${formatBytes(this.bytes)}, ${rate} rows/s`;
    this.stream.write(this.isRewritten ? `\r${line.padEnd(this.width)}` : `${line}\n`);
    this.width = line.length;
  }

  /** Stops the clock and takes the rewritten line away. */
  end(): void {
    this.endedMs ??= this.nowMs();
    if (this.isRewritten && this.width > 0) this.stream.write(`\r${' '.repeat(this.width)}\r`);
    this.width = 0;
  }

  get seconds(): number {
    return Math.max((this.endedMs ?? this.nowMs()) - this.startedMs, 0.001) / 1000;
  }
}
