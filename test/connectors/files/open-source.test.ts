/** What a file is found to be, by content before name, and what is said of one that is nothing we read. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openSource } from '../../../connectors/files/open-source.ts';
import type { SourceFormat } from '../../../connectors/files/source.ts';
import { FIXTURES } from '../fixture-values.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-open-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

async function formatOf(path: string, format?: SourceFormat): Promise<string> {
  const source = await openSource(path, { format });
  await source.close();
  return source.format;
}

function refuses(path: string, code: string, message: RegExp, format?: SourceFormat): Promise<void> {
  return assert.rejects(formatOf(path, format), (error: Error & { code: string }) => {
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(path), error.message);
    return true;
  });
}

test('the content decides, then the name', async () => {
  const disguised = join(directory, 'parquet.csv');
  copyFileSync(join(FIXTURES, 'types-zstd.parquet'), disguised);
  assert.equal(await formatOf(disguised), 'parquet');
  assert.equal(await formatOf(join(FIXTURES, 'types-stream.arrows')), 'arrow');
  assert.equal(await formatOf(file('a.tsv', 'a\tb\n1\t2\n')), 'csv');
  assert.equal(await formatOf(file('a.json', '{"a":1}\n')), 'jsonl');
  assert.equal(await formatOf(file('a.dat', '{"a":1}\n')), 'jsonl');
  assert.equal(await formatOf(file('b.dat', 'a,b\n1,2\n'), 'csv'), 'csv');
});

test('a file that cannot be opened is FILE_UNREADABLE', async () => {
  await refuses(join(directory, 'none.csv'), 'FILE_UNREADABLE', /no such file/);
  mkdirSync(join(directory, 'folder.csv'));
  await refuses(join(directory, 'folder.csv'), 'FILE_UNREADABLE', /is a directory/);
});

test('a file that is not what its name says is FILE_FORMAT_INVALID and told what it looks like', async () => {
  const code = 'FILE_FORMAT_INVALID';
  await refuses(file('empty.csv', ''), code, /is empty/);
  await refuses(
    file('text.parquet', 'a,b\n1,2\n'),
    code,
    /does not begin as a Parquet file: it looks like text.*--format csv/,
  );
  await refuses(file('json.parquet', '{"a":1}\n'), code, /looks like JSON lines.*--format jsonl/);
  await refuses(file('text.arrow', 'a,b\n'), code, /does not begin as an? Arrow file/);
  await refuses(file('b.csv.gz', gzipSync('a,b\n')), code, /gunzip/);
  await refuses(file('u.csv', Buffer.from('\ufeffa,b\n', 'utf16le')), code, /UTF-16/);
  await refuses(file('z.csv', 'PK\x03\x04....'), code, /zip archive or a spreadsheet/);
  await refuses(file('x.csv', Buffer.from([1, 2, 0, 4, 5])), code, /no text/);
  await refuses(file('what.dat', 'a,b\n'), code, /--format/);
  await refuses(file('p.parquet', 'PAR1 and then nothing'), code, /cut off/);
  await refuses(file('f.arrow', 'ARROW1\0\0 and then nothing'), code, /cut off/);
  await refuses(
    join(FIXTURES, 'types-zstd.parquet'),
    code,
    /looks like parquet, not the csv asked for/,
    'csv',
  );
});
