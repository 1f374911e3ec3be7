/**
 * The lives of one shard, each a process of its own (shard-life.ts), and the log of what they acknowledged, which is kept here.
 *
 * Whoever uses it says how a life ends; what the next life finds is compared with the log:
 *
 *   the version found  ≥  the newest one acknowledged of the key        nothing acknowledged is lost
 *   the version found was sent, and its bytes are its own               nothing is made up
 *   LSNs acknowledged in one life are above those of all earlier ones, although the clock jumps to and fro in between
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { partitionOfKey } from '../simulation/model-store.ts';
import type { SeededRandom } from '../support/random-source.ts';
import {
  decodeLifeWrite,
  LIFE_CLOCK_MICROS,
  LIFE_GROUPS,
  LIFE_KEYS,
  type LifeKind,
  type LifeWrite,
  lifeKey,
} from './life-plan.ts';

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

export interface LifeOptions {
  /** For messages. */
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called at once, and when the life is ready to write. */
  readonly onStart?: (child: ChildProcess, later: Later) => void;
  readonly onReady?: (child: ChildProcess, later: Later) => void;
  /** So many writes have been acknowledged in this life: called for each. */
  readonly onDone?: (count: number, child: ChildProcess, later: Later) => void;
  /** A fault was injected: at most once in a life. */
  readonly onFault?: (child: ChildProcess, later: Later, fault: InjectedFault) => void;
}

/** Runs something so many milliseconds later, unless the life has ended by then. */
export type Later = (ms: number, run: () => void) => void;

/** Where the shim of test/faults/ struck; offset 0 for a sync. */
export interface InjectedFault {
  readonly offset: number;
  readonly path: string;
}

export interface LifeEnd {
  readonly status: number | null;
  readonly signal: string | null;
  readonly errors: string;
  readonly wasReady: boolean;
  readonly saidClosed: boolean;
  /** Where a fault was injected (test/faults/), and how many rows were acknowledged that were sent after it. */
  readonly fault: InjectedFault | undefined;
  readonly rowsAfterFault: number;
}

export class ShardLives {
  readonly directory: string;
  rows = 0;
  readonly #versionsFile: string;
  readonly #random: SeededRandom;
  readonly #groups: Map<number, GroupLog> = new Map(LIFE_GROUPS.map((group) => [group, new GroupLog()]));
  /** The highest LSN acknowledged in earlier lives, and in this one, by partition. */
  readonly #lsnsBefore: Map<number, number> = new Map();
  readonly #lsnsNow: Map<number, number> = new Map();

  constructor(directory: string, random: SeededRandom) {
    this.directory = join(directory, 'shard');
    this.#versionsFile = join(directory, 'versions.json');
    this.#random = random;
  }

  /** One life, to its end. Throws when what it found is not what was acknowledged. */
  async live(options: LifeOptions): Promise<LifeEnd> {
    const random = this.#random;
    const sent = Object.fromEntries([...this.#groups].map(([group, log]) => [group, log.sent]));
    writeFileSync(this.#versionsFile, JSON.stringify(sent));
    const jump = Math.floor((random.below(2001) / 1000 - 1) * CLOCK_JUMP_MICROS);
    const args = [this.directory, random.uint32(), LIFE_CLOCK_MICROS + jump, this.#versionsFile].map(String);
    const child = spawn(process.execPath, [LIFE, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    const closed = once(child, 'close');
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const waits: NodeJS.Timeout[] = [];
    const later: Later = (ms, run) => void waits.push(setTimeout(run, ms));
    options.onStart?.(child, later);
    const inFlight = new Map<string, LifeWrite>();
    const sentAfterFault = new Set<string>();
    let wasReady = false;
    let saidClosed = false;
    let fault: InjectedFault | undefined;
    let rowsAfterFault = 0;
    let writesDone = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'ready') {
        wasReady = true;
        options.onReady?.(child, later);
      } else if (line === 'closed') saidClosed = true;
      else if (line.startsWith('fault ')) {
        const [, offset, path] = line.split(' ') as [string, string, string];
        fault = { offset: Number(offset), path };
        // What was planned for a life without a fault would end this one too soon.
        for (const wait of waits.splice(0)) clearTimeout(wait);
        options.onFault?.(child, later, fault);
      } else {
        const heard = this.#hear(line, inFlight, options.name);
        if (fault !== undefined && line.startsWith('send ')) sentAfterFault.add(heard.name);
        if (heard.rows > 0) options.onDone?.(++writesDone, child, later);
        if (heard.rows > 0 && sentAfterFault.has(heard.name)) rowsAfterFault += heard.rows;
      }
    }
    const [status, signal] = (await closed) as [number | null, string | null];
    for (const wait of waits) clearTimeout(wait);
    for (const [partition, lsn] of this.#lsnsNow) this.#lsnsBefore.set(partition, lsn);
    return { status, signal, errors, wasReady, saidClosed, fault, rowsAfterFault };
  }

  /** Takes one line in: answers the write that it is about, and how many rows it acknowledged. */
  #hear(line: string, inFlight: Map<string, LifeWrite>, life: string): { name: string; rows: number } {
    const [word, name, ...rest] = line.split(' ') as [string, string, ...string[]];
    const text = rest.join(' ');
    if (word === 'found') {
      const log = this.#groups.get(Number(name))!;
      const [firstKey, versions] = rest as [string, string];
      for (const [at, version] of versions.split(',').entries()) {
        log.found(Number(firstKey) + at, Number(version), `${life}, group ${name}`);
      }
    } else if (word === 'send') {
      const write = decodeLifeWrite(text);
      this.#groups.get(write.group)!.send(write);
      inFlight.set(name, write);
    } else {
      // A line that the kill cut off says nothing; `done` is whole when each row has its LSN.
      const write = word === 'done' ? inFlight.get(name) : undefined;
      const lsns = text.split(',').map(Number);
      if (write === undefined || lsns.length !== write.keys.length || !lsns.every((lsn) => lsn > 0)) {
        return { name, rows: 0 };
      }
      this.#groups.get(write.group)!.acknowledge(write);
      this.rows += lsns.length;
      for (const [at, key] of write.keys.entries()) {
        this.#observe(PARTITION_OF_KEY[key]!, lsns[at] as number, life);
      }
      return { name, rows: lsns.length };
    }
    return { name, rows: 0 };
  }

  #observe(partition: number, lsn: number, life: string): void {
    const before = this.#lsnsBefore.get(partition) ?? 0;
    assert.ok(
      lsn > before,
      `${life}: partition ${partition} gave LSN ${lsn}; an earlier life gave ${before}`,
    );
    this.#lsnsNow.set(partition, Math.max(this.#lsnsNow.get(partition) ?? 0, lsn));
  }
}
