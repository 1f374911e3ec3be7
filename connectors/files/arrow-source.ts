/**
 * Arrow IPC as a Source: the file format, which has a footer, and the stream format, which has none. Feather (version 2) is the first.
 *
 * One record batch is held at a time and handed on in pieces. Buffers may be compressed with LZ4 or zstd. Resuming reads
 * the record batches before the place again, without converting them.
 */
import { type FileHandle, open } from 'node:fs/promises';
import {
  CompressionType,
  compressionRegistry,
  type RecordBatch,
  RecordBatchReader,
  type Schema,
  type Vector,
} from 'apache-arrow';
import { decompressZstd } from 'hyparquet-compressors';
import { formatInvalid, messageOf } from '../connector-error.ts';
import { arrowColumn, arrowValues } from './arrow-types.ts';
import type { SourceColumn } from './column-type.ts';
import { decodeLz4Frame } from './lz4-frame.ts';
import type { ColumnBatch, Source, SourcePosition } from './source.ts';

export async function openArrow(path: string): Promise<Source> {
  registerCodecs();
  const reader = await openReader(path);
  try {
    const schema = reader.schema as Schema;
    const { size } = await reader.handle.stat();
    return new ArrowSource(path, size, schema.fields.map(arrowColumn));
  } finally {
    await reader.close();
  }
}

class ArrowSource implements Source {
  readonly format = 'arrow';
  readonly rowCount: undefined = undefined;
  readonly inferredRows: undefined = undefined;
  readonly byteCount: number;
  readonly columns: readonly SourceColumn[];
  private readonly path: string;

  constructor(path: string, byteCount: number, columns: readonly SourceColumn[]) {
    this.path = path;
    this.byteCount = byteCount;
    this.columns = columns;
  }

  async *read(
    names: readonly string[],
    from: SourcePosition,
    rowsMax: number,
  ): AsyncGenerator<ColumnBatch, void, undefined> {
    const reader = await openReader(this.path);
    try {
      let batchStart = 0;
      for (;;) {
        const batch = await reader.next(batchStart);
        if (batch === null) return;
        const batchEnd = batchStart + batch.numRows;
        const start = Math.max(batchStart, from.row);
        if (start < batchEnd) yield* pieces(batch, names, batchStart, start, rowsMax);
        batchStart = batchEnd;
      }
    } finally {
      await reader.close();
    }
  }

  async close(): Promise<void> {}
}

/** The rows of a record batch from `start` on, both counted from the file's first row. */
function* pieces(
  batch: RecordBatch,
  names: readonly string[],
  batchStart: number,
  start: number,
  rowsMax: number,
): Generator<ColumnBatch> {
  const batchEnd = batchStart + batch.numRows;
  for (let row = start; row < batchEnd; row += rowsMax) {
    const end = Math.min(row + rowsMax, batchEnd);
    yield {
      start: { row, byte: 0 },
      end: { row: end, byte: 0 },
      rowCount: end - row,
      columns: names.map((name) => {
        const vector = batch.getChild(name) as Vector;
        return arrowValues(vector.slice(row - batchStart, end - batchStart));
      }),
    };
  }
}

/** An open reader with the errors of apache-arrow made ours. */
interface OpenReader {
  readonly handle: FileHandle;
  readonly schema: Schema;
  /** The next record batch, which begins at `row`; null at the end. */
  next(row: number): Promise<RecordBatch | null>;
  close(): Promise<void>;
}

async function openReader(path: string): Promise<OpenReader> {
  const handle = await open(path, 'r');
  try {
    const reader = await RecordBatchReader.from(handle);
    await reader.open({ autoDestroy: false });
    return {
      handle,
      schema: reader.schema,
      async next(row) {
        try {
          const result = await reader.next();
          return result.done === true ? null : (result.value as RecordBatch);
        } catch (error) {
          throw formatInvalid(
            `the record batch at row ${row + 1} cannot be read: ${messageOf(error)}`,
            error,
          );
        }
      },
      async close() {
        await reader.cancel();
        await handle.close().catch(() => {});
      },
    };
  } catch (error) {
    await handle.close();
    throw formatInvalid(
      `not a whole Arrow file or stream (${messageOf(error)}): cut off, or still being written?`,
      error,
    );
  }
}

let areCodecsRegistered = false;

/** The registry is apache-arrow's own and global to the process; registering again would change nothing. */
function registerCodecs(): void {
  if (areCodecsRegistered) return;
  areCodecsRegistered = true;
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (bytes) => aligned(decodeLz4Frame(bytes)) });
  compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => aligned(decompressZstd(bytes)) });
}

/** The bytes at an offset that a typed array of 8-byte items may begin at. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
}
