/**
 * The features of an airport or a route, after each of its departures.
 *
 * Flights are taken in event order; each updates the entity it departs from and leaves one version of its features:
 *
 *   departures     int32    departures so far, this one included
 *   mean_delay     float32  minutes, over the last 50 departures whose delay is known
 *   late_share     float32  share of those more than 15 minutes late
 *   last_delay     int32    minutes; null when this departure's delay is not known
 *   mean_distance  float32  miles, over all departures so far whose distance is known
 *
 * Promises: version i of the result belongs to flight order[i]; one pass, O(1) a flight. A ring of the last 50 delays for each entity, a running sum and a
 * running count of the late ones, all integers, so that nothing drifts: the means are exact quotients.
 */
import type { Flights } from './dataset.ts';

export const WINDOW_DEPARTURES = 50;
export const LATE_MINUTES = 15;

export interface EntityFeatures {
  readonly departures: Int32Array;
  readonly meanDelay: Float32Array;
  readonly lateShare: Float32Array;
  readonly lastDelay: Int32Array;
  readonly meanDistance: Float32Array;
  /** Versions whose delay, or mean of delays, is null; undefined when there are none. */
  readonly lastDelayNull: Uint8Array | undefined;
  readonly meanDelayNull: Uint8Array | undefined;
  readonly meanDistanceNull: Uint8Array | undefined;
}

/** What is kept of each entity while the flights go by. */
interface Running {
  readonly departures: Int32Array;
  readonly ring: Int16Array | Int32Array;
  readonly ringCount: Uint8Array;
  readonly ringNext: Uint8Array;
  readonly delaySum: Int32Array;
  readonly lateCount: Uint8Array;
  readonly distanceSum: Float64Array;
  readonly distanceCount: Int32Array;
}

/** The versions of `entityCount` entities; `entity[flight]` says which one a flight departs from. */
export function computeFeatures(
  flights: Flights,
  order: Uint32Array,
  entity: Uint16Array | Uint32Array,
  entityCount: number,
): EntityFeatures {
  const running = newRunning(entityCount);
  const result = newFeatures(order.length, flights);
  const delays = flights.delay;
  const distances = flights.distance;
  for (let version = 0; version < order.length; version++) {
    const flight = order[version]!;
    const e = entity[flight]!;
    result.departures[version] = ++running.departures[e]!;
    if (delays.isNull === undefined || delays.isNull[flight] === 0) {
      const delay = delays.values[flight]!;
      pushDelay(running, e, delay);
      result.lastDelay[version] = delay;
    } else {
      result.lastDelayNull![version] = 1;
    }
    const known = running.ringCount[e]!;
    if (known > 0) {
      result.meanDelay[version] = running.delaySum[e]! / known;
      result.lateShare[version] = running.lateCount[e]! / known;
    } else {
      result.meanDelayNull![version] = 1;
    }
    if (distances.isNull === undefined || distances.isNull[flight] === 0) {
      running.distanceSum[e]! += distances.values[flight]!;
      running.distanceCount[e]!++;
    }
    const measured = running.distanceCount[e]!;
    if (measured > 0) result.meanDistance[version] = running.distanceSum[e]! / measured;
    else result.meanDistanceNull![version] = 1;
  }
  return result;
}

/** Puts a delay into the entity's ring in place of the oldest one, once the ring is full. */
function pushDelay(running: Running, e: number, delay: number): void {
  const base = e * WINDOW_DEPARTURES;
  const next = running.ringNext[e]!;
  if (running.ringCount[e] === WINDOW_DEPARTURES) {
    const oldest = running.ring[base + next]!;
    running.delaySum[e]! -= oldest;
    if (oldest > LATE_MINUTES) running.lateCount[e]!--;
  } else {
    running.ringCount[e]!++;
  }
  running.ring[base + next] = delay;
  running.delaySum[e]! += delay;
  if (delay > LATE_MINUTES) running.lateCount[e]!++;
  running.ringNext[e] = next + 1 === WINDOW_DEPARTURES ? 0 : next + 1;
}

function newRunning(entityCount: number): Running {
  return {
    departures: new Int32Array(entityCount),
    ring: new Int32Array(entityCount * WINDOW_DEPARTURES),
    ringCount: new Uint8Array(entityCount),
    ringNext: new Uint8Array(entityCount),
    delaySum: new Int32Array(entityCount),
    lateCount: new Uint8Array(entityCount),
    distanceSum: new Float64Array(entityCount),
    distanceCount: new Int32Array(entityCount),
  };
}

function newFeatures(versions: number, flights: Flights): EntityFeatures {
  const hasNullDelays = flights.delay.isNull !== undefined;
  const hasNullDistances = flights.distance.isNull !== undefined;
  return {
    departures: new Int32Array(versions),
    meanDelay: new Float32Array(versions),
    lateShare: new Float32Array(versions),
    lastDelay: new Int32Array(versions),
    meanDistance: new Float32Array(versions),
    lastDelayNull: hasNullDelays ? new Uint8Array(versions) : undefined,
    meanDelayNull: hasNullDelays ? new Uint8Array(versions) : undefined,
    meanDistanceNull: hasNullDistances ? new Uint8Array(versions) : undefined,
  };
}

export interface Routes {
  /** For each flight, the number of its route. */
  readonly route: Uint32Array;
  /** For each route, the airports it joins. */
  readonly origin: Uint16Array;
  readonly destination: Uint16Array;
  readonly count: number;
}

/** Numbers the routes in the order in which the file first flies them: a table of airports × airports, no map, no strings. */
export function numberRoutes(flights: Flights): Routes {
  const airports = flights.airports.length;
  const table = new Int32Array(airports * airports).fill(-1);
  const route = new Uint32Array(flights.count);
  const cells: number[] = [];
  for (let i = 0; i < flights.count; i++) {
    const cell = flights.origin[i]! * airports + flights.destination[i]!;
    let number = table[cell]!;
    if (number < 0) {
      number = cells.length;
      cells.push(cell);
      table[cell] = number;
    }
    route[i] = number;
  }
  return {
    route,
    origin: Uint16Array.from(cells, (cell) => Math.floor(cell / airports)),
    destination: Uint16Array.from(cells, (cell) => cell % airports),
    count: cells.length,
  };
}
