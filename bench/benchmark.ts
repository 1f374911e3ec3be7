/**
 * What a benchmark is: a name, what it needs, and a result that says its numbers and the goals they are held to.
 *
 * A benchmark prints nothing but progress, by `say`, and leaves everything it started stopped and everything it wrote
 * removed. Its result is data: run.ts stores it, and report.ts makes the tables of it.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Goal {
  what: string;
  measured: number;
  goal: number;
  /** How the two numbers are to be read: `x` for a ratio, `rows/s`, `s`. */
  unit: string;
  /** A time is to stay below its goal; everything else is to reach it. */
  lowerIsBetter?: boolean;
}

export interface Table {
  title: string;
  columns: string[];
  rows: string[][];
}

export interface BenchmarkResult {
  name: string;
  title: string;
  /** Sentences: what was measured, how, and what was set on either side. */
  setup: string[];
  tables: Table[];
  goals: Goal[];
}

export interface BenchmarkContext {
  /** True: small and short, to see that everything works; the numbers mean nothing. */
  isQuick: boolean;
  say(text: string): void;
}

export type Benchmark = (context: BenchmarkContext) => Promise<BenchmarkResult>;

export function isMet(goal: Goal): boolean {
  return goal.lowerIsBetter === true ? goal.measured <= goal.goal : goal.measured >= goal.goal;
}

/** Runs `body` with a directory of its own and removes that whatever happens. */
export async function withDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    return await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
