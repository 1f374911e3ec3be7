/**
 * Patches and conditional writes against a real node while connections break and the node is killed: everything that was
 * asked for happens once, and every caller hears what became of it.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { add, append, type Group, Millrace, type MillraceError, max } from '../../client/index.ts';
import { BreakingProxy } from '../support/breaking-proxy.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { serve, startTestNode } from '../support/test-node.ts';

const CLIENTS = 4;
const ADDS = 1000;
const KEYS = 5;
/** Calls of one client under way at a time. */
const WIDTH = 8;

const SPEC = {
  name: 'counter',
  key: { id: 'int64' },
  features: { n: 'int64', sum: 'float64', top: 'int32', recent: { type: 'list', item: 'int32' } },
} as const;

function seeded(name: string): SeededRandom {
  const seed = testSeed();
  process.stdout.write(`# ${name}: MILLRACE_SEED=${seed}\n`);
  return new SeededRandom(seed);
}

async function clientsOf(context: TestContext, address: string, count: number): Promise<Millrace[]> {
  const clients = await Promise.all(
    Array.from({ length: count }, () => Millrace.connect(address, { timeoutMs: 120_000 })),
  );
  context.after(() => Promise.all(clients.map((client) => client.close())));
  return clients;
}

/** Runs `count` calls, `width` of them at a time. */
async function inParallel(count: number, width: number, run: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** ADDS patches a client, each a row of its own call; key i gets every KEYS-th. */
async function addUp(clients: readonly Millrace[], group: Group): Promise<void> {
  await Promise.all(
    clients.map((client, c) =>
      inParallel(ADDS, WIDTH, async (i) => {
        const value = c * ADDS + i;
        const { applied } = await client.patch(group as Group, [
          { id: i % KEYS, n: add(1), sum: add(value), top: max(value), recent: append(value, { max: 7 }) },
        ]);
        assert.equal(applied, 1);
      }),
    ),
  );
}

async function assertExact(client: Millrace, group: Group): Promise<void> {
  const rows = await client.getMany(
    group,
    Array.from({ length: KEYS }, (_, id) => id),
  );
  for (const [id, row] of rows.entries()) {
    const values = Array.from({ length: CLIENTS * ADDS }, (_, value) => value).filter(
      (value) => (value % ADDS) % KEYS === id,
    );
    assert.equal(row?.['n'], BigInt(values.length), `key ${id}: every add once`);
    assert.equal(
      row?.['sum'],
      values.reduce((sum, value) => sum + value, 0),
    );
    assert.equal(row?.['top'], Math.max(...values));
    const recent = row?.['recent'] as number[];
    assert.equal(recent.length, 7);
    assert.equal(new Set(recent).size, 7, 'no item came twice');
    assert.ok(recent.every((value) => values.includes(value)));
  }
}

test('thousands of additions by several clients are exact while their connections break', async (context) => {
  const random = seeded('breaking connections');
  const node = await startTestNode(context, temporaryDirectory(context));
  const proxy = await BreakingProxy.start(context, random);
  proxy.target = node.port;
  const clients = await clientsOf(context, proxy.address, CLIENTS);
  const group = (await clients[0]!.createGroup(SPEC)) as unknown as Group;
  proxy.chance = 0.12;
  await addUp(clients, group);
  proxy.chance = 0;
  assert.ok(proxy.broken > 20 && proxy.lostAnswers > 5, `${proxy.broken} broken, ${proxy.lostAnswers} lost`);
  await assertExact(clients[0]!, group);
});

test('they are exact while the node is killed and started again', async (context) => {
  const random = seeded('killed nodes');
  const directory = temporaryDirectory(context);
  const proxy = await BreakingProxy.start(context, random);
  let node = serve(context, ['--data', directory, '--port', '0', '--shards', '1']);
  proxy.target = await node.port;
  const clients = await clientsOf(context, proxy.address, CLIENTS);
  const group = (await clients[0]!.createGroup(SPEC)) as unknown as Group;
  proxy.chance = 0.02;
  let isDone = false;
  const work = addUp(clients, group).finally(() => {
    isDone = true;
  });
  let kills = 0;
  for (; kills < 4 && !isDone; kills++) {
    await new Promise((resolve) => setTimeout(resolve, 150 + random.below(400)));
    node.process.kill('SIGKILL');
    await node.ended;
    node = serve(context, ['--data', directory, '--port', '0', '--shards', '1']);
    proxy.target = await node.port;
  }
  await work;
  proxy.chance = 0;
  assert.ok(kills > 0);
  await assertExact(clients[0]!, group);
});

test('of several who write on one version one wins each round, and the others are told', async (context) => {
  const random = seeded('races');
  const node = await startTestNode(context, temporaryDirectory(context));
  const proxy = await BreakingProxy.start(context, random);
  proxy.target = node.port;
  const clients = await clientsOf(context, proxy.address, CLIENTS);
  const group = (await clients[0]!.createGroup(SPEC)) as unknown as Group;
  proxy.chance = 0.03;
  let version = 0;
  for (let round = 1; round <= 100; round++) {
    const outcomes = await Promise.allSettled(
      clients.map((client, c) =>
        c % 2 === 0
          ? client.put(group, [{ id: 1, n: round, top: c }], { ifVersion: version, lsns: true })
          : client.patch(group, [{ id: 1, n: add(1), top: c }], { ifVersion: version, lsns: true }),
      ),
    );
    const winners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    assert.equal(winners.length, 1, `round ${round}`);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        assert.equal((outcome.reason as MillraceError).code, 'VERSION_MISMATCH');
    }
    version = winners[0]!.lsns![0]!;
    const [found] = await clients[0]!.getVersioned(group, [1]);
    assert.equal(found!.version, version);
    assert.equal(found!.row?.['n'], BigInt(round));
  }
  const outcome = await clients[0]!.delete(group, [1], { ifVersion: version });
  assert.equal(outcome.applied, 1);
  assert.deepEqual(await clients[0]!.getVersioned(group, [1]), [{ row: null, version: 0 }]);
});

test('a batch answers row by row: applied, superseded, history, and refused with its reason', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context), { shards: 2 });
  const [client] = (await clientsOf(context, `127.0.0.1:${node.port}`, 1)) as [Millrace];
  const group = (await client.createGroup({
    ...SPEC,
    retentionSeconds: 3600,
    latenessSeconds: 3600,
  })) as unknown as Group;
  const now = Date.now() * 1000;
  const minute = 60_000_000;
  await client.put(group, [{ id: 1, event_time: now, n: 1 }]);
  const result = await client.put(group, [
    { id: 1, event_time: now - minute, n: 2 },
    { id: 2, event_time: now, n: 2 },
    { id: 3, event_time: now - 120 * minute, n: 2 },
    { id: 4, event_time: now + 10 * minute, n: 2 },
    { id: 5, event_time: now - 59 * minute, n: 2 },
  ]);
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((row) => result.status(row)),
    ['superseded', 'applied', 'refused', 'refused', 'applied'],
  );
  assert.deepEqual(
    result.refusals.map(({ row, code }) => [row, code]),
    [
      [2, 'TOO_LATE'],
      [3, 'EVENT_TIME_IN_FUTURE'],
    ],
  );
  const late = [{ id: 3, event_time: now - 120 * minute, n: 2 }];
  await assert.rejects(client.put(group, late), { code: 'TOO_LATE' });
  const backfilled = await client.put(group, late, { backfill: true });
  assert.deepEqual([backfilled.history, backfilled.status(0)], [1, 'history']);
  assert.equal(await client.get(group, 3), null, 'lookups never see it');
  const patched = await client.patch(group, [
    { id: 1, n: add(5), event_time: now },
    { id: 1, n: add(5), event_time: now - minute },
    { id: 2, n: add(2n ** 63n - 2n), event_time: now },
    { id: 9, recent: append([1, 2, 3], { max: 2 }), event_time: now },
  ]);
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => patched.status(row)),
    ['applied', 'refused', 'refused', 'applied'],
  );
  assert.deepEqual(
    patched.refusals.map(({ code }) => code),
    ['LATE_PATCH', 'PATCH_INVALID'],
  );
  assert.deepEqual(
    (await client.getMany(group, [1, 2, 9])).map((row) => [row?.['n'], row?.['recent']]),
    [
      [6n, null],
      [2n, null],
      [null, [2, 3]],
    ],
  );
});
