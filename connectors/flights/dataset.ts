/**
 * The three million flights of the npm package vega-datasets, as columns of numbers.
 *
 * Promises: one array a column, row i of the file in place i of each. Airports are numbered in the order in which they first
 * come, so that features are computed over small integers and their codes are encoded once. A delay or distance that is null
 * has its bit in `isNull`; a flight without a date cannot be an event: it is left out and counted.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConnectorError, formatInvalid } from '../connector-error.ts';
import { convertColumn } from '../files/convert.ts';
import { openSource } from '../files/open-source.ts';
import { SOURCE_START } from '../files/source.ts';

export interface Flights {
  /** Rows kept. */
  readonly count: number;
  /** Rows of the file that had no date, origin or destination. */
  readonly skipped: number;
  /** The flight's number: its row in the file, from 0. */
  readonly row: Uint32Array;
  /** Microseconds since the epoch. */
  readonly date: Float64Array;
  /** Minutes late; negative is early. */
  readonly delay: NullableInts;
  /** Miles. */
  readonly distance: NullableInts;
  /** Indexes into `airports`. */
  readonly origin: Uint16Array;
  readonly destination: Uint16Array;
  readonly airports: readonly string[];
}

export interface NullableInts {
  readonly values: Int32Array;
  /** 1 where the value is null; undefined when none is. */
  readonly isNull: Uint8Array | undefined;
}

const PACKAGE = 'vega-datasets';
const FILE = 'flights-3m.parquet';
const COLUMNS = ['date', 'delay', 'distance', 'origin', 'destination'];

/** One batch is one row group of the file (272,730 rows): its decoded arrays are used without being cut. */
const BATCH_ROWS = 1 << 20;

/** Where the package keeps the file. */
export function locateFlights(
  resolve: (name: string) => string = (name) => import.meta.resolve(name),
): string {
  let path: string;
  try {
    path = fileURLToPath(new URL(`../data/${FILE}`, resolve(PACKAGE)));
  } catch (error) {
    throw missing(`the npm package ${PACKAGE} is not installed`, error);
  }
  if (!existsSync(path)) throw missing(`${path} is not there`);
  return path;
}

function missing(what: string, cause?: unknown): ConnectorError {
  return new ConnectorError(
    'FILE_UNREADABLE',
    `the demo needs ${FILE} of the npm package ${PACKAGE}: ${what}. \`npm install ${PACKAGE}\` brings it (in a clone, \`npm install\` does)`,
    { cause },
  );
}

/** Reads the whole file; `onRows` is told how many rows have been read. */
export async function readFlights(path: string, onRows: (rows: number) => void = () => {}): Promise<Flights> {
  const source = await openSource(path, {});
  try {
    if (source.rowCount === undefined) throw formatInvalid(`${path}: the flights are expected as Parquet`);
    const lacking = COLUMNS.filter((name) => !source.columns.some((column) => column.name === name));
    if (lacking.length > 0) throw formatInvalid(`${path}: lacks the columns ${lacking.join(', ')}`);
    const builder = new FlightsBuilder(source.rowCount);
    for await (const batch of source.read(COLUMNS, SOURCE_START, BATCH_ROWS)) {
      builder.add(batch.start.row, batch.rowCount, batch.columns);
      onRows(batch.end.row);
    }
    return builder.finish();
  } finally {
    await source.close();
  }
}

class FlightsBuilder {
  private count = 0;
  private skipped = 0;
  private readonly row: Uint32Array;
  private readonly date: Float64Array;
  private readonly delay: NullableColumn;
  private readonly distance: NullableColumn;
  private readonly origin: Uint16Array;
  private readonly destination: Uint16Array;
  private readonly airports: string[] = [];
  private readonly indexOfAirport = new Map<unknown, number>();

  constructor(rowsMax: number) {
    this.row = new Uint32Array(rowsMax);
    this.date = new Float64Array(rowsMax);
    this.delay = new NullableColumn(rowsMax);
    this.distance = new NullableColumn(rowsMax);
    this.origin = new Uint16Array(rowsMax);
    this.destination = new Uint16Array(rowsMax);
  }

  add(firstRow: number, rowCount: number, columns: readonly ArrayLike<unknown>[]): void {
    const [date, delay, distance, origin, destination] = columns as [
      ArrayLike<number | null>,
      ArrayLike<unknown>,
      ArrayLike<unknown>,
      ArrayLike<unknown>,
      ArrayLike<unknown>,
    ];
    const delays = convertColumn(delay, rowCount, { type: 'int32' }) as ArrayLike<number | null>;
    const distances = convertColumn(distance, rowCount, { type: 'int32' }) as ArrayLike<number | null>;
    for (let i = 0; i < rowCount; i++) {
      const time = date[i];
      const from = origin[i];
      const to = destination[i];
      if (time == null || from == null || to == null) {
        this.skipped++;
        continue;
      }
      const at = this.count++;
      this.row[at] = firstRow + i;
      this.date[at] = time;
      this.delay.set(at, delays[i]);
      this.distance.set(at, distances[i]);
      this.origin[at] = this.airport(from);
      this.destination[at] = this.airport(to);
    }
  }

  finish(): Flights {
    const { count } = this;
    return {
      count,
      skipped: this.skipped,
      row: this.row.subarray(0, count),
      date: this.date.subarray(0, count),
      delay: this.delay.finish(count),
      distance: this.distance.finish(count),
      origin: this.origin.subarray(0, count),
      destination: this.destination.subarray(0, count),
      airports: this.airports,
    };
  }

  private airport(code: unknown): number {
    const known = this.indexOfAirport.get(code);
    if (known !== undefined) return known;
    const index = this.airports.length;
    if (index > 0xffff) throw formatInvalid('more than 65,536 airports');
    this.airports.push(String(code));
    this.indexOfAirport.set(code, index);
    return index;
  }
}

class NullableColumn {
  private readonly values: Int32Array;
  private isNull: Uint8Array | undefined;

  constructor(rowsMax: number) {
    this.values = new Int32Array(rowsMax);
  }

  set(at: number, value: number | null | undefined): void {
    if (value == null) {
      this.isNull ??= new Uint8Array(this.values.length);
      this.isNull[at] = 1;
    } else {
      this.values[at] = value;
    }
  }

  finish(count: number): NullableInts {
    return { values: this.values.subarray(0, count), isNull: this.isNull?.subarray(0, count) };
  }
}
