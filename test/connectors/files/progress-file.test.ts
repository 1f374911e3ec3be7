/** The note of an import: what makes it valid, and what makes it void. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  differenceOf,
  fingerprintOf,
  type ImportIdentity,
  type ImportProgress,
  NoteWriter,
  ProgressFile,
} from '../../../connectors/files/progress-file.ts';
import type { SourcePosition } from '../../../connectors/files/source.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

async function identityOf(path: string, change: Partial<ImportIdentity> = {}): Promise<ImportIdentity> {
  return { file: await fingerprintOf(path), group: 'g', groupCreatedAtMicros: 1, plan: 'p', ...change };
}

test('what was written is read, and a removed or broken note is none', async (context) => {
  const directory = temporaryDirectory(context);
  const path = join(directory, 'data.csv');
  writeFileSync(path, 'a\n1\n');
  const file = new ProgressFile(join(directory, 'note'));
  assert.equal(await file.read(), undefined);
  const progress: ImportProgress = {
    identity: await identityOf(path),
    position: { row: 7, byte: 99 },
    startedAtMicros: 5,
  };
  await file.write(progress);
  const { identity, position, startedAtMicros } = (await file.read())!;
  assert.deepEqual({ identity, position, startedAtMicros }, progress);
  await file.remove();
  await file.remove();
  assert.equal(await file.read(), undefined);
  for (const text of ['{', '{}', '{"format":2,"position":{"row":1}}', '{"format":1}']) {
    writeFileSync(file.path, text);
    assert.equal(await file.read(), undefined, text);
  }
});

test('a place that cannot be written says which option chooses another', async (context) => {
  const directory = temporaryDirectory(context);
  const file = new ProgressFile(join(directory, 'none', 'note'));
  const progress = { identity: {} as ImportIdentity, position: { row: 0, byte: 0 }, startedAtMicros: 0 };
  await assert.rejects(file.write(progress), { code: 'FILE_UNREADABLE', message: /--progress-file/ });
  mkdirSync(join(directory, 'folder'));
  await assert.rejects(new ProgressFile(join(directory, 'folder')).read(), { code: 'FILE_UNREADABLE' });
});

test('any change of file, group or plan makes an earlier attempt void', async (context) => {
  const path = join(temporaryDirectory(context), 'data.csv');
  writeFileSync(path, 'x'.repeat(200_000));
  const earlier = await identityOf(path);
  assert.equal(differenceOf(earlier, await identityOf(path)), undefined);
  assert.match(differenceOf(earlier, await identityOf(path, { group: 'h' }))!, /for the group g/);
  assert.match(differenceOf(earlier, await identityOf(path, { groupCreatedAtMicros: 2 }))!, /created again/);
  assert.match(differenceOf(earlier, await identityOf(path, { plan: 'q' }))!, /columns/);
  utimesSync(path, 1, 1);
  assert.match(differenceOf(earlier, await identityOf(path))!, /file has changed/);
  appendFileSync(path, 'y');
  assert.match(differenceOf(earlier, await identityOf(path))!, /file has changed/);
});

test('head and tail tell contents of one size apart', async (context) => {
  const path = join(temporaryDirectory(context), 'data.bin');
  const bytes = Buffer.alloc(300_000);
  writeFileSync(path, bytes);
  const whole = await fingerprintOf(path);
  bytes[0] = 1;
  writeFileSync(path, bytes);
  assert.notEqual((await fingerprintOf(path)).head, whole.head);
  bytes[0] = 0;
  bytes[299_999] = 1;
  writeFileSync(path, bytes);
  assert.notEqual((await fingerprintOf(path)).tail, whole.tail);
});

test('notes are written one at a time and the first failure is kept', async () => {
  const written: number[] = [];
  let now = 0;
  const writer = new NoteWriter(
    async (position: SourcePosition) => {
      written.push(position.row);
      if (position.row === 3) throw new Error('disk');
    },
    () => now,
  );
  for (const row of [1, 2, 3, 4]) {
    now += 1000;
    writer.offer({ row, byte: 0 });
    writer.offer({ row: row * 100, byte: 0 });
  }
  await assert.rejects(writer.finish(), { message: 'disk' });
  assert.ok(!written.includes(100) && written.includes(3));
});
