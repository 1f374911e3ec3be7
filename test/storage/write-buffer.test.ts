/** A write buffer's chains give each partition's records, newest first, and nothing of another partition. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { WriteBuffer } from '../../storage/write-buffer.ts';

function chain(buffer: WriteBuffer, partition: number): number[] {
  const places: number[] = [];
  for (let record = buffer.head(partition); record >= 0; record = buffer.before(record)) {
    places.push(buffer.places[record] as number);
  }
  return places;
}

test('an empty partition has no chain', () => {
  assert.deepEqual(chain(new WriteBuffer(4), 3), []);
});

test('chains hold what was added to their partition, newest first, through growth', () => {
  const buffer = new WriteBuffer(3);
  const expected: number[][] = [[], [], []];
  for (let place = 0; place < 20_000; place++) {
    const partition = (place * 7) % 3;
    buffer.add(partition, 1 + (place % 5), place, 64);
    expected[partition]?.unshift(place);
  }
  assert.equal(buffer.count, 20_000);
  assert.equal(buffer.bytes, 20_000 * 64);
  for (const [partition, places] of expected.entries()) assert.deepEqual(chain(buffer, partition), places);
  assert.equal(buffer.groups[19_999], 1 + (19_999 % 5));
});

test('a sealed buffer takes no more records', () => {
  const buffer = new WriteBuffer(1);
  buffer.seal();
  assert.throws(() => buffer.add(0, 1, 0, 64));
});
