/** The bandwidth limit of compaction: over a long time it is kept, and no clock makes it wait for ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompactionBandwidth } from '../../storage/compaction-bandwidth.ts';

test('without a limit nothing waits', () => {
  assert.equal(new CompactionBandwidth(0, () => 0).take(2 ** 40), 0);
});

test('over a long time the limit is kept, and nearly reached', () => {
  let nowMicros = 0;
  const bandwidth = new CompactionBandwidth(1_000_000, () => nowMicros);
  let written = 0;
  while (nowMicros < 60e6) {
    written += 100_000;
    nowMicros += bandwidth.take(100_000) * 1000 + 10;
  }
  assert.ok(written > 58e6 && written < 61e6, `${written}`);
});

test('a rest is not saved up beyond a quarter of a second', () => {
  let nowMicros = 0;
  const bandwidth = new CompactionBandwidth(1_000_000, () => nowMicros);
  nowMicros = 3600e6;
  assert.equal(bandwidth.take(250_000), 0);
  assert.equal(bandwidth.take(100_000), 100);
});

test('a clock that steps back delays a step by a second at most', () => {
  let nowMicros = 1e12;
  const bandwidth = new CompactionBandwidth(1000, () => nowMicros);
  nowMicros = 0;
  assert.equal(bandwidth.take(1e9), 1000);
});
