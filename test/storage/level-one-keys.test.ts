/** Keys read ahead are those that a cursor of each unit finds, however they lie beside the stretches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { levelOneKeyHi } from '../../storage/block-key.ts';
import type { BlockKey, KeyVisitor } from '../../storage/block-store.ts';
import { LevelOneKeys } from '../../storage/level-one-keys.ts';
import { COMPACTION_KEYS_AHEAD } from '../../storage/limits.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const GROUPS = 3;

/** An ordered list of keys with the block store's way to walk it. */
class KeyList {
  walks = 0;
  readonly keys: BlockKey[];

  constructor(keys: BlockKey[]) {
    this.keys = keys;
  }

  visit(fromHi: number, toHi: number, visit: KeyVisitor): void {
    this.walks += 1;
    for (const { keyHi, keyLo } of this.keys) {
      if (keyHi < fromHi || keyHi >= toHi) continue;
      if (visit(keyHi, keyLo) === false) return;
    }
  }
}

function list(random: SeededRandom, partitions: number, blocksMax: number): KeyList {
  const keys: BlockKey[] = [];
  let keyLo = 1;
  for (let group = 1; group <= GROUPS; group++) {
    for (let partition = 0; partition < partitions; partition++) {
      const blocks = random.chance(0.5) ? 0 : random.below(blocksMax + 1);
      for (let block = 0; block < blocks; block++) {
        keys.push({ keyHi: levelOneKeyHi(group, partition), keyLo });
        keyLo += 1 + random.below(3);
      }
    }
  }
  return new KeyList(keys);
}

const SHAPES = [
  { name: 'few blocks a unit', partitions: 4096, blocksMax: 2 },
  { name: 'one unit holds more than a stretch', partitions: 3, blocksMax: 3 * COMPACTION_KEYS_AHEAD },
  { name: 'nothing at all', partitions: 0, blocksMax: 0 },
];

for (const { name, partitions, blocksMax } of SHAPES) {
  test(`${name}: each unit gets its keys, also when units are left out`, (context) => {
    const seed = testSeed();
    context.diagnostic(`MILLRACE_SEED=${seed}`);
    const random = new SeededRandom(seed);
    const there = list(random, partitions, blocksMax);
    const ahead = new LevelOneKeys({
      keys: (fromHi, _fromLo, toHi, _toLo, visit) => there.visit(fromHi, toHi, visit),
    });
    for (const part of [1, 0.3, 0.01]) {
      ahead.reset();
      there.walks = 0;
      let asked = 0;
      for (let group = 1; group <= GROUPS; group++) {
        for (let partition = 0; partition < 4096; partition++) {
          if (!random.chance(part)) continue;
          const keyHi = levelOneKeyHi(group, partition);
          assert.deepEqual(
            ahead.of(group, partition),
            there.keys.filter((key) => key.keyHi === keyHi),
          );
          asked += 1;
        }
      }
      assert.ok(asked > 0 && there.walks <= 1 + Math.ceil(there.keys.length / COMPACTION_KEYS_AHEAD));
    }
  });
}
