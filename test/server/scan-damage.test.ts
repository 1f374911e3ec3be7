/** A damaged block that only a scan has met is known to the shard: STATUS shows it, and lookups of what it held are refused. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Millrace } from '../../server/millrace.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ROWS = 2000;

/** Turns one bit of the records of every block that the file has. */
function damageBlocks(path: string): void {
  const file = readFileSync(path);
  const fd = openSync(path, 'r+');
  for (let at = file.indexOf('MRB1'); at >= 0; at = file.indexOf('MRB1', at + 1)) {
    writeSync(fd, Buffer.of(file[at + 100]! ^ 1), 0, 1, at + 100);
  }
  closeSync(fd);
}

test('what a scan finds damaged is refused to everybody, and shown', async (context) => {
  const directory = temporaryDirectory(context);
  const options = { shards: 1, logLevel: 'silent' as const };
  const spec = { name: 'flight', key: { id: 'int64' }, features: { delay: 'float32' } } as const;
  const first = await Millrace.open(directory, options);
  const flights = await first.createGroup(spec);
  const rows = Array.from({ length: ROWS }, (_, id) => ({
    id,
    delay: id,
    event_time: 1_600_000_000_000_000,
  }));
  await first.put(flights, rows);
  await first.close();

  const client = await Millrace.open(directory, options);
  context.after(() => client.close());
  const group = await client.group('flight');
  assert.equal((await client.status()).shards[0]!['damagedBlocks'], 0);
  damageBlocks(join(directory, 'shard-0/blocks/data.mdb'));
  await assert.rejects(
    async () => {
      for await (const _ of client.scan(group));
    },
    { code: 'BLOCK_CORRUPT' },
  );

  const status = (await client.status()).shards[0]!;
  assert.equal(status['damagedBlocks'], 1);
  assert.equal(status['damagedGroup'], group.schema.id);
  const refusals: string[] = [];
  for (const { id } of rows.slice(0, 200)) {
    await client.get(group, { id }).catch((error: Error) => refusals.push(error.message));
  }
  assert.ok(refusals.some((message) => /partition \d+ is not served: level-0 block \d+/.test(message)));
});
