/**
 * 100 keys × 50 float32 features a request, delivered as one typed matrix in the client: what a model is fed with.
 *
 * Three contenders, each in the manner its users would choose, all with the same keys in the same order and the same
 * number of batches under way: `getMatrix`; an ioredis pipeline of 100 HMGETs parsed into a Float32Array; one MGET of
 * packed strings copied into a Float32Array. The three take turns round by round, so that a noisy minute hits all, and
 * the median of the rounds counts. Every batch is checked in its first and last cell.
 */

import type { Benchmark, BenchmarkContext, BenchmarkResult } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { processCpuSeconds } from './cpu-time.ts';
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
  featureValue,
  loadMillrace,
  loadRedis,
  redisHashKey,
  redisStringKey,
} from './feature-rows.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { type RedisPeer, startRedis } from './redis.ts';
import { formatCount, formatMs, formatRange, formatRatio, medianOf, quantileOf } from './statistics.ts';

const BATCH_KEYS = 100;
/** Batches made ahead; more than the caches of either client could learn by heart. */
const BATCHES = 1000;
/** A client that waits for each answer, and one that keeps its server busy. */
const DEPTHS = [1, 8] as const;
const BUSY_DEPTH = 8;

interface Batch {
  rows: number[];
  hashKeys: string[];
  stringKeys: string[];
}

interface Contender {
  name: string;
  serverPid: number;
  fetch(batch: Batch): Promise<Float32Array>;
}

interface Round {
  rowsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  rowsPerServerCpuSecond: number;
  rowsPerClientCpuSecond: number;
}

function makeBatches(rowCount: number): Batch[] {
  let state = 12345;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * rowCount);
  };
  return Array.from({ length: BATCHES }, () => {
    const rows = Array.from({ length: BATCH_KEYS }, next);
    return { rows, hashKeys: rows.map(redisHashKey), stringKeys: rows.map(redisStringKey) };
  });
}

function millraceContender(
  server: MillraceServer,
  group: Awaited<ReturnType<typeof loadMillrace>>,
): Contender {
  const options = { features: [...FEATURE_NAMES], dtype: 'float32' } as const;
  return {
    name: 'Millrace `getMatrix`',
    serverPid: server.pid,
    fetch: async (batch) => (await server.client.getMatrix(group, batch.rows, options)).data as Float32Array,
  };
}

function hashContender(peer: RedisPeer): Contender {
  return {
    name: 'Redis `HMGET` pipeline',
    serverPid: peer.pid,
    fetch: async (batch) => {
      const pipeline = peer.client.pipeline();
      for (const key of batch.hashKeys) pipeline.hmget(key, ...FEATURE_NAMES);
      const answers = (await pipeline.exec()) ?? [];
      const matrix = new Float32Array(BATCH_KEYS * FEATURE_COUNT);
      let at = 0;
      for (const [error, values] of answers) {
        if (error !== null) throw error;
        const texts = values as (string | null)[];
        for (let column = 0; column < FEATURE_COUNT; column++) {
          const text = texts[column];
          matrix[at++] = typeof text === 'string' ? Number(text) : Number.NaN;
        }
      }
      return matrix;
    },
  };
}

function packedContender(peer: RedisPeer): Contender {
  return {
    name: 'Redis `MGET` of packed floats',
    serverPid: peer.pid,
    fetch: async (batch) => {
      const values = await peer.client.mgetBuffer(batch.stringKeys);
      const matrix = new Float32Array(BATCH_KEYS * FEATURE_COUNT);
      const bytes = new Uint8Array(matrix.buffer);
      for (let row = 0; row < BATCH_KEYS; row++) {
        const value = values[row];
        if (value) bytes.set(value, row * 4 * FEATURE_COUNT);
        else matrix.fill(Number.NaN, row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT);
      }
      return matrix;
    },
  };
}

function check(batch: Batch, matrix: Float32Array): void {
  const last = matrix.length - 1;
  const isRight =
    matrix.length === BATCH_KEYS * FEATURE_COUNT &&
    matrix[0] === featureValue(batch.rows[0]!, 0) &&
    matrix[last] === featureValue(batch.rows[BATCH_KEYS - 1]!, FEATURE_COUNT - 1);
  if (!isRight) throw new Error(`a matrix of ${matrix.length} cells has wrong values`);
}

async function runRound(
  contender: Contender,
  batches: Batch[],
  depth: number,
  durationMs: number,
): Promise<Round> {
  const latencies: number[] = [];
  const serverCpu = processCpuSeconds(contender.serverPid);
  const clientCpu = process.cpuUsage();
  const startedMs = performance.now();
  const endMs = startedMs + durationMs;
  let turn = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const sentMs = performance.now();
      if (sentMs >= endMs) return;
      const batch = batches[turn++ % BATCHES]!;
      check(batch, await contender.fetch(batch));
      latencies.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: depth }, worker));
  const seconds = (performance.now() - startedMs) / 1000;
  const own = process.cpuUsage(clientCpu);
  const rows = latencies.length * BATCH_KEYS;
  return {
    rowsPerSecond: rows / seconds,
    p50Ms: quantileOf(latencies, 0.5),
    p99Ms: quantileOf(latencies, 0.99),
    rowsPerServerCpuSecond: rows / (processCpuSeconds(contender.serverPid) - serverCpu),
    rowsPerClientCpuSecond: rows / ((own.user + own.system) / 1e6),
  };
}

const medianRound = (rounds: Round[], key: keyof Round): number =>
  medianOf(rounds.map((round) => round[key]));

async function measure(
  contenders: Contender[],
  batches: Batch[],
  context: BenchmarkContext,
): Promise<Round[][][]> {
  const roundCount = context.isQuick ? 1 : 5;
  const durationMs = context.isQuick ? 300 : 3000;
  const byDepth: Round[][][] = [];
  for (const depth of DEPTHS) {
    const rounds: Round[][] = contenders.map(() => []);
    // The first turn compiles the code of all three and warms the caches; it is thrown away.
    for (let turn = 0; turn <= roundCount; turn++) {
      for (const [index, contender] of contenders.entries()) {
        const round = await runRound(contender, batches, depth, durationMs);
        if (turn > 0) rounds[index]!.push(round);
      }
      context.say(`${depth} under way, round ${turn} of ${roundCount}`);
    }
    byDepth.push(rounds);
  }
  return byDepth;
}

function summarize(
  contenders: Contender[],
  byDepth: Round[][][],
  rowCount: number,
  redis: string,
): BenchmarkResult {
  const busy = byDepth[DEPTHS.indexOf(BUSY_DEPTH)]!.map((rounds) => medianRound(rounds, 'rowsPerSecond'));
  const tables = DEPTHS.map((depth, depthIndex) => {
    const first = medianRound(byDepth[depthIndex]![0]!, 'rowsPerSecond');
    return {
      title: `${depth} ${depth === 1 ? 'batch' : 'batches'} of ${BATCH_KEYS} keys under way`,
      columns: [
        '',
        'rows/s',
        'rounds',
        'p50',
        'p99',
        'rows per server CPU s',
        'rows per client CPU s',
        'Millrace is',
      ],
      rows: contenders.map(({ name }, index) => {
        const rounds = byDepth[depthIndex]![index]!;
        const rate = medianRound(rounds, 'rowsPerSecond');
        return [
          name,
          formatCount(rate),
          formatRange(rounds.map((round) => round.rowsPerSecond)),
          formatMs(medianRound(rounds, 'p50Ms')),
          formatMs(medianRound(rounds, 'p99Ms')),
          formatCount(medianRound(rounds, 'rowsPerServerCpuSecond')),
          formatCount(medianRound(rounds, 'rowsPerClientCpuSecond')),
          index === 0 ? '' : formatRatio(first / rate),
        ];
      }),
    };
  });
  return {
    name: 'matrix',
    title: 'Lookups: 100 keys × 50 float32, as a typed matrix in the client',
    setup: [
      `${formatCount(rowCount)} rows of ${FEATURE_COUNT} float32, random keys, one Node client over loopback TCP,`,
      `one Millrace shard against Redis ${redis} (saving off, otherwise default) through ioredis; both servers hold all`,
      'rows in memory, Millrace as blocks in its cache after a restart. Contenders take turns; medians of the rounds.',
    ],
    tables,
    goals: [
      {
        what: 'matrix of 100 keys × 50 floats, rows/s against Redis `HMGET`',
        measured: busy[0]! / busy[1]!,
        goal: 10,
        unit: 'x',
      },
      {
        what: 'the same against Redis `MGET` of packed floats',
        measured: busy[0]! / busy[2]!,
        goal: 1.5,
        unit: 'x',
      },
    ],
  };
}

export const matrix: Benchmark = (context) =>
  withDirectory(async (directory) => {
    const rowCount = context.isQuick ? 20_000 : 200_000;
    const redis = await startRedis(context.say);
    context.say(`loads ${rowCount} rows on either side`);
    await loadRedis(redis, rowCount, true);
    const loading = await startMillrace(directory);
    await loadMillrace(loading.client, rowCount);
    // Restarted, so that rows are read from blocks and not from the write buffer they first stand in.
    await loading.close();
    const server = await startMillrace(directory);
    const group = await server.client.group('bench_features');
    const contenders = [millraceContender(server, group), hashContender(redis), packedContender(redis)];
    const byDepth = await measure(contenders, makeBatches(rowCount), context);
    await server.close();
    await redis.stop();
    return summarize(contenders, byDepth, rowCount, redis.version);
  });
