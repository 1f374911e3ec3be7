/** What one partition remembers of requests, held to a list that is searched from its start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORGOTTEN, IdempotencyWindow, SEEN, UNSEEN } from '../../storage/idempotency-window.ts';
import { IDEMPOTENCY_CLIENTS_MAX, IDEMPOTENCY_ENTRIES_MAX } from '../../storage/limits.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

interface Entry {
  readonly client: number;
  readonly sequence: number;
  readonly ordinal: number;
  readonly lsn: number;
  readonly result: number;
}

/** The same promises, kept slowly; for as many clients as have a place. */
class SlowWindow {
  entries: Entry[] = [];
  readonly forgotten: Map<number, number> = new Map();

  find(client: number, sequence: number, ordinal: number): { found: number; entry?: Entry } {
    const entry = this.entries.find(
      (other) => other.client === client && other.sequence === sequence && other.ordinal === ordinal,
    );
    if (entry !== undefined) return { found: SEEN, entry };
    const newest = this.entries.filter((other) => other.client === client).at(-1);
    // Rows of the newest request that come for the first time, however many of it have been forgotten.
    if (newest !== undefined && newest.sequence === sequence && newest.ordinal < ordinal)
      return { found: UNSEEN };
    return { found: sequence <= (this.forgotten.get(client) ?? -1) ? FORGOTTEN : UNSEEN };
  }

  add(entry: Entry): void {
    this.entries.push(entry);
    if (this.entries.length <= IDEMPOTENCY_ENTRIES_MAX) return;
    const { client, sequence } = this.entries.shift()!;
    this.forgotten.set(client, Math.max(sequence, this.forgotten.get(client) ?? -1));
  }
}

test('random rows of several clients are seen, unseen or forgotten as in a list', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const window = new IdempotencyWindow();
  const slow = new SlowWindow();
  const sequences = new Map<number, number>();
  let lsn = 0;
  for (let step = 0; step < 20_000; step++) {
    const client = 1 + random.below(5);
    const last = sequences.get(client) ?? 0;
    const isNext = random.chance(0.7);
    const sequence = isNext ? last + 1 : Math.max(0, last - random.below(400));
    sequences.set(client, Math.max(last, sequence));
    const ordinals = 1 + random.below(3);
    for (let ordinal = 0; ordinal < ordinals; ordinal++) {
      const expected = slow.find(client, sequence, ordinal);
      const found = window.find(client, 7, sequence, ordinal);
      if (found !== expected.found) {
        // An older request's row, higher than any of that request seen so far: both sides are allowed to differ only there.
        assert.fail(
          `step ${step}: client ${client}, sequence ${sequence}.${ordinal}: ${found}, not ${expected.found}`,
        );
      }
      if (found === SEEN) {
        assert.equal(window.lsn, expected.entry!.lsn);
        assert.equal(window.result, expected.entry!.result);
      } else if (found === UNSEEN) {
        lsn += 1 + random.below(3);
        const result = random.below(3);
        window.add(client, 7, sequence, ordinal, lsn, result);
        slow.add({ client, sequence, ordinal, lsn, result });
      }
    }
  }
  assert.equal(window.count, IDEMPOTENCY_ENTRIES_MAX);
});

test('what recovery finds in any order, and twice, comes to the same window', () => {
  const random = new SeededRandom(5);
  const live = new IdempotencyWindow();
  const entries: Entry[] = [];
  for (let lsn = 1; lsn <= 3000; lsn++) {
    const entry = { client: 1 + (lsn % 3), sequence: lsn, ordinal: 0, lsn, result: lsn % 2 };
    live.add(entry.client, 0, entry.sequence, 0, lsn, entry.result);
    entries.push(entry);
  }
  const shuffled = [...entries, ...entries.slice(-500)].sort(() => random.below(3) - 1);
  const restored = new IdempotencyWindow();
  for (const { client, sequence, ordinal, lsn, result } of shuffled) {
    restored.restore(client, 0, sequence, ordinal, lsn, result);
  }
  restored.settle();
  assert.equal(restored.count, IDEMPOTENCY_ENTRIES_MAX);
  for (const { client, sequence, lsn } of entries) {
    const found = live.find(client, 0, sequence, 0);
    assert.equal(restored.find(client, 0, sequence, 0), found, `LSN ${lsn}`);
    assert.equal(found, lsn > 3000 - IDEMPOTENCY_ENTRIES_MAX ? SEEN : FORGOTTEN);
  }
  restored.add(1, 0, 3001, 0, 3001, 0);
  assert.equal(restored.find(1, 0, 3001, 0), SEEN);
});

test('one request with more rows than the window remembers is not taken for its own repeat', () => {
  const window = new IdempotencyWindow();
  for (let ordinal = 0; ordinal < 3 * IDEMPOTENCY_ENTRIES_MAX; ordinal++) {
    assert.equal(window.find(1, 1, 9, ordinal), UNSEEN);
    window.add(1, 1, 9, ordinal, ordinal + 1, 0);
  }
  assert.equal(window.find(1, 1, 9, 0), FORGOTTEN);
  assert.equal(window.find(1, 1, 9, 3 * IDEMPOTENCY_ENTRIES_MAX - 1), SEEN);
});

test('rows that were not written after all are unseen again, and the others stay', () => {
  const window = new IdempotencyWindow();
  for (let lsn = 1; lsn <= 1500; lsn++) window.add(1, 1, lsn, 0, lsn, 0);
  for (const lsn of [1498, 1500]) window.remove(lsn);
  assert.equal(window.find(1, 1, 1498, 0), UNSEEN);
  assert.equal(window.find(1, 1, 1499, 0), SEEN);
  assert.equal(window.lsn, 1499);
  assert.equal(window.find(1, 1, 1500, 0), UNSEEN);
  for (let lsn = 1501; lsn <= 1600; lsn++) window.add(1, 1, lsn, 0, lsn, 0);
  assert.equal(window.find(1, 1, 1600, 0), SEEN);
  assert.equal(window.count, IDEMPOTENCY_ENTRIES_MAX);
});

test('clients are bounded: the one that was silent longest makes room', () => {
  const window = new IdempotencyWindow();
  for (let client = 1; client <= 2 * IDEMPOTENCY_CLIENTS_MAX; client++)
    window.add(client, 0, 5, 0, client, 0);
  assert.equal(window.clientCount, IDEMPOTENCY_CLIENTS_MAX);
  for (let client = 1; client <= 2 * IDEMPOTENCY_CLIENTS_MAX; client++) {
    assert.equal(window.find(client, 0, 5, 0), SEEN);
    assert.equal(window.find(client, 0, 6, 0), UNSEEN);
  }
});
