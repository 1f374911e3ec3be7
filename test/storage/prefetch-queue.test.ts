/** Prefetches share their slots: never more at once, all keys once, and a small job is not behind a large one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PREFETCH_STRETCH_KEYS } from '../../storage/limits.ts';
import { PrefetchQueue } from '../../storage/prefetch-queue.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

/** A device whose stretches end when the test says so, in any order. */
class HandDevice {
  readonly underWay: { keys: readonly number[]; done: () => void }[] = [];
  most = 0;

  readonly fetch = (keys: readonly number[], done: () => void): void => {
    this.underWay.push({ keys, done });
    this.most = Math.max(this.most, this.underWay.length);
  };

  end(index: number): readonly number[] {
    const [stretch] = this.underWay.splice(index, 1);
    stretch!.done();
    return stretch!.keys;
  }
}

test('any mix of jobs is fetched once, key by key, within the slots, in whatever order stretches end', async () => {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < 50; round++) {
    const slots = 1 + random.below(6);
    const device = new HandDevice();
    const queue = new PrefetchQueue<number>({ slots, fetch: device.fetch });
    const fetched = new Map<number, number>();
    const ended: boolean[] = [];
    let nextKey = 0;
    let jobs = 0;
    while (jobs < 20 || device.underWay.length > 0) {
      if (jobs < 20 && random.chance(0.3)) {
        const keys = Array.from({ length: random.below(100) }, () => nextKey++);
        const job = jobs++;
        void queue.prefetch(keys).then(() => {
          for (const key of keys) assert.equal(fetched.get(key), 1, 'it ends when all its keys are fetched');
          ended[job] = true;
        });
      } else if (device.underWay.length > 0) {
        const keys = device.end(random.below(device.underWay.length));
        assert.ok(keys.length <= PREFETCH_STRETCH_KEYS);
        for (const key of keys) fetched.set(key, (fetched.get(key) ?? 0) + 1);
      }
      await Promise.resolve();
      assert.equal(queue.inFlight, device.underWay.length);
      assert.equal(queue.keysWaiting, nextKey - fetched.size);
    }
    await Promise.resolve();
    assert.ok(device.most <= slots);
    assert.equal(fetched.size, nextKey);
    assert.equal(ended.filter(Boolean).length, 20);
  }
});

test('a batch that is alone is spread evenly over every slot', () => {
  const device = new HandDevice();
  const queue = new PrefetchQueue<number>({ slots: 8, fetch: device.fetch });
  void queue.prefetch(Array.from({ length: 20 }, (_, key) => key));
  assert.deepEqual(
    device.underWay.map(({ keys }) => keys.length),
    [3, 3, 3, 3, 2, 2, 2, 2],
  );
  assert.deepEqual(
    device.underWay.flatMap(({ keys }) => keys),
    Array.from({ length: 20 }, (_, key) => key),
  );
});

test('a single key passes by a batch of thousands after one stretch', async () => {
  const device = new HandDevice();
  const queue = new PrefetchQueue<number>({ slots: 2, fetch: device.fetch });
  void queue.prefetch(Array.from({ length: 5000 }, (_, key) => key));
  const single = queue.prefetch([-1]);
  device.end(0);
  device.end(0);
  assert.ok(device.underWay.some(({ keys }) => keys[0] === -1));
  device.end(device.underWay.findIndex(({ keys }) => keys[0] === -1));
  await single;
});

test('a queue that closes begins nothing and answers everyone, those under way when they end', async () => {
  const device = new HandDevice();
  const queue = new PrefetchQueue<number>({ slots: 1, fetch: device.fetch });
  let hasEnded = false;
  const first = queue.prefetch(Array.from({ length: 40 }, (_, key) => key)).then(() => {
    hasEnded = true;
  });
  const second = queue.prefetch([100]);
  queue.close();
  await second;
  assert.equal(hasEnded, false, 'a thread still has its keys');
  device.end(0);
  await first;
  assert.equal(device.underWay.length, 0);
  await queue.prefetch([101]);
  assert.equal(queue.keysWaiting, 0);
});
