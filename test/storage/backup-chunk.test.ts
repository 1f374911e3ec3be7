/** Chunks of a backup: their bytes, and that no damage passes. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ChunkWriter, readChunk, readChunkTable } from '../../storage/backup-chunk.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { assertGolden } from '../support/golden-bytes.ts';

before(() => loadChecksum());

const ID = Uint8Array.from({ length: 16 }, (_, index) => index + 1);

function chunk(): Uint8Array {
  const writer = new ChunkWriter();
  writer.add(256, 1, Uint8Array.of(1, 2, 3, 4, 5));
  writer.add(
    2 ** 32 - 1,
    9,
    Uint8Array.from({ length: 16 }, (_, index) => index),
  );
  return writer.finish(ID, 2, 7).slice();
}

test('a chunk has its golden bytes, and gives back its values', () => {
  const bytes = chunk();
  assertGolden('backup-chunk', bytes);
  const table = readChunkTable('c', bytes, ID);
  assert.deepEqual([table.shard, table.number, [...table.keys]], [2, 7, [256, 1, 2 ** 32 - 1, 9]]);
  const values: unknown[] = [];
  readChunk('c', bytes, (keyHi, keyLo, value) => values.push([keyHi, keyLo, value.length]));
  assert.deepEqual(values, [
    [256, 1, 5],
    [2 ** 32 - 1, 9, 16],
  ]);
});

test('a flipped bit anywhere is seen', () => {
  const bytes = chunk();
  for (let at = 0; at < bytes.length; at++) {
    const flipped = bytes.slice();
    flipped[at]! ^= 1 << (at % 8);
    const read = (): void => readChunk('a/000001.chunk', flipped, () => undefined);
    assert.throws(read, { code: 'BACKUP_INVALID', message: /a\/000001\.chunk/ });
  }
});

test('a cut, an empty file and another backup are refused', () => {
  const bytes = chunk();
  for (let length = 0; length < bytes.length; length += 7) {
    assert.throws(() => readChunk('c', bytes.subarray(0, length), () => undefined), {
      code: 'BACKUP_INVALID',
    });
  }
  assert.throws(() => readChunkTable('c', bytes, new Uint8Array(16)), { message: /another backup/ });
});

test('a writer is empty after it has finished, and grows to values of any size', () => {
  const writer = new ChunkWriter();
  writer.add(1, 1, new Uint8Array(3 * 1024 * 1024).fill(7));
  const first = writer.finish(ID, 0, 1).slice();
  writer.add(1, 2, Uint8Array.of(9));
  const second = writer.finish(ID, 0, 2).slice();
  assert.deepEqual([...readChunkTable('c', second, ID).keys], [1, 2]);
  readChunk('c', first, (_hi, _lo, value) => assert.ok(value.every((byte) => byte === 7)));
  readChunk('c', second, (_hi, _lo, value) => assert.deepEqual([...value], [9]));
});
