/**
 * Shows how far a long work has come: a bar on a terminal, a line every few seconds otherwise.
 *
 * Promises: everything goes to the given stream (stderr in the commands), so that stdout stays the result; a stream that is no
 * terminal, or `isPlain`, gets whole lines without control characters; the rate and the time left are averages since the start.
 */
import { SingleBar } from 'cli-progress';
import { formatBytes, formatCount, formatDuration, formatRate } from './format.ts';
import { PLAIN_PROGRESS_INTERVAL_MS } from './limits.ts';

/** What is written to: process.stderr, or a list of lines in a test. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** What is being done, at the start of the line: `flight`. */
  readonly label: string;
  /** Rows in all, or bytes where rows are not known; 0 when neither is. */
  readonly total: number;
  readonly unit: 'rows' | 'bytes';
  readonly stream: ProgressStream;
  readonly isPlain: boolean;
  /** Rows that an earlier attempt did: they count as done, not for the rate. */
  readonly rowsBefore?: number;
  readonly nowMs?: () => number;
}

export class Progress {
  private readonly options: ProgressOptions;
  private readonly nowMs: () => number;
  private readonly startedMs: number;
  private readonly bar: SingleBar | undefined;
  private lineMs: number;
  private rows = 0;
  private done = 0;

  constructor(options: ProgressOptions) {
    this.options = options;
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.startedMs = this.nowMs();
    this.lineMs = this.startedMs;
    if (options.stream.isTTY !== true || options.isPlain) return;
    this.bar = new SingleBar({
      format: '{label} {bar} {percentage}%  {rows} rows  {rate} rows/s  {left}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 28,
      hideCursor: true,
      gracefulExit: false,
      stream: options.stream as NodeJS.WritableStream,
    });
    this.bar.start(Math.max(options.total, 1), 0, { label: options.label, rows: '0', rate: '–', left: '' });
  }

  /** `rows` are done in all, which is `done` of the total in its unit. */
  update(rows: number, done: number): void {
    this.rows = rows;
    this.done = done;
    if (this.bar !== undefined) {
      this.bar.update(done, { rows: formatCount(rows), rate: this.rate(), left: this.timeLeft() });
      return;
    }
    const now = this.nowMs();
    if (now - this.lineMs < PLAIN_PROGRESS_INTERVAL_MS) return;
    this.lineMs = now;
    const { label, total, unit } = this.options;
    const ofTotal = total === 0 ? '' : ` of ${unit === 'rows' ? formatCount(total) : formatBytes(total)}`;
    const amount = unit === 'rows' ? '' : ` (${formatBytes(done)}${ofTotal})`;
    const left = this.timeLeft();
    const parts = [
      `${formatCount(rows)}${unit === 'rows' ? ofTotal : ''} rows${amount}`,
      `${this.rate()} rows/s`,
    ];
    this.options.stream.write(`${label}: ${[...parts, ...(left === '' ? [] : [left])].join(', ')}\n`);
  }

  /** Ends the bar; what was reached stays on the screen. */
  stop(): void {
    this.bar?.stop();
  }

  /** Seconds since the start. */
  seconds(): number {
    return (this.nowMs() - this.startedMs) / 1000;
  }

  private rate(): string {
    return formatRate(this.rows - (this.options.rowsBefore ?? 0), this.seconds());
  }

  private timeLeft(): string {
    const { total } = this.options;
    const share = total === 0 ? 0 : this.done / total;
    const before = this.options.rowsBefore ?? 0;
    if (share === 0 || share >= 1 || this.rows <= before) return '';
    // What was done before does not tell how fast this attempt is: scale by the rows done in it.
    const shareOfThis = share * (1 - before / this.rows);
    return `ETA ${formatDuration((this.seconds() * (1 - share)) / shareOfThis)}`;
  }
}
