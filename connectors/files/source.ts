/**
 * What every reader of a file gives: its columns, and its rows as batches of columns.
 *
 * Promises of a Source:
 *   S1  Rows come in file order; a batch starts where the last one ended and has at least one row.
 *   S2  `batch.end` is a place to begin again: `read(names, batch.end, …)` gives exactly the rows after the batch.
 *   S3  Memory is bounded by one batch and, for Parquet, one slice of a row group; a file is never read whole.
 *   S4  A null is null. A timestamp is microseconds as a number when the column's type says timestamp. Text stays text:
 *       turning it into the wanted type is convert.ts.
 *   S5  What is wrong with the file is a ConnectorError that names the row (counted from 1) when a row is at fault.
 */
import type { SourceColumn } from './column-type.ts';

export type SourceFormat = 'parquet' | 'csv' | 'jsonl' | 'arrow';

/** A place between two rows. `byte` is where the next record begins in a text file, 0 in the others. */
export interface SourcePosition {
  /** Rows before this place. */
  readonly row: number;
  readonly byte: number;
}

export const SOURCE_START: SourcePosition = { row: 0, byte: 0 };

export interface ColumnBatch {
  readonly start: SourcePosition;
  readonly end: SourcePosition;
  readonly rowCount: number;
  /** One array of `rowCount` values for each name asked for, in that order. */
  readonly columns: readonly ArrayLike<unknown>[];
}

export interface Source {
  readonly format: SourceFormat;
  readonly columns: readonly SourceColumn[];
  /** Rows in the file, where the format says so without reading it. */
  readonly rowCount: number | undefined;
  readonly byteCount: number;
  /** Rows that the column types were inferred from; undefined when the file declares its types. */
  readonly inferredRows: number | undefined;
  /** The named columns from a place on, in batches of at most `rowsMax` rows. */
  read(
    names: readonly string[],
    from: SourcePosition,
    rowsMax: number,
  ): AsyncGenerator<ColumnBatch, void, undefined>;
  close(): Promise<void>;
}

/** How a text file is to be read; each has a default that fits most files. */
export interface SourceOptions {
  readonly format?: SourceFormat | undefined;
  /** CSV: what stands between fields. Default: the first of tab, `|`, `;`, `,` that the header has. */
  readonly delimiter?: string | undefined;
  /** CSV: texts that mean null, beside the empty field. */
  readonly nullTexts?: readonly string[] | undefined;
  /** JSON lines: names beyond the sample's are left out instead of refused. */
  readonly ignoresUnknown?: boolean | undefined;
  /** Text: bytes read at once, TEXT_CHUNK_BYTES by default. */
  readonly chunkBytes?: number | undefined;
}
