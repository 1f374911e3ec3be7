/**
 * Rows of an import that the node refused one by one, while it took their neighbours: too late, in the future.
 *
 * Promises: the first refused row ends the import with the row's place in the file and what may be done; told to skip such
 * rows, it counts them by code and remembers the first of each. Memory does not grow with their number.
 */
import { type ErrorCodeName, MillraceError, type RowRefusal, WriteResult } from '../../client/index.ts';
import { formatCount } from '../format.ts';

interface Tally {
  rows: number;
  /** From 1, as people count rows of a file. */
  firstRow: number;
}

export class Refusals {
  rows = 0;
  private readonly isSkipping: boolean;
  private readonly byCode: Map<ErrorCodeName, Tally> = new Map();

  constructor(isSkipping: boolean) {
    this.isSkipping = isSkipping;
  }

  /** Takes the refused rows of a put whose first row is the file's row `fromRow`, counted from 0; throws for the first. */
  take(refusals: readonly RowRefusal[], fromRow: number): void {
    const [first] = refusals;
    if (first !== undefined && !this.isSkipping) throw refusalOf(first, fromRow);
    for (const { code, row } of refusals) this.count(code, fromRow + row + 1);
  }

  /** One line a code. */
  lines(): string[] {
    return [...this.byCode].map(
      ([code, { rows, firstRow }]) =>
        `${formatCount(rows)} ${rows === 1 ? 'row was' : 'rows were'} refused with ${code}, the first is row ${formatCount(firstRow)}`,
    );
  }

  private count(code: ErrorCodeName, row: number): void {
    this.rows += 1;
    const tally = this.byCode.get(code);
    if (tally === undefined) this.byCode.set(code, { rows: 1, firstRow: row });
    else {
      tally.rows += 1;
      tally.firstRow = Math.min(tally.firstRow, row);
    }
  }
}

/** The result of a put, also where its only row was refused, which the client throws. */
export async function answered(put: Promise<WriteResult>): Promise<WriteResult> {
  try {
    return await put;
  } catch (error) {
    if (error instanceof MillraceError && error.cause instanceof WriteResult) return error.cause;
    throw error;
  }
}

const WAY_OUT: Partial<Record<ErrorCodeName, string>> = {
  TOO_LATE:
    'its event time is older than the group takes; --backfill puts such rows into history, where training reads see them',
};

function refusalOf({ row, code, message }: RowRefusal, fromRow: number): MillraceError {
  return new MillraceError(
    code,
    `row ${fromRow + row + 1}: ${WAY_OUT[code] ?? message}; --skip-refused goes on without the rows that are refused`,
  );
}
