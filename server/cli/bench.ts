/**
 * `millrace bench`: how fast this node answers this machine, in half a minute; a smoke test, not the benchmark.
 *
 * A group of its own with 50 float32 features is filled, read and dropped. The loop is closed: each of `--concurrency` callers waits for
 * its answer before it asks again, so latencies are what a caller sees at that load, and a slow answer slows the load.
 */
import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import type { Group, Millrace } from '../../client/index.ts';
import {
  type ConnectionOptions,
  EXIT_INTERRUPTED,
  interruptible,
  withClient,
  withConnection,
} from './connection.ts';
import { formatCount, formatLatency, formatTable } from './figures.ts';

interface Options extends ConnectionOptions {
  readonly rows: number;
  readonly seconds: number;
  readonly concurrency: number;
  readonly batch: number;
}

const FEATURES: readonly string[] = Array.from({ length: 50 }, (_, i) => `f${String(i).padStart(2, '0')}`);
const PUT_ROWS = 1000;

export function command(): Command {
  return withConnection(new Command('bench'))
    .description('measure gets, matrix reads and puts against a node')
    .option('--rows <COUNT>', 'rows of 50 float32 to fill the group with', countIn(1000, 10_000_000), 100_000)
    .option('--seconds <COUNT>', 'how long to measure each kind of call', countIn(1, 600), 3)
    .option('--concurrency <COUNT>', 'callers that wait for their answers', countIn(1, 4096), 32)
    .option('--batch <KEYS>', 'keys of a matrix read', countIn(1, 16_384), 100)
    .addHelpText(
      'after',
      '\nIt makes a group named bench_… and drops it again; the index memory, the disk space and the id that it\ntook are not given back yet (compaction is to come), so try it on a node that may be thrown away.\nThe client shares the machine with whatever else runs on it.\n' +
        '\nExample:\n  millrace bench --rows 1000000 --concurrency 64',
    )
    .action(async (options: Options) => {
      process.exitCode = await withClient(options, (client) =>
        interruptible((signal) => bench(client, options, signal)),
      );
    });
}

function countIn(min: number, max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d{1,9}$/.test(text) && count >= min && count <= max) return count;
    throw new InvalidArgumentError(`A whole number from ${min} to ${max}.`);
  };
}

/** One measured kind of call. */
interface Result {
  readonly name: string;
  readonly rows: number;
  readonly seconds: number;
  readonly micros: Float64Array;
}

async function bench(client: Millrace, options: Options, signal: AbortSignal): Promise<number> {
  const group = await client.createGroup({
    name: `bench_${randomUUID().replaceAll('-', '').slice(0, 12)}`,
    key: [{ name: 'id', type: 'int64' }],
    features: FEATURES.map((name) => ({ name, type: 'float32' })),
  });
  try {
    await fill(client, group, options.rows, signal);
    const { batch, rows } = options;
    const id = (): number => Math.floor(Math.random() * rows);
    const keys = new Float64Array(batch);
    const measured = [
      await measure('get, 1 row', 1, options, signal, () => client.get(group, id())),
      await measure(`matrix, ${batch} × 50`, batch, options, signal, () => {
        for (let i = 0; i < batch; i++) keys[i] = id();
        return client.getMatrix(group, keys, { features: FEATURES });
      }),
      await measure('put, 1 row', 1, options, signal, () => client.put(group, { columns: someRows(1, id) })),
      await measure('put, 100 rows', 100, options, signal, () =>
        client.put(group, { columns: someRows(100, id) }),
      ),
    ];
    process.stdout.write(shownResults(measured, options.concurrency));
    return signal.aborted ? EXIT_INTERRUPTED : 0;
  } finally {
    await client.dropGroup(group);
  }
}

async function fill(client: Millrace, group: Group, rows: number, signal: AbortSignal): Promise<void> {
  const startMs = performance.now();
  for (let from = 0; from < rows && !signal.aborted; from += PUT_ROWS * 8) {
    const puts: Promise<unknown>[] = [];
    for (let at = from; at < Math.min(from + PUT_ROWS * 8, rows); at += PUT_ROWS) {
      let next = at;
      puts.push(client.put(group, { columns: someRows(Math.min(PUT_ROWS, rows - at), () => next++) }));
    }
    await Promise.all(puts);
  }
  const seconds = (performance.now() - startMs) / 1000;
  process.stdout.write(
    `filled with ${formatCount(rows)} rows of 50 float32: ${formatCount(rows / seconds)} rows/s\n`,
  );
}

function someRows(count: number, id: () => number): Record<string, ArrayLike<unknown>> {
  const columns: Record<string, ArrayLike<unknown>> = { id: Array.from({ length: count }, id) };
  for (const name of FEATURES) columns[name] = Float32Array.from({ length: count }, Math.random);
  return columns;
}

/** Calls for the given time, `concurrency` at once. */
async function measure(
  name: string,
  rowsEach: number,
  options: Options,
  signal: AbortSignal,
  call: () => Promise<unknown>,
): Promise<Result> {
  const micros: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + options.seconds * 1000;
  const caller = async (): Promise<void> => {
    while (!signal.aborted) {
      const callMs = performance.now();
      if (callMs >= endMs) return;
      await call();
      micros.push((performance.now() - callMs) * 1000);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, caller));
  const seconds = (performance.now() - startMs) / 1000;
  return { name, rows: micros.length * rowsEach, seconds, micros: Float64Array.from(micros).sort() };
}

function shownResults(results: readonly Result[], concurrency: number): string {
  const at = (micros: Float64Array, share: number): string =>
    micros.length === 0 ? '–' : formatLatency(micros[Math.floor(micros.length * share)]!);
  const rows = results.map(({ name, rows, seconds, micros }) => [
    name,
    formatCount(micros.length / seconds),
    formatCount(rows / seconds),
    at(micros, 0.5),
    at(micros, 0.99),
  ]);
  const header = [`${concurrency} CALLERS`, 'CALLS/S', 'ROWS/S', 'P50', 'P99'];
  return formatTable([header, ...rows], new Set([1, 2, 3, 4]));
}
