/**
 * Reads a text file forward in bounded chunks that end where a record ends.
 *
 * Promises: yields whole records only, in order, with the byte position at which each chunk starts and ends; holds one
 * chunk plus one unfinished record; a record longer than TEXT_RECORD_BYTES_MAX is refused. The bytes are UTF-8 without a byte-order mark
 * by the time they are handed on; anything else is refused with the place.
 *
 * Where a record ends is the scanner's matter: a newline for JSON lines (line-scanner below), a newline outside
 * quotes for CSV (csv-records.ts).
 */
import { isUtf8 } from 'node:buffer';
import type { FileHandle } from 'node:fs/promises';
import { formatInvalid } from '../connector-error.ts';
import { TEXT_CHUNK_BYTES, TEXT_RECORD_BYTES_MAX } from '../limits.ts';
import type { SourcePosition } from './source.ts';

/** Finds the ends of records. It is shown every byte once, in order. */
export interface RecordScanner {
  /**
   * Looks at bytes[from, to), which follow what was shown before, and returns the position after the last record that ends there
   * (and is to be handed on), or -1 when none does. `rowsMax` bounds the records between two cuts.
   */
  scan(bytes: Uint8Array, from: number, to: number, rowsMax: number): number;
  /** Where the scan stopped: `to`, or after the record that made up the number. */
  readonly scanned: number;
  /** Records before the last cut, since the scanner was made. */
  readonly rows: number;
  /** The end of the file: checks that the last record, which no newline ends, is whole. Counts it when it is not empty. */
  finish(bytes: Uint8Array, from: number, to: number): void;
}

export interface TextChunk {
  /** Whole records, the last one's newline included (which only the file's last record may lack). */
  readonly text: string;
  /** Rows before this chunk and after it, as the scanner counts them. */
  readonly startRow: number;
  readonly endRow: number;
  readonly startByte: number;
  readonly endByte: number;
}

/** How much is read at once and handed on at once. */
export interface ChunkSize {
  readonly rowsMax: number;
  readonly bytes?: number | undefined;
}

/** The chunks of a file from `start`, a place where a record begins. */
export async function* readTextChunks(
  file: FileHandle,
  scanner: RecordScanner,
  start: SourcePosition,
  { rowsMax, bytes: chunkBytes = TEXT_CHUNK_BYTES }: ChunkSize,
): AsyncGenerator<TextChunk, void, undefined> {
  let buffer = Buffer.allocUnsafe(chunkBytes * 2);
  let held = 0; // bytes in the buffer
  let scanned = 0; // of which the scanner has seen
  let byte = start.byte; // file position of buffer[0]
  let row = start.row;
  for (;;) {
    if (held === buffer.length) buffer = grown(buffer, row);
    const { bytesRead } = await file.read(
      buffer,
      held,
      Math.min(chunkBytes, buffer.length - held),
      byte + held,
    );
    const isEnd = bytesRead === 0;
    held += bytesRead;
    let cutFrom = 0;
    while (scanned < held) {
      const cut = scanner.scan(buffer, scanned, held, rowsMax);
      scanned = scanner.scanned;
      if (cut < 0) continue;
      const endRow = start.row + scanner.rows;
      yield chunkOf(buffer, cutFrom, cut, byte, row, endRow);
      row = endRow;
      cutFrom = cut;
    }
    if (isEnd) {
      scanner.finish(buffer, cutFrom, held);
      const endRow = start.row + scanner.rows;
      if (endRow > row) yield chunkOf(buffer, cutFrom, held, byte, row, endRow);
      return;
    }
    buffer.copyWithin(0, cutFrom, held);
    held -= cutFrom;
    scanned = held;
    byte += cutFrom;
  }
}

/** A buffer of twice the size with the same content, for a record that fills the old one. */
function grown(buffer: Buffer, row: number): Buffer<ArrayBuffer> {
  if (buffer.length >= TEXT_RECORD_BYTES_MAX) {
    throw formatInvalid(
      `row ${row + 1} is longer than ${TEXT_RECORD_BYTES_MAX} bytes: an unclosed quote or missing line ends?`,
    );
  }
  const larger = Buffer.allocUnsafe(buffer.length * 2);
  buffer.copy(larger);
  return larger;
}

function chunkOf(
  buffer: Buffer,
  from: number,
  to: number,
  byte: number,
  startRow: number,
  endRow: number,
): TextChunk {
  const bytes = buffer.subarray(from, to);
  if (!isUtf8(bytes)) throw formatInvalid(`${rowsText(startRow, endRow)}: the text is not UTF-8`);
  return { text: bytes.toString('utf8'), startRow, endRow, startByte: byte + from, endByte: byte + to };
}

function rowsText(startRow: number, endRow: number): string {
  return endRow - startRow === 1 ? `row ${endRow}` : `in rows ${startRow + 1} to ${endRow}`;
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/** The scanner of JSON lines: a record ends at a newline; a blank line is no record. */
export class LineScanner implements RecordScanner {
  scanned = 0;
  rows = 0;
  private pending = 0; // records since the last cut
  private isBlank = true;

  scan(bytes: Uint8Array, from: number, to: number, rowsMax: number): number {
    let cut = -1;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      if (byte !== NEWLINE) {
        if (byte !== SPACE && byte !== CARRIAGE_RETURN && byte !== TAB) this.isBlank = false;
        continue;
      }
      if (!this.isBlank) this.pending++;
      this.isBlank = true;
      cut = i + 1;
      if (this.pending >= rowsMax) {
        this.scanned = cut;
        return this.cutHere(cut);
      }
    }
    this.scanned = to;
    return this.pending === 0 ? -1 : this.cutHere(cut);
  }

  finish(): void {
    if (!this.isBlank) this.rows++;
    this.isBlank = true;
  }

  private cutHere(cut: number): number {
    this.rows += this.pending;
    this.pending = 0;
    return cut;
  }
}
