/** The acknowledged place: never past a hole, whatever the order of the answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AckWindow } from '../../../connectors/files/ack-window.ts';
import { SOURCE_START } from '../../../connectors/files/source.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';

/** A put whose end the test decides. */
interface Pending {
  resolve(): void;
  reject(error: Error): void;
}

function put(pending: Pending[]): () => Promise<void> {
  return () => new Promise((resolve, reject) => pending.push({ resolve, reject }));
}

/** Lets everything that waits for a settled promise run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('the place moves past a batch only with all before it', async () => {
  const pending: Pending[] = [];
  const seen: number[] = [];
  const window = new AckWindow(SOURCE_START, 4, (position) => seen.push(position.row));
  for (const row of [10, 20, 30]) await window.begin({ row, byte: 0 }, put(pending));
  pending[1]!.resolve();
  await turn();
  assert.equal(window.position.row, 0);
  pending[0]!.resolve();
  await turn();
  assert.equal(window.position.row, 20);
  pending[2]!.resolve();
  await window.drained();
  assert.equal(window.position.row, 30);
  assert.deepEqual(seen, [20, 30]);
});

test('no more than the limit are under way', async () => {
  const pending: Pending[] = [];
  const window = new AckWindow(SOURCE_START, 2, () => {});
  await window.begin({ row: 1, byte: 0 }, put(pending));
  await window.begin({ row: 2, byte: 0 }, put(pending));
  const third = window.begin({ row: 3, byte: 0 }, put(pending));
  await turn();
  assert.equal(pending.length, 2);
  pending[1]!.resolve();
  await third;
  assert.equal(pending.length, 3);
  pending[0]!.resolve();
  pending[2]!.resolve();
  await window.drained();
  assert.equal(window.position.row, 3);
});

test('after a failure nothing begins, and what is acknowledged after it does not count', async () => {
  const pending: Pending[] = [];
  const window = new AckWindow(SOURCE_START, 4, () => {});
  for (const row of [10, 20, 30]) await window.begin({ row, byte: 0 }, put(pending));
  pending[1]!.reject(new Error('first'));
  pending[2]!.resolve();
  pending[0]!.resolve();
  await window.drained();
  assert.equal(window.position.row, 10);
  assert.equal((window.failure as Error).message, 'first');
  await window.begin({ row: 40, byte: 0 }, put(pending));
  assert.equal(pending.length, 3);
});

test('random answers never let the place pass a batch that is not acknowledged', async () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  for (let round = 0; round < 50; round++) {
    const acknowledged = new Set<number>();
    const open: { row: number; pending: Pending }[] = [];
    const failing = random.below(40);
    const window = new AckWindow(SOURCE_START, 1 + random.below(8), (position) => {
      for (let row = 1; row <= position.row; row++) {
        assert.ok(acknowledged.has(row), `seed ${seed}, round ${round}, row ${row} of ${position.row}`);
      }
    });
    const settleOne = (): void => {
      const [flight] = open.splice(random.below(open.length), 1);
      if (flight === undefined) return;
      if (flight.row === failing) {
        flight.pending.reject(new Error('no'));
      } else {
        acknowledged.add(flight.row);
        flight.pending.resolve();
      }
    };
    for (let row = 1; row <= 30; row++) {
      const begun = window.begin({ row, byte: 0 }, () => {
        return new Promise((resolve, reject) => open.push({ row, pending: { resolve, reject } }));
      });
      while (open.length > 0 && random.chance(0.5)) settleOne();
      const timer = setInterval(settleOne, 0);
      await begun;
      clearInterval(timer);
    }
    const timer = setInterval(settleOne, 0);
    await window.drained();
    clearInterval(timer);
    const end = failing >= 1 && failing <= 30 ? failing - 1 : 30;
    assert.ok(window.position.row <= end, `seed ${seed}, round ${round}: ${window.position.row} of ${end}`);
    if (end === 30) assert.equal(window.position.row, 30, `seed ${seed}, round ${round}`);
  }
});
