/** Results by row: counts, states and refusals agree. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WriteResult, WriteTally } from '../../client/write-result.ts';
import { errorNumber } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';

const LATE = errorNumber('LATE_PATCH');

test('parts of a call stand where their rows stood', () => {
  const tally = new WriteTally(5, true);
  tally.add({ results: Uint8Array.of(LATE, 1), lsns: Float64Array.of(0, 7) }, 1, Uint32Array.of(3, 0));
  tally.add({ results: Uint8Array.of(0, 2), lsns: Float64Array.of(8, 9) }, 2, null);
  tally.add({ results: Uint8Array.of(0), lsns: Float64Array.of(6) }, 0, null);
  const result = tally.result();
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((row) => result.status(row)),
    ['applied', 'superseded', 'applied', 'history', 'refused'],
  );
  assert.deepEqual([...result.lsns!], [6, 7, 8, 9, 0]);
  assert.deepEqual(
    result.refusals.map(({ row, code }) => [row, code]),
    [[4, 'LATE_PATCH']],
  );
  assert.equal(tally.acknowledged, 5);
  assert.throws(() => result.status(5), failure('USAGE', /row 5 is none of the 5/));
});

test('the refusal of a lone row is thrown, that of one of several is answered', () => {
  const lone = new WriteTally(1, false);
  lone.add({ results: Uint8Array.of(LATE), lsns: Float64Array.of(0) }, 0, null);
  assert.throws(() => lone.result(), failure('LATE_PATCH', /^row 0: .*newer event time/));
  assert.equal(new WriteResult(Uint8Array.of(LATE, LATE), null).refused, 2);
});

test('a code without a text of its own still says which it is', () => {
  const { refusals } = new WriteResult(Uint8Array.of(errorNumber('BLOCK_CORRUPT')), null);
  assert.deepEqual(refusals[0], {
    row: 0,
    code: 'BLOCK_CORRUPT',
    message: 'the server refused the row: BLOCK_CORRUPT',
  });
});
