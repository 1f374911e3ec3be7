/** What turn-recorder.cts has written about a shard's turns, for stretches of the run. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const RECORDER = fileURLToPath(new URL('./turn-recorder.cjs', import.meta.url));

export interface Turns {
  count: number;
  /** The longest turn's CPU time. */
  ownMaxMs: number;
  /** The longest standstill of the loop, waits for a core left out. */
  stillMaxMs: number;
  /** Turns that stood still for more than 5 ms. */
  over5: number;
  /** The longest garbage collection, on the wall clock. */
  gcMaxMs: number;
}

interface Line extends Turns {
  at: number;
  turns: number;
}

/** The environment of a server whose turns are to be recorded in `file`. */
export function recordTurns(file: string): Record<string, string> {
  return { MILLRACE_TURNS_FILE: file, NODE_OPTIONS: `--require ${RECORDER}` };
}

/** Of the lines written in [fromMs, toMs], on the wall clock. */
export function turnsBetween(file: string, fromMs: number, toMs: number): Turns {
  const sum: Turns = { count: 0, ownMaxMs: 0, stillMaxMs: 0, over5: 0, gcMaxMs: 0 };
  if (!existsSync(file)) return sum;
  for (const text of readFileSync(file, 'utf8').split('\n')) {
    if (text === '') continue;
    const line = JSON.parse(text) as Line;
    if (line.at < fromMs || line.at > toMs) continue;
    sum.count += line.turns;
    sum.ownMaxMs = Math.max(sum.ownMaxMs, line.ownMaxMs);
    sum.stillMaxMs = Math.max(sum.stillMaxMs, line.stillMaxMs);
    sum.over5 += line.over5;
    sum.gcMaxMs = Math.max(sum.gcMaxMs, line.gcMaxMs);
  }
  return sum;
}
