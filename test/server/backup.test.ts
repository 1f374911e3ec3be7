/**
 * Backups of live nodes and what becomes of them: restored into as many shards or others, they answer alike, for lookups, scans and
 * every version; chains, an empty node, huge rows, dropped groups; damage of any file is found and named.
 */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Group, Millrace } from '../../client/index.ts';
import { takeBackup } from '../../server/backup.ts';
import { FinishedBackup } from '../../server/backup-directory.ts';
import { pruneBackups } from '../../server/cli/backup.ts';
import { type NodeOptions, type RunningNode, startNode } from '../../server/index.ts';
import { restoreBackup } from '../../server/restore.ts';
import { storedVersions } from '../support/stored-versions.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const FIRST_EVENT = 1_600_000_000_000_000;

interface Running {
  readonly node: RunningNode;
  readonly client: Millrace;
  close(): Promise<void>;
}

async function run(
  t: TestContext,
  dataDirectory: string,
  options: Partial<NodeOptions> = {},
): Promise<Running> {
  const node = await startNode({
    dataDirectory,
    writeBufferBytes: 8 * 1024 * 1024,
    cacheBytes: 16 * 1024 * 1024,
    logLevel: 'silent',
    ...options,
  });
  const client = await Millrace.connect(`127.0.0.1:${node.port}`);
  const close = async (): Promise<void> => {
    await client.close();
    await node.close();
  };
  // A failed test leaves nothing open; closing twice is closing once.
  t.after(close);
  return { node, client, close };
}

function backUp(
  client: Millrace,
  path: string,
  rest: { since?: string; expiresAt?: Date; signal?: AbortSignal } = {},
) {
  return takeBackup({
    client,
    path,
    bytesPerSecond: 1e12,
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...rest,
  });
}

function restore(backup: string, target: string, shards?: number) {
  return restoreBackup({ backup, target, shards, onProgress: () => undefined });
}

async function makeGroup(client: Millrace, name: string): Promise<Group> {
  await client.createGroup({ name, key: { id: 'int64' }, features: { n: 'float64', text: 'string' } });
  return client.group(name);
}

/** Rows `from` to `to`, their values and times told by `round`. */
async function load(client: Millrace, group: Group, from: number, to: number, round: number): Promise<void> {
  const rows = Array.from({ length: to - from }, (_, index) => ({
    id: BigInt(from + index),
    n: round * 1000 + index,
    text: `round ${round} `.repeat(1 + ((from + index) % 7)),
    event_time: FIRST_EVENT + round,
  }));
  await client.put(group, rows);
}

/** All rows as lookups and as scans see them. */
async function answers(client: Millrace, name: string, count: number): Promise<unknown> {
  const ids = Array.from({ length: count }, (_, id) => BigInt(id));
  const looked = await client.getMany(name, ids);
  const scanned: string[] = [];
  for await (const batch of client.scan(name)) {
    for (const row of batch.toArray())
      scanned.push(JSON.stringify(row, (_key, value) => (typeof value === 'bigint' ? String(value) : value)));
  }
  return { looked, scanned: scanned.sort() };
}

async function loadedNode(t: TestContext): Promise<{ root: string; data: string; running: Running }> {
  const root = temporaryDirectory(t);
  const data = join(root, 'data');
  const running = await run(t, data, { shards: 2 });
  const group = await makeGroup(running.client, 'item');
  await load(running.client, group, 0, 3000, 1);
  return { root, data, running };
}

test('a chain of three backups restores into the same and other shard counts, alike in every version', async (t) => {
  const { root, data, running } = await loadedNode(t);
  const { client } = running;
  const group = await client.group('item');
  const full = await backUp(client, join(root, 'b1'));
  await load(client, group, 1000, 4000, 2);
  await client.delete(group, [5n, 6n, 3999n]);
  const second = await backUp(client, join(root, 'b2'), { since: join(root, 'b1') });
  await load(client, group, 3500, 5000, 3);
  const third = await backUp(client, join(root, 'b3'), { since: join(root, 'b2') });
  assert.ok(
    second.bytes < full.bytes + second.bytes && third.bytes < second.bytes,
    'increments hold what is new',
  );
  const expected = await answers(client, 'item', 5100);
  await running.close();
  const versions = await storedVersions(data);
  assert.ok(versions.length >= 7500 + 3);
  for (const shards of [1, 2, 3]) {
    const target = join(root, `restored-${shards}`);
    const result = await restore(join(root, 'b3'), target, shards);
    assert.equal(result.backups, 3);
    const restored = await run(t, target);
    assert.equal(restored.node.shardCount, shards);
    assert.deepEqual(await answers(restored.client, 'item', 5100), expected);
    // It goes on as a node: above everything that was given out before.
    await load(restored.client, await restored.client.group('item'), 0, 100, 9);
    await restored.close();
    const after = await storedVersions(target);
    assert.deepEqual(after.filter((version) => versions.includes(version)).length, versions.length);
    assert.equal(after.length, versions.length + 100);
    const numbers = after.map((version) => version.split('/').slice(0, 2).join('/'));
    assert.equal(new Set(numbers).size, numbers.length, 'no LSN is given twice');
  }
});

test('what is acknowledged while a backup runs may be in it; what was before is, and each partition has no gap', async (t) => {
  const { root, running } = await loadedNode(t);
  const { client } = running;
  const group = await client.group('item');
  let isOver = false;
  const writing = (async () => {
    for (let round = 2; !isOver; round++) await load(client, group, 0, 500, round);
  })();
  await backUp(client, join(root, 'b'));
  isOver = true;
  await writing;
  await running.close();
  await restore(join(root, 'b'), join(root, 'r'));
  const lsns = new Map<string, number[]>();
  for (const version of await storedVersions(join(root, 'r'))) {
    const [partition, lsn] = version.split('/') as [string, string];
    lsns.set(partition, [...(lsns.get(partition) ?? []), Number(lsn)]);
  }
  assert.ok([...lsns.values()].reduce((sum, list) => sum + list.length, 0) >= 3000);
  for (const [partition, list] of lsns) {
    const sorted = list.sort((a, b) => a - b);
    assert.deepEqual(
      sorted,
      sorted.map((_, index) => index + 1),
      `partition ${partition} has every LSN to its last`,
    );
  }
});

test('a read point that was closed before the backup gives the same rows after the restore', async (t) => {
  const { root, running } = await loadedNode(t);
  const { client } = running;
  const readPoint = await client.readPoint();
  await load(client, await client.group('item'), 0, 2000, 2);
  const count = async (from: Millrace): Promise<string[]> => {
    const rows: string[] = [];
    for await (const batch of from.scan('item', { readPoint })) {
      for (let row = 0; row < batch.numRows; row++) {
        rows.push(`${String(batch.getChild('id')!.get(row))}/${String(batch.getChild('n')!.get(row))}`);
      }
    }
    return rows.sort();
  };
  const expected = await count(client);
  assert.equal(expected.length, 3000);
  await backUp(client, join(root, 'b'));
  await running.close();
  await restore(join(root, 'b'), join(root, 'r'), 3);
  const restored = await run(t, join(root, 'r'));
  assert.deepEqual(await count(restored.client), expected);
  await restored.close();
});

test('an aborted backup is gone on with by the same command, and not by another node', async (t) => {
  const { root, running } = await loadedNode(t);
  const path = join(root, 'b');
  const controller = new AbortController();
  const aborted = takeBackup({
    client: running.client,
    path,
    bytesPerSecond: 1e12,
    signal: controller.signal,
    onProgress: ({ shard }) => {
      if (shard === 1) controller.abort();
    },
  });
  await assert.rejects(aborted, { name: 'AbortError' });
  assert.throws(() => FinishedBackup.open(path), { code: 'BACKUP_INVALID', message: /not finished/ });
  await assert.rejects(restore(path, join(root, 'r')), { code: 'BACKUP_INVALID', message: /not finished/ });
  const other = await run(t, join(root, 'other'), { shards: 2 });
  await assert.rejects(backUp(other.client, path), { code: 'BACKUP_INVALID', message: /nodeId/ });
  await other.close();
  const done = await backUp(running.client, path);
  assert.equal(done.isResumed, true);
  const firstShard = done.backup.manifest.shards[0]!;
  assert.ok(done.values < done.backup.manifest.shards.reduce((sum, { keys }) => sum + keys.count, 0));
  assert.ok(firstShard.chunks.length > 0);
  await running.close();
  assert.equal((await restore(path, join(root, 'r'))).records, 3000);
});

test('an empty node, huge rows and a dropped group come back as they were', async (t) => {
  const root = temporaryDirectory(t);
  const empty = await run(t, join(root, 'empty'), { shards: 2 });
  await backUp(empty.client, join(root, 'b-empty'));
  await empty.close();
  assert.equal((await restore(join(root, 'b-empty'), join(root, 'r-empty'), 3)).records, 0);
  await (await run(t, join(root, 'r-empty'))).close();

  const running = await run(t, join(root, 'data'), { shards: 1 });
  const { client } = running;
  const kept = await makeGroup(client, 'kept');
  const dropped = await makeGroup(client, 'dropped');
  const text = 'x'.repeat(900_000);
  await client.put(
    kept,
    [1n, 2n, 3n].map((id) => ({ id, n: 1, text, event_time: FIRST_EVENT })),
  );
  await load(client, dropped, 0, 50, 1);
  await client.dropGroup('dropped');
  await backUp(client, join(root, 'b'));
  await running.close();
  await restore(join(root, 'b'), join(root, 'r'), 2);
  const restored = await run(t, join(root, 'r'));
  const row = await restored.client.get('kept', 2n);
  assert.equal((row as { text: string }).text, text);
  await assert.rejects(restored.client.group('dropped'), { code: 'GROUP_NOT_FOUND' });
  // Its rows may still be there: its id is not given out again.
  const made = await makeGroup(restored.client, 'dropped');
  assert.deepEqual(await restored.client.getMany(made, [0n, 1n]), [null, null]);
  await restored.close();
});

test('a flipped bit in any file of a backup, or a file too few, stops the restore by name', async (t) => {
  const { root, running } = await loadedNode(t);
  const path = join(root, 'b');
  await backUp(running.client, path);
  await running.close();
  const files = readdirSync(path, { recursive: true })
    .map(String)
    .filter((name) => name !== 'lock' && statSync(join(path, name)).isFile());
  assert.ok(files.length >= 5);
  for (const name of files) {
    const damaged = join(root, 'damaged');
    cpSync(path, damaged, { recursive: true });
    const bytes = readFileSync(join(damaged, name));
    for (const at of [20, Math.floor(bytes.length / 2), bytes.length - 4]) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 4;
      writeFileSync(join(damaged, name), flipped);
      await assert.rejects(restore(damaged, join(root, 'r')), (error: Error & { code: string }) => {
        assert.equal(error.code, 'BACKUP_INVALID', error.stack);
        assert.ok(error.message.includes(name), `${error.message} names ${name}`);
        return true;
      });
      assert.ok(!existsSync(join(root, 'r', 'node.json')));
    }
    rmSync(join(damaged, name));
    await assert.rejects(restore(damaged, join(root, 'r')), { code: 'BACKUP_INVALID' });
    rmSync(damaged, { recursive: true });
  }
  // What the refused ones left is no obstacle.
  assert.equal((await restore(path, join(root, 'r'))).records, 3000);
});

test('directories that hold something else are never written to', async (t) => {
  const { root, data, running } = await loadedNode(t);
  const foreign = join(root, 'foreign');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'letter.txt'), 'mine');
  await assert.rejects(backUp(running.client, foreign), { code: 'BACKUP_INVALID', message: /letter\.txt/ });
  await backUp(running.client, join(root, 'b'));
  await assert.rejects(backUp(running.client, join(root, 'b')), { message: /finished backup/ });
  await assert.rejects(backUp(running.client, data), { code: 'BACKUP_INVALID' });
  await assert.rejects(restore(join(root, 'b'), foreign), {
    code: 'DATA_DIRECTORY_INVALID',
    message: /letter\.txt/,
  });
  await assert.rejects(restore(join(root, 'b'), data), { code: 'DATA_DIRECTORY_INVALID' });
  assert.deepEqual(readdirSync(foreign), ['letter.txt']);
  await running.close();
});

test('a backup since one of another node, or since one that is not there, is refused', async (t) => {
  const { root, running } = await loadedNode(t);
  await backUp(running.client, join(root, 'b1'));
  await restore(join(root, 'b1'), join(root, 'r'));
  const restored = await run(t, join(root, 'r'));
  await assert.rejects(backUp(restored.client, join(root, 'b2'), { since: join(root, 'b1') }), {
    code: 'BACKUP_INVALID',
    message: /nodeId/,
  });
  await restored.close();
  await backUp(running.client, join(root, 'b3'), { since: join(root, 'b1') });
  await running.close();
  cpSync(join(root, 'b1', 'backup.json'), join(root, 'kept.json'));
  rmSync(join(root, 'b1'), { recursive: true });
  await assert.rejects(restore(join(root, 'b3'), join(root, 'r3')), {
    code: 'BACKUP_INVALID',
    message: /b1/,
  });
  mkdirSync(join(root, 'b1'));
  copyFileSync(join(root, 'kept.json'), join(root, 'b1', 'backup.json'));
  await assert.rejects(restore(join(root, 'b3'), join(root, 'r3')), {
    code: 'BACKUP_INVALID',
    message: /missing/,
  });
});

test('an expired backup is not restored, prune removes it, and an increment expires with its base', async (t) => {
  const { root, running } = await loadedNode(t);
  const now = Date.now();
  const base = await backUp(running.client, join(root, 'all', 'b1'), {
    expiresAt: new Date(now + 3_600_000),
  });
  const later = new Date(now + 7_200_000);
  const second = await backUp(running.client, join(root, 'all', 'b2'), {
    since: join(root, 'all', 'b1'),
    expiresAt: later,
  });
  assert.equal(second.backup.manifest.expiresAt, base.backup.manifest.expiresAt);
  await backUp(running.client, join(root, 'all', 'b3'));
  await backUp(running.client, join(root, 'all', 'old'), { expiresAt: new Date(now - 1000) });
  await running.close();
  await assert.rejects(restore(join(root, 'all', 'old'), join(root, 'r')), {
    code: 'BACKUP_INVALID',
    message: /expired/,
  });
  mkdirSync(join(root, 'all', 'something'));
  assert.deepEqual(pruneBackups(join(root, 'all'), now), { removed: [join(root, 'all', 'old')], kept: 3 });
  assert.equal(pruneBackups(join(root, 'all'), now + 3_600_001).removed.length, 2);
  assert.deepEqual(readdirSync(join(root, 'all')).sort(), ['b3', 'something']);
});
