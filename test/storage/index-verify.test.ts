/** The index's check of itself finds each kind of damage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IndexTable } from '../../storage/index-table.ts';
import { SeededRandom } from '../support/random-source.ts';

function sampleIndex(): { index: IndexTable; handles: number[] } {
  const random = new SeededRandom(5);
  const index = new IndexTable({ partitionCount: 2 });
  for (let row = 0; row < 400; row++) {
    const handle = index.insert(row % 2, random.uint32(), random.uint32(), 3, row);
    index.set(handle, 1, row, 0, 0, 1, false, 0);
  }
  const handles: number[] = [];
  index.visit(0, (handle) => handles.push(handle));
  index.verify();
  return { index, handles };
}

test('an index as it is built verifies', () => {
  sampleIndex();
  new IndexTable({ partitionCount: 16 }).verify();
});

for (const [name, damage] of [
  ['an entry that vanished', (slab: Uint32Array, word: number) => slab.fill(0, word, word + 8)],
  ['an entry of another digest', (slab: Uint32Array, word: number) => (slab[word]! ^= 0x80000000)],
  ['an empty slot that is not zero', (slab: Uint32Array, word: number) => (slab[word + 1] = 0)],
  ['a place that does not exist', (slab: Uint32Array, word: number) => (slab[word + 7] = 0)],
  [
    'a row that stands twice',
    (slab: Uint32Array, word: number) => slab.copyWithin(word, word + 8, word + 16),
  ],
] as const) {
  test(`verify finds ${name}`, () => {
    const { index, handles } = sampleIndex();
    // Two neighbours, so that copying one over the other makes a second one of the same row.
    const handle = handles.find((candidate, at) => handles[at + 1] === candidate + 1)!;
    damage(index.slab(handle), index.word(handle));
    assert.throws(() => index.verify(), assert.AssertionError);
  });
}
