/** Numbers of blocks: what two sources have recorded is never given out again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockNumbers } from '../../storage/block-numbers.ts';
import { CHECKPOINT_EMPTY } from '../../storage/checkpoint.ts';
import { COMPACTION_STATE_EMPTY } from '../../storage/compaction-state.ts';

test('a new shard counts from 1', () => {
  const numbers = new BlockNumbers(CHECKPOINT_EMPTY, COMPACTION_STATE_EMPTY);
  assert.deepEqual([numbers.takeSequences(3), numbers.takeDirectory(), numbers.takeCounters(2)], [1, 1, 1]);
  assert.deepEqual([numbers.takeSequences(0), numbers.takeDirectory(), numbers.takeCounters(1)], [4, 2, 3]);
  assert.equal(numbers.nextSequence, 4);
});

test('counting goes on above the larger of what flushes and compaction recorded', () => {
  const numbers = new BlockNumbers(
    { ...CHECKPOINT_EMPTY, nextSequence: 50, nextDirectory: 3 },
    { ...COMPACTION_STATE_EMPTY, nextSequence: 40, nextDirectory: 9, nextCounter: 6 },
  );
  assert.deepEqual([numbers.nextSequence, numbers.nextDirectory, numbers.nextCounter], [50, 9, 6]);
});

test('numbers end before the end of a key range', () => {
  const numbers = new BlockNumbers(
    { ...CHECKPOINT_EMPTY, nextSequence: 2 ** 32 - 3 },
    COMPACTION_STATE_EMPTY,
  );
  assert.equal(numbers.takeSequences(2), 2 ** 32 - 3);
  assert.throws(() => numbers.takeSequences(1));
});
