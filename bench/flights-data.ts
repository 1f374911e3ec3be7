/**
 * Three million US flights as columns in memory, and the group that holds them.
 *
 * The parquet file of the npm package vega-datasets is parsed once, before any clock runs: what is measured is the
 * store and not a parquet reader. Keys are row numbers, as in the demo.
 */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { asyncBufferFromFile, parquetRead } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { GroupSpecInput } from '../client/index.ts';

export interface Flights {
  count: number;
  /** µs since the epoch. */
  eventTimes: Float64Array;
  columns: Record<string, ArrayLike<unknown>>;
}

export const FLIGHT_GROUP: GroupSpecInput = {
  name: 'flight',
  key: { flight_id: 'int64' },
  features: { delay: 'int16', distance: 'int16', origin: 'string', destination: 'string' },
};

/** The package exports its program only; its data stands beside that. */
export function flightsFile(): string {
  const program = createRequire(import.meta.url).resolve('vega-datasets');
  return join(dirname(program), '..', 'data', 'flights-3m.parquet');
}

export async function readFlights(limit: number = Number.POSITIVE_INFINITY): Promise<Flights> {
  const file = await asyncBufferFromFile(flightsFile());
  const parts = new Map<string, { from: number; values: ArrayLike<unknown> }[]>();
  await parquetRead({
    file,
    compressors,
    ...(Number.isFinite(limit) ? { rowEnd: limit } : {}),
    onChunk: ({ columnName, columnData, rowStart }) => {
      const list = parts.get(columnName) ?? [];
      list.push({ from: rowStart, values: columnData });
      parts.set(columnName, list);
    },
  });
  const total = Math.max(...parts.get('date')!.map(({ from, values }) => from + values.length));
  const count = Math.min(total, limit);
  const gather = <T extends { [index: number]: unknown }>(
    name: string,
    into: T,
    convert: (value: unknown) => unknown,
  ): T => {
    for (const { from, values } of parts.get(name)!) {
      for (let index = 0; index < values.length && from + index < count; index++) {
        into[from + index] = convert(values[index]);
      }
    }
    return into;
  };
  const eventTimes = gather('date', new Float64Array(count), (value) => (value as Date).getTime() * 1000);
  return {
    count,
    eventTimes,
    columns: {
      flight_id: Float64Array.from({ length: count }, (_, index) => index),
      event_time: eventTimes,
      delay: gather('delay', new Int16Array(count), Number),
      distance: gather('distance', new Int16Array(count), Number),
      origin: gather('origin', new Array<string>(count), String),
      destination: gather('destination', new Array<string>(count), String),
    },
  };
}

/** Rows [from, to) of the columns. */
export function sliceColumns(flights: Flights, from: number, to: number): Record<string, ArrayLike<unknown>> {
  const cut = (column: ArrayLike<unknown>): ArrayLike<unknown> =>
    Array.isArray(column) ? column.slice(from, to) : (column as Float64Array).subarray(from, to);
  return Object.fromEntries(Object.entries(flights.columns).map(([name, column]) => [name, cut(column)]));
}
