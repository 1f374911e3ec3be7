/** `millrace patch`, and writes on condition: what became of each row, and the exit status. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millrace, startCliNode } from './cli-process.ts';

test('steps change a row, and each refusal has its reason', async (context) => {
  const { connect, client } = await startCliNode(context);
  const step = '{"origin": "ORD", "destination": "LAX", "departures": {"add": 3}}';
  const patched = await millrace(['patch', 'route', step, ...connect]);
  assert.equal(patched.status, 0, patched.stderr);
  assert.match(patched.stdout, /: applied, version \d+\n$/);
  assert.equal((await client.get('route', ['ORD', 'LAX']))?.['departures'], 10);

  const far = '{"origin": "ORD", "destination": "LAX", "departures": {"add": 2147483647}}';
  const refused = await millrace(['patch', 'route', step, far, '--json', ...connect]);
  assert.equal(refused.status, 1, refused.stderr);
  const lines = refused.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { status: string; code?: string });
  assert.deepEqual(
    lines.map(({ status, code }) => [status, code]),
    [
      ['applied', undefined],
      ['refused', 'PATCH_INVALID'],
    ],
  );
  const lone = await millrace(['patch', 'route', far, ...connect]);
  assert.equal(lone.status, 1);
  assert.match(lone.stderr, /^millrace: PATCH_INVALID: row 0: .*range/);
});

test('a write on condition happens while the version that was shown is the newest', async (context) => {
  const { connect, client } = await startCliNode(context);
  const shown = await millrace(['get', 'route', 'ORD,LAX', '--with-version', ...connect]);
  const version = /version (\d+)\n/.exec(shown.stdout)?.[1];
  assert.ok(version !== undefined, shown.stdout);
  const row = '{"origin": "ORD", "destination": "LAX", "departures": 1}';
  const first = await millrace(['put', 'route', row, '--if-version', version, ...connect]);
  assert.equal(first.status, 0, first.stderr);
  const second = await millrace(['put', 'route', row, '--if-version', version, ...connect]);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /^millrace: VERSION_MISMATCH: row 0: /);
  const created = '{"origin": "A", "destination": "B", "departures": 1}';
  assert.equal((await millrace(['put', 'route', created, '--if-version', '0', ...connect])).status, 0);
  assert.equal((await millrace(['put', 'route', created, '--if-version', '0', ...connect])).status, 1);
  assert.equal((await client.get('route', ['A', 'B']))?.['departures'], 1);
  const json = await millrace(['get', 'route', 'A,B', 'X,Y', '--with-version', '--json', ...connect]);
  assert.equal(json.status, 3);
  const [there, missing] = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { version: number; row: { departures: number } | null });
  assert.ok(there!.version > 0 && there!.row?.departures === 1);
  assert.deepEqual(missing, { version: 0, row: null });
});
