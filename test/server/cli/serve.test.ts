/** `millrace serve` as a process: signals, kill -9, exit codes, and what it says when it cannot start. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GroupSchema } from '../../../protocol/index.ts';
import { RawConnection } from '../../support/raw-connection.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { createGroup, get, put, serve } from '../../support/test-node.ts';

const ROWS = 2000;
const IDS: readonly number[] = Array.from({ length: ROWS }, (_, id) => id);

async function fill(context: TestContext, port: number): Promise<GroupSchema> {
  const connection = await RawConnection.greeted(port);
  context.after(() => connection.destroy());
  const group = await createGroup(connection, 'g', [{ name: 'n', type: 'int32' }]);
  await put(
    connection,
    group,
    IDS.map((id) => ({ id, values: { n: 3 * id } })),
  );
  return group;
}

async function assertIntact(context: TestContext, directory: string, group: GroupSchema): Promise<void> {
  const again = serve(context, ['--data', directory, '--port', '0']);
  const connection = await RawConnection.greeted(await again.port);
  const rows = await get(connection, group, IDS);
  connection.destroy();
  assert.deepEqual(
    rows.map((row) => row?.['n']),
    IDS.map((id) => 3 * id),
  );
  again.process.kill('SIGTERM');
  assert.equal(await again.ended, 0);
}

test('SIGTERM ends the server with 0, with every acknowledged row on disk', async (context) => {
  const directory = temporaryDirectory(context);
  const server = serve(context, ['--data', directory, '--port', '0', '--shards', '1']);
  const group = await fill(context, await server.port);
  server.process.kill('SIGTERM');
  assert.equal(await server.ended, 0);
  // A slow machine shows the progress of its start there; log lines and refusals would be news.
  assert.doesNotMatch(server.errorOutput(), /"level"|millrace serve:/);
  await assertIntact(context, directory, group);
});

test('after kill -9 every acknowledged row is there', async (context) => {
  const directory = temporaryDirectory(context);
  const server = serve(context, ['--data', directory, '--port', '0', '--shards', '1']);
  const group = await fill(context, await server.port);
  server.process.kill('SIGKILL');
  assert.equal(await server.ended, 'SIGKILL');
  await assertIntact(context, directory, group);
});

test('a directory in use by another process is refused with its code, and exit 1', async (context) => {
  const directory = temporaryDirectory(context);
  const first = serve(context, ['--data', directory, '--port', '0', '--shards', '1']);
  const port = await first.port;
  const second = serve(context, ['--data', directory, '--port', '0']);
  assert.equal(await second.ended, 1);
  assert.match(second.errorOutput(), /DATA_DIRECTORY_LOCKED: .*in use by process \d+/);
  (await RawConnection.greeted(port)).destroy();
});

test('a port in use is refused with its code, and exit 1', async (context) => {
  const occupier = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => occupier.once('listening', resolve));
  context.after(() => occupier.close());
  const { port } = occupier.address() as { port: number };
  const server = serve(context, [
    '--data',
    temporaryDirectory(context),
    '--port',
    `${port}`,
    '--shards',
    '1',
  ]);
  assert.equal(await server.ended, 1);
  assert.match(server.errorOutput(), new RegExp(`PORT_IN_USE: .*127\\.0\\.0\\.1:${port} is in use`));
});

test('a wrong setting is named on standard error, and exit 1', async (context) => {
  const directory = temporaryDirectory(context);
  const file = join(directory, 'm.yaml');
  writeFileSync(file, 'dataDirectory: /nowhere\nport: many\n');
  const server = serve(context, ['--config', file]);
  assert.equal(await server.ended, 1);
  assert.match(server.errorOutput(), /CONFIG_INVALID: key "port" in .*m\.yaml is "many"/);
  const missing = serve(context, ['--config', join(directory, 'none.yaml')]);
  assert.equal(await missing.ended, 1);
  assert.match(missing.errorOutput(), /CONFIG_INVALID: config file .*none\.yaml cannot be read/);
});

test('a file with settings starts a server', async (context) => {
  const directory = temporaryDirectory(context);
  const file = join(directory, 'm.json');
  writeFileSync(file, JSON.stringify({ dataDirectory: join(directory, 'data'), port: 0, shards: 1 }));
  const server = serve(context, ['--config', file]);
  (await RawConnection.greeted(await server.port)).destroy();
});

test('help shows every setting and an example, and wrong usage exits with 2', () => {
  const main = fileURLToPath(new URL('../../../server/launch.cjs', import.meta.url));
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
  const help = run('serve', '--help');
  assert.equal(help.status, 0);
  for (const word of ['--data', '--port', '--shards', '--config', 'MILLRACE_CACHE', 'Example:']) {
    assert.ok(help.stdout.includes(word), word);
  }
  assert.equal(run('--help').status, 0);
  assert.equal(run('serve', '--prot', '1').status, 2);
  assert.equal(run('swim').status, 2);
});
