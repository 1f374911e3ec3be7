/**
 * Results as a person reads them: Markdown tables, for the terminal and for docs/benchmarks.md.
 *
 * docs/benchmarks.md and the README are written by hand but for the lines between two markers, which this file writes:
 * figures are never typed, so each is one that a command printed.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type BenchmarkResult, type Goal, isMet, type Table } from './benchmark.ts';
import type { Machine } from './machine.ts';
import { formatCount, formatRatio } from './statistics.ts';

const RESULTS_DIRECTORY = fileURLToPath(new URL('../../bench/results/', import.meta.url));
const DOCUMENT = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));
const README = fileURLToPath(new URL('../../README.md', import.meta.url));
const MARK_BEGIN = '<!-- figures: written by npm run bench -- --write -->';
const MARK_END = '<!-- end of figures -->';

export interface StoredResult {
  machine: Machine;
  result: BenchmarkResult;
}

export function storeResult(stored: StoredResult): void {
  mkdirSync(RESULTS_DIRECTORY, { recursive: true });
  writeFileSync(`${RESULTS_DIRECTORY}${stored.result.name}.json`, `${JSON.stringify(stored, null, 2)}\n`);
}

export function storedResults(): StoredResult[] {
  if (!existsSync(RESULTS_DIRECTORY)) return [];
  return readdirSync(RESULTS_DIRECTORY)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(RESULTS_DIRECTORY + file, 'utf8')) as StoredResult);
}

function tableOf({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = columns.map((_, index) => (index === 0 ? '---' : '---:'));
  return [`*${title}*`, '', line(columns), line(rule), ...rows.map(line)].join('\n');
}

function formatFigure(value: number, unit: string): string {
  if (unit === 'x') return formatRatio(value);
  if (unit === 's') return `${value.toFixed(2)} s`;
  return `${formatCount(value)} ${unit}`;
}

function goalRow(goal: Goal): string[] {
  const wanted = `${goal.lowerIsBetter === true ? '≤' : '≥'} ${formatFigure(goal.goal, goal.unit)}`;
  return [goal.what, formatFigure(goal.measured, goal.unit), wanted, isMet(goal) ? 'met' : '**missed**'];
}

export function markdownOf({ machine, result }: StoredResult): string {
  const parts = [
    `## ${result.title}`,
    result.setup.join(' '),
    `\`npm run bench -- ${result.name}\`, ${machine.date}, ${machine.cpu}, ${machine.cores} cores, ` +
      `${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node}, Millrace ${machine.millrace}.`,
    ...result.tables.map(tableOf),
  ];
  if (result.goals.length > 0) {
    parts.push(
      tableOf({ title: 'Goals', columns: ['what', 'measured', 'goal', ''], rows: result.goals.map(goalRow) }),
    );
  }
  return parts.join('\n\n');
}

/** The goals alone, for the README: what a reader wants to know in half a minute. */
function summaryOf(results: readonly StoredResult[]): string {
  const machine = results[0]!.machine;
  const rows = results.flatMap(({ result }) =>
    result.goals.map((goal) => [...goalRow(goal), `\`${result.name}\``]),
  );
  return [
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; one shard, Redis beside it in the same run; ` +
      '`npm run bench -- NAME` measures it again.',
    [
      '| what | measured | goal | | NAME |',
      '|---|---:|---:|---|---|',
      ...rows.map((row) => `| ${row.join(' | ')} |`),
    ].join('\n'),
  ].join('\n\n');
}

function replaceFigures(path: string, figures: string): void {
  const text = readFileSync(path, 'utf8');
  const begin = text.indexOf(MARK_BEGIN);
  const end = text.indexOf(MARK_END);
  if (begin < 0 || end < begin)
    throw new Error(`${path} has lost its lines "${MARK_BEGIN}" and "${MARK_END}"`);
  writeFileSync(path, `${text.slice(0, begin)}${MARK_BEGIN}\n\n${figures}\n\n${text.slice(end)}`);
}

/** Replaces the figures in docs/benchmarks.md and in the README by those of `results`. */
export function writeDocuments(results: readonly StoredResult[]): void {
  if (results.length === 0) throw new Error('there are no results to write: run npm run bench first');
  replaceFigures(DOCUMENT, results.map(markdownOf).join('\n\n'));
  replaceFigures(README, summaryOf(results));
}
