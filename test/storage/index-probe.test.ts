/** The index's kernels against a slow twin: a sorted list with the positions that ordered probing gives it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tagOf } from '../../storage/index-entry.ts';
import {
  closeSlot,
  entrySlab,
  entryWord,
  handleAt,
  homeSlot,
  NONE,
  openSlot,
  probe,
} from '../../storage/index-probe.ts';
import { shapeOf, shapeSlots, shapeWrapped } from '../../storage/index-segments.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

const SLAB_WORDS = 2 ** 24;
/** Chunks out of order and apart, as an allocator gives them. */
const CHUNK_PAGES = [12, 4, 40, 0, 100, 64, 32];

class SmallTable {
  readonly slabs: Uint32Array[] = [new Uint32Array(SLAB_WORDS)];
  readonly tables: Int32Array = new Int32Array(8);

  constructor(count: number, order: number, depth: number) {
    this.tables[0] = shapeOf(count, order, depth);
    for (let chunk = 0; chunk < count; chunk++) this.tables[1 + chunk] = CHUNK_PAGES[chunk]!;
  }

  insert(spread: number, hash2: number): void {
    const handle = openSlot(this.slabs, this.tables, 0, spread);
    const slab = entrySlab(this.slabs, handle);
    const word = entryWord(handle);
    slab[word] = spread;
    slab[word + 1] = tagOf(0, 1);
    slab[word + 2] = hash2;
  }

  find(spread: number, hash2: number): number {
    return probe(this.slabs, this.tables, 0, spread, tagOf(0, 1), hash2, true, NONE);
  }

  /** (spread, hash2) by slot; undefined where it is empty. */
  contents(): ([number, number] | undefined)[] {
    return Array.from({ length: shapeSlots(this.tables[0]!) }, (_, slot) => {
      const handle = handleAt(this.tables, 0, slot);
      const slab = entrySlab(this.slabs, handle);
      const word = entryWord(handle);
      return slab[word + 1] === 0 ? undefined : [slab[word]! | 0, slab[word + 2]!];
    });
  }
}

/** Where ordered probing puts rows that are given in the order of their ranks, with the number of those that wrap. */
function expectedContents(rows: [number, number][], shape: number): ([number, number] | undefined)[] {
  const slots = shapeSlots(shape);
  for (let wrapped = 0; wrapped <= rows.length; wrapped++) {
    const contents = new Array<[number, number] | undefined>(slots).fill(undefined);
    let next = wrapped;
    for (const row of rows) {
      const position = Math.max(homeSlot(row[0], shape), next);
      contents[position % slots] = row;
      next = position + 1;
    }
    if (Math.max(0, next - slots) === wrapped) return contents;
  }
  throw new Error('no number of wrapped entries fits');
}

test('entries stand exactly where the slow twin puts them, through inserts and removals', () => {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < 60; round++) {
    const [count, order] = (
      [
        [1, 0],
        [3, 0],
        [7, 0],
        [4, 1],
        [5, 2],
      ] as const
    )[round % 5]!;
    const depth = random.below(3);
    const table = new SmallTable(count, order, depth);
    const slots = shapeSlots(table.tables[0]!);
    const isAtEnd = random.chance(0.5);
    let rows: [number, number][] = [];
    const rankOf = (spread: number): number => (spread << depth) >>> 0;
    for (let step = 0; step < 6 * slots; step++) {
      if (rows.length < 0.85 * slots && random.chance(0.6)) {
        const rank = isAtEnd ? 0xffffffff - random.below(2 ** 30) : random.uint32();
        const row: [number, number] = [(rank >>> depth) | 0, step];
        table.insert(...row);
        const after = rows.findIndex(([spread]) => rankOf(spread) > rankOf(row[0]));
        rows.splice(after === -1 ? rows.length : after, 0, row);
      } else if (rows.length > 0) {
        const [row] = rows.splice(random.below(rows.length), 1) as [[number, number]];
        const handle = table.find(...row);
        let slot = 0;
        while (handleAt(table.tables, 0, slot) !== handle) slot++;
        closeSlot(table.slabs, table.tables, 0, slot);
        assert.equal(table.find(...row), NONE);
      }
    }
    assert.deepEqual(table.contents(), expectedContents(rows, table.tables[0]!), `round ${round}`);
    for (const row of rows) assert.notEqual(table.find(...row), NONE);
    rows = [];
  }
});

test('entries past the end of the table stand in its first slots', () => {
  const table = new SmallTable(1, 0, 0);
  for (let row = 0; row < 4; row++) table.insert(-1, row);
  table.insert(0, 9);
  assert.equal(shapeWrapped(table.tables[0]!), 3);
  assert.deepEqual(
    table.contents().map((entry) => entry?.[1]),
    [1, 2, 3, 9, ...new Array<undefined>(27).fill(undefined), 0],
  );
});
