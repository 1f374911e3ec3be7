/** The table of calls in flight: ids are unique, late answers find nothing, deadlines are swept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call } from '../../client/call.ts';
import { CorrelationTable } from '../../client/correlation-table.ts';
import { IN_FLIGHT_MAX } from '../../client/limits.ts';
import { announcedSeed } from '../protocol/seed.ts';
import { SeededRandom } from '../support/random-source.ts';

function call(deadlineMs: number = Number.POSITIVE_INFINITY): Call {
  return {
    operation: 0,
    deadlineMs,
    sequence: 0,
    encode: () => undefined,
    receive: () => undefined,
    fail: () => undefined,
  };
}

test('an id finds its call until it is removed, and never another one', () => {
  const table = new CorrelationTable();
  const first = call();
  const id = table.add(first);
  assert.equal(table.find(id), first);
  table.remove(id);
  assert.equal(table.find(id), null);
  const second = table.add(call());
  assert.notEqual(second, id, 'the slot is used again under another id');
  assert.equal(table.find(id), null, 'the answer to the first finds nothing');
});

test('id 0 is never given out and finds nothing', () => {
  const table = new CorrelationTable();
  assert.equal(table.find(0), null);
  for (let i = 0; i < IN_FLIGHT_MAX; i++) assert.notEqual(table.add(call()), 0);
  assert.equal(table.find(0), null);
});

test('it holds as many calls as it says and no more', () => {
  const table = new CorrelationTable();
  for (let i = 0; i < IN_FLIGHT_MAX; i++) table.add(call());
  assert.ok(table.isFull);
  assert.throws(() => table.add(call()), /full/);
});

test('calls past their deadline are taken out, the others stay', () => {
  const table = new CorrelationTable();
  const early = call(10);
  const late = call(20);
  const never = call();
  const ids = [early, late, never].map((each) => table.add(each));
  assert.deepEqual(table.takeExpired(15), [early]);
  assert.equal(table.find(ids[0]!), null);
  assert.equal(table.find(ids[1]!), late);
  assert.deepEqual(table.takeAll(), [late, never]);
  assert.equal(table.count, 0);
});

test('random adding and removing agrees with a map', () => {
  const random = new SeededRandom(announcedSeed('correlation table'));
  const table = new CorrelationTable();
  const model = new Map<number, Call>();
  const gone: number[] = [];
  for (let step = 0; step < 20_000; step++) {
    if (random.below(2) === 0 && model.size < 500) {
      const added = call();
      const id = table.add(added);
      assert.ok(!model.has(id));
      model.set(id, added);
    } else if (model.size > 0) {
      const id = [...model.keys()][random.below(model.size)]!;
      assert.equal(table.find(id), model.get(id));
      table.remove(id);
      model.delete(id);
      gone.push(id);
    }
    assert.equal(table.count, model.size);
  }
  for (const id of gone) assert.equal(table.find(id), model.get(id) ?? null);
});
