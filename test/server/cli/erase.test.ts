/** `millrace erase`: what is left of a row, and what the command says of the files that it searched. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { millrace, startCliNode } from './cli-process.ts';

function holds(directory: string, text: string): boolean {
  return readdirSync(directory, { recursive: true })
    .map((name) => join(directory, String(name)))
    .some((path) => statSync(path).isFile() && readFileSync(path).includes(text));
}

test('a row is erased, and the command says what proves it', async (context) => {
  const { connect, client, directory } = await startCliNode(context);
  await client.put('typed', [{ id: 8, text: 'nobody-else-says-this' }]);
  assert.ok(holds(directory, 'nobody-else-says-this'));
  const erased = await millrace(['erase', '--group', 'typed', '--key', '8', ...connect]);
  assert.equal(erased.status, 0, erased.stderr);
  assert.match(
    erased.stdout,
    /^erased typed 8 in [\d.]+ s: \d+ files, .+, were searched and hold no version up to LSN \d+ of partition \d+\n$/,
  );
  assert.ok(!holds(directory, 'nobody-else-says-this'));
  assert.equal(await client.get('typed', 8n), null);
  assert.notEqual(await client.get('typed', 1n), null);

  const wide = await millrace(['erase', '--group', 'route', '--key', 'ORD,LAX', ...connect]);
  assert.equal(wide.status, 0, wide.stderr);
  assert.equal(await client.get('route', ['ORD', 'LAX']), null);
  const unknown = await millrace(['erase', '--group', 'none', '--key', '8', ...connect]);
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /GROUP_NOT_FOUND/);
});
