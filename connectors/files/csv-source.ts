/**
 * CSV, and its relatives with tabs, semicolons or bars, as a Source.
 *
 * The first line names the columns. Fields are text, null where empty (quoted or not: most writers do not tell the two
 * apart) or where they equal one of `nullTexts`; types are inferred from a sample (infer.ts). The file is read in chunks of whole records
 * (text-chunks.ts, csv-records.ts), and udsv splits a chunk's records into fields.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { initParser, type Parser, type Schema } from 'udsv';
import { formatInvalid } from '../connector-error.ts';
import { INFERENCE_BYTES_MAX, INFERENCE_ROWS, TEXT_CHUNK_BYTES } from '../limits.ts';
import type { SourceColumn } from './column-type.ts';
import { CsvScanner } from './csv-records.ts';
import { inferTextColumns } from './infer.ts';
import type { ColumnBatch, Source, SourceOptions, SourcePosition } from './source.ts';
import { type ChunkSize, readTextChunks, type TextChunk } from './text-chunks.ts';

/** How the header says the rest is written. */
interface Dialect {
  readonly names: readonly string[];
  readonly delimiter: string;
  readonly hasReturns: boolean;
  /** Where the first record begins. */
  readonly headerEnd: number;
}

export async function openCsv(path: string, options: SourceOptions): Promise<Source> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const dialect = await readHeader(file, options.delimiter);
    const rows = await readSample(file, dialect, options);
    return new CsvSource(file, size, dialect, inferTextColumns(dialect.names, rows), rows.length, options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

class CsvSource implements Source {
  readonly format = 'csv';
  readonly rowCount: undefined = undefined;
  readonly byteCount: number;
  readonly columns: readonly SourceColumn[];
  readonly inferredRows: number;
  private readonly file: FileHandle;
  private readonly dialect: Dialect;
  private readonly options: SourceOptions;

  constructor(
    file: FileHandle,
    byteCount: number,
    dialect: Dialect,
    columns: readonly SourceColumn[],
    inferredRows: number,
    options: SourceOptions,
  ) {
    this.file = file;
    this.byteCount = byteCount;
    this.dialect = dialect;
    this.columns = columns;
    this.inferredRows = inferredRows;
    this.options = options;
  }

  async *read(
    names: readonly string[],
    from: SourcePosition,
    rowsMax: number,
  ): AsyncGenerator<ColumnBatch, void, undefined> {
    const { dialect } = this;
    const indexes = names.map((name) => dialect.names.indexOf(name));
    const fields = new FieldReader(dialect, this.options.nullTexts);
    const start = { row: from.row, byte: Math.max(from.byte, dialect.headerEnd) };
    for await (const chunk of chunksOf(this.file, dialect, start, {
      rowsMax,
      bytes: this.options.chunkBytes,
    })) {
      const columns = indexes.map(() => [] as (string | null)[]);
      fields.each(chunk, (row) => {
        for (let i = 0; i < indexes.length; i++) columns[i]!.push(row[indexes[i]!]!);
      });
      yield {
        start: { row: chunk.startRow, byte: chunk.startByte },
        end: { row: chunk.endRow, byte: chunk.endByte },
        rowCount: chunk.endRow - chunk.startRow,
        columns,
      };
    }
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

function chunksOf(
  file: FileHandle,
  dialect: Dialect,
  start: SourcePosition,
  size: ChunkSize,
): AsyncGenerator<TextChunk, void, undefined> {
  const scanner = new CsvScanner({
    delimiter: dialect.delimiter,
    fieldCount: dialect.names.length,
    hasReturns: dialect.hasReturns,
    firstRow: start.row,
  });
  return readTextChunks(file, scanner, start, size);
}

async function readSample(
  file: FileHandle,
  dialect: Dialect,
  options: SourceOptions,
): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  const fields = new FieldReader(dialect, options.nullTexts);
  const start = { row: 0, byte: dialect.headerEnd };
  for await (const chunk of chunksOf(file, dialect, start, {
    rowsMax: INFERENCE_ROWS,
    bytes: options.chunkBytes,
  })) {
    fields.each(chunk, (row) => {
      if (rows.length < INFERENCE_ROWS) rows.push(row);
    });
    if (rows.length >= INFERENCE_ROWS || chunk.endByte > INFERENCE_BYTES_MAX) break;
  }
  return rows;
}

/** Splits whole records into fields: udsv with nothing left for it to guess. */
class FieldReader {
  private readonly quoted: Parser;
  private readonly plain: Parser;
  private readonly nulls: ReadonlySet<string>;
  private readonly isSingle: boolean;
  private readonly newline: string;

  constructor(
    dialect: Pick<Dialect, 'names' | 'delimiter' | 'hasReturns'>,
    nullTexts: readonly string[] = [],
  ) {
    this.quoted = parserOf(dialect, '"');
    this.plain = parserOf(dialect, '');
    this.nulls = new Set(['', ...nullTexts]);
    this.isSingle = dialect.names.length === 1;
    this.newline = newlineOf(dialect);
  }

  each(chunk: TextChunk, visit: (row: (string | null)[]) => void): void {
    const expected = chunk.endRow - chunk.startRow;
    const { nulls } = this;
    let rows = 0;
    const take = (row: string[]): boolean => {
      const fields = row as (string | null)[];
      for (let i = 0; i < fields.length; i++) if (nulls.has(fields[i]!)) fields[i] = null;
      visit(fields);
      return ++rows < expected;
    };
    if (this.isSingle) eachSingleField(chunk.text, this.newline, take);
    else if (chunk.text.includes('"')) this.quoted.stringArrs(chunk.text, take);
    else this.plain.stringArrs(chunk.text, take);
    if (rows !== expected) {
      throw formatInvalid(
        `rows ${chunk.startRow + 1} to ${chunk.endRow}: ${rows} could be split into fields`,
      );
    }
  }
}

/** The records of a file of one column, which udsv takes for blank lines when they are quoted. */
function eachSingleField(text: string, newline: string, take: (row: string[]) => boolean): void {
  for (let at = 0; at < text.length; ) {
    let end: number;
    let field: string;
    if (text[at] === '"') {
      end = closingQuote(text, at + 1) + 1;
      field = text.slice(at + 1, end - 1).replaceAll('""', '"');
    } else {
      end = text.indexOf(newline, at);
      if (end < 0) end = text.length;
      field = text.slice(at, end);
      if (field === '') {
        at = end + newline.length;
        continue;
      }
    }
    if (!take([field])) return;
    at = end + newline.length;
  }
}

/** The first quote from `at` on that no other follows; the scanner has seen that there is one. */
function closingQuote(text: string, at: number): number {
  let quote = text.indexOf('"', at);
  while (text[quote + 1] === '"') quote = text.indexOf('"', quote + 2);
  return quote;
}

function newlineOf(dialect: Pick<Dialect, 'hasReturns'>): string {
  return dialect.hasReturns ? '\r\n' : '\n';
}

function parserOf(dialect: Pick<Dialect, 'names' | 'delimiter' | 'hasReturns'>, quote: string): Parser {
  const schema: Schema & { skip: number } = {
    skip: 0,
    col: dialect.delimiter,
    row: newlineOf(dialect),
    encl: quote,
    esc: quote,
    trim: false,
    cols: dialect.names.map((name) => ({
      name,
      type: 's',
      repl: { empty: undefined, null: undefined, NaN: undefined },
    })),
  };
  return initParser(schema);
}

const DELIMITERS = ['\t', '|', ';', ','];
const BYTE_ORDER_MARK_BYTES = 3;

/** Reads the first line, which ends at the first newline that an even number of quotes precedes. */
async function readHeader(file: FileHandle, delimiter: string | undefined): Promise<Dialect> {
  const bytes = Buffer.alloc(TEXT_CHUNK_BYTES);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  const from = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? BYTE_ORDER_MARK_BYTES : 0;
  let end = from;
  for (let quotes = 0; end < bytesRead; end++) {
    if (bytes[end] === 0x22) quotes++;
    else if (bytes[end] === 0x0a && quotes % 2 === 0) break;
  }
  if (end === bytes.length)
    throw formatInvalid(`the header is longer than ${bytes.length} bytes: is this CSV?`);
  const hasReturns = bytes[end - 1] === 0x0d && end < bytesRead;
  const line = bytes.toString('utf8', from, hasReturns ? end - 1 : end);
  if (line.includes('\r') && !line.includes('"')) {
    throw formatInvalid(
      'lines that end with a carriage return alone are not supported: convert the line ends first',
    );
  }
  const used = delimiter ?? DELIMITERS.find((candidate) => line.includes(candidate)) ?? ',';
  const names = fieldsOfLine(line, used);
  checkNames(names);
  return { names, delimiter: used, hasReturns, headerEnd: Math.min(end + 1, bytesRead) };
}

function fieldsOfLine(line: string, delimiter: string): string[] {
  const scanner = new CsvScanner({ delimiter, fieldCount: 0, hasReturns: false, firstRow: -1 });
  const unnamed = new Array<string>(scanner.countFields(Buffer.from(line))).fill('');
  const reader = new FieldReader({ names: unnamed, delimiter, hasReturns: false });
  const names: string[] = [];
  reader.each({ text: line, startRow: 0, endRow: 1, startByte: 0, endByte: 0 }, (row) => {
    for (const name of row) names.push((name ?? '').trim());
  });
  return names;
}

function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  names.forEach((name, index) => {
    if (name === '') throw formatInvalid(`the header names no column in field ${index + 1}`);
    if (seen.has(name)) throw formatInvalid(`the header names the column ${JSON.stringify(name)} twice`);
    seen.add(name);
  });
}
