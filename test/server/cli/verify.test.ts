/** `millrace verify` as a process: exit codes, what it names, and that it leaves alone what it should. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Millrace } from '../../../server/millrace.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const MAIN = fileURLToPath(new URL('../../../server/launch.cjs', import.meta.url));
const ROWS = 500;

interface Report {
  readonly faults: number;
  readonly shards: { readonly records: number; readonly findings: { readonly kind: string }[] }[];
}

function run(...args: string[]): { status: number | null; output: string; errors: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  return { status, output: stdout, errors: stderr };
}

async function filled(context: TestContext): Promise<string> {
  const directory = join(temporaryDirectory(context), 'data');
  const client = await Millrace.open(directory, { shards: 2 });
  const group = await client.createGroup({
    name: 'flight',
    key: { id: 'int64' },
    features: { delay: 'float32' },
  });
  await client.put(
    group,
    Array.from({ length: ROWS }, (_, id) => ({ id, delay: id, event_time: 1_600_000_000_000_000 })),
  );
  await client.close();
  return directory;
}

/** Turns one bit of the first block's records. */
function damage(directory: string): void {
  const path = join(directory, 'shard-0/blocks/data.mdb');
  const file = readFileSync(path);
  const at = file.indexOf('MRB1') + 300;
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.of((file[at] as number) ^ 1), 0, 1, at);
  closeSync(fd);
}

test('a whole directory is well, and 0 is answered', async (context) => {
  const directory = await filled(context);
  const { status, output } = run('verify', '--data', directory);
  assert.equal(status, 0, output);
  assert.match(output, /all is well/);
  const report = JSON.parse(run('verify', '--data', directory, '--json').output) as Report;
  assert.equal(report.faults, 0);
  assert.equal(
    report.shards.reduce((sum, { records }) => sum + records, 0),
    ROWS,
  );
});

test('a damaged block is named with its group and partitions, and 1 is answered', async (context) => {
  const directory = await filled(context);
  damage(directory);
  const { status, output } = run('verify', '--data', directory);
  assert.equal(status, 1);
  assert.match(output, /block [0-9a-f]{16}, level \d, group flight, partitions? \d+.*checksum differs/);
  assert.match(output, /1 fault;/);
});

test('what is no data directory is refused and not made into one', (context) => {
  const directory = temporaryDirectory(context);
  const { status, errors } = run('verify', '--data', join(directory, 'nothing'));
  assert.equal(status, 1);
  assert.match(errors, /DATA_DIRECTORY_INVALID/);
});

test('a directory that a node runs on is refused', async (context) => {
  const directory = await filled(context);
  const client = await Millrace.open(directory);
  const { status, errors } = run('verify', '--data', directory);
  await client.close();
  assert.equal(status, 1);
  assert.match(errors, /DATA_DIRECTORY_LOCKED/);
});

test('repair says what it would drop, drops it when told, and the rest is served', async (context) => {
  const directory = await filled(context);
  damage(directory);
  const dry = run('repair', '--data', directory);
  assert.equal(dry.status, 1);
  assert.match(dry.output, /drop block [0-9a-f]{16}.*group flight.*records by its header/);
  assert.match(dry.output, /nothing was changed: --drop-corrupt does it/);
  assert.equal(run('verify', '--data', directory).status, 1, 'nothing was changed');
  const wet = run('repair', '--data', directory, '--drop-corrupt');
  assert.equal(wet.status, 0, wet.output + wet.errors);
  assert.equal(run('verify', '--data', directory).status, 0);
  const lost = Number(/(\d+) records by its header/.exec(wet.output)![1]);
  const client = await Millrace.open(directory);
  const rows = await client.getMany(
    await client.group('flight'),
    Array.from({ length: ROWS }, (_, id) => id),
  );
  await client.close();
  assert.equal(rows.filter((row) => row === null).length, lost);
  assert.ok(rows.every((row, id) => row === null || row['delay'] === id));
});

test('inspect says what is there, by group and by partition', async (context) => {
  const directory = await filled(context);
  const table = run('inspect', '--data', directory);
  assert.equal(table.status, 0, table.errors);
  assert.match(table.output, /GROUP +ROWS +VERSIONS +LIVE +DEAD/);
  assert.match(table.output, /flight +500 +500/);
  const report = JSON.parse(run('inspect', '--data', directory, '--json').output) as {
    shards: { units: { groupName: string; rows: number; deadBytes: number }[] }[];
  };
  const units = report.shards.flatMap((shard) => shard.units);
  assert.ok(units.length > 400 && units.every(({ groupName }) => groupName === 'flight'));
  assert.equal(
    units.reduce((sum, { rows }) => sum + rows, 0),
    ROWS,
  );
  assert.equal(
    run('inspect', '--data', directory, '--partitions').output.split('\n').length,
    units.length + 3,
  );
});
