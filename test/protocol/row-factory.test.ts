/** Row objects have the names asked for, in order, whatever the names are, with and without generated code. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileRowFactory, loopFactory } from '../../protocol/row-factory.ts';
import { announcedSeed } from './seed.ts';

test('any names give the object that a loop gives', () => {
  const seed = announcedSeed('row factory');
  const name = fc.oneof(
    fc.string({ minLength: 1, unit: 'binary' }),
    fc.constantFrom(
      '"',
      "'",
      '\\',
      '`',
      '\u2028',
      '\u0024{x}',
      ']',
      'constructor',
      'toString',
      'a b',
      '1',
      '-1',
      '*/',
      '\n',
    ),
  );
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 12 }), (names) => {
      const values = names.map((_, index) => ({ index }));
      const row = compileRowFactory(names)(values);
      assert.deepEqual(row, loopFactory(names)(values));
      assert.deepEqual(Object.keys(row), Object.keys(loopFactory(names)(values)));
      for (const [index, one] of names.entries()) {
        if (one !== '__proto__') assert.equal(row[one], values[index]);
      }
    }),
    { seed, numRuns: 500 },
  );
});

test('a name that would set the prototype does not go into a literal', () => {
  const row = compileRowFactory(['a', '__proto__'])([1, 2]);
  assert.equal(row['a'], 1);
  assert.equal(Object.getPrototypeOf(row), Object.prototype);
});

test('objects of one factory share nothing', () => {
  const factory = compileRowFactory(['a']);
  const first = factory([1]);
  const second = factory([2]);
  first['a'] = 3;
  assert.equal(second['a'], 2);
});
