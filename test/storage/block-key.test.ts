/** Block keys: fields in the order of LMDB's bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHECKPOINT_KEY_HI,
  KEY_HI_END,
  LEVEL_ONE_KEY_HI_FIRST,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  levelOneKeyHi,
} from '../../storage/block-key.ts';

test('high words are in the order of kind, group and partition, and none meets another', () => {
  const keys = [
    CHECKPOINT_KEY_HI,
    LEVEL_ZERO_KEY_HI,
    LEVEL_ZERO_DIRECTORY_KEY_HI,
    LEVEL_ONE_KEY_HI_FIRST,
    levelOneKeyHi(1, 1),
    levelOneKeyHi(1, 4095),
    levelOneKeyHi(2, 0),
    levelOneKeyHi(2048, 0),
    levelOneKeyHi(4095, 4095),
    KEY_HI_END,
  ];
  assert.equal(levelOneKeyHi(1, 0), LEVEL_ONE_KEY_HI_FIRST);
  assert.deepEqual(
    keys,
    keys.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(keys).size, keys.length);
});
