/**
 * `npm run bench -- [NAME …] [--quick] [--write]`: measures, prints the tables, keeps the numbers.
 *
 * Without a name all are run, one after another. Each result is stored as bench/results/NAME.json. `--write` also puts
 * all stored results into docs/benchmarks.md; `--quick` is a short run that shows that everything works, and is neither
 * stored nor written. The exit status is 1 when a benchmark failed, not when a goal was missed: a goal is judged by
 * who knows how quiet the machine was.
 */

import type { Benchmark, BenchmarkResult } from './benchmark.ts';
import { bulkLoad } from './bulk-load.ts';

import { coldReads } from './cold-reads.ts';

import { durablePuts } from './durable-puts.ts';
import { erase } from './erase.ts';

import { indexMemory } from './index-memory.ts';
import { describeMachine } from './machine.ts';
import { matrix } from './matrix.ts';
import { readInterference } from './read-interference.ts';
import { markdownOf, type StoredResult, storedResults, storeResult, writeDocuments } from './report.ts';
import { restart } from './restart.ts';
import { restartLarge } from './restart-large.ts';
import { scan } from './scan.ts';
import { scanEncode } from './scan-encode.ts';
import { singleGet } from './single-get.ts';
import { spaceAmplification } from './space-amplification.ts';
import { sustainedWrites } from './sustained-writes.ts';

const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map([
  ['matrix', matrix],
  ['single-get', singleGet],
  ['bulk-load', bulkLoad],
  ['durable-puts', durablePuts],
  ['scan', scan],
  ['scan-encode', scanEncode],
  ['cold-reads', coldReads],
  ['read-interference', readInterference],
  ['erase', erase],
  ['restart', restart],
  ['restart-large', restartLarge],
  ['index-memory', indexMemory],
  ['space-amplification', spaceAmplification],
  ['sustained-writes', sustainedWrites],
]);

async function runOne(name: string, benchmark: Benchmark, isQuick: boolean): Promise<boolean> {
  console.error(`\n${name}`);
  let result: BenchmarkResult;
  try {
    result = await benchmark({ isQuick, say: (text) => console.error(`  ${text}`) });
  } catch (error) {
    console.error(error);
    return false;
  }
  const stored: StoredResult = { machine: describeMachine(), result };
  if (!isQuick) storeResult(stored);
  console.log(`\n${markdownOf(stored)}`);
  return true;
}

const args = process.argv.slice(2);
const isQuick = args.includes('--quick');
const names = args.filter((arg) => !arg.startsWith('--'));
const unknown = [
  ...names.filter((name) => !BENCHMARKS.has(name)),
  ...args.filter((arg) => arg.startsWith('--') && !['--quick', '--write'].includes(arg)),
];
if (unknown.length > 0) {
  console.error(
    `unknown: ${unknown.join(' ')}\nusage: npm run bench -- [${[...BENCHMARKS.keys()].join('|')}] [--quick] [--write]`,
  );
  process.exit(2);
}

let failures = 0;
for (const [name, benchmark] of BENCHMARKS) {
  if (names.length > 0 && !names.includes(name)) continue;
  if (!(await runOne(name, benchmark, isQuick))) failures++;
}
if (args.includes('--write') && !isQuick) writeDocuments(storedResults());
process.exit(failures === 0 ? 0 : 1);
