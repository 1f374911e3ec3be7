/**
 * kill -9 of a shard at random instants, hundreds of lives on one directory: nothing acknowledged is lost.
 *
 * The log of acknowledged writes is kept here, in another process than the shard's (shard-lives.ts). A life ends by SIGKILL
 * while it starts, under load, or while it closes; buffers and journal are so small that flushes go on in every life.
 *
 * KILL_ROUNDS says how many lives, `npm run kill -- --rounds 2000 --seed S` runs it alone; MILLRACE_SEED replays load and instants
 * (not the scheduling of two processes).
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { test } from 'node:test';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Later, ShardLives } from './shard-lives.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 200);
/** Asked for by command: then it says how far it is, every so many lives. */
const SAYS_EVERY = process.env['KILL_ROUNDS'] === undefined ? Infinity : 50;
/** One a core: most of a life is waiting for the device. */
const LANES = 2;
/** Under load a life ends this many acknowledgements after its start, and a moment: so it gets to write on a busy machine, too. */
const DONE_MAX = 120;
const MOMENT_MS_MAX = 4;
const START_MS_MAX = 400;
const CLOSE_MS_MAX = 40;

class Lane {
  readonly lives: ShardLives;
  readonly ends: Record<string, number> = {};
  readonly #random: SeededRandom;

  constructor(directory: string, seed: number) {
    this.#random = new SeededRandom(seed);
    this.lives = new ShardLives(directory, this.#random);
  }

  /** One life: to its kill, or to its end when it closed before that. */
  async life(round: number): Promise<void> {
    const how = this.#drawEnd();
    const startMs = this.#random.below(START_MS_MAX);
    const doneBefore = this.#random.below(DONE_MAX);
    const momentMs = this.#random.below(MOMENT_MS_MAX + 1);
    const closeMs = this.#random.below(CLOSE_MS_MAX);
    const end = (child: ChildProcess, later: Later): void => {
      if (how === 'load') later(momentMs, () => child.kill('SIGKILL'));
      if (how !== 'close') return;
      child.kill('SIGTERM');
      later(closeMs, () => child.kill('SIGKILL'));
    };
    const { status, signal, errors, wasReady, saidClosed } = await this.lives.live({
      name: `round ${round}`,
      onStart: (child, later) => {
        if (how === 'start') later(startMs, () => child.kill('SIGKILL'));
      },
      onReady: (child, later) => {
        if (doneBefore === 0) end(child, later);
      },
      onDone: (count, child, later) => {
        if (count === doneBefore) end(child, later);
      },
    });
    const ended = signal === 'SIGKILL' ? `${how}${wasReady ? '' : ' before ready'}` : 'closed';
    this.ends[ended] = (this.ends[ended] ?? 0) + 1;
    assert.ok(
      signal === 'SIGKILL' || (status === 0 && saidClosed),
      `round ${round}: ended with ${status}: ${errors}`,
    );
  }

  /** What the last kill left is compared, too. */
  async lastLife(): Promise<void> {
    const { saidClosed, errors } = await this.lives.live({
      name: 'the last life',
      onReady: (child, later) => later(0, () => child.kill('SIGTERM')),
    });
    assert.ok(saidClosed, errors);
  }

  #drawEnd(): 'start' | 'load' | 'close' {
    const drawn = this.#random.below(10);
    if (drawn < 2) return 'start';
    return drawn < 5 ? 'close' : 'load';
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
  let lived = 0;
  await Promise.all(
    lanes.map(async (lane) => {
      for (let round = 0; round < rounds; round++) {
        await lane.life(round);
        lived += 1;
        if (lived % SAYS_EVERY === 0) process.stderr.write(`${lived} of ${ROUNDS} lives\n`);
      }
      await lane.lastLife();
    }),
  );
  const ends: Record<string, number> = {};
  for (const lane of lanes)
    for (const [end, count] of Object.entries(lane.ends)) ends[end] = (ends[end] ?? 0) + count;
  const rows = lanes.reduce((sum, lane) => sum + lane.lives.rows, 0);
  const sum = (of: (lives: ShardLives) => number): number =>
    lanes.reduce((all, { lives }) => all + of(lives), 0);
  context.diagnostic(`${rows} rows acknowledged; ends: ${JSON.stringify(ends)}`);
  context.diagnostic(
    `${sum(({ counters }) => counters.changes)} changes of counters, ${sum(({ counters }) => counters.repeats)} requests sent again; ` +
      `${sum(({ pastReads }) => pastReads)} reads of the past compared, ${sum(({ pastReadsAgain }) => pastReadsAgain)} made again`,
  );
  assert.ok(rows > ROUNDS, 'the lives got to write');
});
