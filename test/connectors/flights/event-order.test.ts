/** The stable sort by time, against the comparing sort of the language. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventOrder } from '../../../connectors/flights/event-order.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';

function reference(times: Float64Array): number[] {
  return Array.from(times.keys()).sort((a, b) => times[a]! - times[b]! || a - b);
}

test('agrees with a stable comparing sort for any range of times', () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  for (const range of [1, 2, 65_536, 65_537, 2 ** 32, 2 ** 52]) {
    for (const count of [0, 1, 2, 100, 5000]) {
      const start = random.below(2 ** 32) * (random.chance(0.5) ? -1000 : 1000);
      const times = Float64Array.from(
        { length: count },
        () => start + Math.floor((random.uint32() / 2 ** 32) * range),
      );
      assert.deepEqual(
        Array.from(eventOrder(times)),
        reference(times),
        `seed ${seed}, range ${range}, count ${count}`,
      );
    }
  }
});

test('rows of one time keep their order', () => {
  assert.deepEqual(Array.from(eventOrder(Float64Array.of(7, 5, 7, 5, 7))), [1, 3, 0, 2, 4]);
});
