/** Lists of block keys: their bytes, what is wrong with others, and their arithmetic against sets. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  decodeKeyList,
  encodeKeyList,
  findKey,
  sortedKeys,
  unitedKeys,
  withoutKeys,
} from '../../storage/backup-keys.ts';
import { loadChecksum } from '../../storage/checksum.ts';
import { assertGolden } from '../support/golden-bytes.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

before(() => loadChecksum());

const KEYS = Uint32Array.of(256, 1, 256, 2, 512, 1, 2 ** 31, 7, 2 ** 32 - 1, 2 ** 32 - 2);

test('a list has its golden bytes, and reads as what it was', () => {
  const bytes = encodeKeyList(3, KEYS);
  assertGolden('backup-keys', bytes);
  assert.deepEqual(decodeKeyList('keys', 3, bytes), KEYS);
});

test('a flipped bit anywhere, a cut and another shard are refused by name', () => {
  const bytes = encodeKeyList(3, KEYS);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = bytes.slice();
    flipped[at]! ^= 1 << (at % 8);
    assert.throws(() => decodeKeyList('b/keys', 3, flipped), { code: 'BACKUP_INVALID', message: /b\/keys/ });
  }
  assert.throws(() => decodeKeyList('keys', 3, bytes.subarray(0, 30)), { code: 'BACKUP_INVALID' });
  assert.throws(() => decodeKeyList('keys', 4, bytes), { code: 'BACKUP_INVALID', message: /shard 3/ });
});

test('lists add, subtract and find as sets do', () => {
  const random = new SeededRandom(testSeed());
  for (let round = 0; round < 200; round++) {
    const [left, right] = [draw(random), draw(random)];
    const [a, b] = [texts(left), texts(right)];
    assert.deepEqual(
      texts(withoutKeys(left, right)),
      a.filter((key) => !b.includes(key)),
    );
    assert.deepEqual(new Set(texts(unitedKeys(left, right))), new Set([...a, ...b]));
    const united = unitedKeys(left, right);
    assert.deepEqual(sortedKeys(united), united, 'a union ascends');
    for (let key = 0; key < left.length / 2; key++) {
      assert.equal(findKey(left, left[2 * key]!, left[2 * key + 1]!), key);
      assert.equal(findKey(right, left[2 * key]!, left[2 * key + 1]!), b.indexOf(a[key]!));
    }
  }
});

/** A few keys of a small space, high words above 2^31 among them. */
function draw(random: SeededRandom): Uint32Array {
  const words: number[] = [];
  for (let count = random.below(12); count > 0; count--) {
    words.push(random.below(3) * 0x7fff_ffff, random.below(4));
  }
  return sortedKeys(Uint32Array.from(words));
}

function texts(words: Uint32Array): string[] {
  return Array.from({ length: words.length / 2 }, (_, key) => `${words[2 * key]}/${words[2 * key + 1]}`);
}
