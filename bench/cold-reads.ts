/**
 * Reads of a data set eight times as large as the memory that the node may use: from the device, and how far from its speed.
 *
 * Memory is bounded by the node's own settings (block cache, write buffer, and an index of 48 bytes a row), and the page
 * cache is emptied before the reads. They are spread over so much more data than they touch that hardly one finds what
 * another has fetched: the pages in memory stay below an eighth of the file. This is no cgroup: the kernel does not have
 * to take pages back while they are read.
 *
 * The raw reader (loadgen/rawread.c) takes 4 KiB pages of the same file past the page cache, before and after.
 */

import { readFileSync, statSync } from 'node:fs';
import type { Group, Millrace } from '../client/index.ts';
import type { Benchmark, BenchmarkContext, BenchmarkResult, Table } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import {
  blockFile,
  compileRawReader,
  deviceCounters,
  meanInFlight,
  type RawReads,
  readRaw,
} from './block-device.ts';
import { compileLoadGenerator, generateLoad, type LoadResult } from './load-generator.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { dropPageCache } from './page-cache.ts';
import { formatCount, formatMs, formatRatio, quantileOf } from './statistics.ts';
import { recordTurns, type Turns, turnsBetween } from './turns.ts';

const ROW_BYTES = 1000;
const PUT_ROWS = 4000;
/** Batches of this many keys, as a model asks for. */
const BATCH_KEYS = 100;
const LARGEST_BATCH_KEYS = 16_384;
const CACHE = '64MiB';
const WRITE_BUFFER = '32MiB';

interface Sizes {
  rows: number;
  seconds: number;
  largest: number;
}

interface BatchFigures {
  keysPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Reads under way at once: as the store issued them, and as the device saw them. */
  issued: number;
  inFlight: number;
  turns: Turns;
}

interface Figures {
  fileBytes: number;
  memoryBytes: number;
  raw: RawReads[];
  rawDeep: RawReads;
  single: LoadResult;
  singleDeep: LoadResult;
  turns: [string, Turns][];
  batches: [string, BatchFigures][];
}

async function load(client: Millrace, rows: number): Promise<Group> {
  const group = await client.createGroup({
    name: 'cold',
    key: [{ name: 'id', type: 'int64' }],
    features: [{ name: 'value', type: 'bytes' }],
  });
  const value = new Uint8Array(ROW_BYTES);
  const put = (from: number): Promise<unknown> => {
    const count = Math.min(PUT_ROWS, rows - from);
    const columns = {
      id: Float64Array.from({ length: count }, (_, index) => from + index),
      value: Array.from({ length: count }, () => value),
    };
    return client.put(group, { columns });
  };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < rows) {
      const from = next;
      next += PUT_ROWS;
      await put(from);
    }
  };
  await Promise.all([worker(), worker()]);
  return group;
}

/** Memory of the process that is not a mapped file. */
function anonymousBytes(pid: number): number {
  const match = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? Number.NaN) * 1024;
}

async function fetchesOf({ client }: MillraceServer): Promise<{ begun: number; beside: number }> {
  const [shard] = (await client.status()).shards;
  return { begun: Number(shard?.['fetches']), beside: Number(shard?.['fetchesBeside']) };
}

async function batches(
  server: MillraceServer,
  group: Group,
  file: string,
  turnsFile: string,
  sizes: { rows: number; keys: number; depth: number; seconds: number },
): Promise<BatchFigures> {
  let state = sizes.keys * 7 + sizes.depth;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sizes.rows);
  };
  const latencies: number[] = [];
  const before = deviceCounters(file);
  const fetchesBefore = await fetchesOf(server);
  const fromMs = Date.now();
  const startedMs = performance.now();
  const endMs = startedMs + sizes.seconds * 1000;
  const worker = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const keys = Array.from({ length: sizes.keys }, next);
      const sentMs = performance.now();
      const rows = await server.client.getMany(group, keys);
      latencies.push(performance.now() - sentMs);
      if (rows[0] === null || rows[keys.length - 1] === null) throw new Error('a row is missing');
    }
  };
  await Promise.all(Array.from({ length: sizes.depth }, worker));
  const seconds = (performance.now() - startedMs) / 1000;
  const fetches = await fetchesOf(server);
  return {
    issued: (fetches.beside - fetchesBefore.beside) / (fetches.begun - fetchesBefore.begun),
    keysPerSecond: (latencies.length * sizes.keys) / seconds,
    p50Ms: quantileOf(latencies, 0.5),
    p99Ms: quantileOf(latencies, 0.99),
    inFlight: meanInFlight(before, deviceCounters(file)),
    turns: turnsBetween(turnsFile, fromMs, Date.now()),
  };
}

async function measure(directory: string, context: BenchmarkContext): Promise<Figures> {
  const sizes: Sizes = context.isQuick
    ? { rows: 60_000, seconds: 1, largest: 2 }
    : { rows: 2_500_000, seconds: 8, largest: 5 };
  const data = `${directory}/data`;
  const turnsFile = `${directory}/turns`;
  const loadgen = await compileLoadGenerator(directory);
  const rawReader = await compileRawReader(directory);
  const flags = ['--cache', CACHE, '--write-buffer', WRITE_BUFFER];
  context.say(`loads ${sizes.rows} rows of ${ROW_BYTES} bytes`);
  const loading = await startMillrace(data, 1, flags);
  await load(loading.client, sizes.rows);
  await loading.close();
  const file = blockFile(data);
  const server = await startMillrace(data, 1, flags, recordTurns(turnsFile));
  const group = await server.client.group('cold');
  if (!(await dropPageCache())) throw new Error('the page cache cannot be emptied: run it as root');
  const target = {
    protocol: 'millrace' as const,
    host: server.host,
    port: server.port,
    pid: server.pid,
    groupId: group.schema.id,
  };
  const turns: [string, Turns][] = [];
  const get = async (connections: number, seed: number, name: string): Promise<LoadResult> => {
    const fromMs = Date.now();
    const shape = {
      connections,
      depth: 1,
      seconds: sizes.seconds,
      keyCount: sizes.rows,
      valueBytes: ROW_BYTES,
      seed,
    };
    const result = await generateLoad(loadgen, target, shape);
    turns.push([name, turnsBetween(turnsFile, fromMs, Date.now())]);
    context.say(`${name}: p99 ${formatMs(result.p99Micros / 1000)}`);
    return result;
  };
  // The first reads fetch the inner pages of the B+tree, a hundredth of the file, which stay.
  await get(16, 1, 'first reads');
  const raw = [await readRaw(rawReader, file, 1, sizes.seconds / 2, 1)];
  const single = await get(1, 2, 'one at a time');
  raw.push(await readRaw(rawReader, file, 1, sizes.seconds / 2, 2));
  const singleDeep = await get(16, 3, '16 at once');
  const rawDeep = await readRaw(rawReader, file, 16, sizes.seconds / 2, 3);
  const all: [string, BatchFigures][] = [];
  for (const [keys, depth] of [
    [BATCH_KEYS, 1],
    [BATCH_KEYS, 8],
    [LARGEST_BATCH_KEYS, 1],
  ] as const) {
    const name = `${keys} keys, ${depth} under way`;
    const figures = await batches(server, group, file, turnsFile, {
      rows: sizes.rows,
      keys,
      depth,
      seconds: keys === LARGEST_BATCH_KEYS ? sizes.largest : sizes.seconds,
    });
    all.push([name, figures]);
    turns.push([name, figures.turns]);
    context.say(`${name}: ${formatCount(figures.keysPerSecond)} keys/s`);
  }
  const memoryBytes = anonymousBytes(server.pid);
  const fileBytes = statSync(file).size;
  await server.close();
  return { fileBytes, memoryBytes, raw, rawDeep, single, singleDeep, turns, batches: all };
}

function tablesOf(figures: Figures, rawP50: number, rawP99: number): Table[] {
  const { raw, rawDeep, single, singleDeep } = figures;
  const micros = (value: number): string => formatMs(value / 1000);
  return [
    {
      title: 'One row at a time',
      columns: ['', 'reads/s', 'p50', 'p99', 'p99 of raw'],
      rows: [
        [
          'device, 4 KiB, 1 at a time',
          formatCount(raw[1]!.readsPerSecond),
          micros(rawP50),
          micros(rawP99),
          '',
        ],
        [
          '`get`, 1 at a time',
          formatCount(single.opsPerSecond),
          micros(single.p50Micros),
          micros(single.p99Micros),
          formatRatio(single.p99Micros / rawP99),
        ],
        [
          'device, 4 KiB, 16 at once',
          formatCount(rawDeep.readsPerSecond),
          micros(rawDeep.p50Micros),
          micros(rawDeep.p99Micros),
          '',
        ],
        [
          '`get`, 16 at once',
          formatCount(singleDeep.opsPerSecond),
          micros(singleDeep.p50Micros),
          micros(singleDeep.p99Micros),
          formatRatio(singleDeep.p99Micros / rawDeep.p99Micros),
        ],
      ],
    },
    {
      title: 'Batches',
      columns: [
        '',
        'keys/s',
        'p50',
        'p99',
        'issued at once',
        'at the device',
        'one after the other would take',
      ],
      rows: figures.batches.map(([name, batch]) => [
        name,
        formatCount(batch.keysPerSecond),
        formatMs(batch.p50Ms),
        formatMs(batch.p99Ms),
        batch.issued.toFixed(1),
        batch.inFlight.toFixed(1),
        formatMs((Number.parseInt(name, 10) * rawP50) / 1000),
      ]),
    },
    {
      title: "Turns of the shard's event loop",
      columns: ['', 'turns', 'longest, CPU time', 'longest standstill', 'over 5 ms', 'longest GC'],
      rows: figures.turns.map(([name, turn]) => [
        name,
        formatCount(turn.count),
        formatMs(turn.ownMaxMs),
        formatMs(turn.stillMaxMs),
        String(turn.over5),
        formatMs(turn.gcMaxMs),
      ]),
    },
  ];
}

function summarize(figures: Figures): BenchmarkResult {
  const { raw, single } = figures;
  const rawP50 = (raw[0]!.p50Micros + raw[1]!.p50Micros) / 2;
  const rawP99 = (raw[0]!.p99Micros + raw[1]!.p99Micros) / 2;
  const overlapped = figures.batches[0]![1];
  const longest = Math.max(...figures.turns.map(([, { stillMaxMs }]) => stillMaxMs));
  return {
    name: 'cold-reads',
    title: 'Reads of more data than memory',
    setup: [
      `Rows of ${ROW_BYTES} bytes, ${formatCount(figures.fileBytes)}B of blocks; the node's own memory was ${formatCount(figures.memoryBytes)}B (block cache`,
      `${CACHE}, write buffer ${WRITE_BUFFER}, index), a ${formatRatio(figures.fileBytes / figures.memoryBytes)} part. The page cache was emptied before the reads, which touch random rows and`,
      'stay below an eighth of the file; memory was bounded by these settings, not by a cgroup. One shard, loopback TCP. Raw reads are 4 KiB',
      'of the same file with `O_DIRECT`, before and after. Issued at once: calls of other threads under way, this one included, when the store',
      'began one, on average, each with one to sixteen reads; at the device: requests on average while it had any, in steps of its clock.',
    ],
    tables: tablesOf(figures, rawP50, rawP99),
    goals: [
      {
        what: "p99 of a single cold read against the device's own",
        measured: single.p99Micros / rawP99,
        goal: 3,
        unit: 'x',
        lowerIsBetter: true,
      },
      { what: 'reads of a batch under way at once', measured: overlapped.issued, goal: 8, unit: '' },
      {
        what: 'the longest standstill of the event loop, waits for a core left out',
        measured: longest,
        goal: 5,
        unit: 'ms',
        lowerIsBetter: true,
      },
    ],
  };
}

export const coldReads: Benchmark = (context) =>
  withDirectory(async (directory) => summarize(await measure(directory, context)));
