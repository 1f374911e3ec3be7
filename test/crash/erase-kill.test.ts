/**
 * kill -9 of a node in the middle of `millrace erase`: the same command, given again, ends with no version of the row in any file;
 * and whatever the kill left meanwhile, no other row is touched, and what is read of the row is one of its versions.
 *
 * Moments are parts of the time that a whole erasure takes here, drawn from MILLRACE_SEED: wherever they fall, the outcome must be
 * the same.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Millrace } from '../../client/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type ServeProcess, serve } from '../support/test-node.ts';

const MAIN = fileURLToPath(new URL('../../server/launch.cjs', import.meta.url));
const KILLS = 6;
const ROWS = 3000;
/** Each row's versions; the buffer holds about two of them, so some are in blocks of either level, some in the journal alone. */
const ROUNDS = 5;
const FIRST_EVENT = 1_600_000_000_000_000;
const FILLER = '.'.repeat(1200);

function textOf(id: number, round: number): string {
  return `<row ${id}> round ${round} ${FILLER}`;
}

function start(t: TestContext, data: string): ServeProcess {
  const small = ['--write-buffer', '8MiB', '--compaction-level-zero', '4MiB'];
  return serve(t, ['--data', data, '--port', '0', '--shards', '1', ...small]);
}

function erase(
  t: TestContext,
  id: number,
  port: number,
): { ended: Promise<string>; code: Promise<number | null> } {
  const args = ['erase', '--group', 'item', '--key', String(id), '--connect', `127.0.0.1:${port}`];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      output += text.toString();
    });
  }
  const code = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { ended: code.then(() => output), code };
}

/** Until it is done; answers how long that took. */
async function eraseWhole(t: TestContext, id: number, port: number): Promise<number> {
  const startedMs = performance.now();
  const { ended, code } = erase(t, id, port);
  assert.equal(await code, 0, await ended);
  return performance.now() - startedMs;
}

function filesWith(directory: string, text: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

async function put(client: Millrace, round: number): Promise<void> {
  const rows = Array.from({ length: ROWS }, (_, id) => ({
    id: BigInt(id),
    text: textOf(id, round),
    event_time: FIRST_EVENT + round,
  }));
  await client.put('item', rows);
}

/** Every row is its newest version, but for those erased, and the one that may be any. */
async function check(client: Millrace, erased: ReadonlySet<number>, uncertain: number): Promise<void> {
  const ids = Array.from({ length: ROWS }, (_, id) => id);
  const rows = (await client.getMany('item', ids.map(BigInt))) as ({ text: string } | null)[];
  for (const id of ids) {
    const found = rows[id]?.text ?? null;
    if (id === uncertain) {
      const versions = Array.from({ length: ROUNDS }, (_, round) => textOf(id, round));
      assert.ok(found === null || versions.includes(found), `row ${id} is ${found}`);
    } else assert.equal(found, erased.has(id) ? null : textOf(id, ROUNDS - 1), `row ${id}`);
  }
}

test('an erasure that a kill cuts off is ended by the same command, and leaves no version', async (t) => {
  const seed = testSeed();
  t.diagnostic(`MILLRACE_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const data = join(temporaryDirectory(t), 'data');
  let server = start(t, data);
  let client = await Millrace.connect(`127.0.0.1:${await server.port}`);
  await client.createGroup({ name: 'item', key: { id: 'int64' }, features: { text: 'string' } });
  for (let round = 0; round < ROUNDS; round++) await put(client, round);
  const erased = new Set([0]);
  assert.ok(filesWith(data, '<row 1>').length > 0);
  const wholeMs = await eraseWhole(t, 0, await server.port);
  const moments: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const id = 1 + random.below(ROWS - 1);
    if (erased.has(id)) continue;
    // A clean close leaves an index checkpoint, which knows the row.
    await client.close();
    server.process.kill('SIGTERM');
    assert.equal(await server.ended, 0, server.errorOutput());
    server = start(t, data);
    client = await Millrace.connect(`127.0.0.1:${await server.port}`);
    const cut = erase(t, id, await server.port);
    const part = (kill + random.below(1000) / 1000) / KILLS;
    await new Promise((resolve) => setTimeout(resolve, part * wholeMs));
    server.process.kill('SIGKILL');
    await client.close();
    await server.ended;
    const wasDone = (await cut.code) === 0;
    moments.push(Math.round(part * 100));
    server = start(t, data);
    client = await Millrace.connect(`127.0.0.1:${await server.port}`);
    if (wasDone) erased.add(id);
    await check(client, erased, wasDone ? -1 : id);
    await eraseWhole(t, id, await server.port);
    erased.add(id);
    assert.deepEqual(filesWith(data, `<row ${id}>`), []);
    await check(client, erased, -1);
  }
  t.diagnostic(`killed after ${moments.join(', ')} hundredths of ${Math.round(wholeMs)} ms`);
  await client.close();
  server.process.kill('SIGKILL');
  await server.ended;
  for (const id of erased) assert.deepEqual(filesWith(data, `<row ${id}>`), [], `row ${id}, at the end`);
  server = start(t, data);
  client = await Millrace.connect(`127.0.0.1:${await server.port}`);
  await check(client, erased, -1);
  await client.close();
});
