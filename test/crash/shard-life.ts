/**
 * The process that shard-kill.test.ts kills: one life of a shard, on whose directory many lives follow each other.
 *
 *   node shard-life.js DIRECTORY SEED CLOCK-MICROS VERSIONS-FILE
 *
 * Opens the shard, says every row that lookups and scans find, then writes without end from several writers, says what it sends and
 * what was acknowledged, and closes on SIGTERM. Buffers and journal are small, so that flushes and compactions happen
 * within every life. A line leaves the process before anything else happens: what the other side has read was durable before the kill.
 *
 *   found GROUP KEY V,V,…   the versions that lookups find, from this key on, 0 for none; a scan found the same, or the life
 *                           ends with an error
 *   send ID WRITE           what it is about to write (life-plan.ts)
 *   done ID LSN,LSN,…       acknowledged, with the rows' LSNs
 *   closed                  after SIGTERM
 *
 * VERSIONS-FILE holds the last version sent of each key, by group: a JSON object of arrays.
 */
import { strict as assert } from 'node:assert';
import { readFileSync, writeSync } from 'node:fs';
import type { GroupPolicy } from '../../storage/index.ts';
import { ModelStore, type StoreVariant } from '../simulation/model-store.ts';
import { SeededRandom } from '../support/random-source.ts';
import {
  encodeLifeWrite,
  eventMicrosOf,
  LIFE_GROUPS,
  LIFE_KEYS,
  LIFE_TTL_SECONDS,
  type LifeKind,
  lifeKey,
  lifeValue,
} from './life-plan.ts';

const STANDARD_OUTPUT = 1;
/** As a node does: nothing is acknowledged any more, and the process ends. */
const EXIT_FATAL = 3;
const WRITERS = 4;
const BATCH_ROWS_MAX = 60;
/** Keys in a line, so that it stays below what a pipe takes as one piece. */
const FOUND_KEYS = 500;
const KIB = 1024;

/** A flush every hundred rows or so, a sweep every few hundred, and a new journal segment every few hundred commits. */
const VARIANT: StoreVariant = {
  name: 'life',
  shardCount: 1,
  options: {
    writeBufferBytes: 64 * KIB,
    journalSegmentBytes: 1024 * KIB,
    cacheBytes: 1024 * KIB,
    policies: { policyOf: () => LIFE_POLICY },
    compaction: { levelZeroBytesMax: 256 * KIB },
    onFatal: (error) => {
      process.stderr.write(`${error.code}: ${error.message}\n`);
      process.exit(EXIT_FATAL);
    },
  },
};

/** Short enough that sweeps drop what is hidden, deleted or expired; longer than the clock of a life may be back. */
const LIFE_POLICY: GroupPolicy = {
  retentionMicros: 1e6,
  latenessMicros: 2 * 86_400 * 1e6,
  durability: 'journal',
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

class Writer {
  readonly #store: ModelStore;
  readonly #random: SeededRandom;
  readonly #number: number;
  /** Last version sent of each key, by group. */
  readonly #versions: Record<number, number[]>;
  #batches = 0;

  constructor(store: ModelStore, number: number, seed: number, versions: Record<number, number[]>) {
    this.#store = store;
    this.#number = number;
    this.#random = new SeededRandom(seed);
    this.#versions = versions;
  }

  /** Writes until the store refuses to. Each writer has keys of its own, so that versions of a key are sent in order. */
  async run(): Promise<void> {
    while (await this.#batch());
  }

  async #batch(): Promise<boolean> {
    const random = this.#random;
    const group = LIFE_GROUPS[random.below(LIFE_GROUPS.length)] as number;
    const sent = this.#versions[group] as number[];
    const keys = new Set<number>();
    const count = 1 + random.below(random.chance(0.5) ? 4 : BATCH_ROWS_MAX);
    while (keys.size < count) keys.add(WRITERS * random.below(LIFE_KEYS / WRITERS) + this.#number);
    const list = [...keys];
    const kind: LifeKind = random.chance(0.15) ? 'remove' : random.chance(0.1) ? 'expired' : 'put';
    const firsts = list.map((key) => (sent[key] as number) + 1);
    if (!random.chance(0.15)) return this.#write(group, kind, list, firsts);
    // The newer version first: the other one is late, and enters history only.
    const seconds = firsts.map((version) => version + 1);
    return (await this.#write(group, kind, list, seconds)) && this.#write(group, 'put', list, firsts);
  }

  async #write(group: number, kind: LifeKind, keys: number[], versions: number[]): Promise<boolean> {
    const sent = this.#versions[group] as number[];
    for (const [at, key] of keys.entries()) sent[key] = Math.max(sent[key] as number, versions[at] as number);
    const id = `${this.#number}.${this.#batches++}`;
    say(`send ${id} ${encodeLifeWrite({ group, kind, keys, versions })}`);
    try {
      const answers = await this.#store.write({
        kind: kind === 'remove' ? 'delete' : 'put',
        group,
        keys: keys.map(lifeKey),
        eventMicros: versions.map(eventMicrosOf),
        values: keys.map((key, at) => lifeValue(group, key, versions[at] as number)),
        ttlSeconds: kind === 'expired' ? LIFE_TTL_SECONDS : 0,
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
}

async function live(
  directory: string,
  seed: number,
  clockMicros: number,
  versionsFile: string,
): Promise<void> {
  const versions = JSON.parse(readFileSync(versionsFile, 'utf8')) as Record<number, number[]>;
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
  await sayFound(store);
  say('ready');
  const startedMs = performance.now();
  const ticking = setInterval(() => store.setClock(clockMicros + (performance.now() - startedMs) * 1000), 10);
  const writers = Array.from(
    { length: WRITERS },
    (_, number) => new Writer(store, number, random.uint32(), versions),
  );
  await Promise.all(writers.map((writer) => writer.run()));
  clearInterval(ticking);
  await closed;
  say('closed');
}

const [directory, seed, clockMicros, versionsFile] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
];
await live(directory, Number(seed), Number(clockMicros), versionsFile);
process.exit(0);
