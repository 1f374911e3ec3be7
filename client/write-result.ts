/**
 * What became of the rows of one write call, row by row.
 *
 * I1  A result stands for acknowledged rows only: each was written and is durable, or was refused for a reason of its own.
 *     A call of which not every row was answered rejects instead.
 */
import {
  type ErrorCodeName,
  errorName,
  RESULT_APPLIED,
  RESULT_HISTORY,
  RESULT_REFUSED_MIN,
  RESULT_SUPERSEDED,
  type WriteResponse,
} from '../protocol/index.ts';
import { MillraceError } from './errors.ts';
import type { Pick } from './keyed-operation.ts';

/**
 * applied: the row is the latest of its key. superseded: a newer event was there; this one is kept as history.
 * history: it was backfilled, so it is history whatever was there. refused: it was not written.
 */
export type RowStatus = 'applied' | 'superseded' | 'history' | 'refused';

/** Why a row was not written. */
export interface RowRefusal {
  /** The row's place in the call. */
  readonly row: number;
  readonly code: ErrorCodeName;
  readonly message: string;
}

/** What a put, patch or delete did. */
export class WriteResult {
  /** Rows given. */
  readonly rows: number;
  /** Rows that are the latest of their key now. */
  readonly applied: number;
  /** Rows that came late: a newer event is there. They are kept as history and seen by training reads only. */
  readonly superseded: number;
  /** Backfilled rows: history, as asked. */
  readonly history: number;
  /** Rows that were not written; `refusals` says why. */
  readonly refused: number;
  /** Each row's LSN, which is what `ifVersion` takes, in the order given, 0 where refused; null unless asked for. */
  readonly lsns: Float64Array | null;
  readonly #results: Uint8Array;
  #refusals: readonly RowRefusal[] | null = null;

  constructor(results: Uint8Array, lsns: Float64Array | null) {
    const counts = [0, 0, 0, 0];
    for (let row = 0; row < results.length; row++) counts[Math.min(results[row]!, 3)]! += 1;
    this.rows = results.length;
    this.applied = counts[RESULT_APPLIED]!;
    this.superseded = counts[RESULT_SUPERSEDED]!;
    this.history = counts[RESULT_HISTORY]!;
    this.refused = counts[3]!;
    this.lsns = lsns;
    this.#results = results;
  }

  /** What became of the row at this place of the call. */
  status(row: number): RowStatus {
    const result = this.#results[row];
    if (result === undefined) throw new MillraceError('USAGE', `row ${row} is none of the ${this.rows}`);
    return STATUS_OF_RESULT[result] ?? 'refused';
  }

  /** The rows that were not written, in the order given. */
  get refusals(): readonly RowRefusal[] {
    this.#refusals ??= this.refused === 0 ? [] : refusalsOf(this.#results);
    return this.#refusals;
  }
}

const STATUS_OF_RESULT: readonly RowStatus[] = ['applied', 'superseded', 'history'];

/** Collects the results of one write call, over all of its requests. */
export class WriteTally {
  readonly rows: number;
  acknowledged = 0;
  private readonly results: Uint8Array;
  private readonly lsns: Float64Array | null;

  constructor(rows: number, withLsns: boolean) {
    this.rows = rows;
    this.results = new Uint8Array(rows);
    this.lsns = withLsns ? new Float64Array(rows) : null;
  }

  /** Adds a request's answer; its row i is the call's row base + pick[i]. */
  add(response: WriteResponse, base: number, pick: Pick): void {
    const { results, lsns } = response;
    this.acknowledged += results.length;
    for (let i = 0; i < results.length; i++) {
      const row = base + (pick === null ? i : pick[i]!);
      this.results[row] = results[i]!;
      if (this.lsns !== null) this.lsns[row] = lsns[i]!;
    }
  }

  /** The whole call's result. The refusal of a call's only row is thrown, with the result as its cause. */
  result(): WriteResult {
    const result = new WriteResult(this.results, this.lsns);
    const [refusal] = result.refusals;
    if (refusal === undefined || this.rows > 1) return result;
    throw new MillraceError(refusal.code, `row 0: ${refusal.message}`, { cause: result });
  }
}

function refusalsOf(results: Uint8Array): RowRefusal[] {
  const refusals: RowRefusal[] = [];
  for (let row = 0; row < results.length; row++) {
    const result = results[row]!;
    if (result < RESULT_REFUSED_MIN) continue;
    const code = errorName(result);
    refusals.push({ row, code, message: MESSAGE_OF_CODE[code] ?? `the server refused the row: ${code}` });
  }
  return refusals;
}

/** The wire has a row's code alone, since a batch may have thousands; the code says it all. */
const MESSAGE_OF_CODE: Partial<Record<ErrorCodeName, string>> = {
  VERSION_MISMATCH: 'the row there is not of the version that ifVersion names; read it again',
  LATE_PATCH: 'the row there has a newer event time than the patch, and a patch changes the newest row only',
  PATCH_INVALID: 'an add would leave the range of its integer feature',
  ROW_TOO_LARGE: 'the row would be larger than 1 MiB',
  TOO_LATE:
    'its event time is older than the group still takes; with { backfill: true } it goes into history all the same',
  EVENT_TIME_IN_FUTURE: 'its event time is more than 5 minutes after the server’s clock',
  IDEMPOTENCY_EXPIRED:
    'the server no longer knows whether an earlier attempt was applied; it was not applied now',
  MEMORY_FULL: 'the node’s memory limit leaves no room for a new key; overwrites and deletes go on',
  STORAGE_FULL: 'the node’s disk has no room',
};
