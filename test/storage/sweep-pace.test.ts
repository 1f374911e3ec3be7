/** A sweep reads at once until reads are slow, then has its blocks fetched for a while, and tries again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READ_SLOW_MICROS, SWEEP_FETCHES, SWEEP_SLOW_READS } from '../../storage/limits.ts';
import { SweepPace } from '../../storage/sweep-pace.ts';

test('fast reads, and a few slow ones, leave it reading at once', () => {
  const pace = new SweepPace();
  for (let fetch = 0; fetch < 100; fetch++) {
    assert.equal(pace.next(), false);
    for (let read = 0; read < 16; read++) {
      const isSlow = read < SWEEP_SLOW_READS - 1;
      assert.equal(pace.isTooSlow(isSlow ? READ_SLOW_MICROS : READ_SLOW_MICROS - 1), false);
    }
  }
});

test('slow reads turn it to other threads for a number of fetches, whose reads do not count', () => {
  const pace = new SweepPace();
  assert.equal(pace.next(), false);
  for (let read = 1; read < SWEEP_SLOW_READS; read++) assert.equal(pace.isTooSlow(1000), false);
  assert.equal(pace.isTooSlow(1000), true);
  for (let fetch = 0; fetch < SWEEP_FETCHES; fetch++) {
    assert.equal(pace.next(), true);
    if (fetch < SWEEP_FETCHES - 1) assert.equal(pace.isTooSlow(1000), false);
  }
  assert.equal(pace.next(), false);
});
