/**
 * Restart of a node that holds ten million rows of 200 bytes, after a kill -9 and with an empty page cache, against what
 * `dd` takes to read the files of the data directory, in the same run.
 *
 * Two states of the files: killed with an index checkpoint and a tail of writes after it, which is what a node that has run for some
 * minutes leaves; and the same without the checkpoint, where the start reads every block. After each start rows all over the store
 * are looked up and their values compared, so a fast start that lost something does not count.
 */

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Group } from '../client/index.ts';
import type { Benchmark, BenchmarkContext } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { runCommand } from './child-process.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { dropPageCache } from './page-cache.ts';
import { formatCount, formatMs, medianOf } from './statistics.ts';

const SHARDS = 2;
const ROWS = 10_000_000;
const QUICK_ROWS = 200_000;
/** Written again after the checkpoint, before each kill: most of it is flushed, the rest is in the journal. */
const TAIL_SHARE = 0.05;
const PUT_ROWS = 32_768;
const ROW_BYTES = 200;
/** Restarts of each state. */
const ROUNDS = 3;

const GROUP = 'restart_rows';

/** The row's bytes, which say its number at both ends; one buffer for all rows of a put. */
function payloads(from: number, count: number): Uint8Array[] {
  const bytes = Buffer.alloc(count * ROW_BYTES, 0x5a);
  return Array.from({ length: count }, (_, index) => {
    const at = index * ROW_BYTES;
    bytes.writeUInt32LE(from + index, at);
    bytes.writeUInt32LE(from + index, at + ROW_BYTES - 4);
    return bytes.subarray(at, at + ROW_BYTES);
  });
}

async function putRows(server: MillraceServer, group: Group, to: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < to) {
      const from = next;
      const count = Math.min(PUT_ROWS, to - from);
      next += count;
      const id = Float64Array.from({ length: count }, (_, index) => from + index);
      await server.client.put(group, { columns: { id, payload: payloads(from, count) } });
    }
  };
  await Promise.all([worker(), worker()]);
}

async function checkRows(server: MillraceServer, rows: number): Promise<void> {
  const group = await server.client.group(GROUP);
  const step = Math.max(1, Math.floor(rows / 10_000));
  const keys = Array.from({ length: Math.floor(rows / step) }, (_, index) => index * step);
  const found = await server.client.getMany(group, keys);
  for (const [index, row] of found.entries()) {
    const bytes = row?.['payload'] as Uint8Array | undefined;
    const number = bytes === undefined ? -1 : Buffer.from(bytes).readUInt32LE(ROW_BYTES - 4);
    if (number !== keys[index]) throw new Error(`row ${keys[index]} is wrong or missing after the restart`);
  }
}

function filesOf(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesOf(path) : [path];
  });
}

/** Seconds that `dd` takes to read all files, one after the other, from the device. */
async function measureDd(directory: string): Promise<{ seconds: number; bytes: number }> {
  const files = filesOf(directory);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  await dropPageCache();
  const startedMs = performance.now();
  for (const file of files) await runCommand('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M', 'status=none']);
  return { seconds: (performance.now() - startedMs) / 1000, bytes };
}

interface Start {
  readonly greetedMs: number;
  readonly lookupMs: number;
}

async function measureStart(directory: string, rows: number): Promise<Start> {
  if (!(await dropPageCache())) throw new Error('emptying the page cache takes root');
  const startedMs = performance.now();
  const server = await startMillrace(directory, SHARDS);
  const group = await server.client.group(GROUP);
  const row = await server.client.get(group, rows - 1);
  const lookupMs = performance.now() - startedMs;
  if (row === null) throw new Error('the last row is missing after the restart');
  await checkRows(server, rows);
  await server.kill();
  return { greetedMs: server.startedInMs, lookupMs };
}

function removeCheckpoints(directory: string): void {
  for (let shard = 0; shard < SHARDS; shard++) {
    rmSync(join(directory, `shard-${shard}`, 'index'), { recursive: true, force: true });
  }
}

async function load(directory: string, rows: number, context: BenchmarkContext): Promise<void> {
  const server = await startMillrace(directory, SHARDS);
  const group = await server.client.createGroup({
    name: GROUP,
    key: [{ name: 'id', type: 'int64' }],
    features: [{ name: 'payload', type: 'bytes' }],
  });
  const startedMs = performance.now();
  await putRows(server, group, rows);
  const seconds = (performance.now() - startedMs) / 1000;
  context.say(`${formatCount(rows)} rows loaded in ${seconds.toFixed(0)} s`);
  // A clean close writes the checkpoint that a node which runs on writes after some minutes.
  await server.close();
  const again = await startMillrace(directory, SHARDS);
  await putRows(again, await again.client.group(GROUP), Math.floor(rows * TAIL_SHARE));
  await again.kill();
}

export const restartLarge: Benchmark = (context) =>
  withDirectory(async (directory) => {
    const rows = context.isQuick ? QUICK_ROWS : ROWS;
    await load(directory, rows, context);
    const dd = await measureDd(directory);
    context.say(`dd of ${formatCount(dd.bytes)}B: ${dd.seconds.toFixed(2)} s`);
    const states: [string, Start[]][] = [];
    for (const name of ['index checkpoint and tail', 'no index checkpoint: every block']) {
      if (states.length > 0) removeCheckpoints(directory);
      const starts: Start[] = [];
      for (let round = 0; round < (context.isQuick ? 1 : ROUNDS); round++) {
        starts.push(await measureStart(directory, rows));
        context.say(`${name}: ${formatMs(starts.at(-1)!.lookupMs)}`);
        if (states.length > 0 && existsSync(join(directory, 'shard-0', 'index', 'checkpoint')))
          removeCheckpoints(directory);
      }
      states.push([name, starts]);
    }
    const seconds = (starts: Start[]): number => medianOf(starts.map((start) => start.lookupMs)) / 1000;
    return {
      name: 'restart-large',
      title: 'Restart with ten million rows of 200 bytes, killed, cold page cache',
      setup: [
        `Two shards; ${formatCount(rows)} rows with a payload of ${ROW_BYTES} bytes, then a clean close, a start, ${100 * TAIL_SHARE} % of the rows written again,`,
        `and kill -9. Before each start the page cache is emptied. \`dd\` reads every file of the data directory (${formatCount(dd.bytes)}B), one after the`,
        'other, in the same run. From the start of the process to the first answered lookup, Node’s own start included.',
      ],
      tables: [
        {
          title: 'time to the first answer',
          columns: ['restart after kill -9 with', 'greeted after', 'first lookup after', '× dd'],
          rows: [
            ['`dd` of the files', '', formatMs(dd.seconds * 1000), '1'],
            ...states.map(([name, starts]) => [
              name,
              formatMs(medianOf(starts.map((start) => start.greetedMs))),
              formatMs(1000 * seconds(starts)),
              (seconds(starts) / dd.seconds).toFixed(2),
            ]),
          ],
        },
      ],
      goals: states.map(([name, starts]) => ({
        what: `${name}, against dd`,
        measured: seconds(starts) / dd.seconds,
        goal: 2.5,
        unit: 'x',
        lowerIsBetter: true,
      })),
    };
  });
