/**
 * Power failures: a shard is killed at random instants, and what it had not synced is lost in any part and order. Whatever was
 * acknowledged is there in its next life.
 *
 * Writes and syncs are watched below LMDB and the journal (fault-shim.c); FAULT_ROUNDS says how often, MILLRACE_SEED replays.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ShardLives } from '../crash/shard-lives.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { FaultShim } from './fault-shim.ts';
import { losePower } from './power-loss.ts';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 30);
const LOAD_MS_MAX = 300;
const START_MS_MAX = 500;

test(`nothing acknowledged is lost in ${ROUNDS} power failures`, async (context) => {
  const seed = testSeed();
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const directory = temporaryDirectory(context);
  const shim = new FaultShim(directory);
  const lives = new ShardLives(directory, random);
  const logPath = join(directory, 'writes.log');
  const env = shim.env(lives.directory, undefined, logPath);
  let lostPages = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const isEarly = random.chance(0.2);
    const { signal, errors, status } = await lives.live({
      name: `round ${round}`,
      env,
      onStart: (child, later) => {
        if (isEarly) later(random.below(START_MS_MAX), () => child.kill('SIGKILL'));
      },
      onReady: (child, later) => later(random.below(LOAD_MS_MAX), () => child.kill('SIGKILL')),
    });
    assert.equal(signal, 'SIGKILL', `round ${round} ended with ${status}: ${errors}`);
    lostPages += losePower(lives.directory, logPath, random);
  }
  const { saidClosed, errors } = await lives.live({
    name: 'the last life',
    onReady: (child, later) => later(0, () => child.kill('SIGTERM')),
  });
  assert.ok(saidClosed, errors);
  context.diagnostic(`${lives.rows} rows acknowledged; ${lostPages} pages lost`);
  assert.ok(lives.rows > ROUNDS && lostPages > 0);
});
