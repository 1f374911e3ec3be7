/** Verification finds what is wrong with a shard's blocks, directory, meta values and journal, and names where it is. */
import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { nodeDisk } from '../../server/node-environment.ts';
import {
  CHECKPOINT_KEY_HI,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
} from '../../storage/block-key.ts';
import {
  type BlockStore,
  type Finding,
  loadChecksum,
  openBlockStore,
  verifyBlocks,
} from '../../storage/index.ts';
import { verifyFiles } from '../../storage/verify-files.ts';
import { TestShard, temporaryDirectory } from '../support/shard.ts';

before(loadChecksum);

const SEGMENT_BYTES = 256 * 1024;
const OPTIONS = { journalSegmentBytes: SEGMENT_BYTES, writeBufferBytes: 8 * 1024 * 1024 };
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A closed shard of two flushes. */
async function filled(context: TestContext): Promise<string> {
  const { path, remove } = temporaryDirectory();
  context.after(remove);
  const shard = await new TestShard(path, OPTIONS).open();
  for (let round = 0; round < 2; round++) {
    await shard.put(
      3,
      Array.from({ length: 300 }, (_, index) => ({ key: `key-${index}`, value: `${round}` })),
    );
    await shard.store.flush();
  }
  await shard.store.close();
  return path;
}

async function withStore<T>(directory: string, use: (store: BlockStore) => T | Promise<T>): Promise<T> {
  const store = openBlockStore({ directory: `${directory}/blocks` });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function findings(directory: string, shardCount = 1): Promise<Finding[]> {
  const found: Finding[] = [];
  await withStore(directory, (store) =>
    verifyBlocks({
      store,
      shardIndex: 0,
      shardCount,
      pause,
      onProgress: () => undefined,
      onFinding: (finding) => found.push(finding),
    }),
  );
  return found;
}

/** Changes one value of the store. */
function change(
  directory: string,
  keyHi: number,
  keyLo: number,
  edit: (bytes: Uint8Array) => void,
): Promise<void> {
  return withStore(directory, async (store) => {
    const bytes = store.read(keyHi, keyLo)!.slice();
    edit(bytes);
    await store.write([{ keyHi, keyLo, bytes }]);
  });
}

test('a whole shard has no findings, and all of it was read', async (context) => {
  const directory = await filled(context);
  const verified = await withStore(directory, (store) =>
    verifyBlocks({
      store,
      shardIndex: 0,
      shardCount: 1,
      pause,
      onProgress: () => undefined,
      onFinding: ({ reason }) => assert.fail(reason),
    }),
  );
  assert.equal(verified.records, 600);
  assert.equal(verified.unfinished, 0);
});

test('a damaged block is named with its group and partitions, by the directory and not by itself', async (context) => {
  const directory = await filled(context);
  await change(directory, LEVEL_ZERO_KEY_HI, 2, (bytes) => {
    bytes[6] = 99;
    bytes[200]! ^= 1;
  });
  const [finding, ...others] = await findings(directory);
  assert.deepEqual(others, []);
  assert.equal(finding?.kind, 'block');
  assert.equal(finding?.keyLo, 2);
  assert.equal(finding?.units?.group, 3);
  assert.ok((finding?.units?.partitionMin ?? 5000) <= (finding?.units?.partitionMax ?? -1));
  assert.match(finding?.reason ?? '', /checksum/);
});

test('a right block in the wrong place is found', async (context) => {
  const directory = await filled(context);
  await withStore(directory, async (store) => {
    const bytes = store.read(LEVEL_ZERO_KEY_HI, 1)!.slice();
    await store.write([{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 2, bytes }]);
  });
  const found = await findings(directory);
  assert.deepEqual(
    found.map(({ kind, keyLo }) => [kind, keyLo]),
    [['block', 2]],
  );
  assert.match(found[0]!.reason, /its header says/);
});

test('a block that is missing, and one that nobody lists, are found', async (context) => {
  const directory = await filled(context);
  await withStore(directory, async (store) => {
    const bytes = store.read(LEVEL_ZERO_KEY_HI, 1)!.slice();
    await store.write(
      [{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 900, bytes }],
      [{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 1 }],
    );
  });
  const found = await findings(directory);
  assert.deepEqual(found.map(({ kind, keyLo }) => [kind, keyLo]).sort(), [
    ['missing', 1],
    ['unlisted', 900],
  ]);
});

test('a damaged directory value is found, and the blocks that it listed', async (context) => {
  const directory = await filled(context);
  await change(directory, LEVEL_ZERO_DIRECTORY_KEY_HI, 1, (bytes) => {
    bytes[30]! ^= 4;
  });
  const found = await findings(directory);
  assert.equal(found[0]?.kind, 'directory');
  assert.ok(found.length > 1 && found.slice(1).every(({ kind }) => kind === 'unlisted'));
});

test('a damaged checkpoint, and a key that is nobody’s, are found', async (context) => {
  const directory = await filled(context);
  await change(directory, CHECKPOINT_KEY_HI, 1, (bytes) => {
    bytes[9]! ^= 1;
  });
  await withStore(directory, (store) => store.write([{ keyHi: 99 << 8, keyLo: 1, bytes: Uint8Array.of(1) }]));
  const found = await findings(directory);
  assert.ok(
    found.some(({ kind, keyHi, reason }) => kind === 'meta' && keyHi === 0 && /checksum/.test(reason)),
  );
  assert.ok(found.some(({ kind, keyHi }) => kind === 'meta' && keyHi === 99 << 8));
});

test("records of another shard's partitions are found", async (context) => {
  const directory = await filled(context);
  const found = await findings(directory, 2);
  assert.ok(found.some(({ reason }) => /another shard's/.test(reason)));
});

test('a damaged journal and a damaged index checkpoint are found', async (context) => {
  const { path, remove } = temporaryDirectory();
  context.after(remove);
  const shard = await new TestShard(path, OPTIONS).open();
  await shard.put(1, [{ key: 'a', value: '1' }]);
  await shard.put(1, [{ key: 'b', value: '2' }]);
  const segment = nodeDisk.listFiles(`${path}/journal`)[0]!;
  const file = nodeDisk.openDurable(`${path}/journal/${segment}`);
  const verify = (): ReturnType<typeof verifyFiles> =>
    verifyFiles({
      disk: nodeDisk,
      directory: path,
      shardIndex: 0,
      shardCount: 1,
      journalPosition: 0,
      journalSegmentBytes: SEGMENT_BYTES,
      pause,
    });
  const whole = await verify();
  assert.deepEqual([whole.journalRecords, whole.journalFault, whole.indexFault], [2, undefined, undefined]);
  const byte = new Uint8Array(1);
  file.readSync(byte, 4096 + 100);
  byte[0]! ^= 1;
  await new Promise<void>((resolve) => file.writev([byte], 4096 + 100, () => resolve()));
  file.close();
  nodeDisk.makeDirectory(`${path}/index`);
  nodeDisk.writeFileDurable(`${path}/index/checkpoint`, new Uint8Array(5000));
  const damaged = await verify();
  assert.match(damaged.journalFault ?? '', /acknowledged writes were damaged/);
  assert.match(damaged.indexFault ?? '', /header/);
  await shard.store.close();
});
