/**
 * Finds where CSV records end, and refuses those that a lenient parser would silently bend.
 *
 * Promises: a record ends at a newline outside quotes, wherever the chunks of the file happen to be cut; every record
 * has as many fields as the header; a quote that opens a field closes, and nothing follows it but a delimiter or a line end; all lines end
 * alike. A blank line is no record. So the text handed to the parser is whole and regular.
 *
 * Why beside udsv: given a row with a field too few, udsv takes the next line's first field instead, newline included; with one
 * too many it joins the last two; it drops a short last line. Each is a wrong value without an error. This pass costs 1–3 ns a byte.
 */
import { formatInvalid } from '../connector-error.ts';
import type { RecordScanner } from './text-chunks.ts';

/** What a byte may mean, as a table of 256: nearly all of them mean nothing, which one look tells. */
const ORDINARY = 0;
const ENDS_LINE = 1;
const RETURNS = 2;
const QUOTES = 3;
const DELIMITS = 4;

function kindsOf(delimiter: string): Uint8Array {
  const kinds = new Uint8Array(256);
  kinds[0x0a] = ENDS_LINE;
  kinds[0x0d] = RETURNS;
  kinds[0x22] = QUOTES;
  kinds[delimiter.charCodeAt(0)] = DELIMITS;
  return kinds;
}

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
  private readonly kinds: Uint8Array;
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
    this.kinds = kindsOf(o.delimiter);
    this.fieldCount = o.fieldCount;
    this.hasReturns = o.hasReturns;
    this.firstRow = o.firstRow;
  }

  scan(bytes: Uint8Array, from: number, to: number, rowsMax: number): number {
    const { kinds } = this;
    let state = this.state;
    let cut = -1;
    for (let i = from; i < to; i++) {
      const kind = kinds[bytes[i]!]!;
      if (kind === ORDINARY) {
        if (state === FIELD_START) state = UNQUOTED;
        else if (state >= QUOTE_SEEN) this.refuseAfter(state);
      } else if (state === QUOTED) {
        if (kind === QUOTES) state = QUOTE_SEEN;
      } else if (kind === ENDS_LINE) {
        this.endRecord(state);
        state = FIELD_START;
        cut = i + 1;
        if (this.pending >= rowsMax) {
          this.state = state;
          this.scanned = cut;
          return this.cutHere(cut);
        }
      } else if (state === RETURN_SEEN) {
        this.refuseAfter(state);
      } else if (kind === DELIMITS) {
        this.fields++;
        state = FIELD_START;
      } else if (kind === RETURNS) {
        state = this.returnAfter(state);
      } else if (state !== UNQUOTED) {
        // A quote: it opens a field, or the one just seen was the first of a doubled one.
        state = QUOTED;
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

  /** What may not come after a closing quote or a carriage return has come. */
  private refuseAfter(state: number): never {
    if (state === QUOTE_SEEN)
      throw formatInvalid(`${this.place()}, field ${this.fields}: text after a closing quote`);
    throw formatInvalid(`${this.place()}: a carriage return without a newline after it`);
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
