/**
 * JSON lines as a Source: one object a line.
 *
 * A name that a line lacks is null there. The columns are the names in the sample (infer.ts); a name that comes up only later
 * would be lost silently, so it is an error unless the import names its columns. Integers beyond 2^53 lose digits
 * in JSON.parse: convert.ts refuses them.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { formatInvalid, messageOf } from '../connector-error.ts';
import { INFERENCE_BYTES_MAX, INFERENCE_ROWS } from '../limits.ts';
import type { SourceColumn } from './column-type.ts';
import { inferJsonColumns } from './infer.ts';
import {
  type ColumnBatch,
  SOURCE_START,
  type Source,
  type SourceOptions,
  type SourcePosition,
} from './source.ts';
import { LineScanner, readTextChunks, type TextChunk } from './text-chunks.ts';

type JsonRow = Readonly<Record<string, unknown>>;

export async function openJsonLines(path: string, options: SourceOptions): Promise<Source> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const rows = await readSample(file, options);
    return new JsonLinesSource(file, size, inferJsonColumns(rows), rows.length, options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

class JsonLinesSource implements Source {
  readonly format = 'jsonl';
  readonly rowCount: undefined = undefined;
  readonly byteCount: number;
  readonly columns: readonly SourceColumn[];
  readonly inferredRows: number;
  private readonly file: FileHandle;
  private readonly chunkBytes: number | undefined;
  private readonly ignoresUnknown: boolean;

  constructor(
    file: FileHandle,
    byteCount: number,
    columns: readonly SourceColumn[],
    inferredRows: number,
    options: SourceOptions,
  ) {
    this.file = file;
    this.byteCount = byteCount;
    this.columns = columns;
    this.inferredRows = inferredRows;
    this.chunkBytes = options.chunkBytes;
    this.ignoresUnknown = options.ignoresUnknown ?? false;
  }

  async *read(
    names: readonly string[],
    from: SourcePosition,
    rowsMax: number,
  ): AsyncGenerator<ColumnBatch, void, undefined> {
    const known = new Set([...this.columns.map((column) => column.name), ...names]);
    for await (const chunk of readTextChunks(this.file, new LineScanner(), from, {
      rowsMax,
      bytes: this.chunkBytes,
    })) {
      const columns = names.map(() => [] as unknown[]);
      let row = chunk.startRow;
      for (const line of linesOf(chunk)) {
        const object = parseLine(line, ++row);
        if (!this.ignoresUnknown) checkNames(object, known, row, this.inferredRows);
        for (let i = 0; i < names.length; i++) columns[i]!.push(object[names[i]!] ?? null);
      }
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

async function readSample(file: FileHandle, options: SourceOptions): Promise<JsonRow[]> {
  const rows: JsonRow[] = [];
  for await (const chunk of readTextChunks(file, new LineScanner(), SOURCE_START, {
    rowsMax: INFERENCE_ROWS,
    bytes: options.chunkBytes,
  })) {
    for (const line of linesOf(chunk)) {
      if (rows.length < INFERENCE_ROWS) rows.push(parseLine(line, rows.length + 1));
    }
    if (rows.length >= INFERENCE_ROWS || chunk.endByte > INFERENCE_BYTES_MAX) break;
  }
  return rows;
}

/** The lines of a chunk that are not blank: as many as it has rows. */
function linesOf(chunk: TextChunk): string[] {
  return chunk.text.split('\n').filter((line) => !BLANK.test(line));
}

/** What LineScanner takes for no record. */
const BLANK = /^[ \t\r]*$/;

const BYTE_ORDER_MARK = '\ufeff';

function parseLine(line: string, row: number): JsonRow {
  let value: unknown;
  try {
    value = JSON.parse(line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line);
  } catch (error) {
    if (row === 1 && line.trimStart().startsWith('[')) throw jsonArray();
    throw formatInvalid(`row ${row} is not JSON: ${messageOf(error)}`, error);
  }
  if (row === 1 && Array.isArray(value)) throw jsonArray();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw formatInvalid(`row ${row} is not a JSON object: one object a line is`);
  }
  return value as JsonRow;
}

function jsonArray(): Error {
  return formatInvalid(
    'the file is one JSON array, not one object a line: `jq -c ".[]" FILE` makes JSON lines of it',
  );
}

function checkNames(object: JsonRow, known: ReadonlySet<string>, row: number, inferredRows: number): void {
  for (const name in object) {
    if (known.has(name) || object[name] === null) continue;
    throw formatInvalid(
      `row ${row} has a column ${JSON.stringify(name)} that the first ${inferredRows} rows lack: ` +
        'name it with --schema to store it, or name the columns wanted with --columns',
    );
  }
}
