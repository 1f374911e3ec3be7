/**
 * Erasing a key of a live node: afterwards no file of its directory has a byte sequence that only the erased rows had, everything
 * else is there, and the key can be put again. Under writes and scans too.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Millrace } from '../../client/index.ts';
import { startNode } from '../../server/index.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const FIRST_EVENT = 1_600_000_000_000_000;
/** In every version of the erased row, and in no other row. */
const SECRET = 'the-secret-of-number-77';

function filesWith(directory: string, text: string): string[] {
  return readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => statSync(join(directory, name)).isFile())
    .filter((name) => readFileSync(join(directory, name)).includes(text));
}

async function load(client: Millrace, round: number): Promise<void> {
  const rows = Array.from({ length: 4000 }, (_, id) => ({
    id: BigInt(id),
    text:
      id === 77
        ? `${SECRET} ${round} ${'s'.repeat(round === 3 ? 30_000 : 100)}`
        : `row ${id} of round ${round}`.repeat(5),
    event_time: FIRST_EVENT + round,
  }));
  await client.put('item', rows);
}

test('an erased key is in no file, all other rows are there, and it can be put again', async (t) => {
  const data = join(temporaryDirectory(t), 'data');
  const node = await startNode({
    dataDirectory: data,
    shards: 2,
    cacheBytes: 16 * 1024 * 1024,
    logLevel: 'silent',
  });
  t.after(() => node.close());
  const client = await Millrace.connect(`127.0.0.1:${node.port}`);
  t.after(() => client.close());
  await client.createGroup({ name: 'item', key: { id: 'int64' }, features: { text: 'string' } });
  for (const round of [1, 2, 3, 4]) {
    await load(client, round);
    // Blocks, and compacted ones, beside what is still in the journal.
    if (round === 2) await client.erase('item', 3999n);
  }
  assert.ok(filesWith(data, SECRET).length > 0);
  let isOver = false;
  const reading = (async () => {
    while (!isOver) for await (const batch of client.scan('item')) void batch.numRows;
  })();
  const erasure = await client.erase('item', 77n);
  isOver = true;
  await reading;
  assert.ok(erasure.files >= 4 && erasure.bytes > 1_000_000 && erasure.newer === 0);
  assert.deepEqual(filesWith(data, SECRET), []);
  const rows = (await client.getMany('item', [76n, 77n, 78n])) as ({ text: string } | null)[];
  assert.deepEqual(
    rows.map((row) => row === null),
    [false, true, false],
  );
  let scanned = 0;
  for await (const batch of client.scan('item')) scanned += batch.numRows;
  assert.equal(scanned, 3999);

  await client.put('item', [{ id: 77n, text: 'new', event_time: FIRST_EVENT }]);
  assert.equal(((await client.get('item', 77n)) as { text: string }).text, 'new');
  await client.close();
  await node.close();
  const again = await startNode({ dataDirectory: data, cacheBytes: 16 * 1024 * 1024, logLevel: 'silent' });
  t.after(() => again.close());
  const reader = await Millrace.connect(`127.0.0.1:${again.port}`);
  t.after(() => reader.close());
  assert.equal(((await reader.get('item', 77n)) as { text: string }).text, 'new');
  const all = await reader.getMany(
    'item',
    Array.from({ length: 4000 }, (_, id) => BigInt(id)),
  );
  assert.equal(all.filter((row) => row === null).length, 0, 'row 3999 was put again after its erasure');
  assert.deepEqual(filesWith(data, SECRET), []);
});

test('rows written while their key is erased are its new row; a key that was never there is proven, too', async (t) => {
  const data = join(temporaryDirectory(t), 'data');
  const node = await startNode({
    dataDirectory: data,
    shards: 1,
    cacheBytes: 16 * 1024 * 1024,
    logLevel: 'silent',
  });
  t.after(() => node.close());
  const client = await Millrace.connect(`127.0.0.1:${node.port}`);
  t.after(() => client.close());
  await client.createGroup({ name: 'item', key: { id: 'int64' }, features: { text: 'string' } });
  await load(client, 1);
  const erasing = client.erase('item', 77n);
  let last = 0;
  for (let round = 1; round <= 50; round++) {
    await client.put('item', [{ id: 77n, text: `later ${round}`, event_time: FIRST_EVENT + 10 + round }]);
    last = round;
  }
  await erasing;
  assert.equal(((await client.get('item', 77n)) as { text: string }).text, `later ${last}`);
  assert.deepEqual(filesWith(data, SECRET), []);
  assert.equal((await client.erase('item', 123_456n)).newer, 0);
  await assert.rejects(client.erase('nothing', 1n), { code: 'GROUP_NOT_FOUND' });
});
