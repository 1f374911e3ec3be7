/**
 * The lives of one shard, each a process of its own (shard-life.ts), and the log of what they acknowledged, which is kept here.
 *
 * Whoever uses it says how a life ends; what the next life finds is compared with the log (life-hearing.ts):
 *
 *   rows are what was acknowledged, or sent, in the present and in the past      life-log.ts
 *   counters have every change that was answered, once                           counter-log.ts
 *   a read of the past up to a closed read point is the same in every life
 *   LSNs acknowledged in one life are above those of all earlier ones, although the clock jumps to and fro in between
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SeededRandom } from '../support/random-source.ts';
import { CounterLog } from './counter-log.ts';
import { LifeHearing, type LivesLog, type ReadPast } from './life-hearing.ts';
import { LifeLog } from './life-log.ts';
import { LIFE_CLOCK_MICROS, LIFE_GROUPS, type LifeOrders } from './life-plan.ts';

/** How far a life's clock is from the first one's, either way. */
const CLOCK_JUMP_MICROS = 7_200_000_000;
/** A request is known again for ten minutes: while one waits for its answer no clock is set farther ahead than this. */
const UNANSWERED_MICROS_MAX = 300_000_000;
/** Reads of the past that the next life makes again. */
const PASTS_AGAIN = 2;

const LIFE = fileURLToPath(new URL('shard-life.js', import.meta.url));
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

export class ShardLives implements LivesLog {
  readonly directory: string;
  rows = 0;
  readonly groups: ReadonlyMap<number, LifeLog> = new Map(LIFE_GROUPS.map((group) => [group, new LifeLog()]));
  readonly counters: CounterLog = new CounterLog();
  pasts: ReadPast[] = [];
  pastReads = 0;
  pastReadsAgain = 0;
  readonly lsnsBefore: Map<number, number> = new Map();
  readonly lsnsNow: Map<number, number> = new Map();
  readonly #ordersFile: string;
  readonly #random: SeededRandom;

  constructor(directory: string, random: SeededRandom) {
    this.directory = join(directory, 'shard');
    this.#ordersFile = join(directory, 'orders.json');
    this.#random = random;
  }

  /** One life, to its end. Throws when what it found is not what was acknowledged. */
  async live(options: LifeOptions): Promise<LifeEnd> {
    this.#forgetPasts();
    writeFileSync(this.#ordersFile, JSON.stringify(this.#orders()));
    const clockMicros = this.#drawClock();
    const args = [this.directory, this.#random.uint32(), clockMicros, this.#ordersFile].map(String);
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
    const hearing = new LifeHearing(this, options.name);
    const sentAfterFault = new Set<string>();
    let wasReady = false;
    let saidClosed = false;
    let fault: InjectedFault | undefined;
    let rowsAfterFault = 0;
    let writesDone = 0;
    for await (const line of wholeLines(child.stdout)) {
      if (line === 'ready') {
        wasReady = true;
        hearing.isStart = false;
        options.onReady?.(child, later);
      } else if (line === 'closed') saidClosed = true;
      else if (line.startsWith('fault ')) {
        const [, offset, path] = line.split(' ') as [string, string, string];
        fault = { offset: Number(offset), path };
        // What was planned for a life without a fault would end this one too soon.
        for (const wait of waits.splice(0)) clearTimeout(wait);
        options.onFault?.(child, later, fault);
      } else {
        const heard = hearing.hear(line);
        this.rows += heard.rows;
        if (fault !== undefined && /^(send|ask) /.test(line)) sentAfterFault.add(heard.name);
        if (heard.rows > 0) options.onDone?.(++writesDone, child, later);
        if (heard.rows > 0 && sentAfterFault.has(heard.name)) rowsAfterFault += heard.rows;
      }
    }
    const [status, signal] = (await closed) as [number | null, string | null];
    for (const wait of waits) clearTimeout(wait);
    for (const [partition, lsn] of this.lsnsNow) this.lsnsBefore.set(partition, lsn);
    return { status, signal, errors, wasReady, saidClosed, fault, rowsAfterFault };
  }

  #orders(): LifeOrders {
    return {
      versions: Object.fromEntries([...this.groups].map(([group, log]) => [group, log.sent])),
      pasts: this.pasts.map(({ version, readPoint }) => ({ version, readPoint })),
      counterVersions: this.counters.versions,
      unanswered: this.counters.unanswered,
      nextSequence: this.counters.nextSequence,
    };
  }

  #drawClock(): number {
    const jump = Math.floor((this.#random.below(2001) / 1000 - 1) * CLOCK_JUMP_MICROS);
    const ends = this.counters.unanswered.map(({ clockMicros }) => clockMicros + UNANSWERED_MICROS_MAX);
    return Math.min(LIFE_CLOCK_MICROS + jump, ...ends);
  }

  /** Some of the reads of the past go on to be compared, old ones and new ones. */
  #forgetPasts(): void {
    while (this.pasts.length > PASTS_AGAIN) this.pasts.splice(this.#random.below(this.pasts.length), 1);
  }
}

/** What follows the last line break was cut off by the kill, and was not said. */
async function* wholeLines(stream: NodeJS.ReadableStream): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const text of stream.setEncoding('utf8')) {
    const lines = (rest + String(text)).split('\n');
    rest = lines.pop() as string;
    yield* lines;
  }
}
