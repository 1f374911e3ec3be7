/**
 * Errors of the device below LMDB and the journal: the n-th write or sync fails, with EIO or for want of room, some after half of
 * their bytes. The process then ends by itself and not with 0, or it had refused what it could not write; nothing sent after a
 * failed journal write is acknowledged; and the next life has all that was.
 *
 * Each failing life also loses power: what a failed sync left in the kernel's memory is dropped, as kernels do.
 * FAULT_ROUNDS says how often, MILLRACE_SEED replays.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { UNFINISHED_SEGMENT_NAME } from '../../storage/journal-segment.ts';
import { type InjectedFault, ShardLives } from '../crash/shard-lives.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { ERRNO_EIO, ERRNO_ENOSPC, type Fault, FaultShim } from './fault-shim.ts';
import { losePower } from './power-loss.ts';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 30);
/** A life whose fault has not come by then is killed. */
const LOAD_MS_MAX = 3000;
/** A life that lives on after a full device refused a write is watched for so long. */
const AFTER_FULL_MS = 3000;
/** Any other fault has to end it, on however busy a machine. */
const AFTER_ERROR_MS = 30_000;

/** By files: how many writes or syncs a life of a second makes of them. */
const CALLS_MAX: Record<string, number> = { '/journal/': 150, '/blocks/': 60, '/': 200 };

function drawFault(random: SeededRandom): Fault {
  const files = Object.keys(CALLS_MAX)[random.below(3)] as string;
  return {
    operation: random.chance(0.5) ? 'write' : 'sync',
    files,
    at: 1 + random.below(random.chance(0.3) ? 10 : (CALLS_MAX[files] as number)),
    errno: random.chance(0.6) ? ERRNO_EIO : ERRNO_ENOSPC,
    isHalf: random.chance(0.5),
  };
}

/** A journal that finds no room refuses writes until there is some, and an index checkpoint is never needed. */
function mayLiveOn({ errno }: Fault, path: string): boolean {
  if (path.includes('/index/')) return true;
  return errno === ERRNO_ENOSPC && !path.includes('/blocks/');
}

/** A frame, which is never at a segment's head: what is prepared ahead fails beside frames that are still written. */
function isFrame({ offset, path }: InjectedFault): boolean {
  return offset > 0 && path.includes('/journal/') && !path.endsWith(UNFINISHED_SEGMENT_NAME);
}

test(`nothing acknowledged is lost in ${ROUNDS} errors of the device`, async (context) => {
  const seed = testSeed();
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const directory = temporaryDirectory(context);
  const shim = new FaultShim(directory);
  const lives = new ShardLives(directory, random);
  const logPath = join(directory, 'writes.log');
  const ends = { notReached: 0, ended: 0, livedOn: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const fault = drawFault(random);
    const name = `round ${round}, ${JSON.stringify(fault)}`;
    const life = await lives.live({
      name,
      env: shim.env(lives.directory, fault, logPath),
      onReady: (child, later) => later(LOAD_MS_MAX, () => child.kill('SIGKILL')),
      onFault: (child, later, { path }) =>
        later(mayLiveOn(fault, path) ? AFTER_FULL_MS : AFTER_ERROR_MS, () => child.kill('SIGKILL')),
    });
    losePower(lives.directory, logPath, random);
    if (life.fault === undefined) {
      ends.notReached += 1;
      assert.equal(life.signal, 'SIGKILL', `${name}: ended by itself: ${life.errors}`);
    } else if (life.signal === 'SIGKILL') {
      ends.livedOn += 1;
      assert.ok(mayLiveOn(fault, life.fault.path), `${name}: lived on: ${life.fault.path}`);
    } else {
      ends.ended += 1;
      assert.ok(life.status !== 0, `${name}: ended with 0`);
      if (isFrame(life.fault)) {
        assert.equal(life.rowsAfterFault, 0, `${name}: acknowledged after a failed journal write`);
      }
    }
  }
  const { saidClosed, errors } = await lives.live({
    name: 'the last life',
    onReady: (child, later) => later(0, () => child.kill('SIGTERM')),
  });
  assert.ok(saidClosed, errors);
  context.diagnostic(`${lives.rows} rows acknowledged; ${JSON.stringify(ends)}`);
  assert.ok(ends.ended > 0);
});
