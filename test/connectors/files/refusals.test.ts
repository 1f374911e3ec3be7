/** A put's only row, refused, is an answer like any other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../../client/index.ts';
import { WriteTally } from '../../../client/write-result.ts';
import { answered } from '../../../connectors/files/refusals.ts';
import { errorNumber } from '../../../protocol/index.ts';

test('the refusal of a lone row is answered as a result, other errors are thrown', async () => {
  const tally = new WriteTally(1, false);
  tally.add({ results: Uint8Array.of(errorNumber('TOO_LATE')), lsns: Float64Array.of(0) }, 0, null);
  const { refusals } = await answered(Promise.resolve().then(() => tally.result()));
  assert.deepEqual(
    refusals.map(({ row, code }) => [row, code]),
    [[0, 'TOO_LATE']],
  );
  const lost = new MillraceError('CONNECTION_LOST', 'a test');
  await assert.rejects(answered(Promise.reject(lost)), lost);
});
