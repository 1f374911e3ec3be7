/**
 * Parquet as a Source, by hyparquet: any usual encoding, and Snappy, gzip, Brotli, zstd, LZ4 or no compression.
 *
 * A row group is decoded in slices of at most PARQUET_CELLS_MAX cells, one slice at a time; a batch is a piece of
 * a slice. Timestamps and dates come as microseconds without a Date each; text and bytes are told apart by the column's annotation.
 * Resuming at a row begins with that row's slice; what lies before is not read.
 */
import { type FileHandle, open } from 'node:fs/promises';
import {
  type AsyncBuffer,
  type ColumnData,
  type DecodedArray,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { formatInvalid, messageOf } from '../connector-error.ts';
import { PARQUET_CELLS_MAX } from '../limits.ts';
import type { SourceColumn } from './column-type.ts';
import { completeAnnotations, parquetColumn } from './parquet-types.ts';
import type { ColumnBatch, Source, SourcePosition } from './source.ts';

/** What hyparquet makes of its annotated values: numbers of microseconds, and text. */
const PARSERS = {
  timestampFromMilliseconds: (millis: bigint): number | null =>
    millis == null ? null : Number(millis) * 1000,
  timestampFromMicroseconds: (micros: bigint): number | null => (micros == null ? null : Number(micros)),
  timestampFromNanoseconds: (nanos: bigint): number | null => (nanos == null ? null : Number(nanos / 1000n)),
  dateFromDays: (days: number): number | null => (days == null ? null : days * 86_400_000_000),
};

export async function openParquet(path: string): Promise<Source> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const file = bufferOf(handle, size);
    const metadata = await readMetadata(file);
    completeAnnotations(metadata.schema);
    return new ParquetSource(handle, file, metadata);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Rows [start, end) of the file, which lie in one row group. */
interface Slice {
  readonly start: number;
  readonly end: number;
}

class ParquetSource implements Source {
  readonly format = 'parquet';
  readonly inferredRows: undefined = undefined;
  readonly rowCount: number;
  readonly byteCount: number;
  readonly columns: readonly SourceColumn[];
  private readonly handle: FileHandle;
  private readonly file: AsyncBuffer;
  private readonly metadata: FileMetaData;

  constructor(handle: FileHandle, file: AsyncBuffer, metadata: FileMetaData) {
    this.handle = handle;
    this.file = file;
    this.metadata = metadata;
    this.rowCount = Number(metadata.num_rows);
    this.byteCount = file.byteLength;
    this.columns = parquetSchema(metadata).children.map(parquetColumn);
  }

  async *read(
    names: readonly string[],
    from: SourcePosition,
    rowsMax: number,
  ): AsyncGenerator<ColumnBatch, void, undefined> {
    for (const slice of this.slices(names.length, from.row)) {
      const columns: ArrayLike<unknown>[] = [];
      for (const name of names) columns.push(await this.readColumn(name, slice));
      for (let row = slice.start; row < slice.end; row += rowsMax) {
        const end = Math.min(row + rowsMax, slice.end);
        yield {
          start: { row, byte: 0 },
          end: { row: end, byte: 0 },
          rowCount: end - row,
          columns: columns.map((column) => piece(column, row - slice.start, end - slice.start)),
        };
      }
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private *slices(columnCount: number, fromRow: number): Generator<Slice> {
    const rowsMax = Math.max(1, Math.floor(PARQUET_CELLS_MAX / Math.max(columnCount, 1)));
    let groupStart = 0;
    for (const group of this.metadata.row_groups) {
      const groupEnd = groupStart + Number(group.num_rows);
      for (let start = Math.max(groupStart, fromRow); start < groupEnd; start += rowsMax) {
        yield { start, end: Math.min(start + rowsMax, groupEnd) };
      }
      groupStart = groupEnd;
    }
  }

  /** One column of a slice, whole pages copied together only where a slice holds several. */
  private async readColumn(name: string, slice: Slice): Promise<ArrayLike<unknown>> {
    const chunks: ColumnData[] = [];
    try {
      await parquetRead({
        file: this.file,
        metadata: this.metadata,
        columns: [name],
        rowStart: slice.start,
        rowEnd: slice.end,
        compressors,
        parsers: PARSERS,
        utf8: false,
        onChunk: (chunk) => chunks.push(chunk),
      });
    } catch (error) {
      throw formatInvalid(
        `column ${JSON.stringify(name)}, rows ${slice.start + 1} to ${slice.end}: ${messageOf(error)}`,
        error,
      );
    }
    return join(chunks, slice, name);
  }
}

function join(chunks: readonly ColumnData[], slice: Slice, name: string): ArrayLike<unknown> {
  const rowCount = slice.end - slice.start;
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined && only.rowStart <= slice.start && only.rowEnd >= slice.end) {
    return piece(only.columnData, slice.start - only.rowStart, slice.end - only.rowStart);
  }
  const joined: unknown[] = [];
  for (const { columnData, rowStart, rowEnd } of chunks) {
    if (rowStart > slice.start + joined.length) break;
    const from = Math.max(slice.start, rowStart) - rowStart;
    const to = Math.min(slice.end, rowEnd) - rowStart;
    for (let i = from; i < to; i++) joined.push(columnData[i]);
  }
  if (joined.length !== rowCount) {
    throw formatInvalid(
      `column ${JSON.stringify(name)} holds ${joined.length} of the rows ${slice.start + 1} to ${slice.end}`,
    );
  }
  return joined;
}

function piece(column: ArrayLike<unknown>, from: number, to: number): ArrayLike<unknown> {
  if (from === 0 && to === column.length) return column;
  return (column as DecodedArray).slice(from, to);
}

async function readMetadata(file: AsyncBuffer): Promise<FileMetaData> {
  try {
    return await parquetMetadataAsync(file, { parsers: PARSERS, geoparquet: false });
  } catch (error) {
    throw formatInvalid(
      `begins as Parquet, but its end is not a Parquet footer (${messageOf(error)}): cut off, or still being written?`,
      error,
    );
  }
}

/** Positioned reads of one open file: a file replaced during the import goes on being read as it was. */
function bufferOf(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const from = start < 0 ? Math.max(byteLength + start, 0) : start;
      const bytes = new Uint8Array(Math.max(Math.min(end, byteLength) - from, 0));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from + filled);
        if (bytesRead === 0) throw new Error(`the file ends at byte ${from + filled}`);
        filled += bytesRead;
      }
      return bytes.buffer;
    },
  };
}
