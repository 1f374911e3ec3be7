/**
 * Parquet files that pyarrow wrote, in every compression: types, values, nulls, slices, and files that are broken.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openParquet } from '../../../connectors/files/parquet-source.ts';
import { SOURCE_START } from '../../../connectors/files/source.ts';
import { expectedRow, expectedTypes, FIXTURES, readAll } from '../fixture-values.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
after(() => rmSync(directory, { recursive: true }));

const FILES = ['none', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4', 'v2'].map(
  (name) => `types-${name}.parquet`,
);

test('every compression and page version gives the same types and values', async () => {
  for (const file of FILES) {
    const { types, rows } = await readAll(await openParquet(join(FIXTURES, file)), 100);
    assert.deepEqual(types, expectedTypes(false), file);
    assert.equal(rows.length, 7, file);
    for (const [i, row] of rows.entries())
      assert.deepEqual(row, expectedRow(i, false), `${file}, row ${i + 1}`);
  }
});

test('INT96 is a timestamp', async () => {
  const { types, rows } = await readAll(await openParquet(join(FIXTURES, 'int96.parquet')), 100);
  assert.equal(types['nanos'], 'timestamp');
  for (const [i, row] of rows.entries()) assert.equal(row['nanos'], expectedRow(i, false)['nanos']);
});

test('columns of several pages and row groups come whole, in batches of any size', async () => {
  for (const batchRows of [1000, 3333, 100_000]) {
    const source = await openParquet(join(FIXTURES, 'long.parquet'));
    const { rows } = await readAll(source, batchRows);
    assert.equal(rows.length, 20_000);
    for (const [i, row] of rows.entries()) {
      if (row['t'] !== `row ${i % 97}` || row['n'] !== Math.floor(i / 1000))
        assert.fail(`row ${i}: ${row['t']}`);
    }
  }
});

test('reading from a row in the middle gives the rows from there on', async () => {
  const source = await openParquet(join(FIXTURES, 'long.parquet'));
  for (const row of [1, 7999, 8000, 12_345, 19_999, 20_000]) {
    const found: unknown[] = [];
    for await (const batch of source.read(['t'], { row, byte: 0 }, 1000)) {
      assert.equal(batch.start.row, row + found.length);
      found.push(...Array.from(batch.columns[0]!));
    }
    assert.equal(found.length, 20_000 - row);
    if (found.length > 0) assert.equal(found[0], `row ${row % 97}`);
  }
  await source.close();
});

test('a file cut off anywhere is refused when it is opened', async () => {
  const whole = readFileSync(join(FIXTURES, 'types-zstd.parquet'));
  for (const bytes of [5, 100, whole.length >> 1, whole.length - 1]) {
    const path = join(directory, `cut-${bytes}.parquet`);
    writeFileSync(path, whole.subarray(0, bytes));
    await assert.rejects(openParquet(path), {
      code: 'FILE_FORMAT_INVALID',
      message: /not a Parquet footer .* cut off, or still being written/,
    });
  }
});

test('a damaged page names its column and rows, after the rows before it', async () => {
  const bytes = Buffer.from(readFileSync(join(FIXTURES, 'long.parquet')));
  // The second of the three row groups lies in the middle of the file.
  bytes.fill(0xff, Math.floor(bytes.length * 0.45), Math.floor(bytes.length * 0.5));
  const path = join(directory, 'damaged.parquet');
  writeFileSync(path, bytes);
  const source = await openParquet(path);
  let rows = 0;
  await assert.rejects(
    async () => {
      for await (const batch of source.read(['n', 't'], SOURCE_START, 1000)) rows += batch.rowCount;
    },
    { code: 'FILE_FORMAT_INVALID', message: /column "[nt]", rows 8001 to 16000/ },
  );
  assert.equal(rows, 8000);
  await source.close();
});
