/** A client's identity: never 0, never the same twice, and every write has a number of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientContext } from '../../client/context.ts';
import { resolveOptions } from '../../client/options.ts';

test('clients differ, and none has the id that means none', () => {
  const ids = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const { clientIdLo, clientIdHi } = new ClientContext(resolveOptions({}));
    assert.ok(clientIdLo !== 0 || clientIdHi !== 0);
    ids.add(`${clientIdLo}-${clientIdHi}`);
  }
  assert.equal(ids.size, 100);
});

test('sequences rise from 1', () => {
  const context = new ClientContext(resolveOptions({}));
  assert.deepEqual([context.nextSequence(), context.nextSequence(), context.nextSequence()], [1, 2, 3]);
});
