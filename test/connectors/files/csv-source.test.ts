/**
 * CSV: fields, quotes across chunks, line ends, and everything that is refused instead of bent.
 * The random test writes rows with a writer of its own and cuts the file into chunks of random sizes.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openCsv } from '../../../connectors/files/csv-source.ts';
import { type ColumnBatch, SOURCE_START, type SourceOptions } from '../../../connectors/files/source.ts';
import { SeededRandom, testSeed } from '../../support/random-source.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-csv-'));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

function fileWith(content: string | Uint8Array): string {
  const path = join(directory, `${files++}.csv`);
  writeFileSync(path, content);
  return path;
}

interface Read {
  names: string[];
  rows: unknown[][];
  batches: ColumnBatch[];
}

async function read(
  content: string | Uint8Array,
  options: SourceOptions = {},
  rowsMax = 1000,
): Promise<Read> {
  const source = await openCsv(fileWith(content), options);
  try {
    const names = source.columns.map((column) => column.name);
    const rows: unknown[][] = [];
    const batches: ColumnBatch[] = [];
    for await (const batch of source.read(names, SOURCE_START, rowsMax)) {
      batches.push(batch);
      for (let i = 0; i < batch.rowCount; i++) rows.push(batch.columns.map((column) => column[i]));
    }
    return { names, rows, batches };
  } finally {
    await source.close();
  }
}

function refuses(content: string | Uint8Array, message: RegExp, options: SourceOptions = {}): Promise<void> {
  return assert.rejects(read(content, options), { code: 'FILE_FORMAT_INVALID', message });
}

test('fields are text, empty ones null, with and without a last newline', async () => {
  for (const end of ['', '\n']) {
    const { names, rows } = await read(`a,b,c\n1,,x\n,2,""${end}`);
    assert.deepEqual(names, ['a', 'b', 'c']);
    assert.deepEqual(rows, [
      ['1', null, 'x'],
      [null, '2', null],
    ]);
  }
});

test('quoted fields hold delimiters, newlines and doubled quotes', async () => {
  const { rows } = await read('a,b\n"x,""y""","line\nline"\n"",z"q\n');
  assert.deepEqual(rows, [
    ['x,"y"', 'line\nline'],
    [null, 'z"q'],
  ]);
});

test('CR LF, a byte-order mark and blank lines are taken as what they are', async () => {
  const { names, rows } = await read('\ufeffa,b\r\n1,2\r\n\r\n"3\r\n",4\r\n\r\n');
  assert.deepEqual(names, ['a', 'b']);
  assert.deepEqual(rows, [
    ['1', '2'],
    ['3\r\n', '4'],
  ]);
});

test('a single column may have blank lines and quotes', async () => {
  assert.deepEqual((await read('a\nx\n\ny\n')).rows, [['x'], ['y']]);
  assert.deepEqual((await read('a\n"x"\n\n"y"')).rows, [['x'], ['y']]);
  assert.deepEqual((await read('a\n""\nx\n')).rows, [[null], ['x']]);
});

test('the delimiter comes from the header or from the option', async () => {
  for (const delimiter of ['\t', '|', ';', ',']) {
    assert.deepEqual((await read(`a${delimiter}b\n1${delimiter}2\n`)).rows, [['1', '2']]);
  }
  assert.deepEqual((await read('a:b\n1:2\n', { delimiter: ':' })).rows, [['1', '2']]);
});

test('texts named as null are null', async () => {
  assert.deepEqual((await read('a,b\nNA,-\n', { nullTexts: ['NA', '-'] })).rows, [[null, null]]);
});

test('a header alone has no rows', async () => {
  assert.deepEqual((await read('a,b\n')).rows, []);
  assert.deepEqual((await read('a,b')).rows, []);
});

test('a row with a field too few or too many is refused by its number', async () => {
  await refuses('a,b,c\n1,2,3\n4,5\n6,7,8\n', /row 2 has 2 fields, the header has 3/);
  await refuses('a,b,c\n1,2,3,4\n', /row 1 has 4 fields, the header has 3/);
  await refuses('a,b,c\n1,2,3\n4,5', /row 2 has 2 fields/);
  await refuses('a,b,c\n"1",2\n3,4,5\n', /row 1 has 2 fields/);
});

test('quotes and line ends that do not add up are refused by the row', async () => {
  await refuses('a,b\n1,2\n"3,4\n', /row 2: a quote is not closed/);
  await refuses('a,b\n"1"x,2\n', /row 1, field 1: text after a closing quote/);
  await refuses('a,b\n1,2\r\n', /row 1 ends with CR LF/);
  await refuses('a,b\r\n1,2\n', /row 1 ends with a newline alone/);
  await refuses('a,b\r\n1\rx,2\r\n', /row 1: a carriage return without a newline/);
  await refuses('a,b\r1,2\r', /carriage return alone/);
});

test('a header without a name, or with one twice, is refused', async () => {
  await refuses('a,,c\n', /field 2/);
  await refuses('a,b,a\n', /"a" twice/);
  await refuses('"a\n1,2\n', /quote/);
});

test('bytes that are not UTF-8 are refused', async () => {
  await refuses(Buffer.from([0x61, 0x0a, 0xff, 0x0a]), /row 1: the text is not UTF-8/);
});

test('a record without an end is refused, not held for ever', async () => {
  await refuses(`a\n"${'x'.repeat(17 * 1024 * 1024)}`, /row 1 is longer than/);
});

test('reading again from the end of any batch gives exactly the rows after it', async () => {
  const content = `n,t\n${Array.from({ length: 95 }, (_, i) => `${i},"t\n${i}"`).join('\n')}`;
  const path = fileWith(content);
  const source = await openCsv(path, { chunkBytes: 64 });
  const ends = [];
  for await (const batch of source.read(['n'], SOURCE_START, 10)) ends.push(batch.end);
  assert.equal(ends.at(-1)?.row, 95);
  for (const end of ends) {
    const rest: unknown[] = [];
    for await (const batch of source.read(['n'], end, 10)) rest.push(...Array.from(batch.columns[0]!));
    assert.deepEqual(
      rest.map(Number),
      Array.from({ length: 95 - end.row }, (_, i) => end.row + i),
    );
  }
  await source.close();
});

test('any cut into chunks gives the rows that were written', async () => {
  const seed = testSeed();
  const random = new SeededRandom(seed);
  const alphabet = ['a', 'Z', '0', ' ', ',', '"', '\n', '\r\n', 'é', '🛫', "'", ';'];
  for (let round = 0; round < 60; round++) {
    const columns = 1 + random.below(4);
    const newline = random.chance(0.5) ? '\n' : '\r\n';
    const rows = Array.from({ length: 1 + random.below(40) }, () =>
      Array.from({ length: columns }, () => {
        const length = random.below(8);
        return Array.from({ length }, () => alphabet[random.below(alphabet.length)]).join('');
      }),
    );
    const lines = rows.map((row) => row.map((field) => written(field, random)).join(','));
    const header = Array.from({ length: columns }, (_, i) => `c${i}`).join(',');
    const content = [header, ...lines].join(newline) + (random.chance(0.5) ? newline : '');
    const { rows: found } = await read(
      content,
      { delimiter: ',', chunkBytes: 1 + random.below(30) },
      1 + random.below(10),
    );
    const expected = rows.map((row) => row.map((field) => (field === '' ? null : field)));
    assert.deepEqual(found, expected, `seed ${seed}, round ${round}, ${JSON.stringify(content)}`);
  }
});

/** A field as a writer may write it: quoted when it must be, and sometimes when it need not. */
function written(field: string, random: SeededRandom): string {
  const mustQuote = field === '' || /[",\r\n]/.test(field);
  return mustQuote || random.chance(0.3) ? `"${field.replaceAll('"', '""')}"` : field;
}
