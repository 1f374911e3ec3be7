/** A repair drops what is damaged and nothing else: afterwards the shard is well, opens, and serves the rest. */
import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { nodeDisk } from '../../server/node-environment.ts';
import {
  CHECKPOINT_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
} from '../../storage/block-key.ts';
import {
  type Finding,
  loadChecksum,
  openBlockStore,
  planRepair,
  type RepairPlan,
  removeIndexCheckpoint,
  repairBlocks,
  verifyBlocks,
} from '../../storage/index.ts';
import { TestShard, temporaryDirectory } from '../support/shard.ts';

before(loadChecksum);

const OPTIONS = { journalSegmentBytes: 256 * 1024, writeBufferBytes: 8 * 1024 * 1024 };
const KEYS = Array.from({ length: 400 }, (_, index) => `key-${index}`);
const GROUP = 3;

async function filled(context: TestContext): Promise<string> {
  const { path, remove } = temporaryDirectory();
  context.after(remove);
  const shard = await new TestShard(path, OPTIONS).open();
  for (const keys of [KEYS.slice(0, 200), KEYS.slice(200)]) {
    await shard.put(
      GROUP,
      keys.map((key) => ({ key, value: `of ${key}` })),
    );
    await shard.store.flush();
  }
  await shard.store.close();
  return path;
}

/** Changes a bit of each of these values, then verifies and repairs; answers the plan, and what is found afterwards. */
async function damageAndRepair(
  directory: string,
  damaged: readonly { keyHi: number; keyLo: number; at: number }[],
): Promise<{ plan: RepairPlan; after: Finding[] }> {
  const store = openBlockStore({ directory: `${directory}/blocks` });
  const find = async (): Promise<{
    findings: Finding[];
    verified: Awaited<ReturnType<typeof verifyBlocks>>;
  }> => {
    const findings: Finding[] = [];
    const verified = await verifyBlocks({
      store,
      shardIndex: 0,
      shardCount: 1,
      pause: () => new Promise((resolve) => setImmediate(resolve)),
      onProgress: () => undefined,
      onFinding: (finding) => findings.push(finding),
    });
    return { findings, verified };
  };
  try {
    for (const { keyHi, keyLo, at } of damaged) {
      const bytes = store.read(keyHi, keyLo)!.slice();
      bytes[at]! ^= 1;
      await store.write([{ keyHi, keyLo, bytes }]);
    }
    const { findings, verified } = await find();
    const plan = planRepair(findings);
    removeIndexCheckpoint(nodeDisk, directory);
    if (plan.beyond.length === 0) await repairBlocks(store, plan, verified);
    return { plan, after: (await find()).findings };
  } finally {
    await store.close();
  }
}

async function served(directory: string): Promise<(string | null)[]> {
  const shard = await new TestShard(directory, OPTIONS).open();
  try {
    return shard.get(GROUP, KEYS);
  } finally {
    await shard.store.close();
  }
}

test('a damaged block goes, with its records and no others', async (context) => {
  const directory = await filled(context);
  const { plan, after } = await damageAndRepair(directory, [{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 2, at: 300 }]);
  assert.deepEqual(after, []);
  assert.equal(plan.drops.length, 1);
  const values = await served(directory);
  const lost = values.filter((value) => value === null).length;
  assert.equal(lost, plan.drops[0]!.records);
  assert.ok(values.every((value, index) => value === null || value === `of ${KEYS[index]}`));
  assert.deepEqual(await served(directory), values, 'and it stays so');
});

test('a damaged directory value goes, and no record with it', async (context) => {
  const directory = await filled(context);
  const { plan, after } = await damageAndRepair(directory, [
    { keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI, keyLo: 1, at: 40 },
  ]);
  assert.deepEqual(after, []);
  assert.ok(plan.relisted.length > 1);
  assert.deepEqual(
    await served(directory),
    KEYS.map((key) => `of ${key}`),
  );
});

test('a damaged checkpoint is beyond repair, and nothing is changed', async (context) => {
  const directory = await filled(context);
  const { plan, after } = await damageAndRepair(directory, [{ keyHi: CHECKPOINT_KEY_HI, keyLo: 1, at: 8 }]);
  assert.ok(plan.beyond.length > 0);
  assert.ok(after.length > 0);
});

test('what is written after a repair is flushed, read and verified as ever', async (context) => {
  const directory = await filled(context);
  await damageAndRepair(directory, [
    { keyHi: LEVEL_ZERO_KEY_HI, keyLo: 1, at: 300 },
    { keyHi: LEVEL_ZERO_DIRECTORY_KEY_HI, keyLo: 2, at: 40 },
  ]);
  const shard = await new TestShard(directory, OPTIONS).open();
  shard.nowMicros += 1e6;
  await shard.put(
    GROUP,
    KEYS.map((key) => ({ key, value: `again ${key}` })),
  );
  await shard.store.flush();
  await shard.store.close();
  const { after } = await damageAndRepair(directory, []);
  assert.deepEqual(after, []);
  assert.deepEqual(
    await served(directory),
    KEYS.map((key) => `again ${key}`),
  );
});
