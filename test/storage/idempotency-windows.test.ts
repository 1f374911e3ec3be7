/** All windows of a shard as bytes and back, and bytes that are not theirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORGOTTEN, SEEN, UNSEEN } from '../../storage/idempotency-window.ts';
import { IdempotencyWindows } from '../../storage/idempotency-windows.ts';

const PARTITIONS = 64;
const NONE = (): boolean => false;

function filled(): IdempotencyWindows {
  const windows = new IdempotencyWindows(PARTITIONS);
  for (let lsn = 1; lsn <= 1100; lsn++) windows.of(3).add(1, 2, 2 ** 40 + lsn, 0, 2 ** 33 + lsn, 1);
  windows.of(63).add(9, 8, 0, 4, 1, 2);
  windows.of(10);
  return windows;
}

test('windows come back from their bytes with entries, results and what was forgotten', () => {
  const bytes = filled().encode(NONE);
  assert.equal(bytes.length % 8, 0);
  const windows = new IdempotencyWindows(PARTITIONS);
  windows.decode(bytes);
  windows.settle();
  const window = windows.of(3);
  assert.equal(window.find(1, 2, 2 ** 40 + 1, 0), FORGOTTEN);
  assert.equal(window.find(1, 2, 2 ** 40 + 77, 0), SEEN);
  assert.equal(window.lsn, 2 ** 33 + 77);
  assert.equal(window.result, 1);
  assert.equal(window.find(1, 2, 2 ** 40 + 1101, 0), UNSEEN);
  assert.equal(windows.of(63).find(9, 8, 0, 4), SEEN);
  assert.equal(windows.of(63).lsn, 1);
  assert.deepEqual([...windows.encode(NONE)], [...bytes]);
});

test('rows that are left out are not in the bytes, and what was forgotten stays so', () => {
  const bytes = filled().encode((localPartition, lsn) => localPartition === 3 && lsn > 2 ** 33 + 1000);
  const windows = new IdempotencyWindows(PARTITIONS);
  windows.decode(bytes);
  windows.settle();
  assert.equal(windows.of(3).count, 924);
  assert.equal(windows.of(3).find(1, 2, 2 ** 40 + 1000, 0), SEEN);
  assert.equal(windows.of(3).find(1, 2, 2 ** 40 + 1001, 0), UNSEEN);
  assert.equal(windows.of(3).find(1, 2, 2 ** 40 + 9, 0), FORGOTTEN);
});

test('what the journal held beyond the bytes is added, and what both hold counts once', () => {
  const windows = new IdempotencyWindows(PARTITIONS);
  for (let lsn = 1098; lsn <= 1105; lsn++) windows.of(3).restore(1, 2, 2 ** 40 + lsn, 0, 2 ** 33 + lsn, 1);
  windows.decode(filled().encode(NONE));
  windows.settle();
  assert.equal(windows.of(3).count, 1024);
  assert.equal(windows.of(3).find(1, 2, 2 ** 40 + 1105, 0), SEEN);
  assert.equal(windows.of(3).find(1, 2, 2 ** 40 + 81, 0), FORGOTTEN);
  assert.equal(windows.of(3).find(1, 2, 2 ** 40 + 82, 0), SEEN);
});

test('bytes that are cut, longer or changed in a count are refused', () => {
  const bytes = filled().encode(NONE);
  const decode = (changed: Uint8Array): void => new IdempotencyWindows(PARTITIONS).decode(changed);
  for (const length of [0, 4, 7, 8, 20, bytes.length - 8]) {
    assert.throws(() => decode(bytes.slice(0, length)), { code: 'BLOCK_CORRUPT' }, `${length} bytes`);
  }
  assert.throws(() => decode(new Uint8Array([...bytes, 0, 0, 0, 0, 0, 0, 0, 0])), { code: 'BLOCK_CORRUPT' });
  for (const [at, value] of [
    [0, 2],
    [4, 200],
    [8, 64],
    [12, 0xffffffff],
    [16, 65],
  ] as const) {
    const changed = bytes.slice();
    new DataView(changed.buffer).setUint32(at, value, true);
    assert.throws(() => decode(changed), { code: 'BLOCK_CORRUPT' }, `offset ${at}`);
  }
});
