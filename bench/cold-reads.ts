/**
 * Reads of a data set eight times as large as the memory that the node may use: from the device, and how far from its speed.
 *
 * Memory is bounded by the node's own settings (block cache, write buffer, and an index of 48 bytes a row), and the page
 * cache is emptied before the reads, with no process that maps the file: what is mapped stays. Reads are spread over so
 * much more data than they touch that few find what another has fetched: how much of the file was in memory at the end
 * is measured (its resident mapped pages) and shown. This is no cgroup: the kernel does not have to take pages back while they are read.
 *
 * The raw reader (loadgen/rawread.c) takes 4 KiB pages of the same file past the page cache, one at a time, as the gets
 * are: in turns with them, ROUNDS times, and the goal is the median of the rounds' quotients, each of a round's gets and the raw
 * reads before and after. Nothing else reads the device: the load's compaction is waited for. Latencies are taken without the
 * recorder of turns, which costs each turn some 10 µs; turns are taken from a second node with it.
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
import { formatCount, formatMs, formatRatio, medianOf, quantileOf } from './statistics.ts';
import { recordTurns, type Turns, turnsBetween } from './turns.ts';

const ROW_BYTES = 1000;
const PUT_ROWS = 4000;
/** Batches of this many keys, as a model asks for. */
const BATCH_KEYS = 100;
const LARGEST_BATCH_KEYS = 16_384;
const CACHE = '64MiB';
const WRITE_BUFFER = '32MiB';
const FLAGS: readonly string[] = ['--cache', CACHE, '--write-buffer', WRITE_BUFFER];
const ROUNDS = 3;
/** No sweep for so long: compaction is at rest. */
const REST_MS = 3000;
const REST_POLL_MS = 250;
const REST_TIMEOUT_MS = 300_000;

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
  /** Of the file, after the single reads. */
  residentBytes: number;
  raw: RawReads[];
  rawDeep: RawReads;
  single: LoadResult[];
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

/** Memory of the process: that of no file (RssAnon), or of mapped files (RssFile). */
function residentBytes(pid: number, kind: 'RssAnon' | 'RssFile'): number {
  const match = new RegExp(`${kind}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? Number.NaN) * 1024;
}

/** Resolves when no sweep has been under way for REST_MS: until then compaction reads and writes the same device. */
async function compactionAtRest({ client }: MillraceServer): Promise<void> {
  const untilMs = performance.now() + REST_TIMEOUT_MS;
  let before = '';
  let restingSinceMs = performance.now();
  while (performance.now() - restingSinceMs < REST_MS) {
    if (performance.now() > untilMs) throw new Error('compaction does not come to rest');
    const [shard] = (await client.status()).shards;
    const now = `${shard?.['compactedBytes']} ${shard?.['sweeps']} ${shard?.['flushes']}`;
    if (now !== before || shard?.['sweepGroup'] !== 0 || shard?.['sweepPartition'] !== 0)
      restingSinceMs = performance.now();
    before = now;
    await new Promise((resolve) => setTimeout(resolve, REST_POLL_MS));
  }
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

/** A node over the loaded data, in whose page cache is nothing of them but what its start reads. */
async function startCold(data: string, env: Record<string, string>): Promise<MillraceServer> {
  if (!(await dropPageCache())) throw new Error('the page cache cannot be emptied: run it as root');
  const server = await startMillrace(data, 1, FLAGS, env);
  await compactionAtRest(server);
  return server;
}

interface Bench {
  readonly context: BenchmarkContext;
  readonly sizes: Sizes;
  readonly loadgen: string;
  readonly rawReader: string;
  readonly data: string;
  readonly groupId: number;
}

function get(
  bench: Bench,
  server: MillraceServer,
  connections: number,
  seconds: number,
  seed: number,
): Promise<LoadResult> {
  const { host, port, pid } = server;
  const target = { protocol: 'millrace' as const, host, port, pid, groupId: bench.groupId };
  const keyCount = bench.sizes.rows;
  return generateLoad(bench.loadgen, target, {
    connections,
    depth: 1,
    seconds,
    keyCount,
    valueBytes: ROW_BYTES,
    seed,
  });
}

type Latencies = Pick<
  Figures,
  'fileBytes' | 'memoryBytes' | 'residentBytes' | 'raw' | 'rawDeep' | 'single' | 'singleDeep'
>;

/** Gets and raw reads in turns. */
async function measureLatencies(bench: Bench): Promise<Latencies> {
  const { context, sizes, rawReader, data } = bench;
  const file = blockFile(data);
  const seconds = sizes.seconds / 2;
  const server = await startCold(data, {});
  const filesBefore = residentBytes(server.pid, 'RssFile');
  // The first reads fetch the inner pages of the B+tree, a hundredth of the file, which stay.
  await get(bench, server, 16, 1, 1);
  const raw = [await readRaw(rawReader, file, 1, seconds, 1)];
  const single: LoadResult[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    single.push(await get(bench, server, 1, seconds, 10 + round));
    raw.push(await readRaw(rawReader, file, 1, seconds, 2 + round));
    const ratio = formatRatio(ratioOf(single, raw, round));
    context.say(`one at a time: p99 ${formatMs(single[round]!.p99Micros / 1000)}, ${ratio} of raw`);
  }
  const fileBytes = statSync(file).size;
  const latencies = {
    fileBytes,
    memoryBytes: residentBytes(server.pid, 'RssAnon'),
    residentBytes: residentBytes(server.pid, 'RssFile') - filesBefore,
    raw,
    single,
    singleDeep: await get(bench, server, 16, seconds, 3),
    rawDeep: await readRaw(rawReader, file, 16, seconds, 3),
  };
  await server.close();
  return latencies;
}

/** A round's p99 against that of the raw reads before and after it. */
function ratioOf(single: readonly LoadResult[], raw: readonly RawReads[], round: number): number {
  return single[round]!.p99Micros / ((raw[round]!.p99Micros + raw[round + 1]!.p99Micros) / 2);
}

/** Batches, and the turns of all kinds of reads. */
async function measureTurns(bench: Bench, turnsFile: string): Promise<Pick<Figures, 'turns' | 'batches'>> {
  const { context, sizes, data } = bench;
  const server = await startCold(data, recordTurns(turnsFile));
  const group = await server.client.group('cold');
  const turns: [string, Turns][] = [];
  for (const [name, connections] of [
    ['first reads', 16],
    ['one at a time', 1],
    ['16 at once', 16],
  ] as const) {
    const fromMs = Date.now();
    await get(bench, server, connections, sizes.seconds / 2, 20 + turns.length);
    turns.push([name, turnsBetween(turnsFile, fromMs, Date.now())]);
  }
  const all: [string, BatchFigures][] = [];
  for (const [keys, depth] of [
    [BATCH_KEYS, 1],
    [BATCH_KEYS, 8],
    [LARGEST_BATCH_KEYS, 1],
  ] as const) {
    const name = `${keys} keys, ${depth} under way`;
    const seconds = keys === LARGEST_BATCH_KEYS ? sizes.largest : sizes.seconds / 2;
    const figures = await batches(server, group, blockFile(data), turnsFile, {
      rows: sizes.rows,
      keys,
      depth,
      seconds,
    });
    all.push([name, figures]);
    turns.push([name, figures.turns]);
    context.say(`${name}: ${formatCount(figures.keysPerSecond)} keys/s`);
  }
  await server.close();
  return { turns, batches: all };
}

async function measure(directory: string, context: BenchmarkContext): Promise<Figures> {
  const sizes: Sizes = context.isQuick
    ? { rows: 60_000, seconds: 1, largest: 2 }
    : { rows: 2_500_000, seconds: 8, largest: 5 };
  const data = `${directory}/data`;
  const loadgen = await compileLoadGenerator(directory);
  const rawReader = await compileRawReader(directory);
  context.say(`loads ${sizes.rows} rows of ${ROW_BYTES} bytes`);
  const loading = await startMillrace(data, 1, FLAGS);
  const group = await load(loading.client, sizes.rows);
  await compactionAtRest(loading);
  await loading.close();
  const bench = { context, sizes, loadgen, rawReader, data, groupId: group.schema.id };
  const latencies = await measureLatencies(bench);
  return { ...latencies, ...(await measureTurns(bench, `${directory}/turns`)) };
}

function tablesOf(figures: Figures): Table[] {
  const { raw, rawDeep, single, singleDeep } = figures;
  const micros = (value: number): string => formatMs(value / 1000);
  const rawP50 = medianOf(raw.map(({ p50Micros }) => p50Micros));
  const middle = (values: (LoadResult | RawReads)[], of: 'p50Micros' | 'p99Micros'): string =>
    micros(medianOf(values.map((value) => value[of])));
  return [
    {
      title: 'One row at a time',
      columns: ['', 'reads/s', 'p50', 'p99', 'p99 of raw'],
      rows: [
        [
          'device, 4 KiB, 1 at a time',
          formatCount(medianOf(raw.map(({ readsPerSecond }) => readsPerSecond))),
          middle(raw, 'p50Micros'),
          middle(raw, 'p99Micros'),
          '',
        ],
        [
          '`get`, 1 at a time',
          formatCount(medianOf(single.map(({ opsPerSecond }) => opsPerSecond))),
          middle(single, 'p50Micros'),
          middle(single, 'p99Micros'),
          single.map((_, round) => formatRatio(ratioOf(single, raw, round))).join(', '),
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
  const overlapped = figures.batches[0]![1];
  const longest = Math.max(...figures.turns.map(([, { ownMaxMs }]) => ownMaxMs));
  return {
    name: 'cold-reads',
    title: 'Reads of more data than memory',
    setup: [
      `Rows of ${ROW_BYTES} bytes, ${formatCount(figures.fileBytes)}B of blocks; the node's own memory was ${formatCount(figures.memoryBytes)}B (block cache`,
      `${CACHE}, write buffer ${WRITE_BUFFER}, index), a ${formatRatio(figures.fileBytes / figures.memoryBytes)} part. The page cache was emptied before the reads, which touch random rows; after the`,
      `single reads ${formatCount(figures.residentBytes)}B of the file were in memory, a ${formatRatio(figures.fileBytes / figures.residentBytes)} part; memory was bounded by these settings, not by a cgroup. One shard,`,
      'loopback TCP, compaction at rest. Raw reads are 4 KiB of the same file with `O_DIRECT`, in turns with the gets; medians of the rounds, and',
      'each round against the raw reads before and after it. Issued at once: calls of other threads under way, this one included, when the store',
      'began one, on average, each with one to sixteen reads; at the device: requests on average while it had any, in steps of its clock. A',
      'standstill holds what blocks the thread besides its own work, as a lone read of the device does; turns come from a second node, with their recorder.',
    ],
    tables: tablesOf(figures),
    goals: [
      {
        what: "p99 of a single cold read against the device's own",
        measured: medianOf(single.map((_, round) => ratioOf(single, raw, round))),
        goal: 3,
        unit: 'x',
        lowerIsBetter: true,
      },
      { what: 'reads of a batch under way at once', measured: overlapped.issued, goal: 8, unit: '' },
      {
        what: "the longest turn of the shard's event loop, its own work",
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
