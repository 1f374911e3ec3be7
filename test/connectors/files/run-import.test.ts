/** The import's loop against a source in memory and a put of the test's own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MillraceError, RowRefusal } from '../../../client/index.ts';
import type { SourceColumn } from '../../../connectors/files/column-type.ts';
import { type PlanRequest, planNewGroup } from '../../../connectors/files/import-plan.ts';
import { type ImportRun, type PutColumns, runImport } from '../../../connectors/files/run-import.ts';
import type { Source } from '../../../connectors/files/source.ts';

const COLUMNS: SourceColumn[] = [
  { name: 'id', type: 'int64' },
  { name: 'at', type: 'timestamp' },
  { name: 'n', type: 'int64' },
];

/** A source of whole columns, as CSV would give them. */
function source(columns: Record<string, unknown[]>): Source {
  const rowCount = Object.values(columns)[0]!.length;
  return {
    format: 'csv',
    columns: COLUMNS,
    rowCount: undefined,
    byteCount: 0,
    inferredRows: 2,
    async *read(names, from, rowsMax) {
      for (let row = from.row; row < rowCount; row += rowsMax) {
        const end = Math.min(row + rowsMax, rowCount);
        yield {
          start: { row, byte: 0 },
          end: { row: end, byte: 0 },
          rowCount: end - row,
          columns: names.map((name) => columns[name]!.slice(row, end)),
        };
      }
    },
    close: async () => {},
  };
}

function good(rowCount: number): Record<string, unknown[]> {
  const ids = Array.from({ length: rowCount }, (_, i) => String(i));
  return { id: ids, at: ids.map(() => '2001-01-01'), n: ids.map((id) => (id === '1' ? null : id)) };
}

interface Put {
  columns: PutColumns;
  rowCount: number;
}

function run(
  columns: Record<string, unknown[]>,
  change: Partial<ImportRun> = {},
): { puts: Put[]; run: ImportRun } {
  const request: PlanRequest = {
    group: 'g',
    key: ['id'],
    eventTime: 'at',
    columns: undefined,
    override: new Map(),
    timeUnit: undefined,
    ttlSeconds: undefined,
    retentionSeconds: undefined,
  };
  const input = source(columns);
  const puts: Put[] = [];
  return {
    puts,
    run: {
      source: input,
      plan: planNewGroup(input, request),
      from: { row: 0, byte: 0 },
      startedAtMicros: 5,
      batchRows: 4,
      putsInFlight: 2,
      put: async (batch, rowCount) => {
        puts.push({ columns: batch, rowCount });
        return { superseded: 1, refusals: [] };
      },
      skipsRefused: false,
      onAdvance: () => {},
      ...change,
    },
  };
}

function refusal(row: number, code: RowRefusal['code']): RowRefusal {
  return { row, code, message: 'a test' };
}

test('every row is put once, in order, in the types of the group', async () => {
  const { puts, run: input } = run(good(10));
  const outcome = await runImport(input);
  assert.equal(outcome.error, undefined);
  assert.equal(outcome.position.row, 10);
  assert.equal(outcome.superseded, 3);
  assert.deepEqual(
    puts.map((put) => put.rowCount),
    [4, 4, 2],
  );
  assert.deepEqual(
    puts.flatMap((put) => Array.from(put.columns['id']!)),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.deepEqual(Array.from(puts[0]!.columns['n']!), [0, null, 2, 3]);
  assert.equal(puts[0]!.columns['at']![0], 978_307_200_000_000);
});

test('a plan without an event time gives every row the time of the start', async () => {
  const { puts, run: input } = run(good(2));
  const columns = input.plan.columns.filter((column) => column.role !== 'event time');
  await runImport({ ...input, plan: { ...input.plan, columns, eventTimeName: 'event_time' } });
  assert.deepEqual(Array.from(puts[0]!.columns['event_time']!), [5, 5]);
});

test('a bad cell ends the import with its row and column, the batches before it acknowledged', async () => {
  const columns = good(20);
  columns['n']![13] = 'many';
  const { puts, run: input } = run(columns);
  const outcome = await runImport(input);
  assert.equal(outcome.position.row, 12);
  assert.equal(puts.length, 3);
  const error = outcome.error as Error & { code: string };
  assert.equal(error.code, 'FILE_FORMAT_INVALID');
  assert.match(
    error.message,
    /^row 14, column "n": "many" is not an int64; the type comes from the first 2 rows.*--schema n:TYPE/,
  );
});

test('a null in the key or the event time is refused by its row', async () => {
  for (const [name, message] of [
    ['id', /^row 6, column "id": the key is null/],
    ['at', /^row 6, column "at": the event time is null/],
  ] as const) {
    const columns = good(8);
    columns[name]![5] = null;
    const outcome = await runImport(run(columns).run);
    assert.match((outcome.error as Error).message, message);
    assert.equal(outcome.position.row, 4);
  }
});

test('an unparsable event time is refused by its row', async () => {
  const columns = good(8);
  columns['at']![2] = 'noon';
  const outcome = await runImport(run(columns).run);
  assert.match((outcome.error as Error).message, /^row 3, column "at": "noon" is not a timestamp$/);
});

test('a refused put names its rows, and the place is before them', async () => {
  let count = 0;
  const { run: input } = run(good(40), {
    put: async () => {
      if (++count === 3) throw new Error('TOO_LATE');
      return { superseded: 0, refusals: [] };
    },
  });
  const outcome = await runImport(input);
  assert.equal((outcome.error as Error).message, 'TOO_LATE');
  assert.deepEqual(outcome.failedBatch, { start: { row: 8, byte: 0 }, end: { row: 12, byte: 0 } });
  assert.equal(outcome.position.row, 8);
});

test('an interruption lets puts under way finish and says how far it came', async () => {
  const controller = new AbortController();
  const { puts, run: input } = run(good(40), {
    signal: controller.signal,
    onAdvance: (position) => {
      if (position.row >= 8) controller.abort();
    },
  });
  const outcome = await runImport(input);
  assert.equal(outcome.isInterrupted, true);
  assert.equal(outcome.error, undefined);
  assert.equal(outcome.position.row, puts.length * 4);
  assert.ok(outcome.position.row >= 8 && outcome.position.row < 40);
});

test('the first row that the node refuses ends the import by its place in the file, and says what may be done', async () => {
  let count = 0;
  const { run: input } = run(good(40), {
    putsInFlight: 1,
    put: async () => ({ superseded: 0, refusals: ++count === 3 ? [refusal(1, 'TOO_LATE')] : [] }),
  });
  const outcome = await runImport(input);
  const error = outcome.error as MillraceError;
  assert.equal(error.code, 'TOO_LATE');
  assert.match(error.message, /^row 10: .*--backfill.*--skip-refused/);
  assert.deepEqual(outcome.failedBatch, { start: { row: 8, byte: 0 }, end: { row: 12, byte: 0 } });
  assert.equal(outcome.position.row, 8);
});

test('refused rows that are skipped are counted by code, with the first of each', async () => {
  const answers = [
    [refusal(3, 'TOO_LATE')],
    [refusal(0, 'EVENT_TIME_IN_FUTURE'), refusal(2, 'TOO_LATE')],
    [],
  ];
  const { run: input } = run(good(12), {
    skipsRefused: true,
    put: async () => ({ superseded: 0, refusals: answers.shift()! }),
  });
  const { error, position, refusals } = await runImport(input);
  assert.deepEqual([error, position.row, refusals.rows], [undefined, 12, 3]);
  assert.deepEqual(refusals.lines(), [
    '2 rows were refused with TOO_LATE, the first is row 4',
    '1 row was refused with EVENT_TIME_IN_FUTURE, the first is row 5',
  ]);
});
