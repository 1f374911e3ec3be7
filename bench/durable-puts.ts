/**
 * Durable writes against Redis: each synced to the device before its answer, and each acknowledged before that.
 *
 * Requests are made ahead, and one C program sends them to either server and checks each answer, so what is measured is the
 * servers. Single rows are 200 bytes: `SET` of the packed floats, PUT of the row of 50 float32. Batches are 100 such rows: one
 * PUT, against 100 pipelined `HSET` of 50 fields. The two take turns; the median of the rounds counts.
 */

import { mkdirSync } from 'node:fs';
import type { Group } from '../client/index.ts';
import {
  ByteWriter,
  compileLayout,
  encodeKeys,
  encodePutRequest,
  encodeRowColumns,
} from '../protocol/index.ts';
import type { Benchmark, BenchmarkContext, BenchmarkResult, Goal, Table } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
  featureValue,
  ROW_VALUE_BYTES,
  redisHashFields,
  redisHashKey,
  redisStringKey,
} from './feature-rows.ts';
import {
  compileLoadGenerator,
  generateLoad,
  type LoadResult,
  type LoadTarget,
  writeRequests,
} from './load-generator.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { type RedisPeer, startRedis } from './redis.ts';
import { formatCount, formatMs, formatRange, formatRatio, medianOf } from './statistics.ts';

const BATCH_ROWS = 100;

interface Shape {
  readonly name: string;
  readonly connections: number;
  readonly depth: number;
  readonly rows: number;
  readonly goal: number;
}

const SHAPES: readonly Shape[] = [
  { name: 'single rows, 64 writers, no pipelining', connections: 64, depth: 1, rows: 1, goal: 1 },
  { name: 'single rows, 64 writers, 16 deep', connections: 64, depth: 16, rows: 1, goal: 2 },
  { name: 'batches of 100 rows, 16 writers', connections: 16, depth: 1, rows: BATCH_ROWS, goal: 5 },
];

const DURABILITIES = [
  { durability: 'journal', sync: 'always' },
  { durability: 'memory', sync: 'everysec' },
] as const;

interface Sides {
  readonly durability: (typeof DURABILITIES)[number]['durability'];
  readonly sync: (typeof DURABILITIES)[number]['sync'];
  readonly targets: readonly [LoadTarget, LoadTarget];
  readonly groupFiles: readonly string[];
  readonly redisFiles: readonly string[];
}

function putFrame(group: Group, from: number, rows: number): Uint8Array {
  const { schema } = group;
  const ids = Float64Array.from({ length: rows }, (_value, index) => from + index);
  const columns: Record<string, ArrayLike<unknown>> = { id: ids };
  for (let column = 0; column < FEATURE_COUNT; column++) {
    columns[FEATURE_NAMES[column]!] = Float32Array.from(ids, (id) => featureValue(id, column));
  }
  const encoded = new ByteWriter();
  const rowOffsets = new Uint32Array(rows + 1);
  encodeRowColumns(compileLayout(schema), columns, 0, rows, encoded, rowOffsets);
  const writer = new ByteWriter();
  encodePutRequest(
    writer,
    { correlationId: 1 },
    {
      groupId: schema.id,
      schemaVersion: schema.version,
      eventTimes: new Float64Array(rows).fill(Date.now() * 1000),
      keys: encodeKeys(schema.key, ids),
      rows: encoded.bytes,
      rowOffsets,
    },
  );
  return writer.finish();
}

function command(parts: readonly (string | Uint8Array)[]): Uint8Array {
  const bytes: Uint8Array[] = [Buffer.from(`*${parts.length}\r\n`)];
  for (const part of parts) {
    const value = typeof part === 'string' ? Buffer.from(part) : part;
    bytes.push(Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n'));
  }
  return Buffer.concat(bytes);
}

function redisRequest(from: number, rows: number): Uint8Array {
  if (rows === 1) {
    const values = Float32Array.from({ length: FEATURE_COUNT }, (_value, column) =>
      featureValue(from, column),
    );
    return command(['SET', redisStringKey(from), Buffer.from(values.buffer)]);
  }
  const commands = Array.from({ length: rows }, (_value, index) =>
    command(['HSET', redisHashKey(from + index), ...redisHashFields(from + index)]),
  );
  return Buffer.concat(commands);
}

/** One file a shape, of requests that together write `rowCount` rows in a scattered order. */
function prepare(
  directory: string,
  name: string,
  rowCount: number,
  requestOf: (from: number, rows: number) => Uint8Array,
): string[] {
  return SHAPES.map(({ rows }, index) => {
    const path = `${directory}/${name}-${index}`;
    const count = Math.floor(rowCount / rows);
    // A step that is coprime with the count visits each request once.
    const requests = Array.from({ length: count }, (_value, at) =>
      requestOf(((at * 7919) % count) * rows, rows),
    );
    writeRequests(path, rows, requests);
    return path;
  });
}

async function createSides(
  directory: string,
  server: MillraceServer,
  peers: readonly RedisPeer[],
  rowCount: number,
): Promise<Sides[]> {
  const redisFiles = prepare(directory, 'redis', rowCount, redisRequest);
  const sides: Sides[] = [];
  for (const [index, { durability, sync }] of DURABILITIES.entries()) {
    const group = await server.client.createGroup({
      name: `bench_${durability}`,
      key: [{ name: 'id', type: 'int64' }],
      features: FEATURE_NAMES.map((name) => ({ name, type: 'float32' as const })),
      durability,
    });
    const { host, port, pid } = server;
    const peer = peers[index]!;
    sides.push({
      durability,
      sync,
      targets: [
        { protocol: 'millrace', host, port, pid, groupId: group.schema.id },
        { protocol: 'redis', host: peer.host, port: peer.port, pid: peer.pid, groupId: 0 },
      ],
      groupFiles: prepare(directory, durability, rowCount, (from, rows) => putFrame(group, from, rows)),
      redisFiles,
    });
  }
  return sides;
}

/** By shape: the rounds of Millrace, and those of Redis. */
async function measure(program: string, sides: Sides, context: BenchmarkContext): Promise<LoadResult[][][]> {
  const roundCount = context.isQuick ? 1 : 5;
  const seconds = context.isQuick ? 0.5 : 2;
  const byShape: LoadResult[][][] = [];
  for (const [index, { name, connections, depth }] of SHAPES.entries()) {
    const rounds: LoadResult[][] = [[], []];
    for (let round = 1; round <= roundCount; round++) {
      for (const [side, target] of sides.targets.entries()) {
        const requestFile = (side === 0 ? sides.groupFiles : sides.redisFiles)[index]!;
        const shape = { connections, depth, seconds, keyCount: 1, valueBytes: ROW_VALUE_BYTES, requestFile };
        rounds[side]!.push(await generateLoad(program, target, shape));
      }
      context.say(`${sides.durability}, ${name}: round ${round} of ${roundCount}`);
    }
    byShape.push(rounds);
  }
  return byShape;
}

const median = (rounds: readonly LoadResult[], key: keyof LoadResult): number =>
  medianOf(rounds.map((round) => round[key]));

function tableOf(sides: Sides, shape: Shape, rounds: readonly LoadResult[][]): Table {
  const command = shape.rows === 1 ? 'SET' : 'HSET';
  const names = [
    `Millrace PUT, durability ${sides.durability}`,
    `Redis \`${command}\`, appendfsync ${sides.sync}`,
  ];
  const ours = median(rounds[0]!, 'opsPerSecond');
  return {
    title: `${shape.name}, ${sides.durability === 'journal' ? 'durable before the answer' : 'answered before it is durable'}`,
    columns: ['', 'rows/s', 'rounds', 'p50', 'p99', 'rows per server CPU s', 'Millrace is'],
    rows: names.map((name, side) => {
      const results = rounds[side]!;
      const rates = results.map((round) => round.opsPerSecond);
      return [
        name,
        formatCount(medianOf(rates)),
        formatRange(rates),
        formatMs(median(results, 'p50Micros') / 1000),
        formatMs(median(results, 'p99Micros') / 1000),
        formatCount(median(results, 'answers') / median(results, 'serverCpuSeconds')),
        side === 0 ? '' : formatRatio(ours / medianOf(rates)),
      ];
    }),
  };
}

function summarize(
  measured: readonly { sides: Sides; byShape: LoadResult[][][] }[],
  rowCount: number,
  redis: string,
): BenchmarkResult {
  const tables: Table[] = [];
  const goals: Goal[] = [];
  for (const { sides, byShape } of measured) {
    for (const [index, shape] of SHAPES.entries()) {
      const rounds = byShape[index]!;
      tables.push(tableOf(sides, shape, rounds));
      goals.push({
        what: `puts against Redis, ${shape.name}, durability ${sides.durability} against appendfsync ${sides.sync}`,
        measured: median(rounds[0]!, 'opsPerSecond') / median(rounds[1]!, 'opsPerSecond'),
        goal: shape.goal,
        unit: 'x',
      });
    }
  }
  return {
    name: 'durable-puts',
    title: 'Durable writes against Redis',
    setup: [
      `Overwrites of ${formatCount(rowCount)} rows of 50 float32 (200 bytes), both servers driven by the same C program`,
      '(`bench/loadgen/loadgen.c`) over loopback TCP with requests made ahead; every answer is checked. One Millrace shard',
      `against Redis ${redis} with its append-only file on the same device, which it never rewrites. Medians of the rounds.`,
    ],
    tables,
    goals,
  };
}

export const durablePuts: Benchmark = (context) =>
  withDirectory(async (directory) => {
    const rowCount = context.isQuick ? 2000 : 50_000;
    const program = await compileLoadGenerator(directory);
    const peers: RedisPeer[] = [];
    for (const { sync } of DURABILITIES) {
      mkdirSync(`${directory}/redis-${sync}`);
      peers.push(await startRedis(context.say, { directory: `${directory}/redis-${sync}`, sync }));
    }
    const server = await startMillrace(`${directory}/data`);
    const measured: { sides: Sides; byShape: LoadResult[][][] }[] = [];
    for (const sides of await createSides(directory, server, peers, rowCount)) {
      measured.push({ sides, byShape: await measure(program, sides, context) });
    }
    await server.close();
    for (const peer of peers) await peer.stop();
    return summarize(measured, rowCount, peers[0]!.version);
  });
