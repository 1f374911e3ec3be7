/** The version that the server tells is the package's. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SERVER_VERSION } from '../../server/server-version.ts';

test('the server tells the version of its package', () => {
  const path = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  assert.equal(SERVER_VERSION, version);
});
