/** `millrace scan` in its three formats, to a file and to a pipe, and what it leaves when it fails. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tableFromIPC } from 'apache-arrow';
import { millrace, startCliNode } from './cli-process.ts';

const TIME = '2020-09-13T12:26:40.000001Z';

test('JSON lines hold every row with every value', async (context) => {
  const { connect } = await startCliNode(context);
  const { status, stdout, stderr } = await millrace(['scan', 'typed', ...connect]);
  assert.equal(status, 0, stderr);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .sort((a, b) => Number(a['id']) - Number(b['id']));
  assert.deepEqual(rows[0], {
    id: 1,
    event_time: TIME,
    flag: true,
    count: '1152921504606846976',
    share: 0.1,
    exact: 'NaN',
    at: TIME,
    text: 'a "quoted", line\n',
    raw: 'AQL/',
    point: [0.5, 0.1],
    tags: ['x', ''],
    times: ['1970-01-01T00:00:00Z', TIME],
    any: { deep: [1, { er: null }] },
  });
  assert.equal(rows.length, 3);
  assert.equal(rows[1]!['text'], null);
  assert.equal(rows[2]!['text'], '');
  assert.match(stderr, /scanned 3 rows, .* rows\/s, .* GB\/s/);
});

test('CSV has a header and tells null from the empty text; columns can be chosen', async (context) => {
  const { connect } = await startCliNode(context);
  const { stdout } = await millrace([
    'scan',
    'typed',
    '--format',
    'csv',
    '--columns',
    'text, id',
    ...connect,
  ]);
  const [header, ...rest] = stdout.split('\n');
  assert.equal(header, 'text,id');
  assert.deepEqual(rest.join('\n').match(/"a ""quoted"", line\n",1\n|^,2$|^"",3$/gm)?.length, 3);
});

test('Arrow is a whole file, the same through a pipe', async (context) => {
  const { directory, connect, client } = await startCliNode(context);
  await client.createGroup({ name: 'many', key: { id: 'int64' }, features: { n: 'int32', t: 'string' } });
  const ids = Array.from({ length: 50_000 }, (_, i) => i);
  await client.put('many', { columns: { id: ids, n: ids, t: ids.map((id) => `t${id}`) } });
  const path = join(directory, 'many.arrow');
  const { status, stdout, stderr } = await millrace([
    'scan',
    'many',
    '--format',
    'arrow',
    '--out',
    path,
    ...connect,
  ]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, '');
  const piped = await millrace(['scan', 'many', '--format', 'arrow', ...connect]);
  for (const bytes of [readFileSync(path), piped.bytes]) {
    assert.equal(bytes.toString('latin1', 0, 6), 'ARROW1');
    const table = tableFromIPC(bytes);
    assert.equal(table.numRows, 50_000);
    assert.deepEqual(
      table.schema.fields.map((field) => `${field.name}: ${field.type}`),
      ['id: Int64', 'event_time: Timestamp<MICROSECOND, UTC>', 'n: Int32', 't: Utf8'],
    );
    const seen = new Set<number>();
    for (let i = 0; i < table.numRows; i++) {
      const id = Number(table.getChild('id')!.get(i));
      seen.add(id);
      if (table.getChild('n')!.get(i) !== id || table.getChild('t')!.get(i) !== `t${id}`)
        assert.fail(`row ${id}`);
    }
    assert.equal(seen.size, 50_000);
  }
  const half = await millrace(['scan', 'many', '--partitions', '0-2048', '--columns', 'id', ...connect]);
  const rest = await millrace(['scan', 'many', '--partitions', '2048-4096', '--columns', 'id', ...connect]);
  assert.equal(half.stdout.split('\n').length + rest.stdout.split('\n').length, 50_002);
});

test('a scan that fails leaves what was there before', async (context) => {
  const { directory, connect } = await startCliNode(context);
  const path = join(directory, 'out.jsonl');
  writeFileSync(path, 'before');
  for (const args of [
    ['scan', 'nope', '--out', path],
    ['scan', 'typed', '--columns', 'nope', '--out', path],
  ]) {
    const { status, stderr } = await millrace([...args, ...connect]);
    assert.equal(status, 1);
    assert.match(stderr, /^millrace: (GROUP|FEATURE)_NOT_FOUND: /m);
  }
  assert.equal(readFileSync(path, 'utf8'), 'before');
  assert.ok(!existsSync(`${path}.partial`));
  const unwritable = await millrace(['scan', 'typed', '--out', join(directory, 'no', 'x'), ...connect]);
  assert.match(unwritable.stderr, /^millrace: FILE_UNREADABLE: .*cannot be written/);
});

test('a reader that has read enough ends the scan without a complaint', async (context) => {
  const { connect, client } = await startCliNode(context);
  await client.createGroup({ name: 'long', key: { id: 'int64' }, features: { t: 'string' } });
  const ids = Array.from({ length: 40_000 }, (_, i) => i);
  await client.put('long', { columns: { id: ids, t: ids.map((id) => `${id}`.repeat(20)) } });
  const main = fileURLToPath(new URL('../../../server/launch.cjs', import.meta.url));
  const child = spawn(process.execPath, [main, 'scan', 'long', ...connect], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stderr, /EPIPE/);
});

test('a scan as of a moment says its read point, and with it gives the same again', async (context) => {
  const { connect, client } = await startCliNode(context);
  await client.createGroup({ name: 'h', key: { id: 'int64' }, features: { a: 'int32' } });
  await client.put('h', [{ id: 1, event_time: new Date('2026-01-01T00:00:00Z'), a: 1 }], { backfill: true });
  await client.put('h', [{ id: 1, event_time: new Date('2026-03-01T00:00:00Z'), a: 2 }], { backfill: true });
  const scan = (...args: string[]) =>
    millrace(['scan', 'h', '--columns', 'a', '--plain', ...args, ...connect]);
  const first = await scan('--as-of', '2026-02-01T00:00:00Z');
  assert.equal(first.status, 0, first.stderr);
  assert.equal(first.stdout, '{"a":1}\n');
  const [, readPoint] = /as of 2026-02-01T00:00:00Z, read point (\d+)/.exec(first.stderr)!;
  await client.put('h', [{ id: 1, event_time: new Date('2026-01-15T00:00:00Z'), a: 3 }], { backfill: true });
  assert.equal((await scan('--as-of', '2026-02-01', '--read-point', readPoint!)).stdout, '{"a":1}\n');
  assert.equal((await scan('--as-of', '2026-02-01')).stdout, '{"a":3}\n');
  assert.equal((await scan('--as-of', '2026-02-01', '--since', readPoint!)).stdout, '{"a":3}\n');
  assert.equal((await scan('--as-of', '2026-04-01', '--since', readPoint!)).stdout, '');
  const open = await scan('--as-of', '2026-04-01', '--read-point', '2040-01-01');
  assert.match(open.stderr, /READ_POINT_INVALID/);
  assert.match((await scan('--as-of', 'yesterday')).stderr, /A moment, as in/);
});
