/** The features against a plain recomputation from each entity's whole list of departures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flights, NullableInts } from '../../../connectors/flights/dataset.ts';
import { eventOrder } from '../../../connectors/flights/event-order.ts';
import {
  computeFeatures,
  LATE_MINUTES,
  numberRoutes,
  WINDOW_DEPARTURES,
} from '../../../connectors/flights/features.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';

interface Plain {
  departures: number;
  meanDelay: number | null;
  lateShare: number | null;
  lastDelay: number | null;
  meanDistance: number | null;
}

function at(column: NullableInts, i: number): number | null {
  return column.isNull?.[i] === 1 ? null : column.values[i]!;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
}

/** Version by version, everything from the beginning. */
function reference(flights: Flights, order: Uint32Array, entity: ArrayLike<number>): Plain[] {
  const departed = new Map<number, number[]>();
  return Array.from(order, (flight) => {
    const list = departed.get(entity[flight]!) ?? [];
    departed.set(entity[flight]!, list);
    list.push(flight);
    const delays = list.map((f) => at(flights.delay, f)).filter((delay) => delay !== null);
    const window = delays.slice(-WINDOW_DEPARTURES);
    const distances = list.map((f) => at(flights.distance, f)).filter((distance) => distance !== null);
    return {
      departures: list.length,
      meanDelay: mean(window),
      lateShare: mean(window.map((delay) => (delay > LATE_MINUTES ? 1 : 0))),
      lastDelay: at(flights.delay, flight),
      meanDistance: mean(distances),
    };
  });
}

function randomFlights(random: SeededRandom, count: number, airports: number, nullShare: number): Flights {
  const column = (min: number, range: number): NullableInts => ({
    values: Int32Array.from({ length: count }, () => min + random.below(range)),
    isNull:
      nullShare === 0
        ? undefined
        : Uint8Array.from({ length: count }, () => (random.chance(nullShare) ? 1 : 0)),
  });
  return {
    count,
    skipped: 0,
    row: Uint32Array.from({ length: count }, (_, i) => i),
    date: Float64Array.from({ length: count }, () => 60e6 * random.below(count / 2)),
    delay: column(-60, 200),
    distance: column(20, 3000),
    origin: Uint16Array.from({ length: count }, () => random.below(airports)),
    destination: Uint16Array.from({ length: count }, () => random.below(airports)),
    airports: Array.from({ length: airports }, (_, i) => `A${i}`),
  };
}

test('agrees with a plain recomputation, with and without nulls', () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  for (const nullShare of [0, 0.3]) {
    const flights = randomFlights(random, 1200, 5, nullShare);
    const order = eventOrder(flights.date);
    const routes = numberRoutes(flights);
    for (const [entity, count] of [
      [flights.origin, flights.airports.length],
      [routes.route, routes.count],
    ] as const) {
      const features = computeFeatures(flights, order, entity, count);
      for (const [i, plain] of reference(flights, order, entity).entries()) {
        const rounded = (value: number | null): number | null => (value === null ? null : Math.fround(value));
        const found: Plain = {
          departures: features.departures[i]!,
          meanDelay: features.meanDelayNull?.[i] === 1 ? null : features.meanDelay[i]!,
          lateShare: features.meanDelayNull?.[i] === 1 ? null : features.lateShare[i]!,
          lastDelay: features.lastDelayNull?.[i] === 1 ? null : features.lastDelay[i]!,
          meanDistance: features.meanDistanceNull?.[i] === 1 ? null : features.meanDistance[i]!,
        };
        const expected: Plain = {
          ...plain,
          meanDelay: rounded(plain.meanDelay),
          lateShare: rounded(plain.lateShare),
          meanDistance: rounded(plain.meanDistance),
        };
        assert.deepEqual(found, expected, `seed ${seed}, version ${i}`);
      }
    }
  }
});

test('routes are numbered as they first come, and know their airports', () => {
  const flights = randomFlights(new SeededRandom(1), 500, 7, 0);
  const routes = numberRoutes(flights);
  let highest = -1;
  for (let i = 0; i < flights.count; i++) {
    const route = routes.route[i]!;
    assert.ok(route <= highest + 1);
    highest = Math.max(highest, route);
    assert.equal(routes.origin[route], flights.origin[i]);
    assert.equal(routes.destination[route], flights.destination[i]);
  }
  assert.equal(routes.count, highest + 1);
});
