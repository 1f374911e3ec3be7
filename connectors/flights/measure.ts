/**
 * The demo's lookups, timed one after the other by one caller, as a person at a prompt would see them.
 *
 * Latencies are the client's own: from the call to the value, encoding, network, server and decoding included.
 * The keys are drawn by a small generator of fixed seed, so that two runs ask for the same.
 */
import type { Millrace } from '../../client/index.ts';
import { FLIGHT_SPEC } from './groups.ts';

export interface Latencies {
  readonly count: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Rows looked up a second, by this one caller. */
  readonly rowsPerSecond: number;
}

const SINGLE_LOOKUPS = 10_000;
const BATCH_LOOKUPS = 1_000;
export const BATCH_KEYS = 100;
/** Calls before the clock starts: the first ones find code that is yet to be compiled. */
const WARM_UP_CALLS = 500;

export async function timeSingleLookups(
  client: Millrace,
  flights: Uint32Array,
  signal: AbortSignal,
): Promise<Latencies> {
  const draw = drawer(flights);
  return timed(SINGLE_LOOKUPS, 1, signal, async () => {
    const row = await client.get(FLIGHT_SPEC.name, draw());
    if (row === null) throw new Error('a flight that was loaded is not there');
  });
}

export async function timeBatchLookups(
  client: Millrace,
  flights: Uint32Array,
  signal: AbortSignal,
): Promise<Latencies> {
  const draw = drawer(flights);
  const keys = new Float64Array(BATCH_KEYS);
  return timed(BATCH_LOOKUPS, BATCH_KEYS, signal, async () => {
    for (let i = 0; i < BATCH_KEYS; i++) keys[i] = draw();
    const matrix = await client.getMatrix(FLIGHT_SPEC.name, keys, { features: ['delay', 'distance'] });
    if (matrix.found.includes(0)) throw new Error('a flight that was loaded is not there');
  });
}

async function timed(
  count: number,
  rowsEach: number,
  signal: AbortSignal,
  call: () => Promise<void>,
): Promise<Latencies> {
  for (let i = 0; i < WARM_UP_CALLS; i++) await call();
  const micros = new Float64Array(count);
  const startMs = performance.now();
  for (let i = 0; i < count; i++) {
    const callMs = performance.now();
    await call();
    micros[i] = (performance.now() - callMs) * 1000;
    signal.throwIfAborted();
  }
  const seconds = (performance.now() - startMs) / 1000;
  micros.sort();
  return {
    count,
    p50Micros: micros[Math.floor(count * 0.5)]!,
    p99Micros: micros[Math.floor(count * 0.99)]!,
    rowsPerSecond: (count * rowsEach) / seconds,
  };
}

/** Draws flights evenly, the same ones in every run (a linear congruential generator with the constants of Numerical Recipes). */
function drawer(flights: Uint32Array): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return flights[Math.floor((state / 2 ** 32) * flights.length)]!;
  };
}
