/**
 * How far a long piece of work has come: a bar that is rewritten on a terminal, a line every few seconds elsewhere.
 */
import { formatBytes } from './figures.ts';
import type { ProgressStream } from './scan-progress.ts';

const REFRESH_MS = 100;
/** A log of long work stays short. */
const PLAIN_INTERVAL_MS = 5000;
const BAR_WIDTH = 28;

export class ProgressBar {
  private readonly stream: ProgressStream;
  private readonly isRewritten: boolean;
  private readonly nowMs: () => number;
  private readonly startedMs: number;
  private shownMs: number;
  private width = 0;

  constructor(stream: ProgressStream, isPlain: boolean, nowMs: () => number = () => performance.now()) {
    this.stream = stream;
    this.isRewritten = stream.isTTY === true && !isPlain;
    this.nowMs = nowMs;
    this.startedMs = nowMs();
    this.shownMs = this.startedMs;
  }

  /** `part` of the work of `name` is done, from 0 to 1, and `bytes` in all. */
  show(name: string, part: number, bytes: number): void {
    const now = this.nowMs();
    if (now - this.shownMs < (this.isRewritten ? REFRESH_MS : PLAIN_INTERVAL_MS)) return;
    this.shownMs = now;
    const share = Math.min(1, Math.max(0, part));
    const filled = Math.round(share * BAR_WIDTH);
    const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
    const rate = formatBytes(Math.round((bytes * 1000) / Math.max(1, now - this.startedMs)));
    const line = `${name} ${bar} ${String(Math.floor(share * 100)).padStart(3)}%  ${formatBytes(bytes)}, ${rate}/s`;
    this.stream.write(this.isRewritten ? `\r${line.padEnd(this.width)}` : `${line}\n`);
    this.width = line.length;
  }

  /** Takes the rewritten line away. */
  end(): void {
    if (this.isRewritten && this.width > 0) this.stream.write(`\r${' '.repeat(this.width)}\r`);
    this.width = 0;
  }

  get seconds(): number {
    return Math.max(this.nowMs() - this.startedMs, 1) / 1000;
  }
}
