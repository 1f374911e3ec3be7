/** The real files, clock and randomness behind storage's interfaces. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dropBytes, nodeClock, nodeDisk, nodeRandom } from '../../server/node-environment.ts';
import type { DiskFile } from '../../storage/index.ts';
import { smallDevice } from '../support/small-device.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'millrace-'));
after(() => fs.rmSync(directory, { recursive: true }));

function writev(file: DiskFile, parts: Uint8Array[], position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    file.writev(parts, position, (error) => (error === null ? resolve() : reject(error)));
  });
}

test('parts are written one after the other from their position, and read back', async () => {
  const file = await nodeDisk.createDurable(join(directory, 'parts'), 8192);
  const parts = [Buffer.from('one'), new Uint8Array(0), Buffer.from('two'), Buffer.from('three')];
  await writev(file, parts, 4000);
  const read = new Uint8Array(11);
  assert.equal(file.readSync(read, 4000), 11);
  assert.equal(Buffer.from(read).toString(), 'onetwothree');
  assert.equal(file.readSync(new Uint8Array(100), 8190), 2, 'the end of the file cuts a read short');
  assert.equal(file.readSync(new Uint8Array(100), 9000), 0);
  file.close();
});

test('more parts than one system call takes are written as well', async () => {
  const file = await nodeDisk.createDurable(join(directory, 'many'), 64 * 1024);
  const parts = Array.from({ length: 3000 }, (_, index) => Uint8Array.of(index & 255, index >> 8));
  await writev(file, parts, 100);
  const read = new Uint8Array(6000);
  file.readSync(read, 100);
  assert.deepEqual(Buffer.from(read), Buffer.concat(parts));
  file.close();
});

test('a write is never reported before the call returns, and its errors are', async () => {
  const file = await nodeDisk.createDurable(join(directory, 'closed'), 4096);
  let returned = false;
  await new Promise<void>((resolve) => {
    file.writev([new Uint8Array(8)], 0, () => {
      assert.ok(returned);
      resolve();
    });
    returned = true;
  });
  file.close();
  const full = nodeDisk.openDurable('/dev/full');
  await assert.rejects(writev(full, [new Uint8Array(8)], 0), { code: 'ENOSPC' });
  full.close();
});

test('a short write is continued with what is left', () => {
  const parts = [Buffer.from('abc'), Buffer.from(''), Buffer.from('defg'), Buffer.from('h')];
  for (let bytes = 0; bytes <= 8; bytes++) {
    assert.equal(Buffer.concat(dropBytes(parts, bytes)).toString(), 'abcdefgh'.slice(bytes));
  }
});

test('a new file has its size, is zero and really allocated', async () => {
  const path = join(directory, 'allocated');
  const bytes = 3 * 1024 * 1024 + 4096;
  const file = await nodeDisk.createDurable(path, bytes);
  assert.equal(file.sizeBytes(), bytes);
  file.close();
  const { blocks } = fs.statSync(path);
  assert.ok(blocks * 512 >= bytes, `${blocks} blocks for ${bytes} bytes`);
  assert.ok(fs.readFileSync(path).every((byte) => byte === 0));
});

test('a new file that cannot be made leaves nothing behind', async () => {
  await assert.rejects(nodeDisk.createDurable(join(directory, 'missing', 'file'), 4096), { code: 'ENOENT' });
  assert.ok(!fs.existsSync(join(directory, 'missing')));
});

test('directories are made with those above them, and listed sorted', () => {
  const path = join(directory, 'a', 'b', 'c');
  nodeDisk.makeDirectory(path);
  nodeDisk.makeDirectory(path);
  for (const name of ['z', 'b', 'm']) fs.writeFileSync(join(path, name), '');
  assert.deepEqual(nodeDisk.listFiles(path), ['b', 'm', 'z']);
  assert.deepEqual(nodeDisk.listFiles(join(directory, 'nowhere')), []);
  assert.throws(() => nodeDisk.listFiles(join(path, 'b')), { code: 'ENOTDIR' });
});

test('files are replaced as a whole, renamed and removed', async () => {
  const path = join(directory, 'settings');
  assert.equal(nodeDisk.readFile(path), undefined);
  nodeDisk.writeFileDurable(path, Buffer.from('first'));
  nodeDisk.writeFileDurable(path, Buffer.from('second'));
  assert.equal(Buffer.from(nodeDisk.readFile(path)!).toString(), 'second');
  assert.equal(fs.statSync(path).mode & 0o077, 0, 'nobody else may read it');
  await nodeDisk.rename(path, `${path}-2`);
  assert.equal(nodeDisk.readFile(path), undefined);
  await nodeDisk.removeLater(`${path}-2`);
  await nodeDisk.removeLater(`${path}-2`);
  nodeDisk.remove(`${path}-2`);
  assert.equal(nodeDisk.readFile(`${path}-2`), undefined);
  assert.ok(!nodeDisk.listFiles(directory).some((name) => name.startsWith('settings')));
});

test('the clock tells the time in microseconds, and random words differ', () => {
  assert.ok(Math.abs(nodeClock.nowMicros() / 1000 - Date.now()) < 1000);
  assert.ok(Number.isSafeInteger(nodeClock.nowMicros()));
  const words = new Set(Array.from({ length: 1000 }, () => nodeRandom.uint32()));
  assert.ok(words.size > 990);
  assert.ok([...words].every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32));
});

test('a device says what it has left', (context) => {
  const directory = smallDevice(context, 1024 * 1024);
  const before = nodeDisk.freeBytes(directory);
  assert.equal(before, 1024 * 1024);
  nodeDisk.writeFileDurable(join(directory, 'half'), new Uint8Array(512 * 1024));
  assert.equal(nodeDisk.freeBytes(directory), 512 * 1024);
});
