/** LSNs and commit times of a partition only rise, whatever the clock does and whatever recovery found. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { PartitionClock } from '../../storage/partition-clock.ts';

test('LSNs count from 1 in each partition', () => {
  const clock = new PartitionClock(2);
  assert.deepEqual([clock.advance(0, 10), clock.advance(0, 20), clock.advance(1, 20)], [1, 2, 1]);
});

test('commit times follow the clock and rise by a microsecond when it does not', () => {
  const clock = new PartitionClock(1);
  const times = [100, 100, 50, 101, 500].map((nowMicros) => {
    clock.advance(0, nowMicros);
    return clock.commitTimeMicros(0);
  });
  assert.deepEqual(times, [100, 101, 102, 103, 500]);
});

test('what recovery observed is never given again, in whatever order it was observed', () => {
  const clock = new PartitionClock(1);
  clock.observe(0, 7, 900);
  clock.observe(0, 3, 1000);
  assert.equal(clock.advance(0, 10), 8);
  assert.equal(clock.commitTimeMicros(0), 1001);
});

test('raising closes every partition at one time, which is above all before it and below all after', () => {
  const clock = new PartitionClock(3);
  clock.observe(1, 4, 1000);
  assert.equal(clock.raise(500), 1000);
  assert.equal(clock.raise(2000), 2000);
  for (let partition = 0; partition < 3; partition++) {
    clock.advance(partition, 10);
    assert.equal(clock.commitTimeMicros(partition), 2001);
  }
  assert.equal(clock.advance(1, 10), 6);
});
