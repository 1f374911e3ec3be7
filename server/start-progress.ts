/**
 * Shows how far a starting node is: one line that is rewritten on a terminal, a line a phase elsewhere.
 *
 * Nothing is shown for what takes less than a moment.
 */
import type { WorkerProgress } from './supervisor.ts';

/** What of a stream is used here. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Below this a start is not worth a line. */
const QUIET_MS = 500;
/** A line is rewritten at most so often. */
const REFRESH_MS = 100;

export class StartProgress {
  readonly #stream: ProgressStream;
  readonly #startedAtMs: number = performance.now();
  readonly #steps: Map<string, WorkerProgress> = new Map();
  #shownAtMs = 0;
  #shownPhase = '';
  #width = 0;

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  show(step: WorkerProgress): void {
    this.#steps.set(step.worker, step);
    const nowMs = performance.now();
    if (nowMs - this.#startedAtMs < QUIET_MS || nowMs - this.#shownAtMs < REFRESH_MS) return;
    const line = this.#line(step.phase);
    if (this.#stream.isTTY === true) {
      this.#stream.write(`\r${line.padEnd(this.#width)}`);
      this.#width = line.length;
    } else if (step.phase !== this.#shownPhase) {
      this.#stream.write(`${line}\n`);
    }
    this.#shownAtMs = nowMs;
    this.#shownPhase = step.phase;
  }

  end(): void {
    if (this.#width > 0) this.#stream.write(`\r${' '.repeat(this.#width)}\r`);
  }

  /** All workers in this phase, summed. */
  #line(phase: string): string {
    let done = 0;
    let total = 0;
    for (const step of this.#steps.values()) {
      if (step.phase !== phase) continue;
      done += step.done;
      total += step.total;
    }
    const part = total > 0 ? ` ${Math.min(100, Math.floor((100 * done) / total))}%` : '';
    return `starting: reading ${phase}${part}`;
  }
}
