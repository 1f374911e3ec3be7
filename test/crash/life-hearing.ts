/**
 * What one life of a shard says (shard-life.ts), line by line, and the logs that it is compared with and that it adds to.
 *
 * Only whole lines are heard: what a kill cut off was not said.
 */
import assert from 'node:assert/strict';
import { partitionOfKey } from '../simulation/model-store.ts';
import type { CounterLog } from './counter-log.ts';
import { COUNTERS, type CounterRequest, counterKey } from './life-counters.ts';
import type { LifeLog } from './life-log.ts';
import { decodeLifeWrite, LIFE_KEYS, LIFE_PAST_GROUP, type LifeWrite, lifeKey } from './life-plan.ts';

const PARTITION_OF_KEY: readonly number[] = Array.from({ length: LIFE_KEYS }, (_, key) =>
  partitionOfKey(lifeKey(key)),
);
const PARTITION_OF_COUNTER: readonly number[] = Array.from({ length: COUNTERS }, (_, counter) =>
  partitionOfKey(counterKey(counter)),
);

/** A read of the past, as it was answered first. */
export interface ReadPast {
  readonly version: number;
  readonly readPoint: number;
  /** By key. */
  readonly found: readonly number[];
}

/** What is kept of all lives. */
export interface LivesLog {
  readonly groups: ReadonlyMap<number, LifeLog>;
  readonly counters: CounterLog;
  pasts: ReadPast[];
  /** The highest LSN acknowledged in earlier lives, and in this one, by partition. */
  readonly lsnsBefore: ReadonlyMap<number, number>;
  readonly lsnsNow: Map<number, number>;
  /** Reads of the past compared with what was sent, and with the same read before. */
  pastReads: number;
  pastReadsAgain: number;
}

/** The write that a line was about, and how many rows it acknowledged. */
export interface Heard {
  readonly name: string;
  readonly rows: number;
}

export class LifeHearing {
  /** Nothing of this life was sent yet, so what it finds is of those before. */
  isStart = true;
  readonly #log: LivesLog;
  readonly #life: string;
  readonly #writes: Map<string, LifeWrite> = new Map();
  readonly #requests: Map<string, CounterRequest> = new Map();
  /** Of the read of the past whose lines come now. */
  #found: number[] = [];

  constructor(log: LivesLog, life: string) {
    this.#log = log;
    this.#life = life;
  }

  /** Throws when what is said cannot be. */
  hear(line: string): Heard {
    const [word, name, ...rest] = line.split(' ') as [string, string, ...string[]];
    let rows = 0;
    switch (word) {
      case 'found':
        this.#hearFound(Number(name), Number(rest[0]), numbersOf(rest[1]));
        break;
      case 'counters':
        for (const [at, state] of rest[0]!.split(',').entries())
          this.#log.counters.found(Number(name) + at, state, this.#life);
        break;
      case 'past':
        this.#hearPast(Number(name), Number(rest[0]), Number(rest[1]), numbersOf(rest[2]));
        break;
      case 'send':
        this.#send(name, decodeLifeWrite(rest.join(' ')));
        break;
      case 'ask':
        this.#ask(name, JSON.parse(rest.join(' ')) as CounterRequest);
        break;
      case 'done':
        rows = this.#done(name, numbersOf(rest[0]));
        break;
      case 'answered':
        rows = this.#answered(name, numbersOf(rest[0]));
        break;
      default:
        assert.fail(`${this.#life}: said ${line}`);
    }
    return { name, rows };
  }

  #hearFound(group: number, firstKey: number, versions: readonly number[]): void {
    const log = this.#log.groups.get(group)!;
    for (const [at, version] of versions.entries())
      log.found(firstKey + at, version, `${this.#life}, group ${group}`);
  }

  /** Lines of all keys in order; the read is taken in with the last of them. */
  #hearPast(version: number, readPoint: number, firstKey: number, versions: readonly number[]): void {
    if (firstKey === 0) this.#found = [];
    this.#found.push(...versions);
    if (this.#found.length < LIFE_KEYS) return;
    const log = this.#log;
    const before = log.pasts.find((past) => past.version === version && past.readPoint === readPoint);
    if (before !== undefined) {
      assert.deepEqual(
        this.#found,
        before.found,
        `${this.#life}: as of ${version} up to ${readPoint}, again`,
      );
      log.pastReadsAgain += 1;
      return;
    }
    if (this.isStart) {
      const past = log.groups.get(LIFE_PAST_GROUP)!;
      for (const [key, found] of this.#found.entries()) past.foundPast(key, version, found, this.#life);
      log.pastReads += 1;
    }
    log.pasts.push({ version, readPoint, found: this.#found });
  }

  #send(name: string, write: LifeWrite): void {
    this.#log.groups.get(write.group)!.send(write);
    this.#writes.set(name, write);
  }

  #ask(name: string, request: CounterRequest): void {
    this.#log.counters.send(request);
    this.#requests.set(name, request);
  }

  #done(name: string, lsns: readonly number[]): number {
    const write = this.#writes.get(name)!;
    assert.equal(lsns.length, write.keys.length);
    this.#log.groups.get(write.group)!.acknowledge(write);
    for (const [at, key] of write.keys.entries()) this.#observe(PARTITION_OF_KEY[key]!, lsns[at] as number);
    return lsns.length;
  }

  #answered(name: string, lsns: readonly number[]): number {
    const request = this.#requests.get(name)!;
    assert.equal(lsns.length, request.changes.length);
    this.#log.counters.answer(request.sequence);
    // One that an earlier life has sent may be answered with the LSN that it had there.
    if (this.isStart || request.expected !== 'applied') return 0;
    for (const [at, { counter }] of request.changes.entries())
      this.#observe(PARTITION_OF_COUNTER[counter]!, lsns[at] as number);
    return lsns.length;
  }

  #observe(partition: number, lsn: number): void {
    const { lsnsBefore, lsnsNow } = this.#log;
    const before = lsnsBefore.get(partition) ?? 0;
    assert.ok(
      lsn > before,
      `${this.#life}: partition ${partition} gave LSN ${lsn}; an earlier life gave ${before}`,
    );
    lsnsNow.set(partition, Math.max(lsnsNow.get(partition) ?? 0, lsn));
  }
}

function numbersOf(text: string | undefined): number[] {
  return (text as string).split(',').map(Number);
}
