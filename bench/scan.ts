/**
 * A training read: all columns of three million flights, from blocks to Arrow in the client.
 *
 * Twice: as the bytes of the Arrow stream, which is what an export writes and what the server can give; and as record
 * batches in which every cell of the number columns is read, which is what a program does. A core is the CPU time of
 * the scan thread: it alone reads blocks and encodes. The store was closed and opened before, so nothing comes from the
 * write buffer; its files are in the kernel's page cache. Every round must give every row.
 */

import type { RecordBatch } from 'apache-arrow';
import type { Group, Millrace } from '../client/index.ts';
import type { Benchmark, BenchmarkContext } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { threadCpuSeconds } from './cpu-time.ts';
import { FLIGHT_GROUP, type Flights, readFlights } from './flights-data.ts';
import { flightFrames, loadFrames } from './flights-store.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { formatCount, formatRange, medianOf } from './statistics.ts';

/** A node's scan threads run at the lowest priority, which tells them from its other threads. */
const SCAN_NICE = 19;

interface Round {
  rowsPerSecond: number;
  bytesPerSecond: number;
  rowsPerScanCpuSecond: number;
}

interface Totals {
  rows: number;
  bytes: number;
}

async function readBytes(client: Millrace, group: Group): Promise<Totals> {
  const totals = { rows: 0, bytes: 0 };
  for await (const part of client.scanBytes(group)) {
    totals.rows += part.rows;
    totals.bytes += part.bytes.length;
  }
  return totals;
}

/** Reads each value, so that the batches are known to be whole and not only counted. */
function sumNumbers(batch: RecordBatch): number {
  let sum = 0;
  for (const name of ['delay', 'distance']) {
    const values = batch.getChild(name)?.data[0]?.values as Int16Array | undefined;
    if (values === undefined) throw new Error(`a batch came without the column ${name}`);
    for (let row = 0; row < batch.numRows; row++) sum += values[row]!;
  }
  return sum;
}

async function readBatches(client: Millrace, group: Group, expectedSum: number): Promise<Totals> {
  const scan = client.scan(group);
  let sum = 0;
  for await (const batch of scan) sum += sumNumbers(batch);
  if (sum !== expectedSum) throw new Error(`the columns sum up to ${sum} instead of ${expectedSum}`);
  return { rows: scan.rows, bytes: scan.bytes };
}

function sumOfFlights(flights: Flights): number {
  const sum = (values: ArrayLike<unknown>): number =>
    (values as Int16Array).reduce((total, value) => total + value, 0);
  return sum(flights.columns['delay']!) + sum(flights.columns['distance']!);
}

async function measureRound(
  server: MillraceServer,
  read: () => Promise<Totals>,
  rowCount: number,
): Promise<Round> {
  const cpu = threadCpuSeconds(server.pid, SCAN_NICE);
  const startedMs = performance.now();
  const { rows, bytes } = await read();
  const seconds = (performance.now() - startedMs) / 1000;
  if (rows !== rowCount) throw new Error(`the scan gave ${rows} rows of ${rowCount}`);
  return {
    rowsPerSecond: rows / seconds,
    bytesPerSecond: bytes / seconds,
    rowsPerScanCpuSecond: rows / (threadCpuSeconds(server.pid, SCAN_NICE) - cpu),
  };
}

async function measureAll(
  server: MillraceServer,
  flights: Flights,
  context: BenchmarkContext,
): Promise<Round[][]> {
  const group = await server.client.group(FLIGHT_GROUP.name);
  const expectedSum = sumOfFlights(flights);
  const reads = [() => readBytes(server.client, group), () => readBatches(server.client, group, expectedSum)];
  const rounds: Round[][] = [[], []];
  const roundCount = context.isQuick ? 1 : 5;
  // The first turn compiles the code of both sides and fills the page cache; it is thrown away.
  for (let turn = 0; turn <= roundCount; turn++) {
    for (const [index, read] of reads.entries()) {
      const round = await measureRound(server, read, flights.count);
      if (turn > 0) rounds[index]!.push(round);
    }
    context.say(`round ${turn} of ${roundCount}`);
  }
  return rounds;
}

export const scan: Benchmark = (context) =>
  withDirectory(async (directory) => {
    const flights = await readFlights(context.isQuick ? 100_000 : Number.POSITIVE_INFINITY);
    const loading = await startMillrace(directory);
    context.say(`loads ${flights.count} flights`);
    const created = await loading.client.createGroup(FLIGHT_GROUP);
    await loadFrames(loading, flightFrames(flights, created, 0, flights.count));
    await loading.close();
    const server = await startMillrace(directory);
    const rounds = await measureAll(server, flights, context);
    await server.close();
    const median = (of: Round[], key: keyof Round): number => medianOf(of.map((round) => round[key]));
    const names = ['Arrow stream, as bytes', 'record batches, every number read'];
    return {
      name: 'scan',
      title: 'Training read: a scan of three million flights to Arrow',
      setup: [
        `${formatCount(flights.count)} rows, all six columns, from one shard's scan thread to one Node client over`,
        'loopback TCP; files in the page cache, nothing in the write buffer. CPU is that of the scan thread.',
      ],
      tables: [
        {
          title: 'one scan of everything',
          columns: ['read as', 'rows/s', 'rounds', 'bytes/s', 'rows per scan-thread CPU s'],
          rows: rounds.map((of, index) => [
            names[index]!,
            formatCount(median(of, 'rowsPerSecond')),
            formatRange(of.map((round) => round.rowsPerSecond)),
            `${formatCount(median(of, 'bytesPerSecond'))}B`,
            formatCount(median(of, 'rowsPerScanCpuSecond')),
          ]),
        },
      ],
      goals: [
        {
          what: 'scan of the flights to Arrow, per CPU second of the scan thread',
          measured: median(rounds[0]!, 'rowsPerScanCpuSecond'),
          goal: 2_000_000,
          unit: 'rows/s',
        },
      ],
    };
  });
