/** Arenas: three views of one buffer, and indexes that are given out again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArenaTable, arenaOf } from '../../storage/arena.ts';

test('the three views of an arena show the same bytes', () => {
  const arena = arenaOf(new Uint8Array(new ArrayBuffer(64), 8, 32));
  arena.words[1] = 0x04030201;
  assert.deepEqual([...arena.bytes.subarray(4, 8)], [1, 2, 3, 4]);
  assert.equal(arena.view.getUint32(4, true), 0x04030201);
  assert.equal(arena.words.length, 8);
  assert.equal(arena.view.byteLength, 32);
});

test('a buffer that is not aligned is refused', () => {
  assert.throws(() => arenaOf(new Uint8Array(new ArrayBuffer(64), 4, 32)), /8-aligned/);
  assert.throws(() => arenaOf(new Uint8Array(31)), /8-aligned/);
});

test('an index means one arena until it is removed, and is then given out again', () => {
  const table = new ArenaTable();
  const first = table.add(new Uint8Array(8));
  const second = table.add(new Uint8Array(16));
  assert.notEqual(first, second);
  assert.equal(table.get(second).bytes.length, 16);
  table.remove(first);
  assert.equal(table.count, 1);
  assert.throws(() => table.get(first), /no such arena/);
  assert.throws(() => table.remove(first), /no such arena/);
  assert.equal(table.add(new Uint8Array(24)), first);
  assert.equal(table.get(first).bytes.length, 24);
});
