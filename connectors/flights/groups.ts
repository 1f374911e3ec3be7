/**
 * The demo's three groups, and their rows as columns.
 *
 * Promises: each set gives the rows [from, to) of its group in the order in which they are to be put: flights as the file has them,
 * airports and routes in event order, so that each version's features are those after its flight. Columns are views or small arrays a
 * batch; nothing is copied row by row but the keys and event times.
 */
import type { CompactGroupSpec, PutColumns } from '../../client/index.ts';
import type { Flights, NullableInts } from './dataset.ts';
import type { EntityFeatures, Routes } from './features.ts';

export interface RowSet {
  readonly spec: CompactGroupSpec;
  readonly rowCount: number;
  /** What the rows are, in the report: `versions of 229 airports`. */
  readonly what: string;
  columns(from: number, to: number): PutColumns;
}

const ENTITY_FEATURES: CompactGroupSpec['features'] = {
  departures: 'int32',
  mean_delay: 'float32',
  late_share: 'float32',
  last_delay: 'int32',
  mean_distance: 'float32',
};

export const FLIGHT_SPEC: CompactGroupSpec = {
  name: 'flight',
  key: { flight: 'int64' },
  eventTimeName: 'date',
  features: { delay: 'int32', distance: 'int32', origin: 'string', destination: 'string' },
};

export const AIRPORT_SPEC: CompactGroupSpec = {
  name: 'airport',
  key: { origin: 'string' },
  eventTimeName: 'date',
  features: ENTITY_FEATURES,
};

export const ROUTE_SPEC: CompactGroupSpec = {
  name: 'route',
  key: { origin: 'string', destination: 'string' },
  eventTimeName: 'date',
  features: ENTITY_FEATURES,
};

export function flightRows(flights: Flights): RowSet {
  const { airports } = flights;
  return {
    spec: FLIGHT_SPEC,
    rowCount: flights.count,
    what: 'flights',
    columns: (from, to) => ({
      flight: flights.row.subarray(from, to),
      date: flights.date.subarray(from, to),
      delay: withNulls(flights.delay.values, flights.delay.isNull, from, to),
      distance: withNulls(flights.distance.values, flights.distance.isNull, from, to),
      origin: pick(airports, flights.origin, from, to),
      destination: pick(airports, flights.destination, from, to),
    }),
  };
}

export function airportRows(flights: Flights, order: Uint32Array, features: EntityFeatures): RowSet {
  const { airports, origin } = flights;
  return {
    spec: AIRPORT_SPEC,
    rowCount: order.length,
    what: `versions of ${airports.length} airports`,
    columns: (from, to) => ({
      origin: Array.from(order.subarray(from, to), (flight) => airports[origin[flight]!]!),
      ...entityColumns(flights, order, features, from, to),
    }),
  };
}

export function routeRows(
  flights: Flights,
  order: Uint32Array,
  features: EntityFeatures,
  routes: Routes,
): RowSet {
  const { airports } = flights;
  return {
    spec: ROUTE_SPEC,
    rowCount: order.length,
    what: `versions of ${routes.count.toLocaleString('en-US')} routes`,
    columns: (from, to) => {
      const ids = order.subarray(from, to);
      return {
        origin: Array.from(ids, (flight) => airports[flights.origin[flight]!]!),
        destination: Array.from(ids, (flight) => airports[flights.destination[flight]!]!),
        ...entityColumns(flights, order, features, from, to),
      };
    },
  };
}

function entityColumns(
  flights: Flights,
  order: Uint32Array,
  features: EntityFeatures,
  from: number,
  to: number,
): PutColumns {
  const date = new Float64Array(to - from);
  for (let i = from; i < to; i++) date[i - from] = flights.date[order[i]!]!;
  return {
    date,
    departures: features.departures.subarray(from, to),
    mean_delay: withNulls(features.meanDelay, features.meanDelayNull, from, to),
    late_share: withNulls(features.lateShare, features.meanDelayNull, from, to),
    last_delay: withNulls(features.lastDelay, features.lastDelayNull, from, to),
    mean_distance: withNulls(features.meanDistance, features.meanDistanceNull, from, to),
  };
}

/** The texts of some numbered things. */
function pick(texts: readonly string[], index: Uint16Array, from: number, to: number): string[] {
  const picked: string[] = [];
  for (let i = from; i < to; i++) picked.push(texts[index[i]!]!);
  return picked;
}

/** Values as they lie when none is null; else a plain array with the nulls in it. */
function withNulls(
  values: NullableInts['values'] | Float32Array,
  isNull: Uint8Array | undefined,
  from: number,
  to: number,
): ArrayLike<number | null> {
  const view = values.subarray(from, to);
  if (isNull === undefined) return view;
  return Array.from(view, (value, i) => (isNull[from + i] === 1 ? null : value));
}
