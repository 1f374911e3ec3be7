/** What is known to be damaged: whole units, each block told once, and an error that says what to do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LEVEL_ZERO_KEY_HI, levelOneKeyHi } from '../../storage/block-key.ts';
import { Damage, type DamagedBlock } from '../../storage/damage.ts';

test('without damage every unit is served', () => {
  const damage = new Damage();
  assert.ok(damage.isNone);
  assert.equal(damage.isDamaged(1, 7), false);
  damage.assertServable(1, 7);
  assert.deepEqual(damage.list(), []);
});

test('a damaged block takes its units with it, and no others', () => {
  const told: DamagedBlock[] = [];
  const damage = new Damage((block) => told.push(block));
  damage.note(LEVEL_ZERO_KEY_HI, 5, 2, 10, 12, 'checksum differs');
  damage.note(LEVEL_ZERO_KEY_HI, 5, 2, 10, 12, 'checksum differs');
  damage.note(levelOneKeyHi(3, 12), 9, 3, 12, 12, 'no block magic');
  assert.equal(told.length, 2);
  assert.equal(damage.blockCount, 2);
  assert.equal(damage.damagedUnits, 4);
  const damaged: string[] = [];
  for (const group of [1, 2, 3]) {
    for (let partition = 9; partition < 14; partition += 1) {
      if (damage.isDamaged(group, partition)) damaged.push(`${group}/${partition}`);
    }
  }
  assert.deepEqual(damaged, ['2/10', '2/11', '2/12', '3/12']);
});

test('the error names group, partition, block and what to run', () => {
  const damage = new Damage();
  damage.note(LEVEL_ZERO_KEY_HI, 5, 2, 10, 12, 'checksum differs');
  damage.note(levelOneKeyHi(3, 12), 9, 3, 12, 12, 'no block magic');
  assert.throws(() => damage.assertServable(2, 11), {
    code: 'BLOCK_CORRUPT',
    message: /group 2, partition 11 .* level-0 block 5 \(checksum differs\) .* `millrace repair`/,
  });
  assert.throws(() => damage.assertServable(3, 12), { message: /level-1 block 3\/12\/9/ });
});

test('a block of an unknown group takes its partitions of every group', () => {
  const damage = new Damage();
  damage.note(LEVEL_ZERO_KEY_HI, 5, 0, 10, 10, 'no directory lists it');
  assert.ok(damage.isDamaged(1, 10) && damage.isDamaged(4095, 10));
  assert.equal(damage.isDamaged(1, 11), false);
});

test('a block that was given another number is the same damage, told once', () => {
  const told: DamagedBlock[] = [];
  const damage = new Damage((block) => told.push(block));
  damage.note(LEVEL_ZERO_KEY_HI, 5, 2, 10, 12, 'checksum differs');
  damage.renumber(5, 8);
  damage.note(LEVEL_ZERO_KEY_HI, 8, 2, 10, 12, 'checksum differs');
  damage.renumber(6, 9);
  assert.equal(told.length, 1);
  assert.deepEqual(
    damage.list().map(({ keyLo }) => keyLo),
    [8],
  );
  assert.throws(() => damage.assertServable(2, 11), { message: /level-0 block 8/ });
});
