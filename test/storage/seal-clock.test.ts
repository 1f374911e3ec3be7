/** The seal clock: no write that is still on its way was accepted before the moment that it tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SealClock } from '../../storage/seal-clock.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

test('while nothing is on its way, the moment is now', () => {
  const clock = new SealClock();
  assert.equal(clock.sealedMicros(10), 10);
  const epoch = clock.begin();
  assert.equal(clock.sealedMicros(20), 10);
  clock.end(epoch);
  assert.equal(clock.sealedMicros(30), 30);
});

test('whatever order requests end in, none that is open was accepted before the moment', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const clock = new SealClock();
  const open: { epoch: number; acceptedMicros: number }[] = [];
  let advanced = 0;
  let last = -Infinity;
  for (let now = 1; now < 20_000; now++) {
    if (random.chance(0.4)) open.push({ epoch: clock.begin(), acceptedMicros: now });
    if (open.length > 0 && random.chance(0.42))
      clock.end(open.splice(random.below(open.length), 1)[0]!.epoch);
    if (!random.chance(0.1)) continue;
    const sealed = clock.sealedMicros(now);
    assert.ok(sealed >= last && sealed <= now);
    assert.ok(open.every(({ acceptedMicros }) => acceptedMicros >= sealed));
    if (sealed > last) advanced += 1;
    last = sealed;
  }
  assert.ok(advanced > 10, 'it goes on while writes come all the time');
});
