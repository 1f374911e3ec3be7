/**
 * Bulk load: the flights into one shard, each row durable before it is acknowledged.
 *
 * Three ways, from the shard alone to what a user does: PUT frames made ahead and written to a socket; columns in
 * memory through the client; `millrace import` of the parquet file. Each starts with an empty data directory. The rate
 * is over the whole load, flushes to blocks included.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Benchmark, BenchmarkContext } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { runCommand } from './child-process.ts';
import { processCpuSeconds, residentBytes } from './cpu-time.ts';
import { FLIGHT_GROUP, type Flights, flightsFile, readFlights } from './flights-data.ts';
import { flightFrames, loadFrames } from './flights-store.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { formatCount, formatMs, formatRange, medianOf } from './statistics.ts';

const PROGRAM = fileURLToPath(new URL('../server/launch.cjs', import.meta.url));

interface Load {
  rowsPerSecond: number;
  seconds: number;
  rowsPerServerCpuSecond: number;
  residentBytes: number;
}

/** Loads a fresh node by `load`, which gives the rows it loaded, and measures it; `prepare` runs before the clock. */
function measureLoad<T>(
  prepare: (server: MillraceServer) => Promise<T>,
  load: (server: MillraceServer, prepared: T) => Promise<number>,
): Promise<Load> {
  return withDirectory(async (directory) => {
    const server = await startMillrace(directory);
    const prepared = await prepare(server);
    const cpu = processCpuSeconds(server.pid);
    const startedMs = performance.now();
    const rows = await load(server, prepared);
    const seconds = (performance.now() - startedMs) / 1000;
    const result = {
      rowsPerSecond: rows / seconds,
      seconds,
      rowsPerServerCpuSecond: rows / (processCpuSeconds(server.pid) - cpu),
      residentBytes: residentBytes(server.pid),
    };
    await server.close();
    return result;
  });
}

function loadByFrames(flights: Flights): Promise<Load> {
  return measureLoad(
    async (server) => flightFrames(flights, await server.client.createGroup(FLIGHT_GROUP), 0, flights.count),
    async (server, frames) => {
      await loadFrames(server, frames);
      return flights.count;
    },
  );
}

function loadByClient(flights: Flights): Promise<Load> {
  return measureLoad(
    (server) => server.client.createGroup(FLIGHT_GROUP),
    async (server, group) => {
      await server.client.put(group, { columns: flights.columns });
      return flights.count;
    },
  );
}

/** The file has no column that tells its flights apart, so they are loaded as versions of their routes. */
function loadByImport(flights: Flights): Promise<Load> {
  return measureLoad(
    async () => mkdtempSync(join(tmpdir(), 'millrace-import-')),
    async (server, directory) => {
      const place = [
        '--connect',
        `${server.host}:${server.port}`,
        '--progress-file',
        join(directory, 'progress'),
      ];
      const what = ['--group', 'route', '--key', 'origin,destination', '--event-time', 'date', '--plain'];
      await runCommand(process.execPath, [PROGRAM, 'import', flightsFile(), ...place, ...what]);
      rmSync(directory, { recursive: true });
      return flights.count;
    },
  );
}

async function measureAll(flights: Flights, context: BenchmarkContext): Promise<[string, Load[]][]> {
  const ways: [string, (flights: Flights) => Promise<Load>][] = [
    ['frames made ahead: the shard', loadByFrames],
    ['columns through the client', loadByClient],
  ];
  // The file is always whole, so a short run leaves it out.
  if (!context.isQuick) ways.push(['`millrace import` of the parquet file', loadByImport]);
  const loads: [string, Load[]][] = [];
  for (const [name, load] of ways) {
    const rounds: Load[] = [];
    for (let round = 1; round <= (context.isQuick ? 1 : 3); round++) {
      rounds.push(await load(flights));
      context.say(`${name}, round ${round}: ${formatCount(rounds.at(-1)!.rowsPerSecond)} rows/s`);
    }
    loads.push([name, rounds]);
  }
  return loads;
}

export const bulkLoad: Benchmark = async (context) => {
  const flights = await readFlights(context.isQuick ? 100_000 : Number.POSITIVE_INFINITY);
  const loads = await measureAll(flights, context);
  const median = (rounds: Load[], key: keyof Load): number => medianOf(rounds.map((round) => round[key]));
  return {
    name: 'bulk-load',
    title: 'Bulk load: three million flights into one shard',
    setup: [
      `${formatCount(flights.count)} rows (int64 key, event time, two int16, two strings) into an empty node of one`,
      'shard over loopback TCP, 8,192 rows a request and six in flight where frames are made ahead; every row is in the journal (O_DSYNC)',
      'before its acknowledgement, and what overflows the 64 MiB write buffer is flushed to blocks meanwhile.',
    ],
    tables: [
      {
        title: 'rows loaded',
        columns: ['way', 'rows/s', 'rounds', 'time', 'rows per server CPU s', 'DRAM of the node after'],
        rows: loads.map(([name, rounds]) => [
          name,
          formatCount(median(rounds, 'rowsPerSecond')),
          formatRange(rounds.map((round) => round.rowsPerSecond)),
          formatMs(median(rounds, 'seconds') * 1000),
          formatCount(median(rounds, 'rowsPerServerCpuSecond')),
          `${formatCount(median(rounds, 'residentBytes'))}B`,
        ]),
      },
    ],
    goals: [
      {
        what: 'bulk load of the flights into one shard',
        measured: median(loads[0]![1], 'rowsPerSecond'),
        goal: 300_000,
        unit: 'rows/s',
      },
    ],
  };
};
