/** `millrace groups`: what there is, how one is made and how it goes. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { millrace, startCliNode } from './cli-process.ts';

test('groups are listed and shown, for people and as JSON', async (context) => {
  const { connect } = await startCliNode(context);
  const list = await millrace(['groups', ...connect]);
  assert.equal(list.status, 0, list.stderr);
  assert.match(list.stdout, /^GROUP +KEY +FEATURES +CREATED\n/);
  assert.match(list.stdout, /^route +origin, destination +1 +20\d\d-/m);
  const json = await millrace(['groups', 'list', '--json', ...connect]);
  assert.deepEqual(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { name: string }).name)
      .sort(),
    ['route', 'typed'],
  );
  const shown = await millrace(['groups', 'show', 'typed', ...connect]);
  assert.match(
    shown.stdout,
    /^typed \(schema version 1; rows do not expire; all history is kept; writes may be 7 d 0 h late\)\n/,
  );
  assert.match(shown.stdout, /^ {2}point +vector\(2\)$/m);
  assert.match(shown.stdout, /^ {2}tags +list<string>$/m);
  assert.match((await millrace(['groups', 'show', 'nope', ...connect])).stderr, /GROUP_NOT_FOUND/);
});

test('a declaration in JSON or YAML, from a file or the standard input, makes a group', async (context) => {
  const { directory, connect, client } = await startCliNode(context);
  const path = join(directory, 'airport.yaml');
  writeFileSync(
    path,
    'name: airport\nkey: { origin: string }\nfeatures: { delay: float32 }\nttlSeconds: 7200\n',
  );
  const made = await millrace(['groups', 'create', path, ...connect]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(made.stdout, /rows expire after 2 h 0 min/);
  assert.equal((await client.group('airport')).schema.ttlSeconds, 7200);
  assert.match((await millrace(['groups', 'create', path, ...connect])).stderr, /^millrace: GROUP_EXISTS: /);
  assert.equal((await millrace(['groups', 'create', path, '--if-not-exists', ...connect])).status, 0);
  const spec = '{"name":"b","key":[{"name":"k","type":"uuid"}],"features":[{"name":"f","type":"int8"}]}';
  assert.equal((await millrace(['groups', 'create', '-', ...connect], spec)).status, 0);
  assert.equal((await client.group('b')).schema.key[0]?.type, 'uuid');
});

test('settings come from the declaration, and from options, which win', async (context) => {
  const { directory, connect, client } = await startCliNode(context);
  const path = join(directory, 'memory.yaml');
  const features =
    'features: { delay: { type: float32, default: 1.5 }, note: { type: string, default: none } }';
  writeFileSync(path, `name: m\nkey: { k: string }\n${features}\nlatenessSeconds: 60\ndurability: journal\n`);
  const options = ['--durability', 'memory', '--retention', '3600', '--ttl', '120'];
  const made = await millrace(['groups', 'create', path, ...options, ...connect]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(
    made.stdout,
    /rows expire after 2 min 0 s; history is kept for 1 h 0 min; writes may be 1 min 0 s late; acknowledged from memory/,
  );
  assert.match(made.stdout, /^ {2}delay +float32 +default 1\.5$/m);
  assert.match(made.stdout, /^ {2}note +string +default "none"$/m);
  const { schema } = await client.group('m');
  assert.deepEqual(
    [schema.latenessSeconds, schema.durability, schema.retentionSeconds, schema.ttlSeconds],
    [60, 'memory', 3600, 120],
  );
  const refused = await millrace(['groups', 'create', path, '--durability', 'disk', ...connect]);
  assert.match(refused.stderr, /Allowed choices are journal, memory/);
});

test('a declaration that is none says why', async (context) => {
  const { directory, connect } = await startCliNode(context);
  const path = join(directory, 'bad.yaml');
  for (const [text, message] of [
    ['{', /FILE_FORMAT_INVALID/],
    ['just text', /FILE_FORMAT_INVALID: .*no declaration/],
    ['name: x\nkey: { k: float32 }\nfeatures: { f: int8 }\n', /SCHEMA_INVALID/],
    ['name: x\n', /SCHEMA_INVALID/],
  ] as const) {
    writeFileSync(path, text);
    const { status, stderr } = await millrace(['groups', 'create', path, ...connect]);
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
  assert.match(
    (await millrace(['groups', 'create', join(directory, 'no'), ...connect])).stderr,
    /FILE_UNREADABLE/,
  );
});

test('a group is altered by options, and refuses what cannot be with a reason', async (context) => {
  const { connect, client } = await startCliNode(context);
  const alter = (...args: string[]) => millrace(['groups', 'alter', 'typed', ...args, ...connect]);
  const added = await alter(
    '--add',
    '{ gate: { type: string, default: B1 }, seats: int16 }',
    '--ttl',
    '3600',
  );
  assert.equal(added.status, 0, added.stderr);
  assert.match(added.stdout, /^typed \(schema version 2; rows expire after 1 h 0 min; /);
  assert.match(added.stdout, /^ {2}gate +string +default "B1"$/m);
  const dropped = await alter('--drop', 'gate', '--drop', 'flag', '--json');
  const schema = JSON.parse(dropped.stdout) as { version: number; features: { name: string }[] };
  assert.equal(schema.version, 3);
  assert.ok(schema.features.every(({ name }) => name !== 'gate' && name !== 'flag'));
  assert.match((await alter('--add', '{ count: int8 }')).stderr, /SCHEMA_INVALID: .*a type never changes/);
  assert.match((await alter('--add', 'nothing')).stderr, /USAGE: --add/);
  assert.match((await alter()).stderr, /SCHEMA_INVALID: .*at least one of add, drop/);
  assert.equal((await client.group('typed')).schema.version, 3);
});

test('a group is dropped only when it is asked for twice', async (context) => {
  const { connect, client } = await startCliNode(context);
  const hesitant = await millrace(['groups', 'drop', 'route', ...connect]);
  assert.equal(hesitant.status, 1);
  assert.match(hesitant.stderr, /^millrace: USAGE: .*--yes/);
  assert.equal((await client.groups()).length, 2);
  assert.equal((await millrace(['groups', 'drop', 'route', '--yes', ...connect])).stdout, 'dropped route\n');
  await assert.rejects(client.group('route'), { code: 'GROUP_NOT_FOUND' });
});
