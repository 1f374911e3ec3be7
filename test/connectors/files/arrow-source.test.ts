/** Arrow files and streams that pyarrow wrote, with and without compression, and broken ones. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openArrow } from '../../../connectors/files/arrow-source.ts';
import { SOURCE_START } from '../../../connectors/files/source.ts';
import { expectedRow, expectedTypes, FIXTURES, readAll } from '../fixture-values.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-arrow-'));
after(() => rmSync(directory, { recursive: true }));

test('files and streams, compressed or not, give the same types and values', async () => {
  for (const file of ['types-plain.arrow', 'types-lz4.arrow', 'types-zstd.arrow', 'types-stream.arrows']) {
    const { types, rows } = await readAll(await openArrow(join(FIXTURES, file)), 2);
    assert.deepEqual(types, expectedTypes(true), file);
    assert.equal(rows.length, 7, file);
    for (const [i, row] of rows.entries())
      assert.deepEqual(row, expectedRow(i, true), `${file}, row ${i + 1}`);
  }
});

test('LZ4 blocks that refer to earlier ones decode', async () => {
  const { rows } = await readAll(await openArrow(join(FIXTURES, 'long.feather')), 4096);
  assert.equal(rows.length, 20_000);
  for (const [i, row] of rows.entries()) {
    if (row['t'] !== `row ${i % 97}` || row['n'] !== Math.floor(i / 1000))
      assert.fail(`row ${i}: ${row['t']}`);
  }
});

test('reading from a row in the middle of a record batch gives the rows from there on', async () => {
  const source = await openArrow(join(FIXTURES, 'types-plain.arrow'));
  for (let row = 0; row <= 7; row++) {
    const ids: unknown[] = [];
    for await (const batch of source.read(['id'], { row, byte: 0 }, 2))
      ids.push(...Array.from(batch.columns[0]!));
    assert.deepEqual(
      ids,
      Array.from({ length: 7 - row }, (_, i) => 9_007_199_254_740_993n + BigInt(row + i)),
    );
  }
});

test('a file or stream cut off is refused, and a stream gives the rows before the cut', async () => {
  const file = readFileSync(join(FIXTURES, 'types-plain.arrow'));
  const cutFile = join(directory, 'cut.arrow');
  writeFileSync(cutFile, file.subarray(0, file.length >> 1));
  await assert.rejects(openArrow(cutFile), { code: 'FILE_FORMAT_INVALID' });

  const stream = readFileSync(join(FIXTURES, 'types-stream.arrows'));
  const cutStream = join(directory, 'cut.arrows');
  writeFileSync(cutStream, stream.subarray(0, stream.length - 400));
  const source = await openArrow(cutStream);
  let rows = 0;
  await assert.rejects(
    async () => {
      for await (const batch of source.read(['id'], SOURCE_START, 100)) rows += batch.rowCount;
    },
    { code: 'FILE_FORMAT_INVALID', message: /record batch at row 7/ },
  );
  assert.equal(rows, 6);
});
