/** Deadlines on a clock of the test's: what expires does so once and in time, and no timer runs for nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Deadline, Deadlines } from '../../server/deadlines.ts';
import { DEADLINE_TICK_MS } from '../../server/limits.ts';

test('entries expire once, within a tick of their time, unless they were removed', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  let nowMs = 1000;
  const deadlines = new Deadlines(() => nowMs);
  const expired: number[] = [];
  const entries = [1010, 1020, 1030, 1040].map(
    (deadlineMs): Deadline => ({ deadlineMs, expire: () => expired.push(deadlineMs) }),
  );
  for (const entry of entries) deadlines.add(entry);
  deadlines.remove(entries[1]!);
  const advance = (toMs: number): void => {
    while (nowMs < toMs) {
      nowMs += DEADLINE_TICK_MS;
      context.mock.timers.tick(DEADLINE_TICK_MS);
    }
  };
  advance(1005);
  assert.deepEqual(expired, []);
  advance(1030);
  assert.deepEqual(expired, [1010, 1030]);
  advance(2000);
  assert.deepEqual(expired, [1010, 1030, 1040]);
});

test('an entry may be added after all others have gone', (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  let nowMs = 0;
  const deadlines = new Deadlines(() => nowMs);
  let expired = 0;
  for (let round = 1; round <= 3; round++) {
    const entry: Deadline = {
      deadlineMs: nowMs + 1,
      expire: () => {
        expired += 1;
      },
    };
    deadlines.add(entry);
    nowMs += 10;
    context.mock.timers.tick(DEADLINE_TICK_MS);
    assert.equal(expired, round);
    context.mock.timers.tick(DEADLINE_TICK_MS);
  }
});
