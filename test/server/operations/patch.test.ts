/** PATCH over a real store: what rows become, which are refused, and that a repeat changes nothing. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  add,
  append,
  compileLayout,
  decodeGetResponse,
  decodePatchResponse,
  decodePutResponse,
  decodeRow,
  encodeGetRequest,
  encodeKeys,
  errorNumber,
  type GroupSchema,
  max,
  RESULT_APPLIED,
  schemaFromSpec,
} from '../../../protocol/index.ts';
import { TEST_NOW_MICROS, TestShard } from '../../support/shard.ts';
import { encodePatches, type KeyedRow, ShardOperations } from '../../support/shard-operations.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const GROUP: GroupSchema = schemaFromSpec(
  {
    name: 'g',
    key: [{ name: 'id', type: 'int64' }],
    features: [
      { name: 'n', type: 'int8' },
      { name: 's', type: 'string' },
      { name: 'recent', type: 'list', item: 'int32' },
    ],
  },
  1,
  0,
);
const LAYOUT = compileLayout(GROUP);

async function opened(context: TestContext): Promise<ShardOperations> {
  const shard = await new TestShard(temporaryDirectory(context)).open();
  context.after(() => shard.store.close());
  return new ShardOperations(shard.store, [GROUP]);
}

type Head = Parameters<typeof encodePatches>[3];

/** The results of a PATCH of these rows. */
async function patched(
  operations: ShardOperations,
  rows: readonly KeyedRow[],
  head: Head = {},
): Promise<{ results: number[]; lsns: number[] }> {
  operations.handle((writer) => encodePatches(writer, GROUP, rows, head));
  await operations.answered();
  const [response] = operations.session.taken();
  const { results, lsns } = decodePatchResponse(response!.frame);
  return { results: [...results], lsns: [...lsns] };
}

async function rowOf(
  operations: ShardOperations,
  key: number,
): Promise<{ values: Record<string, unknown>; eventTime: number } | null> {
  operations.handle((writer) =>
    encodeGetRequest(writer, { correlationId: 9 }, GROUP.id, encodeKeys(GROUP.key, [key])),
  );
  await operations.answered();
  const [response] = operations.session.taken();
  const answer = decodeGetResponse(response!.frame);
  if (answer.isMissing(0)) return null;
  return { values: decodeRow(LAYOUT, answer.view, answer.rowAt(0)), eventTime: answer.eventTime(0) };
}

test('a patch makes a row, changes it, and leaves alone what it does not name', async (context) => {
  const operations = await opened(context);
  assert.deepEqual((await patched(operations, [{ key: 1, values: { n: add(3), s: 'x' } }])).results, [
    RESULT_APPLIED,
  ]);
  await patched(operations, [{ key: 1, values: { n: add(-1), recent: append([1, 2], { max: 3 }) } }]);
  assert.deepEqual((await rowOf(operations, 1))?.values, { n: 2, s: 'x', recent: [1, 2] });
});

test('patches of one key in one request follow each other', async (context) => {
  const operations = await opened(context);
  const rows = Array.from({ length: 100 }, (_, i) => ({
    key: i % 2,
    values: { n: add(1), recent: append(i, { max: 4 }) },
  }));
  await patched(operations, rows);
  assert.deepEqual((await rowOf(operations, 0))?.values, { n: 50, s: null, recent: [92, 94, 96, 98] });
  assert.deepEqual((await rowOf(operations, 1))?.values, { n: 50, s: null, recent: [93, 95, 97, 99] });
});

test('patches of requests that wait for one commit see each other', async (context) => {
  const operations = await opened(context);
  for (let i = 0; i < 20; i++) {
    operations.handle((writer) => encodePatches(writer, GROUP, [{ key: 7, values: { n: add(2) } }]));
  }
  await operations.answered();
  assert.equal(operations.session.taken().length, 20);
  assert.equal((await rowOf(operations, 7))?.values['n'], 40);
});

test('rows are refused one by one: out of range, late, of another version', async (context) => {
  const operations = await opened(context);
  await operations.put(GROUP, [
    { key: 1, values: { n: 127 } },
    { key: 2, values: { n: 1 } },
  ]);
  const put = decodePutResponse(operations.session.taken()[0]!.frame);
  const early = TEST_NOW_MICROS - 1;
  const { results, lsns } = await patched(operations, [
    { key: 1, values: { n: add(1) } },
    { key: 2, values: { n: add(1) }, eventTime: early },
    { key: 2, values: { n: max(9) } },
    { key: 3, values: { n: add(1) } },
  ]);
  assert.deepEqual(results, [errorNumber('PATCH_INVALID'), errorNumber('LATE_PATCH'), 0, 0]);
  assert.deepEqual(lsns.slice(0, 2), [0, 0]);
  assert.deepEqual(
    [await rowOf(operations, 1), await rowOf(operations, 2), await rowOf(operations, 3)].map(
      (row) => row?.values['n'],
    ),
    [127, 9, 1],
  );
  const conditional = await patched(
    operations,
    [
      { key: 1, values: { n: 5 } },
      { key: 2, values: { n: 5 } },
    ],
    { ifVersions: [put.lsns[0]!, put.lsns[1]!] },
  );
  assert.deepEqual(conditional.results, [0, errorNumber('VERSION_MISMATCH')]);
});

test('where event times are floors, no patch is late and no row goes back in time', async (context) => {
  const operations = await opened(context);
  await operations.put(GROUP, [{ key: 1, values: { n: 1 } }]);
  operations.session.taken();
  const early = TEST_NOW_MICROS - 5;
  const { results } = await patched(
    operations,
    [
      { key: 1, values: { n: add(1) }, eventTime: early },
      { key: 2, values: { n: add(1) }, eventTime: early },
    ],
    { isTimeFloor: true },
  );
  assert.deepEqual(results, [0, 0]);
  const { values, eventTime } = (await rowOf(operations, 1))!;
  assert.deepEqual([values['n'], eventTime], [2, TEST_NOW_MICROS]);
  assert.equal((await rowOf(operations, 2))?.eventTime, early);
});

test('a request that comes again under its key is answered as before, and applied once', async (context) => {
  const operations = await opened(context);
  const key = { clientIdLo: 3, clientIdHi: 4, sequence: 5 };
  const rows = [
    { key: 1, values: { n: add(100) } },
    { key: 1, values: { n: add(100) } },
    { key: 2, values: { n: add(1) } },
  ];
  const first = await patched(operations, rows, key);
  assert.deepEqual(first.results, [0, errorNumber('PATCH_INVALID'), 0]);
  await patched(operations, [{ key: 1, values: { n: add(-90) } }], { ...key, sequence: 6 });
  const again = await patched(operations, rows, key);
  assert.deepEqual([again.results[0], again.lsns[0]], [first.results[0], first.lsns[0]]);
  assert.deepEqual([again.results[2], again.lsns[2]], [first.results[2], first.lsns[2]]);
  // The row that was refused left nothing behind, so it is decided anew, and now there is room for it.
  assert.equal(again.results[1], 0);
  assert.deepEqual((await rowOf(operations, 1))?.values['n'], 110);
  assert.deepEqual((await rowOf(operations, 2))?.values['n'], 1);
});

test('a patch that does not fit the schema refuses the request, and nothing is written', async (context) => {
  const operations = await opened(context);
  const other = { ...GROUP, features: [...GROUP.features, { id: 9, name: 'gone', type: 'int8' as const }] };
  assert.throws(
    () =>
      operations.handle((writer) =>
        encodePatches(writer, other, [
          { key: 1, values: { n: 1 } },
          { key: 2, values: { n: 1, gone: add(1) } },
        ]),
      ),
    { code: 'FEATURE_NOT_FOUND', message: /^row 1: step 1: the group has no feature 9/ },
  );
  assert.equal(await rowOf(operations, 1), null);
});
