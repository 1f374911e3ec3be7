/**
 * The partitions' clocks on disk: one value under (0|3|1), replaced in the transaction that ends a flush.
 *
 *   offset | size    | field
 *   -------|---------|---------------------------------------------------------------------------
 *   0      | 4       | format version, 1
 *   4      | 4       | local partitions
 *   8      | 8       | XXH64 (seed 0) of the value, this field taken as zero
 *   16     | 16 each | u64 LSN, i64 commit time: the highest that were given out
 *
 * I1  At or above those of every version that the flush, or one before it, has written. So a partition goes on above them
 *     even after compaction has dropped the version that had the highest.
 */
import { checksum64 } from './checksum.ts';
import type { PartitionClock } from './partition-clock.ts';
import { readSafeInteger, writeSafeInteger } from './record.ts';
import { StorageError } from './storage-error.ts';

const FORMAT_VERSION = 1;
const HEADER_BYTES = 16;
const CHECKSUM_AT = 8;
const ENTRY_BYTES = 16;

export function encodePartitionClocks(clock: PartitionClock): Uint8Array {
  const count = clock.partitionCount;
  const bytes = new Uint8Array(HEADER_BYTES + count * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, FORMAT_VERSION, true);
  view.setUint32(4, count, true);
  for (let partition = 0; partition < count; partition += 1) {
    const at = HEADER_BYTES + partition * ENTRY_BYTES;
    writeSafeInteger(view, at, clock.lsn(partition));
    writeSafeInteger(view, at + 8, clock.commitTimeMicros(partition));
  }
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, bytes.length, checksum);
  view.setUint32(CHECKSUM_AT, checksum[0] as number, true);
  view.setUint32(CHECKSUM_AT + 4, checksum[1] as number, true);
  return bytes;
}

/** Lets the clock observe what the value says. Throws when the value is damaged, or of another number of partitions. */
export function observePartitionClocks(bytes: Uint8Array, clock: PartitionClock): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (version > FORMAT_VERSION) {
    throw new StorageError(
      'DATA_DIRECTORY_NEWER',
      `the partitions’ clocks have format ${version}; this version reads up to ${FORMAT_VERSION}`,
    );
  }
  const count = bytes.length >= HEADER_BYTES ? view.getUint32(4, true) : 0;
  if (version === 0 || bytes.length !== HEADER_BYTES + count * ENTRY_BYTES || count === 0) {
    throw new StorageError('BLOCK_CORRUPT', `the partitions’ clocks of ${bytes.length} bytes are cut`);
  }
  const copy = bytes.slice();
  copy.fill(0, CHECKSUM_AT, CHECKSUM_AT + 8);
  const checksum = new Uint32Array(2);
  checksum64(copy, 0, copy.length, checksum);
  if (
    view.getUint32(CHECKSUM_AT, true) !== checksum[0] ||
    view.getUint32(CHECKSUM_AT + 4, true) !== checksum[1]
  ) {
    throw new StorageError('BLOCK_CORRUPT', 'the checksum of the partitions’ clocks differs');
  }
  if (count !== clock.partitionCount) {
    throw new StorageError(
      'DATA_DIRECTORY_INVALID',
      `the store has the clocks of ${count} partitions; this shard has ${clock.partitionCount}`,
    );
  }
  for (let partition = 0; partition < count; partition += 1) {
    const at = HEADER_BYTES + partition * ENTRY_BYTES;
    clock.observe(partition, readSafeInteger(view, at), readSafeInteger(view, at + 8));
  }
}
