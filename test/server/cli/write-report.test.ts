/** Rows from arguments or from the input, one a line. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { rowTexts } from '../../../server/cli/write-report.ts';
import { failure } from '../../client/error-expectation.ts';

test('arguments come first; without any, each line of the input that is not empty is a row', async () => {
  assert.deepEqual(await rowTexts(['a', 'b'], Readable.from([])), ['a', 'b']);
  const lines = Readable.from([Buffer.from('{"a": "\u00fc'), Buffer.from('"}\r\n\n{}')]);
  assert.deepEqual(await rowTexts([], lines), ['{"a": "\u00fc"}', '{}']);
  const terminal = Object.assign(Readable.from([]), { isTTY: true });
  await assert.rejects(rowTexts([], terminal), failure('USAGE', /no row was given/));
});
