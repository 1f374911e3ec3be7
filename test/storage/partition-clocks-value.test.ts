/** The partitions' clocks on disk: their bytes, and that neither damage nor another shard's are observed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadChecksum } from '../../storage/checksum.ts';
import { PartitionClock } from '../../storage/partition-clock.ts';
import { encodePartitionClocks, observePartitionClocks } from '../../storage/partition-clocks-value.ts';
import { StorageError } from '../../storage/storage-error.ts';
import { assertGolden } from '../support/golden-bytes.ts';

await loadChecksum();

function clockOf(...entries: [lsn: number, commitTimeMicros: number][]): PartitionClock {
  const clock = new PartitionClock(entries.length);
  for (const [partition, [lsn, micros]] of entries.entries()) clock.observe(partition, lsn, micros);
  return clock;
}

test('clocks come back, go on above what was recorded, and have their golden bytes', () => {
  const bytes = encodePartitionClocks(clockOf([5, 1_700_000_000_000_000], [0, 0], [2 ** 39 - 1, 7]));
  assertGolden('partition-clocks', bytes);
  const clock = clockOf([2, 1_800_000_000_000_000], [1, 1], [0, 0]);
  observePartitionClocks(bytes, clock);
  assert.deepEqual([clock.lsn(0), clock.commitTimeMicros(0)], [5, 1_800_000_000_000_000]);
  assert.deepEqual([clock.lsn(1), clock.commitTimeMicros(1)], [1, 1]);
  assert.deepEqual([clock.lsn(2), clock.commitTimeMicros(2)], [2 ** 39 - 1, 7]);
});

test('no flipped bit and no other length passes', () => {
  const intact = encodePartitionClocks(clockOf([1, 2], [3, 4]));
  for (let at = 0; at < intact.length; at++) {
    const bytes = intact.slice();
    bytes[at]! ^= 1 << (at % 8);
    assert.throws(() => observePartitionClocks(bytes, new PartitionClock(2)), StorageError, `byte ${at}`);
  }
  for (const length of [0, 3, 15, 16, intact.length - 1]) {
    const cut = intact.slice(0, length);
    assert.throws(() => observePartitionClocks(cut, new PartitionClock(2)), { code: 'BLOCK_CORRUPT' });
  }
});

test('another number of partitions and a newer format are refused', () => {
  const bytes = encodePartitionClocks(clockOf([1, 2], [3, 4]));
  assert.throws(() => observePartitionClocks(bytes, new PartitionClock(3)), {
    code: 'DATA_DIRECTORY_INVALID',
  });
  bytes[0] = 2;
  assert.throws(() => observePartitionClocks(bytes, new PartitionClock(2)), { code: 'DATA_DIRECTORY_NEWER' });
});
