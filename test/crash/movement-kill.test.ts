/**
 * kill -9 in the middle of a backup (of the command, and of the node), a restore and a reshard: the same command, given again, ends
 * with every version; what counts before it does is never half of something.
 *
 * The moments are drawn from MILLRACE_SEED; what the processes had reached by then is theirs.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Millrace } from '../../client/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { storedVersions } from '../support/stored-versions.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type ServeProcess, serve } from '../support/test-node.ts';

const MAIN = fileURLToPath(new URL('../../server/launch.cjs', import.meta.url));
const ROWS = 30_000;
const KILLS = 3;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs `millrace …`; kills it after `killAfterMs`. */
function millrace(t: TestContext, args: readonly string[], killAfterMs?: number): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stderr.on('data', (text: Buffer) => {
    output += text.toString();
  });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

function start(t: TestContext, data: string): ServeProcess {
  return serve(t, ['--data', data, '--port', '0', '--shards', '2', '--write-buffer', `${8 * 1024 * 1024}`]);
}

async function loaded(t: TestContext, root: string): Promise<{ server: ServeProcess; port: number }> {
  const server = start(t, join(root, 'data'));
  const port = await server.port;
  const client = await Millrace.connect(`127.0.0.1:${port}`);
  await client.createGroup({ name: 'item', key: { id: 'int64' }, features: { text: 'string' } });
  for (let from = 0; from < ROWS; from += 5000) {
    const rows = Array.from({ length: 5000 }, (_, index) => ({
      id: BigInt(from + index),
      text: 'x'.repeat(300),
    }));
    await client.put('item', rows);
  }
  await client.close();
  return { server, port };
}

async function stop(server: ServeProcess): Promise<void> {
  server.process.kill('SIGTERM');
  assert.equal(await server.ended, 0, server.errorOutput());
}

test('backup, restore and reshard, killed and given again, keep every version', async (t) => {
  const random = new SeededRandom(testSeed());
  const root = temporaryDirectory(t);
  const [data, backup, restored] = [join(root, 'data'), join(root, 'backup'), join(root, 'restored')];
  let { server, port } = await loaded(t, root);

  // Slowly, so that a kill meets it: 12 MB at 4 MB/s.
  for (let kill = 0; kill < KILLS; kill++) {
    const args = ['backup', backup, '--connect', `127.0.0.1:${port}`, '--max-rate', '4M'];
    await millrace(t, args, 800 + random.below(2000));
  }
  const interrupted = millrace(t, ['backup', backup, '--connect', `127.0.0.1:${port}`, '--max-rate', '4M']);
  await delay(500 + random.below(1500));
  server.process.kill('SIGKILL');
  await server.ended;
  const first = await interrupted;
  if (!existsSync(join(backup, 'backup.json'))) assert.equal(first.code, 1, first.output);
  server = start(t, data);
  port = await server.port;
  if (!existsSync(join(backup, 'backup.json'))) {
    const taken = await millrace(t, ['backup', backup, '--connect', `127.0.0.1:${port}`]);
    assert.equal(taken.code, 0, taken.output);
  }
  await stop(server);
  const versions = await storedVersions(data);
  assert.equal(versions.length, ROWS);

  for (let kill = 0; kill < KILLS; kill++) {
    await millrace(t, ['restore', backup, '--data', restored, '--shards', '3'], 300 + random.below(700));
    if (existsSync(join(restored, 'node.json'))) break;
  }
  if (!existsSync(join(restored, 'node.json'))) {
    const done = await millrace(t, ['restore', backup, '--data', restored, '--shards', '3']);
    assert.equal(done.code, 0, done.output);
  }
  assert.deepEqual(await storedVersions(restored), versions);

  let shards = 3;
  for (let kill = 0; kill < KILLS; kill++) {
    shards = 4 + kill;
    await millrace(t, ['reshard', '--data', restored, '--shards', `${shards}`], 300 + random.below(700));
    assert.deepEqual(
      await storedVersions(restored),
      versions,
      'the directory counts as it was, or as it is to be',
    );
  }
  const done = await millrace(t, ['reshard', '--data', restored, '--shards', '1']);
  assert.equal(done.code, 0, done.output);
  assert.deepEqual(await storedVersions(restored), versions);
  const again = serve(t, ['--data', restored, '--port', '0']);
  const client = await Millrace.connect(`127.0.0.1:${await again.port}`);
  const rows = await client.getMany('item', [0n, 17n, BigInt(ROWS - 1), BigInt(ROWS)]);
  assert.deepEqual(
    rows.map((row) => row !== null),
    [true, true, true, false],
  );
  await client.close();
  await stop(again);
});
