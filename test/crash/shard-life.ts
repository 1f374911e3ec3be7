/**
 * The process that shard-kill.test.ts kills: one life of a shard, on whose directory many lives follow each other.
 *
 *   node shard-life.js DIRECTORY SEED CLOCK-MICROS ORDERS-FILE
 *
 * Opens the shard; says every row that lookups, scans and reads of the past find; sends again the requests that earlier lives were
 * not answered; then writes without end from several writers, says what it sends and what was acknowledged, and closes on SIGTERM.
 * Buffers and journal are small, so that flushes and compactions happen within every life. A line leaves the process before
 * anything else happens: what the other side has read was durable before the kill.
 *
 *   found GROUP KEY V,V,…            the versions that lookups find, from this key on, 0 for none; a scan found the same, or the
 *                                    life ends with an error
 *   counters COUNTER STATE,STATE,…   what counters are (life-counters.ts), from this one on
 *   past V READ-POINT KEY V,V,…      the versions as of the event time of V, from this key on, up to a closed read point
 *   send ID WRITE                    what it is about to write (life-plan.ts)
 *   done ID LSN,LSN,…                acknowledged, with the rows' LSNs
 *   ask ID REQUEST                   a request that changes counters, in JSON
 *   answered ID LSN,LSN,…            it led to what it must; 0: refused
 *   closed                           after SIGTERM
 *
 * ORDERS-FILE: a `LifeOrders` in JSON. Values are compared here, versions by who listens.
 */
import { strict as assert } from 'node:assert';
import { readFileSync, writeSync } from 'node:fs';
import { type PatchMerge, RESULT_APPLIED, refusalResult } from '../../storage/index.ts';
import type { ReadView } from '../../storage/read-view.ts';
import {
  ModelStore,
  type StoreAnswer,
  type StoreVariant,
  type StoreWrite,
} from '../simulation/model-store.ts';
import { SeededRandom } from '../support/random-source.ts';
import {
  COUNTER_GROUP,
  COUNTERS,
  type CounterRequest,
  counterKey,
  counterMerge,
  payloadOf,
  stateOf,
} from './life-counters.ts';
import {
  encodeLifeWrite,
  eventMicrosOf,
  LIFE_GROUPS,
  LIFE_KEYS,
  LIFE_PAST_GROUP,
  LIFE_TTL_SECONDS,
  type LifeKind,
  type LifeOrders,
  type LifePast,
  lifeKey,
  lifePolicy,
  lifeValue,
} from './life-plan.ts';

const STANDARD_OUTPUT = 1;
/** As a node does: nothing is acknowledged any more, and the process ends. */
const EXIT_FATAL = 3;
const WRITERS = 4;
const BATCH_ROWS_MAX = 60;
/** Keys in a line, so that it stays below what a pipe takes as one piece. */
const FOUND_KEYS = 500;
const FOUND_COUNTERS = 30;
/** Rows of a request for counters. */
const CHANGES_MAX = 8;
/** Of all writes to rows: those of the group whose whole past is kept, which grows with every life. */
const PAST_GROUP_CHANCE = 0.12;
/** Between two reads of the past beside the writers. */
const PAST_PAUSE_MS = 60;
const FULL_PAUSE_MS = 20;
const KIB = 1024;

/** A flush every hundred rows or so, a sweep every few hundred, and a new journal segment every few hundred commits. */
const VARIANT: StoreVariant = {
  name: 'life',
  shardCount: 1,
  options: {
    writeBufferBytes: 64 * KIB,
    journalSegmentBytes: 1024 * KIB,
    cacheBytes: 1024 * KIB,
    policies: { policyOf: lifePolicy },
    compaction: { levelZeroBytesMax: 256 * KIB },
    onFatal: (error) => {
      process.stderr.write(`${error.code}: ${error.message}\n`);
      process.exit(EXIT_FATAL);
    },
  },
};

const KEYS: readonly string[] = Array.from({ length: LIFE_KEYS }, (_, key) => lifeKey(key));

function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(STANDARD_OUTPUT, bytes, at);
    } catch (error) {
      // The pipe is full: the other side reads on.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** Says what lookups find, after each row's bytes and a scan were compared with it. */
async function sayFound(store: ModelStore): Promise<void> {
  for (const group of LIFE_GROUPS) {
    const values = store.get(group, KEYS);
    const versions = values.map((value, key) => {
      if (value === null) return 0;
      const version = Number.parseInt(value, 10);
      assert.equal(value, lifeValue(group, key, version), 'a row came back changed');
      return version;
    });
    const live = values.flatMap((value, key) => (value === null ? [] : [{ key: lifeKey(key), value }]));
    const scanned = await store.scan(group, KEYS);
    assert.deepEqual(
      scanned,
      live.sort((a, b) => (a.key < b.key ? -1 : 1)),
      'a scan found other rows',
    );
    for (let key = 0; key < LIFE_KEYS; key += FOUND_KEYS) {
      say(`found ${group} ${key} ${versions.slice(key, key + FOUND_KEYS).join(',')}`);
    }
  }
}

function sayCounters(store: ModelStore): void {
  for (let counter = 0; counter < COUNTERS; counter += FOUND_COUNTERS) {
    const keys = Array.from({ length: FOUND_COUNTERS }, (_, at) => counterKey(counter + at));
    say(`counters ${counter} ${store.payloads(COUNTER_GROUP, keys).map(stateOf).join(',')}`);
  }
}

/** The version of each key as of a moment. */
async function readPast(store: ModelStore, { version, readPoint }: LifePast): Promise<number[]> {
  const bounds = { asOfMicros: eventMicrosOf(version), readPointMicros: readPoint };
  const view: ReadView = { bounds, sinceMicros: null };
  const found = new Array<number>(LIFE_KEYS).fill(0);
  for (const { key, value } of await store.scan(LIFE_PAST_GROUP, KEYS, view)) {
    const number = Number(key.slice(key.indexOf('-') + 1));
    const seen = Number.parseInt(value, 10);
    assert.equal(value, lifeValue(LIFE_PAST_GROUP, number, seen), 'a row of the past came back changed');
    found[number] = seen;
  }
  return found;
}

function sayPast({ version, readPoint }: LifePast, found: readonly number[]): void {
  for (let key = 0; key < LIFE_KEYS; key += FOUND_KEYS)
    say(`past ${version} ${readPoint} ${key} ${found.slice(key, key + FOUND_KEYS).join(',')}`);
}

/** Reads of the past beside the writers, each made twice: sweeps and writes in between must change nothing. */
async function watchThePast(
  store: ModelStore,
  random: SeededRandom,
  sent: readonly number[],
  isClosing: () => boolean,
): Promise<void> {
  while (!isClosing()) {
    try {
      const past = {
        version: 1 + random.below(1 + Math.max(...sent)),
        readPoint: await store.closeReadPoint(),
      };
      const found = await readPast(store, past);
      await new Promise((resolve) => setTimeout(resolve, PAST_PAUSE_MS));
      assert.deepEqual(
        await readPast(store, past),
        found,
        'a read of the past was another one the second time',
      );
      sayPast(past, found);
    } catch (error) {
      if (!isClosing()) throw error;
    }
  }
}

/** Sends requests for counters, and makes sure that each leads to what it must. */
class CounterSender {
  readonly #store: ModelStore;
  readonly #merge: PatchMerge = counterMerge();

  constructor(store: ModelStore) {
    this.#store = store;
  }

  /** Until it is answered; null when the store is closing. */
  async send(request: CounterRequest): Promise<readonly number[] | null> {
    const { kind, changes, expected } = request;
    const id = `c${request.sequence}`;
    say(`ask ${id} ${JSON.stringify(request)}`);
    const answers = await this.#write({
      kind: kind === 'late' ? 'patch' : kind === 'remove' ? 'delete' : kind,
      group: COUNTER_GROUP,
      keys: changes.map(({ counter }) => counterKey(counter)),
      eventMicros: changes.map(({ version }) => eventMicrosOf(version)),
      values: changes.map((change) => payloadOf(kind, change)),
      merge: this.#merge,
      ttlSeconds: 0,
      ifVersions: request.ifVersions,
      sequence: request.sequence,
    });
    if (answers === null) return null;
    const result = expected === 'applied' ? RESULT_APPLIED : refusalResult(expected);
    for (const answer of answers)
      assert.equal(answer.result, result, `${expected}: ${JSON.stringify(request)}`);
    const lsns = answers.map(({ lsn }) => lsn);
    say(`answered ${id} ${lsns.join(',')}`);
    return lsns;
  }

  async #write(write: StoreWrite): Promise<StoreAnswer[] | null> {
    for (;;) {
      try {
        return await this.#store.write(write);
      } catch (error) {
        const { code } = error as { code?: unknown };
        if (code === 'SHUTTING_DOWN') return null;
        assert.equal(code, 'STORAGE_FULL');
        await new Promise((resolve) => setTimeout(resolve, FULL_PAUSE_MS));
      }
    }
  }
}

/** What all writers share. */
interface LifeWork {
  readonly store: ModelStore;
  readonly sender: CounterSender;
  readonly orders: LifeOrders;
  /** Of requests. */
  nextSequence: number;
  readonly clockMicros: number;
}

class Writer {
  readonly #work: LifeWork;
  readonly #random: SeededRandom;
  readonly #number: number;
  /** Of counters that this life has changed: the LSN of the row, 0 for none, and the version of its event time. */
  readonly #counters: Map<number, { lsn: number; version: number }> = new Map();
  #batches = 0;

  constructor(work: LifeWork, number: number, seed: number) {
    this.#work = work;
    this.#number = number;
    this.#random = new SeededRandom(seed);
  }

  /** Writes until the store refuses to. Each writer has keys of its own, so that versions of a key are sent in order. */
  async run(): Promise<void> {
    while (await (this.#random.chance(0.25) ? this.#count() : this.#batch()));
  }

  async #batch(): Promise<boolean> {
    const random = this.#random;
    const others = LIFE_GROUPS.filter((each) => each !== LIFE_PAST_GROUP);
    const group = random.chance(PAST_GROUP_CHANCE)
      ? LIFE_PAST_GROUP
      : (others[random.below(others.length)] as number);
    const sent = this.#work.orders.versions[group] as number[];
    const keys = new Set<number>();
    const count = 1 + random.below(random.chance(0.5) ? 4 : BATCH_ROWS_MAX);
    while (keys.size < count) keys.add(WRITERS * random.below(LIFE_KEYS / WRITERS) + this.#number);
    const list = [...keys];
    const kind: LifeKind = random.chance(0.15) ? 'remove' : random.chance(0.1) ? 'expired' : 'put';
    const firsts = list.map((key) => (sent[key] as number) + 1);
    if (!random.chance(0.15)) return this.#write(group, kind, list, firsts);
    // The newer version first: the other one is late, and enters history only.
    const seconds = firsts.map((version) => version + 1);
    const late = random.chance(0.5) ? 'put' : 'backfill';
    return (await this.#write(group, kind, list, seconds)) && this.#write(group, late, list, firsts);
  }

  async #write(group: number, kind: LifeKind, keys: number[], versions: number[]): Promise<boolean> {
    const sent = this.#work.orders.versions[group] as number[];
    for (const [at, key] of keys.entries()) sent[key] = Math.max(sent[key] as number, versions[at] as number);
    const id = `${this.#number}.${this.#batches++}`;
    say(`send ${id} ${encodeLifeWrite({ group, kind, keys, versions })}`);
    try {
      const answers = await this.#work.store.write({
        kind: kind === 'remove' ? 'delete' : 'put',
        group,
        keys: keys.map(lifeKey),
        eventMicros: versions.map(eventMicrosOf),
        values: keys.map((key, at) => lifeValue(group, key, versions[at] as number)),
        ttlSeconds: kind === 'expired' ? LIFE_TTL_SECONDS : 0,
        isBackfill: kind === 'backfill',
      });
      say(`done ${id} ${answers.map(({ lsn }) => lsn).join(',')}`);
      return true;
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === 'STORAGE_FULL') return true;
      assert.equal(code, 'SHUTTING_DOWN');
      return false;
    }
  }

  /** A request for counters of this writer; false when the store is closing. */
  async #count(): Promise<boolean> {
    const { orders, sender } = this.#work;
    const request = this.#drawRequest();
    for (const { counter, version } of request.changes) {
      orders.counterVersions[counter] = Math.max(orders.counterVersions[counter] as number, version);
    }
    const lsns = await sender.send(request);
    if (lsns === null) return false;
    if (request.expected !== 'applied') return true;
    for (const [at, { counter, version }] of request.changes.entries()) {
      const lsn = request.kind === 'remove' ? 0 : (lsns[at] as number);
      this.#counters.set(counter, { lsn, version });
    }
    return true;
  }

  #drawRequest(): CounterRequest {
    const random = this.#random;
    const counters = new Set<number>();
    const count = 1 + random.below(CHANGES_MAX);
    while (counters.size < count) counters.add(WRITERS * random.below(COUNTERS / WRITERS) + this.#number);
    const known = [...counters].filter((counter) => this.#counters.has(counter));
    const draw = known.length === 0 ? 0 : random.below(10);
    const kind = draw < 6 ? 'patch' : draw < 8 ? 'put' : draw < 9 ? 'remove' : 'late';
    const isWrong = kind === 'put' && random.chance(0.4);
    const chosen = kind === 'patch' || kind === 'remove' ? [...counters] : known;
    const bound = (): number | null => (random.chance(0.5) ? random.below(1_000_000) : null);
    return {
      sequence: this.#work.nextSequence++,
      kind,
      ifVersions:
        kind === 'put' ? chosen.map((counter) => this.#counters.get(counter)!.lsn + (isWrong ? 1 : 0)) : null,
      expected: kind === 'late' ? 'LATE_PATCH' : isWrong ? 'VERSION_MISMATCH' : 'applied',
      changes: chosen.map((counter) => ({
        counter,
        version:
          kind === 'late'
            ? this.#counters.get(counter)!.version - 1
            : (this.#work.orders.counterVersions[counter] as number) + 1,
        add: random.below(2000) - 700,
        low: bound(),
        high: bound(),
        items: Array.from({ length: random.below(4) }, () => random.below(1000)),
      })),
      clockMicros: this.#work.clockMicros,
    };
  }
}

async function live(directory: string, seed: number, clockMicros: number, ordersFile: string): Promise<void> {
  const orders = JSON.parse(readFileSync(ordersFile, 'utf8')) as LifeOrders;
  const random = new SeededRandom(seed);
  const store = await new ModelStore(directory, VARIANT, clockMicros).open();
  let isClosing = false;
  const closed = new Promise<void>((resolve, reject) => {
    process.on('SIGTERM', () => {
      if (isClosing) return;
      isClosing = true;
      store.close().then(resolve, reject);
    });
  });
  const sender = new CounterSender(store);
  const pastSent = orders.versions[LIFE_PAST_GROUP] as number[];
  await sayFound(store);
  sayCounters(store);
  for (const past of orders.pasts) sayPast(past, await readPast(store, past));
  const past = { version: random.below(1 + Math.max(...pastSent)), readPoint: await store.closeReadPoint() };
  sayPast(past, await readPast(store, past));
  for (const request of orders.unanswered) await sender.send(request);
  say('ready');
  const startedMs = performance.now();
  const ticking = setInterval(() => store.setClock(clockMicros + (performance.now() - startedMs) * 1000), 10);
  const work: LifeWork = { store, sender, orders, nextSequence: orders.nextSequence, clockMicros };
  const writers = Array.from({ length: WRITERS }, (_, number) => new Writer(work, number, random.uint32()));
  await Promise.all([
    ...writers.map((writer) => writer.run()),
    watchThePast(store, random, pastSent, () => isClosing),
  ]);
  clearInterval(ticking);
  await closed;
  say('closed');
}

const [directory, seed, clockMicros, ordersFile] = process.argv.slice(2) as [string, string, string, string];
await live(directory, Number(seed), Number(clockMicros), ordersFile);
process.exit(0);
