/**
 * Bytes on disk for each live byte, over time, under a steady load of random overwrites on one shard.
 *
 * All rows are written once; then rows drawn at random are overwritten as fast as the shard takes them. No history is kept, so
 * the live data are the rows, of 256 bytes each. On disk are the blocks' file, free pages and all, and the journal. The plot is
 * written to docs/.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  type Benchmark,
  type BenchmarkContext,
  type BenchmarkResult,
  type Table,
  withDirectory,
} from './benchmark.ts';
import { plotSvg } from './line-plot.ts';
import { formatCount } from './statistics.ts';
import { ROW_BYTES, StoreLoad } from './store-load.ts';

const ROWS = 3_000_000;
const ROWS_QUICK = 100_000;
const SECONDS = 100;
const SECONDS_QUICK = 5;
const BUFFER_BYTES = 64 * 2 ** 20;
const BUFFER_BYTES_QUICK = 4 * 2 ** 20;
const SAMPLE_MS = 500;
const GOAL = 2.5;
const TURN_MS_GOAL = 5;
const MIB = 2 ** 20;
const PLOT = fileURLToPath(new URL('../../docs/space-amplification.svg', import.meta.url));

interface Sample {
  readonly seconds: number;
  readonly fileBytes: number;
  readonly journalBytes: number;
  readonly levelZeroBytes: number;
  readonly levelOneBytes: number;
  readonly rowsWritten: number;
}

async function measure(
  directory: string,
  rows: number,
  seconds: number,
  bufferBytes: number,
  context: BenchmarkContext,
): Promise<{ samples: Sample[]; load: StoreLoad; compactedBytes: number; sweeps: number }> {
  const load = new StoreLoad({ directory, writeBufferBytes: bufferBytes, groupCount: 1, rowCount: rows });
  await load.open();
  await load.fill();
  context.say(`${formatCount(rows)} rows are there`);
  const filled = load.rowsWritten;
  const started = performance.now();
  const samples: Sample[] = [];
  const sample = (): void => {
    const { blockFileBytes, journalBytes, levelZeroBytes, levelOneBytes } = load.store.status();
    samples.push({
      seconds: (performance.now() - started) / 1000,
      fileBytes: blockFileBytes,
      journalBytes,
      levelZeroBytes,
      levelOneBytes,
      rowsWritten: load.rowsWritten - filled,
    });
  };
  const timer = setInterval(sample, SAMPLE_MS);
  load.longestTurnMs = 0;
  await load.overwrite(Infinity, () => performance.now() - started >= seconds * 1000);
  clearInterval(timer);
  sample();
  const { compactedBytes, sweeps } = load.store.status();
  await load.store.close();
  return { samples, load, compactedBytes, sweeps };
}

function ratioOf(sample: Sample, liveBytes: number): number {
  return (sample.fileBytes + sample.journalBytes) / liveBytes;
}

function plotOf(samples: readonly Sample[], liveBytes: number): string {
  const timesLive = (pick: (sample: Sample) => number): number[] =>
    samples.map((sample) => pick(sample) / liveBytes);
  return plotSvg({
    title: 'Bytes on disk under random overwrites',
    unit: 'times the live data',
    times: samples.map((sample) => sample.seconds),
    lines: [
      {
        name: 'file and journal',
        colour: '#b03030',
        values: samples.map((sample) => ratioOf(sample, liveBytes)),
      },
      { name: 'level 1', colour: '#3060a0', values: timesLive((sample) => sample.levelOneBytes) },
      { name: 'level 0', colour: '#308040', values: timesLive((sample) => sample.levelZeroBytes) },
    ],
  });
}

function overTime(samples: readonly Sample[], liveBytes: number): Table {
  const every = Math.ceil(samples.length / 10);
  const picked = samples.filter((_sample, i) => i % every === 0 || i === samples.length - 1);
  const mib = (bytes: number): string => (bytes / MIB).toFixed(0);
  return {
    title: 'Over time',
    columns: [
      'seconds',
      'rows overwritten',
      'file MiB',
      'journal MiB',
      'level 0 MiB',
      'level 1 MiB',
      'times live',
    ],
    rows: picked.map((sample) => [
      sample.seconds.toFixed(0),
      formatCount(sample.rowsWritten),
      mib(sample.fileBytes),
      mib(sample.journalBytes),
      mib(sample.levelZeroBytes),
      mib(sample.levelOneBytes),
      ratioOf(sample, liveBytes).toFixed(2),
    ]),
  };
}

export const spaceAmplification: Benchmark = (context) =>
  withDirectory(async (directory): Promise<BenchmarkResult> => {
    const [rows, seconds, bufferBytes] = context.isQuick
      ? [ROWS_QUICK, SECONDS_QUICK, BUFFER_BYTES_QUICK]
      : [ROWS, SECONDS, BUFFER_BYTES];
    const { samples, load, compactedBytes, sweeps } = await measure(
      directory,
      rows,
      seconds,
      bufferBytes,
      context,
    );
    const liveBytes = rows * ROW_BYTES;
    const worst = Math.max(...samples.map((sample) => ratioOf(sample, liveBytes)));
    const last = samples.at(-1) as Sample;
    if (!context.isQuick) writeFileSync(PLOT, plotOf(samples, liveBytes));
    return {
      name: 'space-amplification',
      title: 'Space under random overwrites',
      setup: [
        `One shard with ${formatCount(rows)} rows of ${ROW_BYTES} bytes (${(liveBytes / MIB).toFixed(0)} MiB live), no history; ` +
          `rows drawn at random are overwritten for ${seconds} s as fast as they are taken, write buffer ${bufferBytes / MIB} MiB.`,
        'On disk: the blocks’ file with its free pages, and the journal. The plot is [space-amplification.svg](space-amplification.svg).',
      ],
      tables: [
        overTime(samples, liveBytes),
        {
          title: 'In all',
          columns: ['rows/s', 'sweeps', 'compacted bytes a byte written', 'longest turn ms'],
          rows: [
            [
              formatCount(last.rowsWritten / last.seconds),
              String(sweeps),
              (compactedBytes / ((last.rowsWritten + rows) * ROW_BYTES)).toFixed(2),
              load.longestTurnMs.toFixed(1),
            ],
          ],
        },
      ],
      goals: [
        {
          what: 'bytes on disk a live byte, at worst',
          measured: worst,
          goal: GOAL,
          unit: 'x',
          lowerIsBetter: true,
        },
        {
          what: 'longest turn of flush, commit and compaction',
          measured: load.longestTurnMs,
          goal: TURN_MS_GOAL,
          unit: 'ms',
          lowerIsBetter: true,
        },
      ],
    };
  });
