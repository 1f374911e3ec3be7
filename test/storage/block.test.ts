/** Blocks: their sizes, their header, and that no damage passes their check. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arenaOf } from '../../storage/arena.ts';
import {
  blockBytesFor,
  blockFault,
  blockFlushNumber,
  blockGroup,
  blockLevel,
  blockPartitionMax,
  blockPartitionMin,
  blockRecordCount,
  LEVEL_ONE,
  LEVEL_ZERO,
  nextRecord,
  recordsEnd,
  recordsStart,
  verifyBlock,
} from '../../storage/block.ts';
import { BlockBuilder } from '../../storage/block-builder.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { StorageError } from '../../storage/storage-error.ts';
import { assertGolden } from '../support/golden-bytes.ts';
import { encodeRecords, type StoredRecord } from '../support/stored-records.ts';

await loadChecksum();

const RECORDS: StoredRecord[] = [
  { group: 7, partition: 3, digestHi: 10, digestLoRest: 5, key: 'a', eventTimeMicros: 1, lsn: 1 },
  { group: 7, partition: 3, digestHi: 20, key: 'longer key', eventTimeMicros: 2, lsn: 2, isDelete: true },
  {
    group: 7,
    partition: 3,
    digestHi: 0xfffffff0,
    key: 'z',
    eventTimeMicros: -3,
    lsn: 3,
    payload: new Uint8Array(40).fill(9),
  },
];

function build(level: number, flushNumber: number, records: StoredRecord[]): Uint8Array {
  const builder = new BlockBuilder(level);
  builder.reset(flushNumber);
  for (const record of records) builder.append(arenaOf(encodeRecords([record])), 0);
  const blocks = builder.finish();
  assert.equal(blocks.length, 1);
  return blocks[0]!.bytes.slice();
}

test('a block is one LMDB page with its header, and a large one whole pages', () => {
  assert.equal(blockBytesFor(56), 4072);
  assert.equal(blockBytesFor(4072 - 48), 4072);
  assert.equal(blockBytesFor(4072 - 40), 8192 - 24);
  assert.equal(blockBytesFor(8192 - 24 - 48), 8192 - 24);
  assert.equal(blockBytesFor(8192 - 24 - 40), 3 * 4096 - 24);
});

test('the header says what the block holds, at any offset of an arena', () => {
  const bytes = new Uint8Array(3 * 4096);
  const [first, last] = [RECORDS[0]!, { ...RECORDS[2]!, partition: 4095 }];
  bytes.set(build(LEVEL_ZERO, 77, [first, last]), 4096);
  const arena = arenaOf(bytes);
  assert.deepEqual(
    [blockLevel, blockGroup, blockPartitionMin, blockPartitionMax, blockRecordCount, blockFlushNumber].map(
      (read) => read(arena, 4096),
    ),
    [LEVEL_ZERO, 7, 3, 4095, 2, 77],
  );
  assert.equal(blockFault(arena, 4096, 4072), undefined);
});

test('a walk over a block meets each record, whole', () => {
  const arena = arenaOf(build(LEVEL_ONE, 1, RECORDS));
  const found: Uint8Array[] = [];
  for (let at = recordsStart(0); at < recordsEnd(arena, 0); at = nextRecord(arena, at)) {
    found.push(arena.bytes.slice(at, nextRecord(arena, at)));
  }
  assert.deepEqual(
    found,
    RECORDS.map((record) => encodeRecords([record])),
  );
});

test('no flipped bit of the used bytes passes, and the check changes nothing', () => {
  const intact = build(LEVEL_ONE, 5, RECORDS);
  const used = recordsEnd(arenaOf(intact.slice()), 0);
  for (let at = 0; at < used; at++) {
    const bytes = intact.slice();
    bytes[at]! ^= 1 << (at % 8);
    const damaged = bytes.slice();
    assert.notEqual(blockFault(arenaOf(bytes), 0, bytes.length), undefined, `byte ${at}`);
    assert.deepEqual(bytes, damaged);
  }
  const bytes = intact.slice();
  assert.equal(blockFault(arenaOf(bytes), 0, bytes.length), undefined);
  assert.deepEqual(bytes, intact);
});

test('lengths that lie outside the block are refused before anything is read there', () => {
  const intact = build(LEVEL_ZERO, 5, RECORDS);
  for (const usedBytes of [0, 40, 47, 4080, 4076, 0xfffffff8]) {
    const bytes = intact.slice();
    new DataView(bytes.buffer).setUint32(16, usedBytes, true);
    assert.equal(blockFault(arenaOf(bytes), 0, bytes.length), 'used bytes out of bounds', `${usedBytes}`);
  }
  assert.equal(blockFault(arenaOf(new Uint8Array(4064)), 0, 4064), 'shorter than a block');
  assert.equal(blockFault(arenaOf(new Uint8Array(4072)), 0, 8168), 'shorter than a block');
  assert.equal(blockFault(arenaOf(new Uint8Array(4072)), 0, 4072), 'no block magic');
});

test('a corrupt block is named by its key', () => {
  const bytes = build(LEVEL_ONE, 5, RECORDS);
  bytes[60]! ^= 1;
  assert.throws(
    () => verifyBlock(arenaOf(bytes), 0, bytes.length, (7 << 20) | (3 << 8), 42),
    (error) =>
      error instanceof StorageError &&
      error.code === 'BLOCK_CORRUPT' &&
      error.message === 'block 007003000000002a (group 7, partition 3, counter 42): checksum differs',
  );
});

test('blocks of both levels have their golden bytes', () => {
  const levelZero = build(LEVEL_ZERO, 258, RECORDS);
  const levelOne = build(LEVEL_ONE, 258, RECORDS);
  // The rest of the page is zero.
  assertGolden('block-level-zero', levelZero.subarray(0, 48 + encodeRecords(RECORDS).length));
  assertGolden('block-level-one', levelOne.subarray(0, 48 + encodeRecords(RECORDS).length));
  assert.ok(levelOne.subarray(48 + encodeRecords(RECORDS).length).every((byte) => byte === 0));
});
