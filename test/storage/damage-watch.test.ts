/** Where requests meet damage; refusals are in recovery.test.ts. Here: what another thread has found. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { LEVEL_ZERO_KEY_HI, levelOneKeyHi } from '../../storage/block-key.ts';
import { Damage } from '../../storage/damage.ts';
import { DamageWatch } from '../../storage/damage-watch.ts';
import { loadChecksum } from '../../storage/index.ts';
import { encodeDirectoryEntries, LevelZeroDirectory } from '../../storage/level-zero-directory.ts';
import { MemoryBlockStore } from '../support/stored-records.ts';

before(loadChecksum);

test('a block that a scan found damaged is noted with its units, unless a sweep has replaced it since', () => {
  const directory = new LevelZeroDirectory();
  const entry = { sequence: 5, group: 2, partitionMin: 10, partitionMax: 12, pages: 1 };
  directory.add(1, encodeDirectoryEntries(1, 1, [entry]));
  const store = new MemoryBlockStore();
  const watch = new DamageWatch(new Damage(), directory, store);
  const fault = 'checksum differs';
  watch.report({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 4, fault });
  watch.report({ keyHi: levelOneKeyHi(3, 12), keyLo: 9, fault });
  assert.ok(watch.damage.isNone);
  watch.report({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: 5, fault });
  assert.equal(watch.damage.damagedUnits, 3);
  assert.throws(() => watch.admitPartitions(2, Uint16Array.of(9, 11)), { code: 'BLOCK_CORRUPT' });
  watch.admitPartitions(3, Uint16Array.of(12));
});
