/** How far a pass over a shard's blocks has come: a bar on a terminal, a line every few seconds elsewhere. */
import { SingleBar } from 'cli-progress';
import { formatBytes } from './figures.ts';
import type { ProgressStream } from './scan-progress.ts';

/** A log of a long pass stays short. */
const PLAIN_INTERVAL_MS = 5000;

export class WorkProgress {
  readonly #stream: ProgressStream;
  readonly #nowMs: () => number;
  readonly #bar: SingleBar | undefined;
  #label = '';
  #shownMs: number;

  constructor(stream: ProgressStream & NodeJS.WritableStream, nowMs: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#nowMs = nowMs;
    this.#shownMs = nowMs();
    if (stream.isTTY !== true) return;
    this.#bar = new SingleBar({
      stream,
      clearOnComplete: true,
      format: '{label} |{bar}| {percentage}%, {eta_formatted} left',
      hideCursor: true,
    });
  }

  begin(label: string): void {
    this.#label = label;
    this.#bar?.start(1, 0, { label });
  }

  show(doneBytes: number, totalBytes: number): void {
    this.#bar?.setTotal(Math.max(totalBytes, doneBytes));
    this.#bar?.update(doneBytes);
    const nowMs = this.#nowMs();
    if (this.#bar !== undefined || nowMs - this.#shownMs < PLAIN_INTERVAL_MS) return;
    this.#shownMs = nowMs;
    this.#stream.write(`${this.#label}: ${formatBytes(doneBytes)} of about ${formatBytes(totalBytes)}\n`);
  }

  end(): void {
    this.#bar?.stop();
  }
}
