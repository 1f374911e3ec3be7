/**
 * `millrace import` as a person runs it, against a node: what it says, what is stored, and how it goes on after an end.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Millrace } from '../../../client/index.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTestNode } from '../../support/test-node.ts';
import { FIXTURES } from '../fixture-values.ts';

const MAIN = fileURLToPath(new URL('../../../server/launch.cjs', import.meta.url));

interface Ended {
  status: number | string | null;
  stdout: string;
  stderr: string;
}

/** Runs the command; `onOutput` sees what it has said so far and may end it. */
function importing(
  args: readonly string[],
  onStderr: (text: string, kill: (s: NodeJS.Signals) => void) => void = () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, 'import', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    onStderr(stdout, (signal) => child.kill(signal));
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ status: code ?? signal, stdout, stderr }));
  });
}

interface Setup {
  directory: string;
  address: string;
  client: Millrace;
}

async function setup(context: TestContext): Promise<Setup> {
  const directory = temporaryDirectory(context);
  const node = await startTestNode(context, join(directory, 'data'));
  const client = await Millrace.connect(`127.0.0.1:${node.port}`);
  context.after(() => client.close());
  return { directory, address: `127.0.0.1:${node.port}`, client };
}

function file(directory: string, name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

test('a CSV file becomes a group, shown first, and its rows', async (context) => {
  const { directory, address, client } = await setup(context);
  const path = file(
    directory,
    'flights.csv',
    'id,date,origin,delay\n7,2001-01-14 21:55,ORD,5\n8,2001-01-15T00:00:00.5Z,"LAX, CA",\n',
  );
  const args = [path, '--group', 'flight', '--key', 'id', '--event-time', 'date', '--connect', address];
  const { status, stdout, stderr } = await importing([...args, '--schema', 'delay:int32']);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /flights\.csv: CSV, .* types from the first 2 rows/);
  assert.match(stdout, /group flight, to be created:/);
  assert.match(stdout, /date +timestamp +event time/);
  assert.match(stdout, /imported 2 rows/);
  assert.ok(stdout.indexOf('to be created') < stdout.indexOf('imported'));
  assert.deepEqual(await client.getMany('flight', [7, 8]), [
    { id: 7n, date: 979_509_300_000_000, origin: 'ORD', delay: 5 },
    { id: 8n, date: 979_516_800_500_000, origin: 'LAX, CA', delay: null },
  ]);
  assert.ok(!existsSync(`${path}.flight.import`));
});

test('a CSV file with a header only creates no group, and does no harm to one that is there', async (context) => {
  const { directory, address, client } = await setup(context);
  const path = file(directory, 'empty.csv', 'id,delay\n');
  const args = [path, '--group', 'flight', '--key', 'id', '--connect', address];
  const refused = await importing(args);
  assert.equal(refused.status, 1, refused.stdout);
  assert.match(refused.stderr, /no row to take types from/);
  assert.deepEqual(await client.groups(), []);
  const declared = await importing([...args, '--schema', 'id:int64,delay:int32']);
  assert.equal(declared.status, 0, declared.stderr);
  assert.equal((await client.group('flight')).schema.features[0]?.type, 'int32');
  assert.equal((await importing(args)).status, 0);
});

test('Parquet, Arrow and JSON lines of every type are stored as they are', async (context) => {
  const { directory, address, client } = await setup(context);
  const columns = ['id', 'flag', 'i8', 'u32', 'f32', 'text', 'raw', 'tags', 'nested', 'price'];
  for (const name of ['types-snappy.parquet', 'types-lz4.arrow']) {
    const path = join(directory, name);
    copyFileSync(join(FIXTURES, name), path);
    const group = name.split('.')[1]!;
    const args = [path, '--group', group, '--key', 'id', '--columns', columns.join(), '--connect', address];
    const { status, stderr } = await importing(args);
    assert.equal(status, 0, stderr);
    const row = await client.get(group, 9_007_199_254_740_995n);
    const { event_time: eventTime, ...values } = row!;
    assert.ok((eventTime as number) > 1.7e15);
    assert.deepEqual(values, {
      id: 9_007_199_254_740_995n,
      flag: true,
      i8: -1,
      u32: 4_294_967_292n,
      f32: 0.5,
      text: 'zürich 2',
      raw: new Uint8Array([2, 0, 255]),
      tags: ['t0', 't1'],
      nested: { a: 2, b: '2' },
      price: 2.25,
    });
    assert.equal((await client.get(group, 9_007_199_254_740_996n))?.['text'], null);
  }
  const lines = file(directory, 'a.jsonl', '{"k":"x","v":[1,2],"at":"2020-01-01"}\n{"k":"y"}\n');
  const refused = await importing([
    lines,
    '--group',
    'j',
    '--key',
    'k',
    '--event-time',
    'at',
    '--connect',
    address,
  ]);
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /millrace: FILE_FORMAT_INVALID: .*a\.jsonl: row 2, column "at": the event time is null/,
  );
  const { status, stderr } = await importing([lines, '--group', 'k', '--key', 'k', '--connect', address]);
  assert.equal(status, 0, stderr);
  assert.deepEqual((await client.get('k', 'x'))?.['v'], [1n, 2n]);
});

test('of two rows with one key and one time, the later in the file is the one that is read', async (context) => {
  const { directory, address, client } = await setup(context);
  const rows = Array.from({ length: 20_000 }, (_, i) => `k${i % 3},2001-01-01,${i}`);
  const path = file(directory, 'ties.csv', `k,at,n\n${rows.join('\n')}\n`);
  const { status, stderr } = await importing([
    path,
    '--group',
    't',
    '--key',
    'k',
    '--event-time',
    'at',
    '--connect',
    address,
  ]);
  assert.equal(status, 0, stderr);
  const found = await client.getMany('t', ['k0', 'k1', 'k2']);
  assert.deepEqual(
    found.map((row) => row?.['n']),
    [19_998n, 19_999n, 19_997n],
  );
});

/** A file whose row `bad` (counted from 1) does not fit what the first rows suggest. */
function withBadRow(directory: string, rows: number, bad: number): string {
  const lines = Array.from({ length: rows }, (_, i) => `${i},2001-01-01,${i + 1 === bad ? 'many' : i}`);
  return file(directory, 'bad.csv', `id,at,n\n${lines.join('\n')}\n`);
}

test('after a bad row the acknowledged part is there, said, and gone on from once the row is right', async (context) => {
  const { directory, address, client } = await setup(context);
  const path = withBadRow(directory, 60_000, 50_000);
  const args = [path, '--group', 'g', '--key', 'id', '--event-time', 'at', '--connect', address];
  const first = await importing(args);
  assert.equal(first.status, 1);
  assert.match(
    first.stderr,
    /millrace: FILE_FORMAT_INVALID: .*bad\.csv: row 50000, column "n": "many" is not an int64/,
  );
  const safe = Number(/the first ([\d,]+) rows are acknowledged/.exec(first.stderr)![1]!.replaceAll(',', ''));
  assert.ok(safe > 0 && safe < 50_000);
  assert.equal((await client.get('g', safe - 1))?.['n'], BigInt(safe - 1));
  assert.equal(await client.get('g', 59_999), null);

  // The same file goes on from there, and fails at the same row.
  const second = await importing(args);
  assert.match(second.stderr, new RegExp(`going on after row ${safe.toLocaleString('en-US')}`));
  assert.match(second.stderr, /row 50000/);

  // A file that was put right is another file: it begins again and says so.
  writeFileSync(path, readFileSync(path, 'utf8').replace('many', '49999'));
  const third = await importing(args);
  assert.equal(third.status, 0, third.stderr);
  assert.match(third.stderr, /the file has changed since: beginning at the first row/);
  assert.match(third.stdout, /imported 60,000 rows/);
  assert.equal((await client.get('g', 49_999))?.['n'], 49_999n);
  assert.ok(!existsSync(`${path}.g.import`));
});

test('an import that was killed goes on, and every row is there in the end', async (context) => {
  const { directory, address, client } = await setup(context);
  const count = 300_000;
  const lines = Array.from({ length: count }, (_, i) => `${i},2001-01-01,${i}`);
  const path = file(directory, 'killed.csv', `id,at,n\n${lines.join('\n')}\n`);
  const note = join(directory, 'note');
  const args = [
    path,
    '--group',
    'g',
    '--key',
    'id',
    '--event-time',
    'at',
    '--connect',
    address,
    '--progress-file',
    note,
  ];
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    // The note says when some rows are in; then the import is ended wherever it is.
    let watch: NodeJS.Timeout | undefined;
    let before: string | undefined;
    const ended = await importing(args, (_, kill) => {
      watch ??= setInterval(() => {
        const noted = existsSync(note) ? readFileSync(note, 'utf8') : '';
        before ??= noted;
        if (noted !== before && noted !== '' && !noted.includes('"row": 0')) kill(signal);
      }, 5);
    });
    clearInterval(watch);
    if (signal === 'SIGKILL') assert.ok(ended.status === 'SIGKILL' || ended.status === 0, ended.stderr);
    else assert.ok(ended.status === 130 || ended.status === 0, ended.stderr);
  }
  const last = await importing(args);
  assert.equal(last.status, 0, last.stderr);
  const matrix = await client.getMatrix(
    'g',
    Float64Array.from({ length: count }, (_, i) => i),
    {
      features: ['n'],
      dtype: 'float64',
    },
  );
  assert.ok(matrix.found.every((found) => found === 1));
  assert.ok(matrix.data.every((value, i) => value === i));
});

test('--restart begins at the first row, and --dry-run puts nothing and needs no node', async (context) => {
  const { directory, address } = await setup(context);
  const path = withBadRow(directory, 30_000, 25_000);
  const args = [path, '--group', 'g', '--key', 'id', '--event-time', 'at'];
  const dry = await importing([...args, '--dry-run', '--connect', '127.0.0.1:1']);
  assert.equal(dry.status, 0, dry.stderr);
  assert.match(dry.stdout, /group g, to be created/);
  assert.equal((await importing([...args, '--connect', address])).status, 1);
  const again = await importing([...args, '--connect', address, '--restart']);
  assert.doesNotMatch(again.stderr, /going on/);
});

test('what cannot be imported ends with its code and exit status 1, and without a node in reach too', async (context) => {
  const { directory, address, client } = await setup(context);
  const good = file(directory, 'good.csv', 'a,b,c\n1,2,3\n');
  const cases: [args: string[], message: RegExp][] = [
    [
      [join(directory, 'none.csv'), '--group', 'g', '--key', 'a'],
      /FILE_UNREADABLE: .*none\.csv: no such file/,
    ],
    [[good, '--group', 'g', '--key', 'd'], /FILE_FORMAT_INVALID: .*no column "d"; the columns are a, b, c/],
    [[good, '--group', 'g', '--key', 'a,b,c'], /FILE_FORMAT_INVALID: .*at least one feature/],
    [
      [good, '--group', 'g', '--key', 'a', '--event-time', 'b'],
      /row 1, column "b": "2" is a number.*--time-unit/,
    ],
    [[good, '--group', 'g', '--key', 'a', '--schema', 'b:number'], /USAGE: "number" is no column type/],
    [[good, '--group', 'x'.repeat(129), '--key', 'a'], /SCHEMA_INVALID/],
    [[good, '--group', 'g', '--key', 'a', '--connect', '127.0.0.1:1'], /CONNECT_FAILED/],
  ];
  for (const [args, message] of cases) {
    const { status, stderr } = await importing(
      args.includes('--connect') ? args : [...args, '--connect', address],
    );
    assert.equal(status, 1, args.join(' '));
    assert.match(stderr, message);
    assert.match(stderr, /^millrace: [A-Z_]+: /m);
  }
  assert.deepEqual(await client.groups(), []);
  const missing = await importing([good, '--key', 'a']);
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /required option '--group <NAME>'/);
});

test('the help has an example', async () => {
  const { status, stdout } = await importing(['--help']);
  assert.equal(status, 0);
  assert.match(stdout, /Example:\n {2}millrace import /);
});

test('a Parquet file cut in half is refused before anything is put', async (context) => {
  const { directory, address, client } = await setup(context);
  const path = join(directory, 'half.parquet');
  const whole = readFileSync(join(FIXTURES, 'types-zstd.parquet'));
  writeFileSync(path, whole.subarray(0, whole.length / 2));
  const { status, stderr } = await importing([path, '--group', 'g', '--key', 'id', '--connect', address]);
  assert.equal(status, 1);
  assert.match(stderr, /millrace: FILE_FORMAT_INVALID: .*half\.parquet: .*cut off/);
  assert.deepEqual(await client.groups(), []);
  rmSync(path);
});
