/** The end of a turn: gatherers first, then writers, each once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turn, type TurnTask } from '../../client/turn.ts';

function task(run: () => void): TurnTask {
  return { isQueued: false, endTurn: run };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what gatherers write leaves in the same turn, once', async () => {
  const turn = new Turn();
  const order: string[] = [];
  const writer = task(() => order.push('write'));
  const gatherer = task(() => {
    order.push('gather');
    turn.addWriter(writer);
  });
  turn.addWriter(writer);
  turn.addGatherer(gatherer);
  turn.addGatherer(gatherer);
  assert.deepEqual(order, [], 'nothing happens within the turn');
  await nextTurn();
  assert.deepEqual(order, ['gather', 'write']);
  await nextTurn();
  assert.deepEqual(order, ['gather', 'write'], 'nothing is left over');
});

test('what is added while the turn ends runs in the next one', async () => {
  const turn = new Turn();
  let runs = 0;
  const writer = task(() => {
    runs += 1;
    if (runs === 1) turn.addWriter(writer);
  });
  turn.addWriter(writer);
  await nextTurn();
  assert.equal(runs, 1);
  await nextTurn();
  assert.equal(runs, 2);
});

test('a gatherer that gathers again while others run is not forgotten', async () => {
  const turn = new Turn();
  const seen: string[] = [];
  const first = task(() => seen.push('first'));
  const second = task(() => {
    seen.push('second');
    if (seen.length < 4) turn.addGatherer(first);
  });
  turn.addGatherer(first);
  turn.addGatherer(second);
  await nextTurn();
  await nextTurn();
  assert.deepEqual(seen, ['first', 'second', 'first']);
});

test('flush ends the turn at once', async () => {
  const turn = new Turn();
  let runs = 0;
  turn.addWriter(task(() => runs++));
  turn.flush();
  assert.equal(runs, 1);
  await nextTurn();
  assert.equal(runs, 1);
});
