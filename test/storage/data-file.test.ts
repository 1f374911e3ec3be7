/** LMDB's data file, looked at before it is mapped: what LMDB would end the process for is refused with a code. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { nodeDisk } from '../../server/node-environment.ts';
import { LEVEL_ZERO_KEY_HI } from '../../storage/block-key.ts';
import { openBlockStore } from '../../storage/block-store.ts';
import { checkDataFile } from '../../storage/data-file.ts';
import { BLOCK_BYTES, PAGE_BYTES } from '../../storage/limits.ts';
import { temporaryDirectory } from '../support/shard.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;

beforeEach(async () => {
  directory = temporaryDirectory();
  path = `${directory.path}/data.mdb`;
  const store = openBlockStore({ directory: directory.path, disk: nodeDisk });
  for (let batch = 0; batch < 4; batch += 1) {
    const blocks = Array.from({ length: 100 }, (_, index) => ({
      keyHi: LEVEL_ZERO_KEY_HI,
      keyLo: 1 + 100 * batch + index,
      bytes: new Uint8Array(BLOCK_BYTES).fill(7),
    }));
    await store.write(blocks);
  }
  await store.close();
});

afterEach(() => directory.remove());

const invalid = (message: RegExp) => ({ code: 'DATA_DIRECTORY_INVALID', message });

test('a whole file is left as it is', () => {
  const before = readFileSync(path);
  checkDataFile(nodeDisk, path);
  assert.deepEqual(readFileSync(path), before);
});

test('a cut file is refused, by name and with what is missing', () => {
  const bytes = statSync(path).size;
  truncateSync(path, bytes - 100 * PAGE_BYTES);
  assert.throws(() => checkDataFile(nodeDisk, path), invalid(/data\.mdb is cut: \d+ bytes are there of \d+/));
  assert.throws(() => openBlockStore({ directory: directory.path, disk: nodeDisk }), invalid(/is cut/));
});

test('a file that lacks a page or two at its end is filled up with zeros, and opens', async () => {
  const bytes = statSync(path).size;
  truncateSync(path, bytes - 2 * PAGE_BYTES);
  const store = openBlockStore({ directory: directory.path, disk: nodeDisk });
  assert.equal(statSync(path).size, bytes);
  let found = 0;
  store.scan(LEVEL_ZERO_KEY_HI, 0, LEVEL_ZERO_KEY_HI + 1, 0, () => {
    found += 1;
    return undefined;
  });
  assert.equal(found, 400);
  await store.close();
});

test('a file whose head is damaged, or cut within it, is refused', () => {
  const whole = readFileSync(path);
  whole[PAGE_BYTES + 24] = 0;
  writeFileSync(path, whole);
  assert.throws(() => checkDataFile(nodeDisk, path), invalid(/page 1 is no page of an LMDB file/));
  truncateSync(path, 5000);
  assert.throws(() => checkDataFile(nodeDisk, path), invalid(/page 0 is no page/));
});

test('an empty file is LMDB’s to fill', () => {
  truncateSync(path, 0);
  checkDataFile(nodeDisk, path);
  assert.equal(statSync(path).size, 0);
});

test('what a first start could not finish is made anew, and only that', async () => {
  const fresh = temporaryDirectory();
  try {
    const file = `${fresh.path}/data.mdb`;
    await openBlockStore({ directory: fresh.path, disk: nodeDisk }).close();
    const first = readFileSync(file).subarray(0, PAGE_BYTES);
    const zeros = new Uint8Array(PAGE_BYTES);
    for (const left of [first, Buffer.concat([first, zeros, zeros, zeros]), Buffer.concat([zeros, first])]) {
      writeFileSync(file, left);
      const store = openBlockStore({ directory: fresh.path, disk: nodeDisk });
      await store.write([{ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 1, bytes: new Uint8Array(BLOCK_BYTES) }]);
      await store.close();
    }
  } finally {
    fresh.remove();
  }
  // A store that holds something, cut to the same size.
  truncateSync(path, PAGE_BYTES);
  assert.throws(() => checkDataFile(nodeDisk, path), invalid(/is no page of an LMDB file/));
  assert.equal(statSync(path).size, PAGE_BYTES);
});
