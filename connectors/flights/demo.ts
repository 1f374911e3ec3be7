/**
 * The demo, step by step: a node, three groups, nine million versions, lookups, a training read.
 *
 * Promises: needs nothing but the installed packages and a free port; asks nothing; checks what it shows (one airport's features against
 * those computed here, the scan's row count against the file) and fails when they differ; whatever happens, Ctrl-C and the terminal's end included, the
 * node is stopped and temporary data removed, unless --keep leaves both; a second Ctrl-C stops the node too, but waits for nothing. Returns the exit status.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Millrace } from '../../client/index.ts';
import { EXIT_INTERRUPTED, interruptible } from '../interruption.ts';
import { Progress, type ProgressStream } from '../progress.ts';
import { type Flights, locateFlights, readFlights } from './dataset.ts';
import { eventOrder } from './event-order.ts';
import { computeFeatures, type EntityFeatures, numberRoutes } from './features.ts';
import { footprintOf } from './footprint.ts';
import { AIRPORT_SPEC, airportRows, flightRows, type RowSet, routeRows } from './groups.ts';
import { loadRows } from './load.ts';
import { timeBatchLookups, timeSingleLookups } from './measure.ts';
import { arePortsFree, DemoNode, MILLRACE_MAIN } from './node-process.ts';
import { Report } from './report.ts';

export interface DemoOptions {
  readonly keep?: boolean;
  readonly ci?: boolean;
  readonly data?: string;
  readonly port?: number;
}

/** The port that the other commands look at by themselves. */
const USUAL_PORT = 7400;
/** Ports that a node of up to four shards takes, with its scan threads. */
const PORTS_WANTED = 8;

/** The airport shown: the busiest one of the file. */
const SHOWN_AIRPORT = 'ORD';

export async function runDemo(
  options: DemoOptions,
  path: string = locateFlights(),
  output: ProgressStream = process.stdout,
): Promise<number> {
  const report = new Report(output, options.ci === true);
  const work = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
  const interruption = interruptible();
  let node: DemoNode | undefined;
  let isDone = false;
  try {
    report.title('Millrace demo: three million flights through one node');
    const dataDirectory = options.data ?? join(work, 'data');
    node = await startNode(options, dataDirectory, work, report);
    await tour(node, path, work, options, report, interruption.signal);
    isDone = true;
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    report.interrupted();
  } finally {
    const isKept = isDone && options.keep === true;
    const status = isKept ? undefined : await node?.stop();
    if (isKept) node?.leave();
    else rmSync(work, { recursive: true, force: true });
    interruption.end();
    if (status !== undefined && status !== 0) {
      isDone = false;
      report.badEnd(status);
    } else if (isDone) {
      report.end(isKept ? { node: node as DemoNode, work } : undefined, options.data);
    }
  }
  return isDone ? 0 : interruption.signal.aborted ? EXIT_INTERRUPTED : 1;
}

async function startNode(
  options: DemoOptions,
  dataDirectory: string,
  work: string,
  report: Report,
): Promise<DemoNode> {
  const isUsualFree = options.keep === true && (await arePortsFree(USUAL_PORT, PORTS_WANTED));
  const startMs = performance.now();
  const node = await DemoNode.start(
    dataDirectory,
    options.port ?? (isUsualFree ? USUAL_PORT : 0),
    join(work, 'node.log'),
  );
  report.started(node, dataDirectory, (performance.now() - startMs) / 1000);
  return node;
}

/** Everything between the start of the node and its end. */
async function tour(
  node: DemoNode,
  path: string,
  work: string,
  options: DemoOptions,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const client = await Millrace.connect(node.address, { timeoutMs: 60_000 });
  try {
    const { flights, order, airports, sets } = await prepare(path, report);
    signal.throwIfAborted();
    report.loading();
    for (const rows of sets) {
      const progress = new Progress({
        label: rows.spec.name.padEnd(7),
        total: rows.rowCount,
        unit: 'rows',
        stream: process.stderr,
        isPlain: options.ci === true,
      });
      report.loaded(rows, await loadRows(client, rows, progress, signal));
    }
    report.footprint(footprintOf(await client.status()));
    await showAirport(client, flights, order, airports, report);
    report.latencies(
      await timeSingleLookups(client, flights.row, signal),
      await timeBatchLookups(client, flights.row, signal),
    );
    const out = join(work, 'flight.arrow');
    const scan = ['scan', 'flight', '--format', 'arrow', '--out', out, '--connect', node.address];
    report.training(scan);
    await runMillrace(scan);
    signal.throwIfAborted();
    await report.scanned(out, flights.count);
  } finally {
    await client.close();
  }
}

interface Prepared {
  readonly flights: Flights;
  readonly order: Uint32Array;
  readonly airports: EntityFeatures;
  readonly sets: readonly RowSet[];
}

async function prepare(path: string, report: Report): Promise<Prepared> {
  const startMs = performance.now();
  const flights = await readFlights(path);
  const readMs = performance.now();
  const order = eventOrder(flights.date);
  const routes = numberRoutes(flights);
  const airports = computeFeatures(flights, order, flights.origin, flights.airports.length);
  const routeFeatures = computeFeatures(flights, order, routes.route, routes.count);
  report.prepared(flights, routes.count, (readMs - startMs) / 1000, (performance.now() - readMs) / 1000);
  const sets = [
    flightRows(flights),
    airportRows(flights, order, airports),
    routeRows(flights, order, routeFeatures, routes),
  ];
  return { flights, order, airports, sets };
}

/** Looks one airport up, and compares what comes with the last version that was computed for it. */
async function showAirport(
  client: Millrace,
  flights: Flights,
  order: Uint32Array,
  features: EntityFeatures,
  report: Report,
): Promise<void> {
  const index = flights.airports.indexOf(SHOWN_AIRPORT);
  let last = order.length - 1;
  while (last >= 0 && flights.origin[order[last]!] !== index) last--;
  const row = await client.get(AIRPORT_SPEC.name, SHOWN_AIRPORT);
  const { departures, lastDelay, lastDelayNull, meanDelay, meanDelayNull } = features;
  const isRight =
    row?.['departures'] === departures[last] &&
    row?.['last_delay'] === (lastDelayNull?.[last] === 1 ? null : lastDelay[last]) &&
    row?.['mean_delay'] === (meanDelayNull?.[last] === 1 ? null : meanDelay[last]);
  if (row === null || !isRight) {
    throw new Error(`the airport ${SHOWN_AIRPORT} does not have its last features: ${JSON.stringify(row)}`);
  }
  report.airport(SHOWN_AIRPORT, row);
}

/** Runs a millrace command as a person would; rejects when it fails. Its figures, on stderr, are part of our report. */
function runMillrace(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MILLRACE_MAIN, ...args], {
      stdio: ['ignore', 'inherit', process.stdout],
    });
    child.on('error', reject);
    child.on('exit', (status, signal) => {
      if (status === 0) resolve();
      else reject(new Error(`millrace ${args[0]} ended with ${status ?? signal}`));
    });
  });
}
