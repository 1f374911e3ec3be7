/**
 * A node filled to its memory limit: new keys are refused, row by row, everything else goes on, and the process stays within
 * the limit. The memory counted is what is the process's own: pages of files that it has mapped are the kernel's to take back.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Millrace } from '../../client/index.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { serve } from '../support/test-node.ts';

const MIB = 1024 * 1024;
const LIMIT_BYTES = 240 * MIB;
const PUT_ROWS = 16_384;
/** Far more than the limit leaves room for. */
const ROWS_MAX = 2_000_000;

function ownBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]);
}

test('filled to its limit a node refuses new keys alone, and stays within it', async (context) => {
  const directory = temporaryDirectory(context);
  const limits = ['--write-buffer', '8MiB', '--cache', '16MiB', '--memory-limit', `${LIMIT_BYTES}`];
  const node = serve(context, ['--data', `${directory}/data`, '--port', '0', '--shards', '1', ...limits]);
  const client = await Millrace.connect(`127.0.0.1:${await node.port}`);
  context.after(() => client.close());
  const group = await client.createGroup({
    name: 'filled',
    key: { id: 'int64' },
    features: { number: 'float64' },
  });
  const putFrom = (from: number, number: number, count = PUT_ROWS) =>
    client.put(group, {
      columns: {
        id: Float64Array.from({ length: count }, (_, index) => from + index),
        number: new Float64Array(count).fill(number),
      },
    });

  let rows = 0;
  let most = 0;
  // What a large put brings counts until it is in the index, so smaller ones fill what it has left.
  for (let count = PUT_ROWS; count >= 1; ) {
    const result = await putFrom(rows, 1, count).catch((error: Error & { code?: string }) => error);
    most = Math.max(most, ownBytes(node.process.pid as number));
    if (result instanceof Error) {
      assert.equal(result.code, 'MEMORY_FULL');
      count = 0;
    } else if (result.refused > 0) {
      assert.deepEqual([...new Set(result.refusals.map(({ code }) => code))], ['MEMORY_FULL']);
      rows += count - result.refused;
      count = Math.floor(count / 8);
    } else {
      rows += count;
    }
    assert.ok(rows < ROWS_MAX, 'a limit that limits nothing');
  }
  console.log(`${rows} rows, ${Math.round(most / MIB)} MiB of ${LIMIT_BYTES / MIB} MiB at most`);
  assert.ok(most < LIMIT_BYTES, `${most} bytes`);

  const overwritten = await putFrom(0, 2);
  assert.equal(overwritten.applied, PUT_ROWS);
  assert.equal((await client.get(group, 1))?.['number'], 2);
  await assert.rejects(client.put(group, [{ id: -1, number: 3 }]), { code: 'MEMORY_FULL' });
  assert.equal((await client.delete(group, [1])).applied, 1);
  assert.equal(await client.get(group, 1), null);
  const [shard] = (await client.status()).shards;
  assert.ok(shard !== undefined);
  const { indexBytes, indexBytesMax } = shard as { indexBytes: number; indexBytesMax: number };
  assert.ok(
    indexBytes <= indexBytesMax && indexBytes > 0.8 * indexBytesMax - 2 * MIB,
    `${indexBytes} of ${indexBytesMax}`,
  );
  assert.ok(ownBytes(node.process.pid as number) < LIMIT_BYTES);
});

test('a limit that leaves no room for an index is refused at the start, with the least that works', async (context) => {
  const directory = temporaryDirectory(context);
  const node = serve(context, ['--data', `${directory}/data`, '--port', '0', '--memory-limit', '100MiB']);
  node.port.catch(() => undefined);
  assert.equal(await node.ended, 1);
  assert.match(node.errorOutput(), /CONFIG_INVALID: a memory limit of 104857600 bytes .*MiB\) is the least/);
});
