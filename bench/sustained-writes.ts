/**
 * Rows a second that a shard takes for good, compaction included: with one feature group, and with a hundred.
 *
 * The same rows are written once and then overwritten at random, and the clock stops only when everything written is flushed and
 * a sweep has gone over it: nothing is left for later. With a hundred groups a hundred times as many units share the bytes.
 */
import { type Benchmark, type BenchmarkContext, type BenchmarkResult, withDirectory } from './benchmark.ts';
import { formatCount } from './statistics.ts';
import { ROW_BYTES, StoreLoad } from './store-load.ts';

const ROWS = 2_000_000;
const ROWS_QUICK = 60_000;
/** Overwrites beside the rows themselves. */
const OVERWRITES = 4_000_000;
const OVERWRITES_QUICK = 120_000;
const BUFFER_BYTES = 64 * 2 ** 20;
const BUFFER_BYTES_QUICK = 4 * 2 ** 20;
const GROUP_COUNTS = [1, 100];
const GOAL = 0.5;

interface Run {
  readonly groupCount: number;
  readonly rowsPerSecond: number;
  readonly cpuMicrosPerRow: number;
  readonly writeRatio: number;
  readonly fileRatio: number;
  readonly longestTurnMs: number;
}

async function measure(groupCount: number, context: BenchmarkContext): Promise<Run> {
  const [rows, overwrites, writeBufferBytes] = context.isQuick
    ? [ROWS_QUICK, OVERWRITES_QUICK, BUFFER_BYTES_QUICK]
    : [ROWS, OVERWRITES, BUFFER_BYTES];
  return withDirectory(async (directory) => {
    const load = new StoreLoad({ directory, writeBufferBytes, groupCount, rowCount: rows });
    await load.open();
    const started = performance.now();
    const cpu = process.cpuUsage();
    await load.fill();
    await load.overwrite(overwrites);
    await load.store.flush();
    await load.store.compact();
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const { compactedBytes, blockFileBytes } = load.store.status();
    await load.store.close();
    const run = {
      groupCount,
      rowsPerSecond: load.rowsWritten / seconds,
      cpuMicrosPerRow: (user + system) / load.rowsWritten,
      writeRatio: compactedBytes / (load.rowsWritten * ROW_BYTES),
      fileRatio: blockFileBytes / (rows * ROW_BYTES),
      longestTurnMs: load.longestTurnMs,
    };
    context.say(`${groupCount} groups: ${formatCount(run.rowsPerSecond)} rows/s`);
    return run;
  });
}

export const sustainedWrites: Benchmark = async (context): Promise<BenchmarkResult> => {
  const runs: Run[] = [];
  for (const groupCount of GROUP_COUNTS) runs.push(await measure(groupCount, context));
  const [one, hundred] = runs as [Run, Run];
  return {
    name: 'sustained-writes',
    title: 'Sustained writes, compaction included',
    setup: [
      `One shard with all 4096 partitions; ${formatCount(context.isQuick ? ROWS_QUICK : ROWS)} rows of ${ROW_BYTES} bytes, then twice as many overwrites of rows ` +
        'drawn at random, durable, in batches of 500; the clock stops when all of it is flushed and compacted.',
    ],
    tables: [
      {
        title: 'By feature groups',
        columns: [
          'groups',
          'rows/s',
          'CPU µs a row',
          'compacted bytes a byte written',
          'file / live',
          'longest turn ms',
        ],
        rows: runs.map((run) => [
          String(run.groupCount),
          formatCount(run.rowsPerSecond),
          run.cpuMicrosPerRow.toFixed(2),
          run.writeRatio.toFixed(2),
          run.fileRatio.toFixed(2),
          run.longestTurnMs.toFixed(1),
        ]),
      },
    ],
    goals: [
      {
        what: 'rows/s with 100 groups against one',
        measured: hundred.rowsPerSecond / one.rowsPerSecond,
        goal: GOAL,
        unit: 'x',
      },
    ],
  };
};
