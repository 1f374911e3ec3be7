/**
 * Reads while the node is busy with its own: single gets of an idle node, then beside compaction and a full scan.
 *
 * The scan is `millrace scan`, over and over, in a process at nice 19; the node's scan thread is at nice 19 by itself. Before
 * each busy round rows are overwritten until a sweep is under way. A round counts only when the sweep went on until its end, so
 * that what is compared are lookups beside compaction, all of them; what compaction wrote in each is shown.
 */

import { fileURLToPath } from 'node:url';
import type { Group, Millrace } from '../client/index.ts';
import type { Benchmark, BenchmarkContext, BenchmarkResult } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { type RunningProcess, start } from './child-process.ts';
import { FEATURE_NAMES, featureValue, loadMillrace, ROW_VALUE_BYTES } from './feature-rows.ts';
import { compileLoadGenerator, generateLoad, type LoadResult, type LoadTarget } from './load-generator.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { formatCount, formatMs, formatRatio, medianOf } from './statistics.ts';
import { recordTurns, type Turns, turnsBetween } from './turns.ts';

const PROGRAM = fileURLToPath(new URL('../server/launch.cjs', import.meta.url));
/** Callers that wait for each answer: enough to meet whatever the node does, too few to be a load of their own. */
const CONNECTIONS = 4;
const ROUNDS = 3;
/** Busy rounds at the most: in some of them the sweep ends too early. */
const BUSY_ROUNDS_MAX = 9;
const OVERWRITE_ROWS = 8192;
/** How long a sweep is waited for while rows are overwritten. */
const SWEEP_WAIT_MS = 30_000;
const REST_WAIT_MS = 60_000;

interface Round {
  load: LoadResult;
  turns: Turns;
  compactedBytes: number;
  scans: number;
  /** A sweep is under way when the round has ended. */
  isSweeping: boolean;
}

interface Figures {
  rowCount: number;
  idle: Round[];
  busy: Round[];
}

const figure = async (client: Millrace, name: string): Promise<number> =>
  Number((await client.status()).shards[0]?.[name] ?? 0);

/** Scans the group again and again until it is stopped. */
class Scanning {
  finished = 0;
  readonly #args: readonly string[];
  #isStopped = false;
  #running: RunningProcess | undefined;
  readonly #loop: Promise<void>;

  constructor(server: MillraceServer) {
    const at = `${server.host}:${server.port}`;
    const scan = [
      'scan',
      'bench_features',
      '--connect',
      at,
      '--format',
      'arrow',
      '--out',
      '/dev/null',
      '--plain',
    ];
    this.#args = ['-n', '19', process.execPath, PROGRAM, ...scan];
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running?.stop();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const scan = start('nice', this.#args);
      this.#running = scan;
      while (!scan.hasExited()) await new Promise((resolve) => setTimeout(resolve, 20));
      const status = await scan.stop();
      if (status === 0) this.finished += 1;
      else if (!this.#isStopped) throw new Error(`the scan ended with ${status}:\n${scan.output()}`);
    }
  }
}

async function overwrite(client: Millrace, group: Group, from: number): Promise<void> {
  const columns: Record<string, ArrayLike<unknown>> = {
    id: Float64Array.from({ length: OVERWRITE_ROWS }, (_, index) => from + index),
  };
  for (const [column, name] of FEATURE_NAMES.entries()) {
    columns[name] = Float32Array.from({ length: OVERWRITE_ROWS }, (_, index) =>
      featureValue(from + index, column),
    );
  }
  await client.put(group, { columns });
}

/** Overwrites rows until a sweep is under way; false when none has begun. */
async function pushOver(client: Millrace, group: Group, rowCount: number): Promise<boolean> {
  const deadlineMs = performance.now() + SWEEP_WAIT_MS;
  for (
    let from = 0;
    performance.now() < deadlineMs;
    from = (from + OVERWRITE_ROWS) % (rowCount - OVERWRITE_ROWS)
  ) {
    if ((await figure(client, 'sweepGroup')) > 0) return true;
    await overwrite(client, group, from);
  }
  return false;
}

/** Waits until nothing is being compacted any more: what the loading has left to do would be in the idle rounds. */
async function comeToRest(client: Millrace): Promise<void> {
  const deadlineMs = performance.now() + REST_WAIT_MS;
  let compacted = -1;
  for (;;) {
    const before = compacted;
    compacted = await figure(client, 'compactedBytes');
    if (compacted === before && (await figure(client, 'sweepGroup')) === 0) return;
    if (performance.now() > deadlineMs) throw new Error('compaction does not come to rest');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function measure(directory: string, context: BenchmarkContext): Promise<Figures> {
  const rowCount = context.isQuick ? 40_000 : 1_850_000;
  const seconds = context.isQuick ? 0.5 : 2;
  // A quick run has few rows: a sweep of them lasts for a round only with small buffers and a bandwidth.
  const flags = context.isQuick ? ['--write-buffer', '4MiB', '--compaction-bandwidth', '4MiB'] : [];
  const turnsFile = `${directory}/turns`;
  const loadgen = await compileLoadGenerator(directory);
  const server = await startMillrace(
    `${directory}/data`,
    1,
    ['--cache', '1GiB', ...flags],
    recordTurns(turnsFile),
  );
  const { client } = server;
  context.say(`loads ${rowCount} rows`);
  const group = await loadMillrace(client, rowCount);
  const target: LoadTarget = {
    protocol: 'millrace',
    host: server.host,
    port: server.port,
    pid: server.pid,
    groupId: group.schema.id,
  };
  const round = async (name: string, scanning?: Scanning): Promise<Round> => {
    const compacted = await figure(client, 'compactedBytes');
    const scansBefore = scanning?.finished ?? 0;
    const fromMs = Date.now();
    const shape = {
      connections: CONNECTIONS,
      depth: 1,
      seconds,
      keyCount: rowCount,
      valueBytes: ROW_VALUE_BYTES,
    };
    const load = await generateLoad(loadgen, target, shape);
    const turns = turnsBetween(turnsFile, fromMs, Date.now());
    context.say(`${name}: p99 ${formatMs(load.p99Micros / 1000)}`);
    const compactedBytes = (await figure(client, 'compactedBytes')) - compacted;
    const isSweeping = (await figure(client, 'sweepGroup')) > 0;
    return { load, turns, compactedBytes, scans: (scanning?.finished ?? 0) - scansBefore, isSweeping };
  };
  await comeToRest(client);
  // Blocks come into the cache.
  await round('warm-up');
  const idle: Round[] = [];
  for (let count = 0; count < ROUNDS; count++) idle.push(await round('idle'));
  const scanning = new Scanning(server);
  const busy: Round[] = [];
  for (let count = 0; count < BUSY_ROUNDS_MAX && busy.length < ROUNDS; count++) {
    if (!(await pushOver(client, group, rowCount))) context.say('no sweep began');
    const measured = await round('busy', scanning);
    if (measured.isSweeping) busy.push(measured);
    else context.say('the sweep has ended: this round does not count');
  }
  await scanning.stop();
  if (busy.length === 0) throw new Error('no sweep lasted for a round');
  await server.close();
  return { rowCount, idle, busy };
}

function summarize({ rowCount, idle, busy }: Figures): BenchmarkResult {
  const median = (rounds: Round[], key: keyof LoadResult): number =>
    medianOf(rounds.map(({ load }) => load[key]));
  const row = (name: string, rounds: Round[]): string[] => [
    name,
    formatCount(median(rounds, 'opsPerSecond')),
    ...(['p50Micros', 'p99Micros', 'p999Micros'] as const).map((key) => formatMs(median(rounds, key) / 1000)),
    formatMs(Math.max(...rounds.map(({ turns }) => turns.ownMaxMs))),
    formatMs(Math.max(...rounds.map(({ turns }) => turns.stillMaxMs))),
    rounds.map(({ compactedBytes }) => formatCount(compactedBytes)).join(', '),
    String(rounds.reduce((sum, { scans }) => sum + scans, 0)),
  ];
  const ratio = median(busy, 'p99Micros') / median(idle, 'p99Micros');
  return {
    name: 'read-interference',
    title: 'Reads beside compaction and scans',
    setup: [
      `${formatCount(rowCount)} rows of 50 float32, all cached, ${CONNECTIONS} connections that wait for each answer (the C generator), one shard. Busy: a sweep of`,
      'level 0 and `millrace scan` of the whole group, over and over, at nice 19. Medians of the rounds; standstill is the worst.',
    ],
    tables: [
      {
        title: 'Single gets',
        columns: [
          '',
          'gets/s',
          'p50',
          'p99',
          'p99.9',
          'longest turn, CPU time',
          'longest standstill',
          'bytes compacted, by round',
          'scans ended',
        ],
        rows: [
          row('idle', idle),
          row('compaction and scan', busy),
          [
            'ratio',
            formatRatio(median(busy, 'opsPerSecond') / median(idle, 'opsPerSecond')),
            ...(['p50Micros', 'p99Micros', 'p999Micros'] as const).map((key) =>
              formatRatio(median(busy, key) / median(idle, key)),
            ),
            '',
            '',
            '',
            '',
          ],
        ],
      },
    ],
    goals: [
      {
        what: 'p99 of reads beside compaction and a full scan, against an idle node',
        measured: ratio,
        goal: 3,
        unit: 'x',
        lowerIsBetter: true,
      },
    ],
  };
}

export const readInterference: Benchmark = (context) =>
  withDirectory(async (directory) => summarize(await measure(directory, context)));
