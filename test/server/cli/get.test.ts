/** `millrace get`: rows for people and for programs, keys of every kind, and what is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millrace, startCliNode } from './cli-process.ts';

test('a row is shown by its columns, or as JSON, and a missing one has its exit status', async (context) => {
  const { connect } = await startCliNode(context);
  const shown = await millrace(['get', 'route', 'ORD,LAX', ...connect]);
  assert.equal(shown.status, 0, shown.stderr);
  assert.equal(
    shown.stdout,
    'route ORD,LAX\n  origin       ORD\n  destination  LAX\n  date         2020-09-13T12:26:40.000001Z\n  departures   7\n',
  );
  const json = await millrace(['get', 'typed', '1', '4', '2', '--json', ...connect]);
  assert.equal(json.status, 3, json.stderr);
  const [first, missing, nulls] = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(first, {
    id: 1,
    event_time: '2020-09-13T12:26:40.000001Z',
    flag: true,
    count: '1152921504606846976',
    share: 0.1,
    exact: 'NaN',
    at: '2020-09-13T12:26:40.000001Z',
    text: 'a "quoted", line\n',
    raw: 'AQL/',
    point: [0.5, 0.1],
    tags: ['x', ''],
    times: ['1970-01-01T00:00:00Z', '2020-09-13T12:26:40.000001Z'],
    any: { deep: [1, { er: null }] },
  });
  assert.equal(missing, null);
  assert.equal(nulls?.['text'], null);
});

test('a key that begins with a minus is looked up after --, and the help says so', async (context) => {
  const { connect } = await startCliNode(context);
  const { status, stdout, stderr } = await millrace(['get', 'typed', ...connect, '--', '-5']);
  assert.equal(status, 3, stderr);
  assert.equal(stdout, 'typed -5\n  no such row\n');
  assert.match((await millrace(['get', '--help'])).stdout, /millrace get account -- -5/);
});

test('features can be chosen, and what is not there is named', async (context) => {
  const { connect } = await startCliNode(context);
  const chosen = await millrace(['get', 'typed', '1', '--features', 'share,flag', '--json', ...connect]);
  assert.equal(
    chosen.stdout,
    '{"id":1,"event_time":"2020-09-13T12:26:40.000001Z","share":0.1,"flag":true}\n',
  );
  for (const [args, message] of [
    [['get', 'nope', '1'], /^millrace: GROUP_NOT_FOUND: /],
    [['get', 'typed', '1', '--features', 'x'], /^millrace: FEATURE_NOT_FOUND: /],
    [['get', 'typed', 'one'], /^millrace: USAGE: "one" is no int64 for the key column id/],
    [
      ['get', 'route', 'ORD'],
      /^millrace: USAGE: the key "ORD" has 1 values; the group's key is origin,destination/,
    ],
  ] as const) {
    const { status, stderr } = await millrace([...args, ...connect]);
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
  const unreachable = await millrace(['get', 'typed', '1', '--connect', '127.0.0.1:1']);
  assert.equal(unreachable.status, 1);
  assert.match(unreachable.stderr, /^millrace: CONNECT_FAILED: /);
});
