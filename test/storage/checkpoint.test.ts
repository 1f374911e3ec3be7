/** The checkpoint: its bytes, and that neither damage nor a newer format is read as one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHECKPOINT_BYTES,
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../../storage/checkpoint.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { StorageError } from '../../storage/storage-error.ts';
import { assertGolden } from '../support/golden-bytes.ts';

await loadChecksum();

const CHECKPOINT: Checkpoint = {
  flushNumber: 0x01020304,
  journalPosition: 2 ** 52 + 4096,
  nextSequence: 0xfffffffe,
  nextDirectory: 99,
};

test('a checkpoint comes back, and has its golden bytes', () => {
  const bytes = encodeCheckpoint(CHECKPOINT);
  assert.equal(bytes.length, CHECKPOINT_BYTES);
  assert.deepEqual(decodeCheckpoint(bytes), CHECKPOINT);
  assertGolden('checkpoint', bytes);
});

test('no flipped bit and no other length passes', () => {
  const intact = encodeCheckpoint(CHECKPOINT);
  for (let at = 0; at < intact.length; at++) {
    const bytes = intact.slice();
    bytes[at]! ^= 1 << (at % 8);
    assert.throws(() => decodeCheckpoint(bytes), StorageError, `byte ${at}`);
  }
  for (const length of [0, 3, 4, 31, 33]) {
    const bytes = new Uint8Array(length);
    bytes.set(intact.subarray(0, length));
    assert.throws(() => decodeCheckpoint(bytes), { code: 'BLOCK_CORRUPT' }, `${length} bytes`);
  }
});

test('a newer format is told apart from damage', () => {
  const bytes = encodeCheckpoint(CHECKPOINT);
  bytes[0] = 2;
  assert.throws(() => decodeCheckpoint(bytes), {
    code: 'DATA_DIRECTORY_NEWER',
    message: /format 2.*up to 1/,
  });
});
