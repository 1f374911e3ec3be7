/** The catalog on a real disk: durability, ids that are never reused, and files that must stop a start. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GROUPS_MAX, type GroupSpec } from '../../protocol/index.ts';
import { Catalog } from '../../server/catalog.ts';
import { nodeDisk } from '../../server/node-environment.ts';
import type { Disk } from '../../storage/index.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const NOW = 1_700_000_000_000_000;

function spec(name: string): GroupSpec {
  return { name, key: [{ name: 'id', type: 'int64' }], features: [{ name: 'a', type: 'float32' }] };
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
}

test('groups survive a restart, by name and with their ids', (context) => {
  const path = join(temporaryDirectory(context), 'catalog.json');
  const catalog = Catalog.create(nodeDisk, path);
  const b = catalog.create(spec('b'), NOW);
  const a = catalog.create(spec('a'), NOW + 1);
  assert.deepEqual([b.id, a.id, a.version, a.features[0]?.id], [1, 2, 1, 1]);
  const again = Catalog.open(nodeDisk, path);
  assert.deepEqual(again.groups(), [a, b]);
  assert.deepEqual(again.get('b'), b);
});

test('a catalog of an earlier version opens, with the settings that groups had then', (context) => {
  const path = join(temporaryDirectory(context), 'catalog.json');
  const catalog = Catalog.create(nodeDisk, path);
  const made = catalog.create(spec('a'), NOW);
  const file = JSON.parse(readFileSync(path, 'utf8')) as {
    format: number;
    groups: Record<string, unknown>[];
  };
  file.format = 1;
  delete file.groups[0]!['latenessSeconds'];
  delete file.groups[0]!['durability'];
  writeFileSync(path, JSON.stringify(file));
  assert.deepEqual(Catalog.open(nodeDisk, path).get('a'), made);
  assert.deepEqual([made.latenessSeconds, made.durability], [604_800, 'journal']);
});

test('a change survives a restart, with what earlier versions were', (context) => {
  const path = join(temporaryDirectory(context), 'catalog.json');
  const catalog = Catalog.create(nodeDisk, path);
  catalog.create(spec('a'), NOW);
  catalog.create(spec('b'), NOW);
  catalog.alter('a', { add: [{ name: 'x', type: 'int8', default: 3 }] }, NOW);
  const changed = catalog.alter('a', { drop: ['a'], retentionSeconds: 5 }, NOW);
  assert.deepEqual([changed.version, changed.dropped?.[0]?.until, changed.features[0]?.since], [3, 3, 2]);
  assert.deepEqual(Catalog.open(nodeDisk, path).get('a'), changed);
  assert.equal(catalog.get('b').version, 1);
  assert.equal(
    code(() => catalog.alter('c', { drop: ['a'] }, NOW)),
    'GROUP_NOT_FOUND',
  );
});

test('an id is never used again, also after a drop and a restart', (context) => {
  const path = join(temporaryDirectory(context), 'catalog.json');
  const catalog = Catalog.create(nodeDisk, path);
  catalog.create(spec('a'), NOW);
  assert.equal(catalog.drop('a').id, 1);
  const again = Catalog.open(nodeDisk, path);
  assert.equal(again.create(spec('a'), NOW).id, 2);
});

test('a second group of a name, and one that is not there, are refused', (context) => {
  const catalog = Catalog.create(nodeDisk, join(temporaryDirectory(context), 'catalog.json'));
  catalog.create(spec('a'), NOW);
  assert.equal(
    code(() => catalog.create(spec('a'), NOW)),
    'GROUP_EXISTS',
  );
  assert.equal(
    code(() => catalog.get('b')),
    'GROUP_NOT_FOUND',
  );
  assert.equal(
    code(() => catalog.drop('b')),
    'GROUP_NOT_FOUND',
  );
});

test('ids run out rather than being reused', (context) => {
  const path = join(temporaryDirectory(context), 'catalog.json');
  Catalog.create(nodeDisk, path);
  const file = JSON.parse(readFileSync(path, 'utf8')) as { nextGroupId: number };
  writeFileSync(path, JSON.stringify({ ...file, nextGroupId: GROUPS_MAX }));
  const catalog = Catalog.open(nodeDisk, path);
  assert.equal(catalog.create(spec('last'), NOW).id, GROUPS_MAX);
  assert.equal(
    code(() => catalog.create(spec('more'), NOW)),
    'LIMIT_EXCEEDED',
  );
});

test('a change that the disk refuses is not made', (context) => {
  const path = join(temporaryDirectory(context), 'catalog.json');
  const full: Disk = Object.assign(Object.create(nodeDisk) as Disk, {
    writeFileDurable: () => {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    },
  });
  Catalog.create(nodeDisk, path).create(spec('a'), NOW);
  const catalog = Catalog.open(full, path);
  assert.equal(
    code(() => catalog.create(spec('b'), NOW)),
    'STORAGE_FULL',
  );
  assert.equal(
    code(() => catalog.drop('a')),
    'STORAGE_FULL',
  );
  assert.deepEqual(
    catalog.groups().map((group) => group.name),
    ['a'],
  );
});

test('a catalog of a newer version, a broken one and a missing one stop the start', (context) => {
  const path = join(temporaryDirectory(context), 'catalog.json');
  const catalog = Catalog.create(nodeDisk, path);
  catalog.create(spec('a'), NOW);
  const good = JSON.parse(readFileSync(path, 'utf8')) as { groups: object[] };
  const open = (text: string): string => {
    writeFileSync(path, text);
    return code(() => Catalog.open(nodeDisk, path));
  };
  assert.equal(open(JSON.stringify({ ...good, format: 3 })), 'DATA_DIRECTORY_NEWER');
  const broken = [
    '',
    '{',
    'null',
    '[]',
    '{"format": 1}',
    JSON.stringify({ ...good, nextGroupId: 1 }),
    JSON.stringify({ ...good, groups: [{}] }),
    JSON.stringify({ ...good, groups: [good.groups[0], good.groups[0]] }),
  ];
  for (const text of broken) assert.equal(open(text), 'DATA_DIRECTORY_INVALID', text);
  assert.equal(
    code(() => Catalog.open(nodeDisk, join(path, '..', 'other.json'))),
    'DATA_DIRECTORY_INVALID',
  );
});
