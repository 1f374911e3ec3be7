/**
 * The rows that lookups are measured on: N entities of 50 float32 features, in Millrace and in Redis.
 *
 * Every value follows from its row and column, so any answer can be checked without keeping the data. In Redis a row
 * stands twice, as people do it: a hash of 50 decimal fields (`h:<8 digits>`) and one string of the 50 packed floats
 * (`<8 digits>`). Decimals are the shortest that give the same float32, which favours Redis.
 */

import type { Group, Millrace } from '../client/index.ts';
import type { RedisPeer } from './redis.ts';

export const FEATURE_COUNT = 50;
export const FEATURE_NAMES: readonly string[] = Array.from(
  { length: FEATURE_COUNT },
  (_, index) => `f${index}`,
);
/** The floats of a row. */
export const ROW_VALUE_BYTES: number = 4 * FEATURE_COUNT;

const PUT_ROWS = 8192;
const REDIS_PIPELINE_ROWS = 2000;

/** A float32 in [-2, 2), spread by a multiplicative hash; never NaN. */
export function featureValue(row: number, column: number): number {
  const mixed = Math.imul(Math.imul(row + 1, 0x9e3779b1) ^ Math.imul(column + 1, 0x85ebca6b), 0xc2b2ae35);
  return Math.fround((mixed >> 8) / 2 ** 22);
}

export function redisStringKey(row: number): string {
  return String(row).padStart(8, '0');
}

export function redisHashKey(row: number): string {
  return `h:${redisStringKey(row)}`;
}

/** Field names and decimal values in turn, as HSET takes them. */
export function redisHashFields(row: number): string[] {
  return FEATURE_NAMES.flatMap((name, column) => [name, shortestDecimal(featureValue(row, column))]);
}

function shortestDecimal(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

export async function loadMillrace(client: Millrace, rowCount: number): Promise<Group> {
  const group = await client.createGroup({
    name: 'bench_features',
    key: [{ name: 'id', type: 'int64' }],
    features: FEATURE_NAMES.map((name) => ({ name, type: 'float32' as const })),
  });
  for (let from = 0; from < rowCount; from += PUT_ROWS) {
    const count = Math.min(PUT_ROWS, rowCount - from);
    const columns: Record<string, ArrayLike<unknown>> = {
      id: Float64Array.from({ length: count }, (_, index) => from + index),
    };
    for (let column = 0; column < FEATURE_COUNT; column++) {
      columns[FEATURE_NAMES[column]!] = Float32Array.from({ length: count }, (_, index) =>
        featureValue(from + index, column),
      );
    }
    await client.put(group, { columns });
  }
  return group;
}

/** `withHashes` false: the packed strings alone, for gets. */
export async function loadRedis(peer: RedisPeer, rowCount: number, withHashes: boolean): Promise<void> {
  for (let from = 0; from < rowCount; from += REDIS_PIPELINE_ROWS) {
    const pipeline = peer.client.pipeline();
    for (let row = from; row < Math.min(rowCount, from + REDIS_PIPELINE_ROWS); row++) {
      const values = Float32Array.from({ length: FEATURE_COUNT }, (_, column) => featureValue(row, column));
      pipeline.set(redisStringKey(row), Buffer.from(values.buffer));
      if (!withHashes) continue;
      pipeline.hset(redisHashKey(row), ...redisHashFields(row));
    }
    const answers = await pipeline.exec();
    const refused = answers?.find(([error]) => error !== null);
    if (refused !== undefined) throw refused[0] as Error;
  }
}
