/**
 * kill -9 of a loaded server, over and over: what was acknowledged before a kill is read after the restart.
 *
 * The log of acknowledged writes lives in this process, the server in another. Each round loads from several writers,
 * kills the server after a random number of acknowledgements and a moment (during group commits and flushes of a small write
 * buffer), starts it again on the same directory and compares every key that was ever acknowledged:
 *
 *   the version read  ≥  the last version acknowledged     nothing acknowledged is lost
 *   the version read  ≤  the last version sent             nothing is made up
 *
 * KILL_ROUNDS says how often; MILLRACE_SEED replays the moments and the load (not the scheduling of two processes).
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Group, Millrace } from '../../client/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type ServeProcess, serve } from '../support/test-node.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 12);
const WRITERS = 4;
const KEYS = 6000;
const BATCH_ROWS_MAX = 400;
/** Counted, not timed: so every round gets to write, on however busy a machine. */
const BATCHES_MAX = 60;
const MOMENT_MS_MAX = 4;
const FIRST_EVENT_MICROS = 1_600_000_000_000_000;

/** What was sent and acknowledged of each key: version numbers, rising. */
class WriteLog {
  readonly sent: Int32Array = new Int32Array(KEYS);
  readonly acknowledged: Int32Array = new Int32Array(KEYS);
  batches = 0;
  onBatch: () => void = () => {};
}

function start(context: TestContext, directory: string): ServeProcess {
  return serve(context, [
    '--data',
    directory,
    '--port',
    '0',
    '--shards',
    '2',
    '--write-buffer',
    `${8 * 1024 * 1024}`,
  ]);
}

/** Writes batches until the server is gone; each writer has keys of its own, so that versions of a key are in order. */
async function write(
  client: Millrace,
  group: Group,
  writer: number,
  log: WriteLog,
  random: SeededRandom,
): Promise<void> {
  for (;;) {
    const ids = new Set<number>();
    const count = 1 + random.below(BATCH_ROWS_MAX);
    while (ids.size < count) ids.add(WRITERS * random.below(KEYS / WRITERS) + writer);
    const rows = [...ids].map((id) => {
      const version = (log.sent[id] as number) + 1;
      log.sent[id] = version;
      return { id, version, filler: 'x'.repeat(random.below(120)), event_time: FIRST_EVENT_MICROS + version };
    });
    try {
      await client.put(group, rows);
    } catch {
      return;
    }
    for (const { id, version } of rows) log.acknowledged[id] = version;
    log.batches += 1;
    log.onBatch();
  }
}

/** Resolves when so many more batches were acknowledged. */
function batchesLater(log: WriteLog, count: number): Promise<void> {
  const target = log.batches + count;
  return new Promise((resolve) => {
    log.onBatch = () => {
      if (log.batches >= target) resolve();
    };
    log.onBatch();
  });
}

async function compare(client: Millrace, group: Group, log: WriteLog, round: number): Promise<void> {
  const ids = Array.from({ length: KEYS }, (_value, id) => id);
  const rows = await client.getMany(group, ids);
  for (const [id, row] of rows.entries()) {
    const version = row === null ? 0 : (row['version'] as number);
    const acknowledged = log.acknowledged[id] as number;
    assert.ok(
      version >= acknowledged,
      `round ${round}: key ${id} has ${version}, acknowledged ${acknowledged}`,
    );
    assert.ok(version <= (log.sent[id] as number), `round ${round}: key ${id} has ${version}, never sent`);
  }
}

test(`nothing acknowledged is lost in ${ROUNDS} kills`, async (context) => {
  const seed = testSeed();
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const directory = temporaryDirectory(context);
  const log = new WriteLog();
  for (let round = 0; round < ROUNDS; round++) {
    const server = start(context, directory);
    const client = await Millrace.connect({ host: '127.0.0.1', port: await server.port });
    const group = (await client.createGroup(
      { name: 'g', key: { id: 'int64' }, features: { version: 'int32', filler: 'string' } },
      { ifNotExists: true },
    )) as unknown as Group;
    await compare(client, group, log, round);
    const writers = Array.from({ length: WRITERS }, (_value, writer) =>
      write(client, group, writer, log, new SeededRandom(random.uint32())),
    );
    await batchesLater(log, random.below(BATCHES_MAX));
    await delay(random.below(MOMENT_MS_MAX + 1));
    server.process.kill('SIGKILL');
    await server.ended;
    await Promise.all(writers);
    await client.close();
  }
  const server = start(context, directory);
  const client = await Millrace.connect({ host: '127.0.0.1', port: await server.port });
  await compare(client, await client.group('g'), log, ROUNDS);
  context.diagnostic(`${log.batches} batches acknowledged`);
  assert.ok(log.batches > 0);
  await client.close();
  server.process.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});
