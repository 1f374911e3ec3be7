/**
 * What the demo says, for a person to read: numbered steps, aligned figures, the commands to type.
 *
 * Plain text; headings are bold where the output is a terminal and `isPlain` is not asked for. All output of the demo but progress
 * bars and the scan command's own goes through here.
 */
import { open } from 'node:fs/promises';
import { RecordBatchReader } from 'apache-arrow';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatLatency,
  formatRate,
  formatTable,
} from '../format.ts';
import type { ProgressStream } from '../progress.ts';
import type { Flights } from './dataset.ts';
import { LATE_MINUTES, WINDOW_DEPARTURES } from './features.ts';
import type { Footprint } from './footprint.ts';
import type { RowSet } from './groups.ts';
import { BATCH_KEYS, type Latencies } from './measure.ts';
import type { DemoNode } from './node-process.ts';

export class Report {
  private readonly stream: ProgressStream;
  private readonly isStyled: boolean;
  private readonly startedMs: number = performance.now();
  private steps = 0;

  constructor(stream: ProgressStream, isPlain: boolean) {
    this.stream = stream;
    this.isStyled = stream.isTTY === true && !isPlain;
  }

  title(text: string): void {
    this.line(this.bold(text));
  }

  started(node: DemoNode, dataDirectory: string, seconds: number): void {
    this.step('A node');
    this.command(['serve', '--data', dataDirectory]);
    const shards = `${node.shardCount} ${node.shardCount === 1 ? 'shard' : 'shards'}`;
    this.line(`   serves on ${node.address} with ${shards} after ${formatDuration(seconds)}`);
  }

  prepared(flights: Flights, routeCount: number, readSeconds: number, computeSeconds: number): void {
    this.step('The data');
    this.line(
      `   ${formatCount(flights.count)} flights, ${formatCount(flights.airports.length)} airports, ` +
        `${formatCount(routeCount)} routes, read from Parquet in ${formatDuration(readSeconds)}`,
    );
    if (flights.skipped > 0) {
      this.line(`   ${formatCount(flights.skipped)} rows without a date, origin or destination are left out`);
    }
    this.line(
      `   features in event order, in ${formatDuration(computeSeconds)}: departures so far, mean delay and share over ` +
        `${LATE_MINUTES} min of the last ${WINDOW_DEPARTURES}, last delay, mean distance`,
    );
  }

  loading(): void {
    this.step('Loading three groups; every row is on disk before it is acknowledged');
  }

  loaded(rows: RowSet, seconds: number): void {
    const { name } = rows.spec;
    const rate = `${formatRate(rows.rowCount, seconds)} rows/s`;
    this.line(
      `   ${name.padEnd(8)} ${formatCount(rows.rowCount)} ${rows.what} in ${formatDuration(seconds)}: ${this.bold(rate)}`,
    );
  }

  footprint(f: Footprint): void {
    const diskEach = (f.blockBytes / f.versions).toFixed(1);
    const dramEach = (f.indexBytes / f.rows).toFixed(1);
    this.line(
      formatTable(
        [
          [
            'disk',
            `${diskEach} bytes a version`,
            `${formatBytes(f.blockBytes)} for ${formatCount(f.versions)} versions, and ${formatBytes(f.journalBytes)} of journal`,
          ],
          [
            'DRAM',
            `${dramEach} bytes a row`,
            `${formatBytes(f.indexBytes)} of index for ${formatCount(f.rows)} rows; ` +
              `${formatBytes(f.bufferBytes)} write buffer, ${formatBytes(f.cacheBytes)} block cache`,
          ],
        ],
        '   ',
      ).trimEnd(),
    );
  }

  airport(code: string, row: Readonly<Record<string, unknown>>): void {
    this.step('Lookups');
    this.command(['get', 'airport', code]);
    const number = (name: string): number => row[name] as number;
    const delay = row['last_delay'] === null ? 'unknown' : `${number('last_delay')} min`;
    this.line(
      formatTable(
        [
          ['as of', new Date(number('date') / 1000).toISOString().replace(/\.000Z$/, 'Z')],
          ['departures', formatCount(number('departures'))],
          ['mean_delay', `${number('mean_delay').toFixed(1)} min over the last ${WINDOW_DEPARTURES}`],
          [
            'late_share',
            `${(number('late_share') * 100).toFixed(0)} % of them more than ${LATE_MINUTES} min late`,
          ],
          ['last_delay', delay],
          ['mean_distance', `${number('mean_distance').toFixed(0)} miles`],
        ],
        '     ',
      ).trimEnd(),
    );
  }

  latencies(single: Latencies, batch: Latencies): void {
    const line = (what: string, l: Latencies): string[] => [
      what,
      `p50 ${formatLatency(l.p50Micros)}`,
      `p99 ${formatLatency(l.p99Micros)}`,
      `${formatCount(l.rowsPerSecond)} rows/s by one caller`,
    ];
    this.line(
      formatTable(
        [
          line(`${formatCount(single.count)} lookups of one flight`, single),
          line(`${formatCount(batch.count)} lookups of ${BATCH_KEYS} flights`, batch),
        ],
        '   ',
      ).trimEnd(),
    );
  }

  training(args: readonly string[]): void {
    this.step('A training read: every flight, from all shards at once, as Arrow');
    this.command(args);
  }

  /** A command to type, as it would be typed. */
  private command(args: readonly string[]): void {
    this.line(`   ${this.bold(`$ millrace ${args.join(' ')}`)}`);
  }

  /** Opens what the scan wrote, and throws when it is not every row. */
  async scanned(path: string, expectedRows: number): Promise<void> {
    const handle = await open(path, 'r');
    try {
      const reader = await RecordBatchReader.from(handle);
      await reader.open();
      const names = reader.schema.fields.map((field) => field.name).join(', ');
      let rows = 0;
      for await (const batch of reader) rows += batch.numRows;
      if (rows !== expectedRows)
        throw new Error(`the Arrow file has ${rows} rows, the group ${expectedRows}`);
      this.line(`   read back: ${formatCount(rows)} rows with the columns ${names}`);
    } finally {
      await handle.close().catch(() => {});
    }
  }

  interrupted(): void {
    this.line('\ninterrupted: stopping the node');
  }

  badEnd(status: number | NodeJS.Signals): void {
    this.line(`\nthe node ended with ${status} instead of 0`);
  }

  end(kept: { node: DemoNode; work: string } | undefined, data: string | undefined): void {
    const took = formatDuration((performance.now() - this.startedMs) / 1000);
    this.step('The end');
    if (kept === undefined) {
      const what = data === undefined ? 'its data is removed' : `its data stays in ${data}`;
      this.line(`   the node stopped cleanly with exit status 0, ${what}; all in ${took}`);
      this.line(
        '   Try next: npm run demo -- --keep, then look around in the node with `millrace get airport ORD`',
      );
      return;
    }
    const connect = kept.node.port === 7400 ? '' : ` --connect ${kept.node.address}`;
    this.line(
      `   all in ${took}; the node (pid ${kept.node.pid}) goes on on ${kept.node.address}, its files are in ${kept.work}`,
    );
    this.line(`   Try next: millrace get airport SFO${connect}; stop it with: kill ${kept.node.pid}`);
  }

  private step(text: string): void {
    this.steps++;
    this.line(`\n${this.bold(`${this.steps}  ${text}`)}`);
  }

  private line(text: string): void {
    this.stream.write(`${text}\n`);
  }

  private bold(text: string): string {
    return this.isStyled ? `\u001b[1m${text}\u001b[22m` : text;
  }
}
