/**
 * kill -9 of a shard at random instants, hundreds of lives on one directory: nothing acknowledged is lost.
 *
 * The log of acknowledged writes is kept here, in another process than the shard's (shard-life.ts). A life ends by SIGKILL
 * while it starts, under load, or while it closes; buffers and journal are so small that flushes go on in every life. The next
 * life says what lookups and scans find, and that is compared with the log:
 *
 *   the version found  ≥  the newest one acknowledged of the key        nothing acknowledged is lost
 *   the version found was sent, and its bytes are its own               nothing is made up
 *   LSNs acknowledged in one life are above those of all earlier ones, although the clock jumps to and fro in between
 *
 * KILL_ROUNDS says how many lives, `npm run kill -- --rounds 2000 --seed S` runs it alone; MILLRACE_SEED replays load and instants
 * (not the scheduling of two processes).
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { partitionOfKey } from '../simulation/model-store.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import {
  decodeLifeWrite,
  LIFE_CLOCK_MICROS,
  LIFE_GROUPS,
  LIFE_KEYS,
  type LifeKind,
  type LifeWrite,
  lifeKey,
} from './life-plan.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 200);
/** One a core: most of a life is waiting for the device. */
const LANES = 2;
const LOAD_MS_MAX = 250;
const START_MS_MAX = 400;
const CLOSE_MS_MAX = 40;
/** How far a life's clock is from the first one's, either way. */
const CLOCK_JUMP_MICROS = 7_200_000_000;

const LIFE = fileURLToPath(new URL('shard-life.js', import.meta.url));
const PARTITION_OF_KEY: readonly number[] = Array.from({ length: LIFE_KEYS }, (_, key) =>
  partitionOfKey(lifeKey(key)),
);

/** What was sent and acknowledged of one group's keys. */
class GroupLog {
  readonly sent: number[] = new Array<number>(LIFE_KEYS).fill(0);
  readonly acknowledged: number[] = new Array<number>(LIFE_KEYS).fill(0);
  /** By key and version. */
  readonly #kinds: Map<number, LifeKind>[] = Array.from({ length: LIFE_KEYS }, () => new Map());

  send({ kind, keys, versions }: LifeWrite): void {
    for (const [at, key] of keys.entries()) {
      const version = versions[at] as number;
      this.sent[key] = Math.max(this.sent[key] as number, version);
      this.#kinds[key]!.set(version, kind);
    }
  }

  acknowledge({ keys, versions }: LifeWrite): void {
    for (const [at, key] of keys.entries()) {
      this.acknowledged[key] = Math.max(this.acknowledged[key] as number, versions[at] as number);
    }
  }

  /** Throws when the key cannot be as it was found. What was found stays: it has been read. */
  found(key: number, version: number, where: string): void {
    const floor = this.acknowledged[key] as number;
    const kinds = this.#kinds[key]!;
    const said = `${where}: key ${key} has version ${version}; ${floor} was acknowledged, ${this.sent[key]} sent`;
    if (version > 0) {
      assert.ok(version >= floor && kinds.get(version) === 'put', said);
    } else {
      const isGone = [...kinds].some(([sent, kind]) => sent >= floor && kind !== 'put');
      assert.ok(floor === 0 || isGone, said);
    }
    this.acknowledged[key] = Math.max(floor, version);
  }
}

class Lane {
  readonly #directory: string;
  readonly #versionsFile: string;
  readonly #random: SeededRandom;
  readonly #groups: Map<number, GroupLog> = new Map(LIFE_GROUPS.map((group) => [group, new GroupLog()]));
  /** The highest LSN acknowledged in earlier lives, and in this one, by partition. */
  readonly #lsnsBefore: Map<number, number> = new Map();
  readonly #lsnsNow: Map<number, number> = new Map();
  rows = 0;
  readonly ends: Record<string, number> = {};

  constructor(directory: string, seed: number) {
    this.#directory = join(directory, 'shard');
    this.#versionsFile = join(directory, 'versions.json');
    this.#random = new SeededRandom(seed);
  }

  /** One life: to its kill, or to its end when it closed before that. */
  async life(round: number, isLast: boolean): Promise<void> {
    const random = this.#random;
    const sent = Object.fromEntries([...this.#groups].map(([group, log]) => [group, log.sent]));
    writeFileSync(this.#versionsFile, JSON.stringify(sent));
    const jump = Math.floor((random.below(2001) / 1000 - 1) * CLOCK_JUMP_MICROS);
    const args = [this.#directory, random.uint32(), LIFE_CLOCK_MICROS + jump, this.#versionsFile].map(String);
    const child = spawn(process.execPath, [LIFE, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const closed = once(child, 'close');
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const how = isLast ? 'close' : this.#drawEnd();
    const waits: NodeJS.Timeout[] = [];
    const later = (ms: number, run: () => void): void => void waits.push(setTimeout(run, ms));
    const kill = (): void => void child.kill('SIGKILL');
    if (how === 'start') later(random.below(START_MS_MAX), kill);
    const loadMs = isLast ? 50 : random.below(LOAD_MS_MAX);
    const closeMs = random.below(CLOSE_MS_MAX);
    const inFlight = new Map<string, LifeWrite>();
    let wasReady = false;
    let saidClosed = false;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'ready') {
        wasReady = true;
        if (how === 'load') later(loadMs, kill);
        if (how !== 'close') continue;
        later(loadMs, () => {
          child.kill('SIGTERM');
          if (!isLast) later(closeMs, kill);
        });
      } else if (line === 'closed') saidClosed = true;
      else this.#hear(line, inFlight, round);
    }
    const [status, signal] = (await closed) as [number | null, string | null];
    for (const wait of waits) clearTimeout(wait);
    const end = signal === 'SIGKILL' ? `${how}${wasReady ? '' : ' before ready'}` : 'closed';
    this.ends[end] = (this.ends[end] ?? 0) + 1;
    assert.ok(
      signal === 'SIGKILL' || (status === 0 && saidClosed),
      `round ${round}: ended with ${status}: ${errors}`,
    );
    assert.ok(!isLast || saidClosed);
    for (const [partition, lsn] of this.#lsnsNow) this.#lsnsBefore.set(partition, lsn);
  }

  #drawEnd(): 'start' | 'load' | 'close' {
    const drawn = this.#random.below(10);
    if (drawn < 2) return 'start';
    return drawn < 5 ? 'close' : 'load';
  }

  #hear(line: string, inFlight: Map<string, LifeWrite>, round: number): void {
    const [word, name, ...rest] = line.split(' ') as [string, string, ...string[]];
    const text = rest.join(' ');
    if (word === 'found') {
      const log = this.#groups.get(Number(name))!;
      for (const [key, version] of text.split(',').entries()) {
        log.found(key, Number(version), `round ${round}, group ${name}`);
      }
    } else if (word === 'send') {
      const write = decodeLifeWrite(text);
      this.#groups.get(write.group)!.send(write);
      inFlight.set(name, write);
    } else {
      // A line that the kill cut off says nothing; `done` is whole when each row has its LSN.
      const write = word === 'done' ? inFlight.get(name) : undefined;
      const lsns = text.split(',').map(Number);
      if (write === undefined || lsns.length !== write.keys.length || !lsns.every((lsn) => lsn > 0)) return;
      this.#groups.get(write.group)!.acknowledge(write);
      this.rows += lsns.length;
      for (const [at, key] of write.keys.entries())
        this.#observe(PARTITION_OF_KEY[key]!, lsns[at] as number, round);
    }
  }

  #observe(partition: number, lsn: number, round: number): void {
    const before = this.#lsnsBefore.get(partition) ?? 0;
    assert.ok(
      lsn > before,
      `round ${round}: partition ${partition} gave LSN ${lsn} again; it had given ${before}`,
    );
    this.#lsnsNow.set(partition, Math.max(this.#lsnsNow.get(partition) ?? 0, lsn));
  }
}

test(`nothing acknowledged is lost in ${ROUNDS} kills of a shard`, async (context) => {
  const seed = testSeed();
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const lanes = Array.from(
    { length: LANES },
    (_, lane) => new Lane(temporaryDirectory(context), seed + lane),
  );
  const rounds = Math.ceil(ROUNDS / LANES);
  await Promise.all(
    lanes.map(async (lane) => {
      for (let round = 0; round < rounds; round++) await lane.life(round, false);
      // What the last kill left is compared, too.
      await lane.life(rounds, true);
    }),
  );
  const ends: Record<string, number> = {};
  for (const lane of lanes)
    for (const [end, count] of Object.entries(lane.ends)) ends[end] = (ends[end] ?? 0) + count;
  const rows = lanes.reduce((sum, lane) => sum + lane.rows, 0);
  context.diagnostic(`${rows} rows acknowledged; ends: ${JSON.stringify(ends)}`);
  assert.ok(rows > ROUNDS, 'the lives got to write');
});
