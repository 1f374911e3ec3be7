/** `millrace put` and `delete`: rows by hand, on condition, and what became of each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millrace, startCliNode } from './cli-process.ts';

test('what get prints is what put takes, every type and digit of it', async (context) => {
  const { connect, client } = await startCliNode(context);
  const printed = await millrace(['get', 'typed', '1', '2', '--json', ...connect]);
  await client.createGroup({ ...(await client.group('typed')).schema, name: 'copy' });
  const put = await millrace(['put', 'copy', ...connect], printed.stdout);
  assert.equal(put.status, 0, put.stderr);
  assert.equal(put.stdout.match(/: applied, version \d+$/gm)?.length, 2);
  const copied = await millrace(['get', 'copy', '1', '2', '--json', ...connect]);
  assert.equal(copied.stdout, printed.stdout);
  assert.deepEqual((await client.get('copy', 1))?.['count'], 2n ** 60n);
});

test('rows are deleted as of a moment, and an older moment changes nothing', async (context) => {
  const { connect, client } = await startCliNode(context);
  const early = await millrace(['delete', 'typed', '1', '--event-time', '2020-01-01', ...connect]);
  assert.equal(early.status, 0, early.stderr);
  assert.match(early.stdout, /^typed 1: superseded, version \d+\n$/);
  assert.notEqual(await client.get('typed', 1), null);
  const now = await millrace(['delete', 'typed', '1', '2', '--json', ...connect]);
  assert.equal(now.status, 0, now.stderr);
  assert.deepEqual(
    now.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { status: string }).status),
    ['applied', 'applied'],
  );
  assert.deepEqual(await client.getMany('typed', [1, 2]), [null, null]);
  const bad = await millrace(['delete', 'typed', '1', '--event-time', 'noon', ...connect]);
  assert.equal(bad.status, 2);
});

test('what is no row is refused before anything is written', async (context) => {
  const { connect } = await startCliNode(context);
  for (const [text, message] of [
    ['{"id": 1', /^millrace: USAGE: .* is no JSON:/],
    ['[1]', /^millrace: USAGE: .* is no JSON object/],
    ['{"id": 1, "nope": 2}', /^millrace: ROW_INVALID: row 0: group "typed" has no column "nope"/],
    ['{"id": 1, "count": 1.5}', /^millrace: TYPE_MISMATCH: row 0: feature "count"/],
    ['{"id": 1, "at": "noon"}', /^millrace: TYPE_MISMATCH: row 0: feature "at"/],
    ['', /^millrace: USAGE: "" is no JSON/],
  ] as const) {
    const { status, stderr } = await millrace(['put', 'typed', text, ...connect]);
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
});
