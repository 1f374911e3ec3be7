/**
 * Restart of a node that holds three million flights: from the start of the process to its first answered lookup.
 *
 * After a clean close, which leaves nothing to replay, and after a kill -9 with a full write buffer, which leaves a
 * journal tail; each with the kernel's page cache warm and, where the user may empty it, cold. After every start the
 * number of rows is checked, so a fast start that lost something does not count.
 */

import type { Group } from '../client/index.ts';
import type { Benchmark, BenchmarkContext } from './benchmark.ts';
import { withDirectory } from './benchmark.ts';
import { FLIGHT_GROUP, type Flights, readFlights, sliceColumns } from './flights-data.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';
import { dropPageCache } from './page-cache.ts';
import { formatMs, medianOf } from './statistics.ts';

/** One a core of the machine measured, which is what a node starts by default. */
const SHARDS = 2;
/** Rows a put: the client cuts them into requests. */
const PUT_ROWS = 65_536;
/** What is written again before each kill, so that the journal has a tail: about half the write buffers. */
const TAIL_ROWS = 300_000;

async function putFlights(server: MillraceServer, group: Group, flights: Flights, to: number): Promise<void> {
  for (let from = 0; from < to; from += PUT_ROWS) {
    const end = Math.min(to, from + PUT_ROWS);
    const eventTimes = flights.eventTimes.subarray(from, end);
    const columns = { ...sliceColumns(flights, from, end), [group.schema.eventTimeName]: eventTimes };
    await server.client.put(group, { columns });
  }
}

interface Start {
  processMs: number;
  lookupMs: number;
}

interface Restarts {
  name: string;
  starts: Start[];
}

async function startAndLookUp(directory: string, flights: Flights): Promise<[MillraceServer, Start]> {
  const startedMs = performance.now();
  const server = await startMillrace(directory, SHARDS);
  const group = await server.client.group(FLIGHT_GROUP.name);
  const row = await server.client.get(group, flights.count - 1);
  if (row === null) throw new Error('the last flight is missing after the restart');
  return [server, { processMs: server.startedInMs, lookupMs: performance.now() - startedMs }];
}

/** Looks up a spread of rows: a store that lost any of its parts misses some. */
async function checkRows(server: MillraceServer, flights: Flights): Promise<void> {
  const group = await server.client.group(FLIGHT_GROUP.name);
  const step = Math.max(1, Math.floor(flights.count / 10_000));
  const keys = Array.from({ length: Math.floor(flights.count / step) }, (_, index) => index * step);
  const rows = await server.client.getMany(group, keys);
  const missing = rows.filter((row) => row === null).length;
  if (missing > 0) throw new Error(`${missing} of ${keys.length} rows are missing after the restart`);
}

async function measureStarts(
  directory: string,
  flights: Flights,
  rounds: number,
  before: (server: MillraceServer) => Promise<void>,
  isCold: boolean,
): Promise<Start[]> {
  const starts: Start[] = [];
  for (let round = 0; round < rounds; round++) {
    await before(await startMillrace(directory, SHARDS));
    if (isCold && !(await dropPageCache())) return [];
    const [server, start] = await startAndLookUp(directory, flights);
    await checkRows(server, flights);
    await server.close();
    starts.push(start);
  }
  return starts;
}

async function killWithTail(server: MillraceServer, flights: Flights): Promise<void> {
  const group = (await server.client.group(FLIGHT_GROUP.name)) as Group;
  await putFlights(server, group, flights, Math.min(TAIL_ROWS, flights.count));
  await server.kill();
}

async function measureAll(
  directory: string,
  flights: Flights,
  context: BenchmarkContext,
): Promise<Restarts[]> {
  const rounds = context.isQuick ? 1 : 3;
  const results: Restarts[] = [];
  for (const isCold of [false, true]) {
    const cache = isCold ? 'cold page cache' : 'warm page cache';
    const clean = await measureStarts(directory, flights, rounds, (server) => server.close(), isCold);
    results.push({ name: `clean close, ${cache}`, starts: clean });
    const killed = await measureStarts(
      directory,
      flights,
      rounds,
      (server) => killWithTail(server, flights),
      isCold,
    );
    results.push({ name: `kill -9, ${cache}`, starts: killed });
    context.say(`${cache}: measured`);
  }
  return results.filter(({ starts }) => starts.length > 0);
}

export const restart: Benchmark = (context) =>
  withDirectory(async (directory) => {
    const flights = await readFlights(context.isQuick ? 100_000 : Number.POSITIVE_INFINITY);
    const server = await startMillrace(directory, SHARDS);
    context.say(`loads ${flights.count} flights`);
    const group = await server.client.createGroup(FLIGHT_GROUP);
    await putFlights(server, group, flights, flights.count);
    await server.close();
    const restarts = await measureAll(directory, flights, context);
    const seconds = (starts: Start[]): number => medianOf(starts.map((start) => start.lookupMs)) / 1000;
    return {
      name: 'restart',
      title: 'Restart of a node with three million flights',
      setup: [
        'Two shards, one a core as by default. From the start of the process to the first answered lookup, Node’s own start included. Before each',
        `kill -9 the first ${TAIL_ROWS.toLocaleString('en')} flights are put again, so that the journal has a tail to`,
        'replay. After each start 10,000 rows spread over the store are looked up, and none may be missing.',
      ],
      tables: [
        {
          title: 'time to the first answer',
          columns: ['restart after', 'greeted after', 'first lookup after'],
          rows: restarts.map(({ name, starts }) => [
            name,
            formatMs(medianOf(starts.map((start) => start.processMs))),
            formatMs(medianOf(starts.map((start) => start.lookupMs))),
          ]),
        },
      ],
      goals: restarts.map(({ name, starts }) => ({
        what: name,
        measured: seconds(starts),
        goal: 3,
        unit: 's',
        lowerIsBetter: true,
      })),
    };
  });
