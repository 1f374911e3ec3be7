/** The set holds what was added, and nothing beside it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NumberSet } from '../../storage/number-set.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

test('what was added is in it, its neighbours are not', (context) => {
  const seed = testSeed();
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const set = new NumberSet();
  const reference = new Set<number>();
  for (const number of [0, 31, 32, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1]) {
    set.add(number);
    reference.add(number);
  }
  for (let round = 0; round < 5000; round++) {
    const number = random.chance(0.5) ? random.below(100_000) : random.uint32();
    set.add(number);
    reference.add(number);
  }
  for (const number of reference) {
    for (const near of [number, number + 1, number - 1, (number ^ 32) >>> 0, (number ^ 65_536) >>> 0]) {
      if (near < 0 || near >= 2 ** 32) continue;
      assert.equal(set.has(near), reference.has(near), `${near}`);
    }
  }
});
