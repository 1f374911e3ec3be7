/** The data directory: made once and whole, locked, and refused with the right code when it is not ours to use. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  type DataDirectory,
  type DataDirectoryOptions,
  openDataDirectory,
} from '../../server/data-directory.ts';
import { nodeClock, nodeDisk } from '../../server/node-environment.ts';
import { SeededRandom } from '../support/random-source.ts';

const root = fs.mkdtempSync(join(tmpdir(), 'millrace-'));
after(() => fs.rmSync(root, { recursive: true }));

let directories = 0;

function freshPath(): string {
  directories += 1;
  return join(root, `node-${directories}`);
}

function open(path: string, options: Partial<DataDirectoryOptions> = {}): DataDirectory {
  return openDataDirectory({
    path,
    defaultShards: 2,
    disk: nodeDisk,
    random: new SeededRandom(directories),
    clock: nodeClock,
    ...options,
  });
}

/** Makes a directory, closes it, and lets the test change its node.json. */
function changedNodeFile(change: (file: Record<string, unknown>) => unknown): string {
  const path = freshPath();
  open(path).close();
  const nodeFile = join(path, 'node.json');
  const changed = change(JSON.parse(fs.readFileSync(nodeFile, 'utf8')) as Record<string, unknown>);
  fs.writeFileSync(nodeFile, typeof changed === 'string' ? changed : JSON.stringify(changed));
  return path;
}

test('a new directory gets an identity that later openings find again', () => {
  const path = freshPath();
  const made = open(path, { shards: 3 });
  made.close();
  const opened = open(path);
  assert.deepEqual(opened.identity, made.identity);
  assert.equal(opened.shardCount, 3);
  assert.equal(opened.createdAt, made.createdAt);
  assert.match(
    opened.identity.nodeId,
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.notEqual(opened.identity.nodeId, opened.identity.clusterId);
  assert.equal(opened.shardDirectory(1), join(path, 'shard-1'));
  assert.equal(opened.catalogPath, join(path, 'catalog.json'));
  opened.close();
  opened.close();
});

test('node.json is readable by people, and its seed is that of the identity', () => {
  const path = freshPath();
  const made = open(path);
  const file = JSON.parse(fs.readFileSync(join(path, 'node.json'), 'utf8')) as Record<string, unknown>;
  const { hashSeedHi, hashSeedLo } = made.identity;
  assert.equal(
    file['hashSeed'],
    ((BigInt(hashSeedHi) << 32n) | BigInt(hashSeedLo)).toString(16).padStart(16, '0'),
  );
  assert.equal(file['format'], 1);
  assert.equal(file['shardCount'], 2);
  assert.ok(!Number.isNaN(Date.parse(String(file['createdAt']))));
  made.close();
});

test('two clusters have different seeds', () => {
  const [a, b] = [1, 2].map((seed) => {
    const directory = open(freshPath(), { random: new SeededRandom(seed) });
    directory.close();
    return directory.identity;
  });
  assert.notDeepEqual([a!.hashSeedHi, a!.hashSeedLo], [b!.hashSeedHi, b!.hashSeedLo]);
});

test('a directory in use is refused, within the process and from another one, until it is closed', async () => {
  const path = freshPath();
  const held = open(path);
  const holder = new RegExp(`in use by process ${process.pid}$`);
  assert.throws(() => open(path), { code: 'DATA_DIRECTORY_LOCKED', message: holder });

  const module = (name: string): string => new URL(`../../server/${name}.js`, import.meta.url).href;
  const script = `
    const { openDataDirectory } = await import(${JSON.stringify(module('data-directory'))});
    const { nodeClock, nodeDisk, nodeRandom } = await import(${JSON.stringify(module('node-environment'))});
    try {
      openDataDirectory({ path: ${JSON.stringify(path)}, defaultShards: 1, disk: nodeDisk, random: nodeRandom, clock: nodeClock });
      process.stdout.write('opened\\n');
    } catch (error) {
      process.stdout.write(error.code + '\\n');
    }
    setInterval(() => {}, 1000);
  `;
  const says = async (): Promise<{ text: string; kill: () => Promise<unknown> }> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const exited = once(child, 'exit');
    return {
      text: chunk.toString().trim(),
      kill: () => {
        child.kill('SIGKILL');
        return exited;
      },
    };
  };
  const refused = await says();
  assert.equal(refused.text, 'DATA_DIRECTORY_LOCKED');
  await refused.kill();
  held.close();
  const opened = await says();
  assert.equal(opened.text, 'opened');
  assert.throws(() => open(path), { code: 'DATA_DIRECTORY_LOCKED' });
  await opened.kill();
  open(path).close();
});

test('a lock file with anything in it names no process', () => {
  const path = freshPath();
  const held = open(path);
  fs.writeFileSync(join(path, 'lock'), 'x'.repeat(5000));
  assert.throws(() => open(path), { code: 'DATA_DIRECTORY_LOCKED', message: /in use by another process$/ });
  held.close();
});

test('another shard count is refused, and the message says what to do', () => {
  const path = freshPath();
  open(path, { shards: 4 }).close();
  assert.throws(() => open(path, { shards: 2 }), {
    code: 'SHARD_COUNT_MISMATCH',
    message: /made with 4 shards .* with 2: ask for 4, or leave the number out/,
  });
  open(path, { shards: 4 }).close();
  open(path).close();
});

test('a directory of a newer version is refused, whatever else it says', () => {
  const path = changedNodeFile(() => ({ format: 3, unheardOf: true }));
  assert.throws(() => open(path), { code: 'DATA_DIRECTORY_NEWER', message: /format 3/ });
});

test('a damaged node.json is refused and left as it is', () => {
  const damages: ((file: Record<string, unknown>) => unknown)[] = [
    () => '',
    () => '{"format": 1',
    () => '[]',
    () => 'null',
    (file) => ({ ...file, format: 0 }),
    (file) => ({ ...file, format: '1' }),
    (file) => ({ ...file, nodeId: 'me' }),
    (file) => ({ ...file, clusterId: undefined }),
    (file) => ({ ...file, hashSeed: '123' }),
    (file) => ({ ...file, hashSeed: 123 }),
    (file) => ({ ...file, shardCount: 0 }),
    (file) => ({ ...file, shardCount: 1025 }),
    (file) => ({ ...file, shardCount: 1.5 }),
    (file) => ({ ...file, createdAt: 5 }),
  ];
  for (const change of damages) {
    const path = changedNodeFile(change);
    const before = fs.readFileSync(join(path, 'node.json'));
    assert.throws(() => open(path), { code: 'DATA_DIRECTORY_INVALID' }, before.toString());
    assert.deepEqual(fs.readFileSync(join(path, 'node.json')), before);
  }
});

test('a directory that holds something else is refused and not touched', () => {
  const path = freshPath();
  fs.mkdirSync(path);
  fs.writeFileSync(join(path, 'thesis.txt'), 'important');
  assert.throws(() => open(path), { code: 'DATA_DIRECTORY_INVALID', message: /holds thesis\.txt/ });
  assert.deepEqual(fs.readdirSync(path), ['thesis.txt']);
});

test('shards without a node.json are refused: their seed and count are lost', () => {
  const path = changedNodeFile((file) => file);
  fs.mkdirSync(join(path, 'shard-0'));
  fs.rmSync(join(path, 'node.json'));
  assert.throws(() => open(path), { code: 'DATA_DIRECTORY_INVALID', message: /node\.json is missing/ });
});

test('a file in place of the directory, and a parent that is one, are refused', () => {
  const path = freshPath();
  fs.writeFileSync(path, '');
  assert.throws(() => open(path), { code: 'DATA_DIRECTORY_INVALID' });
  assert.throws(() => open(join(path, 'below')), { code: 'DATA_DIRECTORY_INVALID' });
});

test('a directory counts as made only when everything in it is: a crash in between starts over', () => {
  const path = freshPath();
  const steps: string[] = [];
  const crash = (): never => {
    throw new Error('the process dies here');
  };
  const onCreate = (directory: DataDirectory): void => {
    steps.push('catalog');
    fs.writeFileSync(directory.catalogPath, '{}');
  };
  const dying = Object.create(nodeDisk) as typeof nodeDisk;
  dying.writeFileDurable = crash;
  assert.throws(() => open(path, { onCreate, disk: dying }), /the process dies here/);
  assert.ok(!fs.existsSync(join(path, 'node.json')));
  fs.writeFileSync(join(path, 'node.json.unfinished'), '{"format"');

  open(path, { onCreate }).close();
  assert.deepEqual(steps, ['catalog', 'catalog']);
  open(path, { onCreate }).close();
  assert.deepEqual(steps, ['catalog', 'catalog'], 'not again once it is complete');
});

test('an opening that fails gives the lock back', () => {
  const path = freshPath();
  open(path, { shards: 4 }).close();
  assert.throws(() => open(path, { shards: 2 }), { code: 'SHARD_COUNT_MISMATCH' });
  open(path).close();
});
