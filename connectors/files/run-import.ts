/**
 * The import itself: batches from a source, converted, put with several in flight, until the end or the first trouble.
 *
 * Promises: rows are put in file order, whole batches at a time; the outcome says up to which row everything is acknowledged,
 * also when it ended by an error or an interruption, in which case puts under way were waited for. It does not throw.
 * A row that the node refuses ends it, unless such rows are to be skipped (refusals.ts).
 * A cell that does not fit, a null in the key or in the event time is an error that names row and column.
 */
import type { WriteResult } from '../../client/index.ts';
import { formatInvalid } from '../connector-error.ts';
import { AckWindow } from './ack-window.ts';
import { CellError, convertColumn } from './convert.ts';
import type { ImportPlan, PlannedColumn } from './import-plan.ts';
import { Refusals } from './refusals.ts';
import type { ColumnBatch, Source, SourcePosition } from './source.ts';

/** Columns by the names they have in the group. */
export type PutColumns = Record<string, ArrayLike<unknown>>;

/** What an import needs to know of a put. */
export type PutAnswer = Pick<WriteResult, 'superseded' | 'refusals'>;

export interface ImportRun {
  readonly source: Source;
  readonly plan: ImportPlan;
  readonly from: SourcePosition;
  /** The event time of every row when the plan has no column for it. */
  readonly startedAtMicros: number;
  readonly batchRows: number;
  readonly putsInFlight: number;
  /** Resolves when the rows are durable or refused, each. */
  readonly put: (columns: PutColumns, rowCount: number) => Promise<PutAnswer>;
  /** Go on without rows that the node refuses, instead of ending with the first. */
  readonly skipsRefused: boolean;
  readonly onAdvance: (position: SourcePosition) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface ImportOutcome {
  /** Every row before this place is acknowledged. */
  readonly position: SourcePosition;
  /** Rows that went into history only, since the group had an event as new or newer for their key. */
  readonly superseded: number;
  /** Rows that were skipped because the node refused them. */
  readonly refusals: Refusals;
  readonly isInterrupted: boolean;
  /** What ended the import early. */
  readonly error: unknown;
  /** The batch whose put that was, if a put it was. */
  readonly failedBatch: Pick<ColumnBatch, 'start' | 'end'> | undefined;
}

export async function runImport(run: ImportRun): Promise<ImportOutcome> {
  const { source, plan } = run;
  const window = new AckWindow(run.from, run.putsInFlight, run.onAdvance);
  const names = plan.columns.map((column) => column.name);
  const refusals = new Refusals(run.skipsRefused);
  let superseded = 0;
  let error: unknown;
  let failedBatch: ImportOutcome['failedBatch'];
  try {
    for await (const batch of source.read(names, run.from, run.batchRows)) {
      if (run.signal?.aborted === true) break;
      const columns = convertBatch(run, batch);
      await window.begin(batch.end, async () => {
        try {
          const answer = await run.put(columns, batch.rowCount);
          superseded += answer.superseded;
          refusals.take(answer.refusals, batch.start.row);
        } catch (putError) {
          failedBatch ??= { start: batch.start, end: batch.end };
          throw putError;
        }
      });
      if (window.failure !== undefined) break;
    }
  } catch (caught) {
    error = caught;
  }
  await window.drained();
  return {
    position: window.position,
    superseded,
    refusals,
    isInterrupted: run.signal?.aborted === true,
    error: window.failure ?? error,
    failedBatch,
  };
}

/** The batch's columns in the group's types and by the group's names. */
export function convertBatch(
  run: Pick<ImportRun, 'source' | 'plan' | 'startedAtMicros'>,
  batch: ColumnBatch,
): PutColumns {
  const { plan, source } = run;
  const columns: PutColumns = {};
  plan.columns.forEach((column, index) => {
    columns[column.target] = convertPlanned(column, batch, batch.columns[index]!, plan, source);
  });
  if (!plan.columns.some((column) => column.role === 'event time')) {
    columns[plan.eventTimeName] = new Float64Array(batch.rowCount).fill(run.startedAtMicros);
  }
  return columns;
}

function convertPlanned(
  column: PlannedColumn,
  batch: ColumnBatch,
  raw: ArrayLike<unknown>,
  plan: ImportPlan,
  source: Source,
): ArrayLike<unknown> {
  let converted: ArrayLike<unknown>;
  try {
    converted = convertColumn(raw, batch.rowCount, column.type, {
      timeUnit: plan.timeUnit,
      isTimestamp: column.isTimestamp,
    });
  } catch (error) {
    if (!(error instanceof CellError)) throw error;
    throw formatInvalid(
      `row ${batch.start.row + error.index + 1}, column ${JSON.stringify(column.name)}: ${error.message}${inferenceHint(column, source)}`,
    );
  }
  if (column.role !== 'feature') refuseNulls(column, batch, converted);
  return converted;
}

function inferenceHint(column: PlannedColumn, source: Source): string {
  const isInferred = source.columns.some((own) => own.name === column.name && own.type === column.type.type);
  if (source.inferredRows === undefined || !isInferred || column.role === 'event time') return '';
  return `; the type comes from the first ${source.inferredRows} rows: set another with --schema ${column.name}:TYPE`;
}

function refuseNulls(column: PlannedColumn, batch: ColumnBatch, converted: ArrayLike<unknown>): void {
  if (!Array.isArray(converted)) return;
  const index = converted.indexOf(null);
  if (index < 0) return;
  const what = column.role === 'key' ? 'the key' : 'the event time';
  throw formatInvalid(
    `row ${batch.start.row + index + 1}, column ${JSON.stringify(column.name)}: ${what} is null; every row needs one`,
  );
}
