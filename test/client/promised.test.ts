/** Whatever an executor throws, its promise rejects with a MillraceError. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promised, settle } from '../../client/promised.ts';
import { ProtocolError } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';

test('a throw in the executor becomes a rejection with the same code', async () => {
  const refused = promised(() => {
    throw new ProtocolError('KEY_INVALID', 'bad key');
  });
  await assert.rejects(refused, failure('KEY_INVALID', /bad key/));
  assert.equal(await promised((resolve: (value: number) => void) => resolve(7)), 7);
});

test('settle gives what was made or throws a MillraceError', () => {
  assert.equal(
    settle(() => 3),
    3,
  );
  const broken = (): never => {
    throw new RangeError('no');
  };
  assert.throws(() => settle(broken), failure('INTERNAL', /no/));
});
