/** From columns to a plan: roles, types, and every way in which the request and the file do not fit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceColumn } from '../../../connectors/files/column-type.ts';
import {
  assertTypesKnown,
  type PlanRequest,
  planExistingGroup,
  planIdentity,
  planNewGroup,
} from '../../../connectors/files/import-plan.ts';
import { parseSchemaText } from '../../../connectors/files/schema-override.ts';
import type { Source } from '../../../connectors/files/source.ts';
import { type GroupSchema, schemaFromSpec } from '../../../protocol/index.ts';

const COLUMNS: SourceColumn[] = [
  { name: 'date', type: 'timestamp' },
  { name: 'delay', type: 'int64' },
  { name: 'origin', type: 'string' },
  { name: 'destination', type: 'string' },
  { name: 'weight', type: 'float64' },
];

function source(columns: SourceColumn[] = COLUMNS, change: Partial<Source> = {}): Source {
  return {
    format: 'parquet',
    columns,
    rowCount: 1,
    byteCount: 1,
    inferredRows: undefined,
    ...change,
  } as Source;
}

function request(change: Partial<PlanRequest> = {}): PlanRequest {
  return {
    group: 'flight',
    key: ['origin'],
    eventTime: 'date',
    columns: undefined,
    override: new Map(),
    timeUnit: undefined,
    ttlSeconds: undefined,
    retentionSeconds: undefined,
    ...change,
  };
}

test('a new group takes its key, event time and features from the file', () => {
  const { spec, eventTimeName } = planNewGroup(source(), request({ ttlSeconds: 60 }));
  assert.equal(eventTimeName, 'date');
  assert.deepEqual(spec, {
    name: 'flight',
    key: [{ name: 'origin', type: 'string' }],
    features: [
      { name: 'delay', type: 'int64' },
      { name: 'destination', type: 'string' },
      { name: 'weight', type: 'float64' },
    ],
    eventTimeName: 'date',
    ttlSeconds: 60,
  });
});

test('the key has the order of --key, not of the file', () => {
  const { spec } = planNewGroup(source(), request({ key: ['destination', 'delay', 'origin'] }));
  assert.deepEqual(
    spec.key.map((column) => `${column.name}:${column.type}`),
    ['destination:string', 'delay:int64', 'origin:string'],
  );
});

test('--columns and --schema choose and set types', () => {
  const { spec } = planNewGroup(
    source(),
    request({ columns: ['delay'], override: parseSchemaText('delay:int16,origin:uuid') }),
  );
  assert.deepEqual(spec.features, [{ name: 'delay', type: 'int16' }]);
  assert.deepEqual(spec.key, [{ name: 'origin', type: 'uuid' }]);
});

test('without an event time the group has the default name for it', () => {
  const plan = planNewGroup(source(), request({ eventTime: undefined }));
  assert.equal(plan.eventTimeName, 'event_time');
  assert.ok(plan.columns.every((column) => column.role !== 'event time'));
});

test('JSON lines may be told of columns that the sample lacks; other formats may not', () => {
  const override = parseSchemaText('rare:int32');
  const plan = planNewGroup(source(COLUMNS, { format: 'jsonl', inferredRows: 10 }), request({ override }));
  assert.ok(plan.columns.some((column) => column.name === 'rare'));
  assert.throws(() => planNewGroup(source(), request({ override })), {
    code: 'FILE_FORMAT_INVALID',
    message: /rare/,
  });
});

test('a file without rows makes no group of strings unless --schema names every type', () => {
  const empty = source(COLUMNS, { format: 'csv', inferredRows: 0 });
  const check = (from: Source, change: Partial<PlanRequest>): void => {
    const asked = request(change);
    assertTypesKnown(from, planNewGroup(from, asked), asked);
  };
  assert.throws(() => check(empty, { override: parseSchemaText('origin:string,delay:int32') }), {
    code: 'FILE_FORMAT_INVALID',
    message: /no row to take types from.*types of destination, weight with --schema/,
  });
  const all = 'origin:string,delay:int32,destination:string,weight:float32';
  check(empty, { override: parseSchemaText(all) });
  check(empty, { columns: ['delay'], override: parseSchemaText('origin:string,delay:int32') });
  check(source(COLUMNS, { format: 'csv', inferredRows: 1 }), {});
  check(source(COLUMNS, { rowCount: 0 }), {});
});

test('columns that are not there, twice there or of the wrong kind are refused by name', () => {
  const cases: [Partial<PlanRequest>, string, RegExp][] = [
    [{ key: ['orgin'] }, 'FILE_FORMAT_INVALID', /no column "orgin"; the columns are date, delay, origin/],
    [{ eventTime: 'when' }, 'FILE_FORMAT_INVALID', /no column "when"/],
    [
      { columns: ['delay', 'x'] },
      'FILE_FORMAT_INVALID',
      /--columns names a column that is not there: no column "x"/,
    ],
    [{ key: ['origin', 'origin'] }, 'USAGE', /twice/],
    [{ key: ['date'] }, 'USAGE', /both key and event time/],
    [{ key: ['weight'] }, 'FILE_FORMAT_INVALID', /key column "weight" is float64.*--schema weight:string/],
  ];
  for (const [change, code, message] of cases) {
    assert.throws(() => planNewGroup(source(), request(change)), { code, message });
  }
});

function existing(): GroupSchema {
  return schemaFromSpec(
    {
      name: 'flight',
      key: [{ name: 'origin', type: 'string' }],
      eventTimeName: 'at',
      features: [
        { name: 'delay', type: 'int32' },
        { name: 'destination', type: 'string' },
        { name: 'weight', type: 'float32' },
      ],
    },
    1,
    0,
  );
}

test('an existing group decides types and names', () => {
  const plan = planExistingGroup(source(), request(), existing());
  const targets = Object.fromEntries(plan.columns.map((column) => [column.target, column.type.type]));
  assert.deepEqual(targets, {
    origin: 'string',
    at: 'timestamp',
    delay: 'int32',
    destination: 'string',
    weight: 'float32',
  });
});

test('an existing group that does not fit the file says how', () => {
  const refuses = (
    change: Partial<PlanRequest>,
    columns: SourceColumn[],
    code: string,
    message: RegExp,
  ): void => {
    assert.throws(() => planExistingGroup(source(columns), request(change), existing()), { code, message });
  };
  refuses({ key: ['destination'] }, COLUMNS, 'USAGE', /has the key origin, not destination/);
  refuses({}, COLUMNS.slice(0, 4), 'FILE_FORMAT_INVALID', /lacks weight/);
  refuses({}, [...COLUMNS, { name: 'extra', type: 'bool' }], 'FILE_FORMAT_INVALID', /no feature "extra"/);
  refuses({ override: parseSchemaText('delay:int64') }, COLUMNS, 'USAGE', /delay:int64, but .* delay:int32/);
  planExistingGroup(source(COLUMNS.slice(0, 4)), request({ columns: ['delay'] }), existing());
});

test('two plans have one identity exactly when they make the same cells', () => {
  const identity = (change: Partial<PlanRequest>): string =>
    planIdentity(planNewGroup(source(), request(change)), 'csv', []);
  assert.equal(identity({}), identity({}));
  assert.notEqual(identity({}), identity({ columns: ['delay'] }));
  assert.notEqual(identity({}), identity({ timeUnit: 's' }));
  assert.notEqual(identity({}), identity({ override: parseSchemaText('delay:int32') }));
});

test('only times of a typed file are microseconds already', () => {
  const typed = planNewGroup(source(), request());
  const text = planNewGroup(source(COLUMNS, { format: 'csv', inferredRows: 5 }), request());
  assert.equal(typed.columns.find((column) => column.name === 'date')?.isTimestamp, true);
  assert.equal(text.columns.find((column) => column.name === 'date')?.isTimestamp, false);
});
