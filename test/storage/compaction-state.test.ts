/** The state of compaction: its bytes, what it says of a record, and that neither damage nor a newer format is read as one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadChecksum } from '../../storage/checksum.ts';
import {
  COMPACTION_STATE_BYTES,
  COMPACTION_STATE_EMPTY,
  type CompactionState,
  decodeCompactionState,
  encodeCompactionState,
  firstPartitionOf,
  isConsumed,
} from '../../storage/compaction-state.ts';
import { StorageError } from '../../storage/storage-error.ts';
import { assertGolden } from '../support/golden-bytes.ts';

await loadChecksum();

const STATE: CompactionState = {
  changeNumber: 0x01020304,
  sweepNumber: 77,
  sourceEnd: 0xfffffff0,
  cursorGroup: 4095,
  cursorPartition: 17,
  nextSequence: 0xfffffff4,
  nextDirectory: 99,
  nextCounter: 0x0a0b0c0d,
};

test('the state comes back, and has its golden bytes; no value is the empty state', () => {
  const bytes = encodeCompactionState(STATE);
  assert.equal(bytes.length, COMPACTION_STATE_BYTES);
  assert.deepEqual(decodeCompactionState(bytes), STATE);
  assert.deepEqual(decodeCompactionState(undefined), COMPACTION_STATE_EMPTY);
  assertGolden('compaction-state', bytes);
});

test('a source record before the cursor is consumed, and nothing else', () => {
  const state = { ...STATE, sourceEnd: 100, cursorGroup: 3, cursorPartition: 5 };
  assert.ok(isConsumed(state, 99, 2, 4095));
  assert.ok(isConsumed(state, 99, 3, 4));
  assert.ok(!isConsumed(state, 99, 3, 5));
  assert.ok(!isConsumed(state, 99, 4, 0));
  assert.ok(!isConsumed(state, 100, 1, 0));
  assert.ok(!isConsumed(COMPACTION_STATE_EMPTY, 1, 1, 0));
});

test('the first partition that counts says the same', () => {
  const states = [COMPACTION_STATE_EMPTY, { ...STATE, sourceEnd: 100, cursorGroup: 3, cursorPartition: 5 }];
  for (const state of states) {
    for (const sequence of [1, 99, 100]) {
      for (const group of [1, 2, 3, 4]) {
        for (const partition of [0, 4, 5, 4095]) {
          const isBefore = partition < firstPartitionOf(state, sequence, group);
          assert.equal(isBefore, isConsumed(state, sequence, group, partition));
        }
      }
    }
  }
});

test('no flipped bit and no other length passes', () => {
  const intact = encodeCompactionState(STATE);
  for (let at = 0; at < intact.length; at++) {
    const bytes = intact.slice();
    bytes[at]! ^= 1 << (at % 8);
    assert.throws(() => decodeCompactionState(bytes), StorageError, `byte ${at}`);
  }
  for (const length of [0, 3, 4, 39, 41]) {
    const bytes = new Uint8Array(length);
    bytes.set(intact.subarray(0, length));
    assert.throws(() => decodeCompactionState(bytes), { code: 'BLOCK_CORRUPT' }, `${length} bytes`);
  }
});

test('a newer format is told apart from damage', () => {
  const bytes = encodeCompactionState(STATE);
  bytes[0] = 2;
  assert.throws(() => decodeCompactionState(bytes), {
    code: 'DATA_DIRECTORY_NEWER',
    message: /format 2.*up to 1/,
  });
});
