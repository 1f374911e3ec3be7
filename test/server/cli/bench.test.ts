/** `millrace bench`: it measures, and leaves no group behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { millrace, startCliNode } from './cli-process.ts';

test('every kind of call is measured and the group is dropped', async (context) => {
  const { connect, client } = await startCliNode(context);
  const { status, stdout, stderr } = await millrace([
    'bench',
    '--rows',
    '1000',
    '--seconds',
    '1',
    '--concurrency',
    '4',
    ...connect,
  ]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^filled with 1,000 rows/);
  for (const name of ['get, 1 row', 'matrix, 100 × 50', 'put, 1 row', 'put, 100 rows']) {
    assert.match(stdout, new RegExp(`^${name} +[\\d,]+ +[\\d,]+ +[\\d.]+ .s +[\\d.]+ .s$`, 'm'));
  }
  assert.deepEqual((await client.groups()).map((group) => group.name).sort(), ['route', 'typed']);
});
