/**
 * What a shard's lives write, so that both processes know it: the one that writes and is killed, and the one that keeps the log
 * and compares.
 *
 * Each key has versions 1, 2, 3 …, whose event times rise with them and lie some time ago, so that no clock that jumps makes them
 * too late or too early. Everything about a version follows from its key, its number and its kind. Counters: life-counters.ts.
 */
import type { GroupPolicy } from '../../storage/index.ts';
import type { CounterRequest } from './life-counters.ts';

export const LIFE_KEYS = 1500;
/** All history of this one is within its retention, whatever the clock of a life: reads of the past are compared. */
export const LIFE_PAST_GROUP = 2;
export const LIFE_GROUPS: readonly number[] = [1, LIFE_PAST_GROUP, 9];

/** Lookups must see a put, and none of the others: deleted, expired before it was written, and history by its sender's wish. */
export const KIND_LETTERS = { put: 'p', remove: 'd', expired: 'x', backfill: 'b' } as const;
export type LifeKind = keyof typeof KIND_LETTERS;

export interface LifeWrite {
  readonly group: number;
  readonly kind: LifeKind;
  /** Key numbers, and the version of each. */
  readonly keys: readonly number[];
  readonly versions: readonly number[];
}

/** A read of `LIFE_PAST_GROUP`: as of the event time of this version, up to a closed read point. */
export interface LifePast {
  readonly version: number;
  readonly readPoint: number;
}

/** What a life is told of those before it. */
export interface LifeOrders {
  /** The last version sent of each key, by group. */
  readonly versions: Record<number, number[]>;
  /** To be read again. */
  readonly pasts: readonly LifePast[];
  /** The last version sent of each counter. */
  readonly counterVersions: number[];
  /** Requests that were sent and not answered: they are sent again, as they were, before anything else. */
  readonly unanswered: readonly CounterRequest[];
  readonly nextSequence: number;
}

const SECOND = 1e6;
const DAY_SECONDS = 86_400;
const EVENT_BASE_MICROS = 1_700_000_000_000_000;
/** The clock of the first life: a day later. */
export const LIFE_CLOCK_MICROS: number = EVENT_BASE_MICROS + DAY_SECONDS * SECOND;
/** From event time to expiry, of a row that has expired when it is written. */
export const LIFE_TTL_SECONDS = 60;
const VALUE_BYTES_MAX = 400;

/** Short enough that sweeps drop what is hidden; lateness is longer than the clock of a life may be back, so deletions stay. */
const SHORT: GroupPolicy = {
  retentionMicros: SECOND,
  latenessMicros: 2 * DAY_SECONDS * SECOND,
  durability: 'journal',
};

export function lifePolicy(group: number): GroupPolicy {
  return group === LIFE_PAST_GROUP ? { ...SHORT, retentionMicros: 2 * DAY_SECONDS * SECOND } : SHORT;
}

export function lifeKey(key: number): string {
  return `entity-${key}`;
}

export function eventMicrosOf(version: number): number {
  return EVENT_BASE_MICROS + version * 1000;
}

/** The row's text: says which it is, and has a length and bytes of its own. */
export function lifeValue(group: number, key: number, version: number): string {
  const length = (Math.imul(key + 7, version + 13) >>> 3) % VALUE_BYTES_MAX;
  return `${version}:${group}:${key}:${String.fromCharCode(97 + ((key + version) % 26)).repeat(length)}`;
}

export function encodeLifeWrite(write: LifeWrite): string {
  const pairs = write.keys.map((key, at) => `${key}=${write.versions[at]}`);
  return `${write.group} ${KIND_LETTERS[write.kind]} ${pairs.join(',')}`;
}

export function decodeLifeWrite(text: string): LifeWrite {
  const [group, letter, pairs] = text.split(' ') as [string, string, string];
  const numbers = pairs.split(',').map((pair) => pair.split('=').map(Number) as [number, number]);
  const kind = (Object.keys(KIND_LETTERS) as LifeKind[]).find((name) => KIND_LETTERS[name] === letter);
  if (kind === undefined) throw new Error(`no kind ${letter}`);
  return {
    group: Number(group),
    kind,
    keys: numbers.map(([key]) => key),
    versions: numbers.map(([, version]) => version),
  };
}
