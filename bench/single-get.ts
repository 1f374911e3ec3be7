/**
 * Single gets: one key a request, by the same lean generator for both servers.
 *
 * Two shapes: 16 connections with 32 requests in flight on each (many callers behind one SDK), and 64 connections that
 * wait for each answer. A Redis value is the 200 bytes of a packed row; a Millrace answer is the encoded row with its
 * event time and LSN. The two take turns; the median of the rounds counts.
 */

import type { Benchmark, BenchmarkContext, BenchmarkResult } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { loadMillrace, loadRedis, ROW_VALUE_BYTES } from './feature-rows.ts';
import { compileLoadGenerator, generateLoad, type LoadResult, type LoadTarget } from './load-generator.ts';
import { startMillrace } from './millrace-server.ts';
import { startRedis } from './redis.ts';
import { formatCount, formatMs, formatRange, formatRatio, medianOf } from './statistics.ts';

const SHAPES = [
  { connections: 16, depth: 32 },
  { connections: 64, depth: 1 },
] as const;

const median = (rounds: LoadResult[], key: keyof LoadResult): number =>
  medianOf(rounds.map((round) => round[key]));

async function measure(
  program: string,
  targets: LoadTarget[],
  keyCount: number,
  context: BenchmarkContext,
): Promise<LoadResult[][][]> {
  const roundCount = context.isQuick ? 1 : 5;
  const seconds = context.isQuick ? 0.5 : 4;
  const byShape: LoadResult[][][] = [];
  for (const shape of SHAPES) {
    const rounds: LoadResult[][] = targets.map(() => []);
    for (let turn = 1; turn <= roundCount; turn++) {
      for (const [index, target] of targets.entries()) {
        const load = { ...shape, seconds, keyCount, valueBytes: ROW_VALUE_BYTES };
        rounds[index]!.push(await generateLoad(program, target, load));
      }
      context.say(`${shape.connections} connections, ${shape.depth} deep, round ${turn} of ${roundCount}`);
    }
    byShape.push(rounds);
  }
  return byShape;
}

function summarize(byShape: LoadResult[][][], keyCount: number, redis: string): BenchmarkResult {
  const names = ['Millrace `GET`', `Redis \`GET\``];
  return {
    name: 'single-get',
    title: 'Lookups: single gets against Redis',
    setup: [
      `${formatCount(keyCount)} rows of 50 float32 (200 bytes), random keys, both servers driven by the same C program`,
      '(`bench/loadgen/loadgen.c`, epoll, one thread) over loopback TCP; one Millrace shard against',
      `Redis ${redis} (saving off, otherwise default). Every answer is checked. Medians of the rounds.`,
    ],
    tables: SHAPES.map((shape, shapeIndex) => ({
      title: `${shape.connections} connections, ${shape.depth === 1 ? 'no pipelining' : `${shape.depth} deep`}`,
      columns: ['', 'gets/s', 'rounds', 'p50', 'p99', 'gets per server CPU s', 'Millrace is'],
      rows: names.map((name, index) => {
        const rounds = byShape[shapeIndex]![index]!;
        const rates = rounds.map((round) => round.opsPerSecond);
        return [
          name,
          formatCount(medianOf(rates)),
          formatRange(rates),
          formatMs(median(rounds, 'p50Micros') / 1000),
          formatMs(median(rounds, 'p99Micros') / 1000),
          formatCount(median(rounds, 'answers') / median(rounds, 'serverCpuSeconds')),
          index === 0 ? '' : formatRatio(median(byShape[shapeIndex]![0]!, 'opsPerSecond') / medianOf(rates)),
        ];
      }),
    })),
    goals: SHAPES.map((shape, index) => ({
      what: `single gets against Redis \`GET\`, ${shape.connections} connections, ${shape.depth} deep`,
      measured: median(byShape[index]![0]!, 'opsPerSecond') / median(byShape[index]![1]!, 'opsPerSecond'),
      goal: 1,
      unit: 'x',
    })),
  };
}

export const singleGet: Benchmark = (context) =>
  withDirectory(async (directory) => {
    const keyCount = context.isQuick ? 20_000 : 200_000;
    const program = await compileLoadGenerator(directory);
    const redis = await startRedis(context.say);
    context.say(`loads ${keyCount} rows on either side`);
    await loadRedis(redis, keyCount, false);
    const loading = await startMillrace(`${directory}/data`);
    await loadMillrace(loading.client, keyCount);
    // Restarted, so that rows are read from blocks and not from the write buffer they first stand in.
    await loading.close();
    const server = await startMillrace(`${directory}/data`);
    const group = await server.client.group('bench_features');
    const targets: LoadTarget[] = [
      {
        protocol: 'millrace',
        host: server.host,
        port: server.port,
        pid: server.pid,
        groupId: group.schema.id,
      },
      { protocol: 'redis', host: redis.host, port: redis.port, pid: redis.pid, groupId: 0 },
    ];
    const byShape = await measure(program, targets, keyCount, context);
    await server.close();
    await redis.stop();
    return summarize(byShape, keyCount, redis.version);
  });
