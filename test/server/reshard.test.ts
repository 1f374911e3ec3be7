/** Resharding: every version is there afterwards, lookups and scans answer alike, and nothing is left of what was. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Millrace } from '../../client/index.ts';
import { startNode } from '../../server/index.ts';
import { reshard } from '../../server/reshard.ts';
import { storedVersions } from '../support/stored-versions.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { serve } from '../support/test-node.ts';

const FIRST_EVENT = 1_600_000_000_000_000;
const ROWS = 4000;

function rewrite(dataDirectory: string, shards: number) {
  return reshard({ dataDirectory, shards, onProgress: () => undefined });
}

async function withNode<T>(dataDirectory: string, use: (client: Millrace) => Promise<T>): Promise<T> {
  const node = await startNode({ dataDirectory, cacheBytes: 16 * 1024 * 1024, logLevel: 'silent' });
  const client = await Millrace.connect(`127.0.0.1:${node.port}`);
  try {
    return await use(client);
  } finally {
    await client.close();
    await node.close();
  }
}

async function load(client: Millrace, round: number): Promise<void> {
  const rows = Array.from({ length: ROWS }, (_, id) => ({
    id: BigInt(id),
    n: id + round,
    event_time: FIRST_EVENT + round,
  }));
  await client.put('item', rows);
}

async function answers(client: Millrace): Promise<unknown> {
  const rows = await client.getMany(
    'item',
    Array.from({ length: ROWS }, (_, id) => BigInt(id)),
  );
  let scanned = 0;
  for await (const batch of client.scan('item')) scanned += batch.numRows;
  return { rows, scanned };
}

test('killed with its journal full, a directory is rewritten from 3 shards to 2 and 5 and keeps every version', async (t) => {
  const data = join(temporaryDirectory(t), 'data');
  const server = serve(t, [
    '--data',
    data,
    '--port',
    '0',
    '--shards',
    '3',
    '--write-buffer',
    `${8 * 1024 * 1024}`,
  ]);
  const client = await Millrace.connect(`127.0.0.1:${await server.port}`);
  await client.createGroup({ name: 'item', key: { id: 'int64' }, features: { n: 'float64' } });
  for (const round of [1, 2, 3]) await load(client, round);
  await client.delete('item', [1n, 2n]);
  const expected = await answers(client);
  server.process.kill('SIGKILL');
  await server.ended;
  await client.close();

  let versions = await storedVersions(data);
  assert.equal(versions.length, 3 * ROWS + 2);
  for (const shards of [2, 5]) {
    const result = await rewrite(data, shards);
    assert.equal(result.records, versions.length);
    assert.deepEqual(await storedVersions(data), versions);
    assert.equal(readdirSync(data).filter((name) => name.startsWith('shard-')).length, shards);
    await withNode(data, async (opened) => assert.deepEqual(await answers(opened), expected));
  }
  await withNode(data, (opened) => load(opened, 9));
  versions = await storedVersions(data);
  const numbers = versions.map((version) => version.split('/').slice(0, 2).join('/'));
  assert.equal(new Set(numbers).size, 4 * ROWS + 2, 'no LSN is given twice');
  const node = JSON.parse(readFileSync(join(data, 'node.json'), 'utf8')) as Record<string, unknown>;
  assert.deepEqual([node['format'], node['generation'], node['shardCount']], [2, 2, 5]);
});

test('the same count, a running node, and what is no data directory are refused', async (t) => {
  const root = temporaryDirectory(t);
  const data = join(root, 'data');
  const node = await startNode({ dataDirectory: data, shards: 2, logLevel: 'silent' });
  await assert.rejects(rewrite(data, 3), { code: 'DATA_DIRECTORY_LOCKED' });
  await node.close();
  await assert.rejects(rewrite(data, 2), { code: 'USAGE', message: /2 shards already/ });
  await assert.rejects(rewrite(data, 0), { code: 'USAGE' });
  await assert.rejects(rewrite(join(root, 'none'), 3), { code: 'DATA_DIRECTORY_INVALID' });
  assert.deepEqual(readdirSync(root), ['data']);
});

test('what an interrupted reshard left is removed by the next start', async (t) => {
  const data = join(temporaryDirectory(t), 'data');
  await (await startNode({ dataDirectory: data, shards: 2, logLevel: 'silent' })).close();
  mkdirSync(join(data, 'shard-0.1', 'blocks'), { recursive: true });
  await withNode(data, (client) => client.ping());
  assert.deepEqual(
    readdirSync(data).filter((name) => name.startsWith('shard-')),
    ['shard-0', 'shard-1'],
  );
});
