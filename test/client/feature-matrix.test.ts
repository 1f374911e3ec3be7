/** The matrix and the kernel that puts the rows of several answers into the caller's order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FeatureMatrix, scatterBytes, scatterNumbers } from '../../client/feature-matrix.ts';
import { announcedSeed } from '../protocol/seed.ts';
import { SeededRandom } from '../support/random-source.ts';

test('rows, cells and columns are found where the layout says', () => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const matrix = new FeatureMatrix(
    data,
    ['a', 'v[0]', 'v[1]'],
    Uint8Array.of(1, 1),
    Uint8Array.of(0b101, 0b010),
    null,
  );
  assert.equal(matrix.rows, 2);
  assert.equal(matrix.columns, 3);
  assert.equal(matrix.validityStride, 1);
  assert.deepEqual([...matrix.row(1)], [4, 5, 6]);
  assert.equal(matrix.row(1).buffer, data.buffer, 'a view, not a copy');
  assert.equal(matrix.columnIndex('v[1]'), 2);
  assert.equal(matrix.columnIndex('x'), -1);
  const valid = [0, 1].map((row) => [0, 1, 2].map((column) => matrix.isValid(row, column)));
  assert.deepEqual(valid, [
    [true, false, true],
    [false, true, false],
  ]);
});

test('scattering equals copying row by row, for narrow and wide rows', () => {
  const random = new SeededRandom(announcedSeed('scatter rows'));
  for (const width of [1, 7, 50, 96, 97, 300]) {
    const count = 1 + random.below(40);
    const rows = Uint32Array.from({ length: count }, (_, i) => i).sort(() => random.below(3) - 1);
    const source = Float32Array.from({ length: count * width }, () => random.below(256));
    const target = new Float32Array(count * width);
    const bytes = new Uint8Array(count * width);
    scatterNumbers(source, target, rows, width);
    scatterBytes(Uint8Array.from(source), bytes, rows, width);
    for (let from = 0; from < count; from++) {
      const to = rows[from]!;
      const expected = source.slice(from * width, (from + 1) * width);
      assert.deepEqual(target.slice(to * width, (to + 1) * width), expected);
      assert.deepEqual(bytes.slice(to * width, (to + 1) * width), Uint8Array.from(expected));
    }
  }
});
