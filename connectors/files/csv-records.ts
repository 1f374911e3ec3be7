/**
 * Finds where CSV records end, and refuses those that a lenient parser would silently bend.
 *
 * Promises: a record ends at a newline outside quotes, wherever the chunks of the file happen to be cut; every record
 * has as many fields as the header; a quote that opens a field closes, and nothing follows it but a delimiter or a line end; all lines end
 * alike. A blank line is no record. So the text handed to the parser is whole and regular.
 *
 * Why beside udsv: given a row with a field too few, udsv takes the next line's first field instead, newline included; with one
 * too many it joins the last two; it drops a short last line. Each is a wrong value without an error. This pass costs 1–2 ns a byte.
 */
import { formatInvalid } from '../connector-error.ts';
import type { RecordScanner } from './text-chunks.ts';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUOTE = 0x22;

/** Where in a record the scan stands. */
const FIELD_START = 0;
const UNQUOTED = 1;
const QUOTED = 2;
/** After a quote inside a quoted field: it closed the field, or the next one makes it a literal quote. */
const QUOTE_SEEN = 3;
/** After a carriage return outside quotes: only a newline may follow. */
const RETURN_SEEN = 4;

export class CsvScanner implements RecordScanner {
  scanned = 0;
  rows = 0;
  private readonly delimiter: number;
  private readonly fieldCount: number;
  private readonly hasReturns: boolean;
  /** Rows of the file before the first record shown, for messages. */
  private readonly firstRow: number;
  private state: number = FIELD_START;
  private fields = 1;
  private pending = 0;
  /** The line so far is nothing but its carriage return. */
  private isBlankReturn = false;

  constructor(o: { delimiter: string; fieldCount: number; hasReturns: boolean; firstRow: number }) {
    this.delimiter = o.delimiter.charCodeAt(0);
    this.fieldCount = o.fieldCount;
    this.hasReturns = o.hasReturns;
    this.firstRow = o.firstRow;
  }

  scan(bytes: Uint8Array, from: number, to: number, rowsMax: number): number {
    const delimiter = this.delimiter;
    let state = this.state;
    let cut = -1;
    for (let i = from; i < to; i++) {
      const byte = bytes[i]!;
      if (state === QUOTED) {
        if (byte === QUOTE) state = QUOTE_SEEN;
      } else if (byte === NEWLINE) {
        this.endRecord(state);
        state = FIELD_START;
        cut = i + 1;
        if (this.pending >= rowsMax) {
          this.state = state;
          this.scanned = cut;
          return this.cutHere(cut);
        }
      } else if (state === RETURN_SEEN) {
        throw formatInvalid(`${this.place()}: a carriage return without a newline after it`);
      } else if (byte === delimiter) {
        this.fields++;
        state = FIELD_START;
      } else if (byte === CARRIAGE_RETURN) {
        state = this.returnAfter(state);
      } else if (state === QUOTE_SEEN) {
        if (byte !== QUOTE)
          throw formatInvalid(`${this.place()}, field ${this.fields}: text after a closing quote`);
        state = QUOTED;
      } else if (state === FIELD_START) {
        state = byte === QUOTE ? QUOTED : UNQUOTED;
      }
    }
    this.state = state;
    this.scanned = to;
    return this.pending === 0 ? -1 : this.cutHere(cut);
  }

  finish(): void {
    if (this.state === QUOTED)
      throw formatInvalid(`${this.place()}: a quote is not closed before the end of the file`);
    if (this.fields === 1 && (this.state === FIELD_START || this.isBlankReturn)) return;
    if (this.state === RETURN_SEEN)
      throw formatInvalid(`${this.place()}: a carriage return without a newline after it`);
    this.checkFields();
    this.rows++;
    this.state = FIELD_START;
    this.fields = 1;
  }

  private endRecord(state: number): void {
    if (this.hasReturns && state !== RETURN_SEEN) {
      throw formatInvalid(`${this.place()} ends with a newline alone, the header with CR LF`);
    }
    const isBlank = this.fields === 1 && (state === FIELD_START || this.isBlankReturn);
    if (!isBlank) {
      this.checkFields();
      this.pending++;
    }
    this.fields = 1;
    this.isBlankReturn = false;
  }

  private returnAfter(state: number): number {
    if (!this.hasReturns)
      throw formatInvalid(`${this.place()} ends with CR LF, the header with a newline alone`);
    this.isBlankReturn = state === FIELD_START && this.fields === 1;
    return RETURN_SEEN;
  }

  private checkFields(): void {
    if (this.fields === this.fieldCount) return;
    throw formatInvalid(
      `${this.place()} has ${this.fields} ${this.fields === 1 ? 'field' : 'fields'}, the header has ${this.fieldCount}`,
    );
  }

  /** The fields of one record that no line end follows: how many columns a header names. */
  countFields(header: Uint8Array): number {
    this.scan(header, 0, header.length, 1);
    if (this.state === QUOTED) throw formatInvalid('the header has a quote that is not closed');
    return this.fields;
  }

  private place(): string {
    return `row ${this.firstRow + this.rows + this.pending + 1}`;
  }

  private cutHere(cut: number): number {
    this.rows += this.pending;
    this.pending = 0;
    return cut;
  }
}
