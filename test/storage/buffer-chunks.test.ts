/** Write-buffer memory: places name records, and a chunk comes back only when nothing refers to it. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { ArenaTable } from '../../storage/arena.ts';
import { BufferChunks, placeOf, placeOffset, placeSlot } from '../../storage/buffer-chunks.ts';
import { BUFFER_CHUNK_BYTES, BUFFER_CHUNKS_MAX } from '../../storage/limits.ts';

test('a place gives back the slot and offset it was made of, at both ends of their ranges', () => {
  for (const slot of [0, 1, 4095, 4096, BUFFER_CHUNKS_MAX - 1]) {
    for (const offset of [0, 8, BUFFER_CHUNK_BYTES - 8]) {
      const place = placeOf(slot, offset);
      assert.ok(place >= 0 && place < 2 ** 32);
      assert.deepEqual([placeSlot(place), placeOffset(place)], [slot, offset]);
    }
  }
});

test('records that fit share a chunk, the next one opens another', () => {
  const chunks = new BufferChunks(new ArenaTable(), 2 ** 23);
  const first = chunks.reserve(BUFFER_CHUNK_BYTES - 64);
  assert.equal(chunks.reserve(64), first);
  assert.notEqual(chunks.reserve(8), first);
});

test('a full chunk is given back with its last record, an open one is not', () => {
  const arenas = new ArenaTable();
  const chunks = new BufferChunks(arenas, 2 ** 23);
  const full = chunks.reserve(BUFFER_CHUNK_BYTES);
  const open = chunks.reserve(8);
  assert.equal(arenas.count, 2);
  chunks.release(placeOf(full.slot, 0));
  assert.equal(arenas.count, 1);
  chunks.release(placeOf(open.slot, 0));
  assert.equal(arenas.count, 1, 'the open chunk takes further records');
  assert.equal(chunks.reserve(8), open);
});

test('an emptied open chunk is given back when it is left', () => {
  const arenas = new ArenaTable();
  const chunks = new BufferChunks(arenas, 2 ** 23);
  const open = chunks.reserve(8);
  chunks.release(placeOf(open.slot, 0));
  chunks.reserve(BUFFER_CHUNK_BYTES);
  assert.equal(arenas.count, 1);
});

test('memory given back is used again before more is taken', () => {
  const chunks = new BufferChunks(new ArenaTable(), 2 ** 23);
  for (let round = 0; round < 100; round++) {
    const chunk = chunks.reserve(BUFFER_CHUNK_BYTES);
    chunks.release(placeOf(chunk.slot, 0));
  }
  assert.ok(chunks.bytesHeld <= 3 * BUFFER_CHUNK_BYTES, `${chunks.bytesHeld} bytes held`);
});
