/** The client's calls against a server that shows what was asked: coalescing, groups by name, errors as rejections. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type ConnectOptions, type Group, Millrace, type MillraceError } from '../../client/index.ts';
import { type GroupSchema, OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import {
  answerDelete,
  answerGet,
  answerMatrix,
  answerPut,
  EVENT_TIME_MICROS,
  keysOfGet,
  rowsOfPut,
} from './fake-answers.ts';
import { FakeServer } from './fake-server.ts';

const SPEC = { name: 'item', key: { id: 'int64' }, features: { a: 'float32', b: 'string' } } as const;

interface Fixture {
  server: FakeServer;
  db: Millrace;
  item: Group<{ id: bigint; event_time: number; a: number | null; b: string | null }>;
  schema: GroupSchema;
}

async function start(context: TestContext, options: ConnectOptions = {}): Promise<Fixture> {
  const server = await FakeServer.start(context);
  const db = await Millrace.connect(server.address, { closeTimeoutMs: 1000, ...options });
  context.after(() => db.close());
  const item = await db.createGroup(SPEC);
  return { server, db, item: item as Fixture['item'], schema: item.schema };
}

/** Row of key n: a = n, and odd keys have none. */
const rowOf = ({ id }: Record<string, unknown>): Record<string, unknown> | null =>
  Number(id) % 2 === 0 ? { a: Number(id), b: `item ${id}` } : null;

test('gets of one turn travel in one request, and each has its own answer', async (context) => {
  const { server, db, item, schema } = await start(context);
  const answers = Promise.all([0, 1, 2, 3].map((id) => db.get(item, id)));
  const request = await server.received(OPERATIONS.GET);
  assert.deepEqual(
    keysOfGet(schema, request).map(({ id }) => id),
    [0n, 1n, 2n, 3n],
  );
  answerGet(schema, request, rowOf);
  const rows = await answers;
  assert.deepEqual(rows[2], { id: 2n, event_time: EVENT_TIME_MICROS, a: 2, b: 'item 2' });
  assert.deepEqual([rows[1], rows[3]], [null, null]);
  assert.equal(server.untaken(OPERATIONS.GET), 0);
});

test('gets of different groups, of another turn, or with a time of their own travel apart', async (context) => {
  const { server, db, item, schema } = await start(context);
  const other = await db.createGroup({ ...SPEC, name: 'other' });
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, rowOf));
  let requests = 0;
  server.on(OPERATIONS.GET, (request) => {
    requests += 1;
    answerGet(schema, request, rowOf);
  });
  await Promise.all([db.get(item, 0), db.get(other, 0), db.get(item, 0, { timeoutMs: 5000 })]);
  assert.equal(requests, 3);
  await db.get(item, 0);
  assert.equal(requests, 4);
});

test('a bad key fails its own get and no other', async (context) => {
  const { server, db, item, schema } = await start(context);
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, rowOf));
  const results = await Promise.allSettled([db.get(item, 0), db.get(item, 1.5), db.get(item, 2)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.ok(failure('KEY_INVALID', /1\.5/)((results[1] as PromiseRejectedResult).reason));
});

test('chosen features come with key and event time, others do not', async (context) => {
  const { server, db, item, schema } = await start(context);
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, rowOf));
  const [some, all] = await Promise.all([db.get(item, 2, { features: ['b'] }), db.get(item, 2)]);
  assert.deepEqual(some, { id: 2n, event_time: EVENT_TIME_MICROS, b: 'item 2' });
  assert.deepEqual(Object.keys(all!), ['id', 'event_time', 'a', 'b']);
  await assert.rejects(db.get(item, 2, { features: ['c'] }), failure('FEATURE_NOT_FOUND', /it has a, b/));
});

test('many keys come back in their order, and no keys need no request', async (context) => {
  const { server, db, item, schema } = await start(context);
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, rowOf));
  const rows = await db.getMany(item, [4, 3, 0, 4]);
  assert.deepEqual(
    rows.map((row) => row?.a ?? null),
    [4, null, 0, 4],
  );
  server.on(OPERATIONS.GET, () => assert.fail('asked for nothing'));
  assert.deepEqual(await db.getMany(item, []), []);
});

test('a failed batch rejects every get that was in it', async (context) => {
  const { server, db, item } = await start(context);
  server.on(OPERATIONS.GET, (request) => request.refuse('BLOCK_CORRUPT', 'block 7'));
  const results = await Promise.allSettled([db.get(item, 0), db.get(item, 2)]);
  for (const result of results) assert.ok(failure('BLOCK_CORRUPT')((result as PromiseRejectedResult).reason));
});

test('a name is looked up once, and again when its group was replaced', async (context) => {
  const { server, schema } = await start(context);
  let lookups = 0;
  const lookUp = server.handlerOf(OPERATIONS.GET_GROUP);
  server.on(OPERATIONS.GET_GROUP, (request) => {
    lookups += 1;
    lookUp(request);
  });
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, rowOf));
  const fresh = await Millrace.connect(server.address);
  context.after(() => fresh.close());
  await fresh.get('item', 0);
  await fresh.get('item', 0);
  assert.equal(lookups, 1);
  server.groups.set('item', { ...schema, id: 99 });
  server.on(OPERATIONS.GET, (request) => {
    const groupId = request.frame.view.getUint16(40, true);
    if (groupId === 99) answerGet(schema, request, rowOf);
    else request.refuse('GROUP_NOT_FOUND');
  });
  assert.equal((await fresh.get('item', 2))?.['a'], 2);
  assert.equal(lookups, 2);
  await assert.rejects(fresh.get('nothing', 0), failure('GROUP_NOT_FOUND'));
});

test('a matrix is asked for as described and given as views of the answer', async (context) => {
  const { server, db, item, schema } = await start(context);
  server.on(OPERATIONS.GET_MATRIX, (request) =>
    answerMatrix(schema, request, 1, ({ id }) => (id === 3n ? Number.NaN : Number(id))),
  );
  const matrix = await db.getMatrix(item, [5, 3, 1], { features: ['a'], eventTimes: true });
  assert.ok(matrix.data instanceof Float32Array);
  assert.deepEqual([...matrix.data], [5, Number.NaN, 1]);
  assert.deepEqual([...matrix.found], [1, 0, 1]);
  assert.deepEqual([...matrix.eventTimes!], [EVENT_TIME_MICROS, Number.NaN, EVENT_TIME_MICROS + 2]);
  assert.equal(matrix.data.buffer, matrix.found.buffer, 'one buffer holds all parts');
  const double = await db.getMatrix(item, [5], { features: ['a'], dtype: 'float64' });
  assert.ok(double.data instanceof Float64Array);
  assert.equal(double.eventTimes, null);
  const empty = await db.getMatrix(item, [], { features: ['a'] });
  assert.deepEqual([empty.rows, empty.columns, empty.data.length], [0, 1, 0]);
});

test('a matrix of what is no number, or of nothing, is refused here', async (context) => {
  const { db, item } = await start(context);
  await assert.rejects(db.getMatrix(item, [1], { features: ['b'] }), failure('TYPE_MISMATCH', /"b".*string/));
  await assert.rejects(db.getMatrix(item, [1], { features: [] }), failure('BATCH_EMPTY'));
  await assert.rejects(db.getMatrix(item, [1], { features: ['x'] }), failure('FEATURE_NOT_FOUND'));
});

test('an answer of another shape than asked for is refused', async (context) => {
  const { server, db, item, schema } = await start(context);
  server.on(OPERATIONS.GET_MATRIX, (request) => answerMatrix(schema, request, 3, () => 1));
  await assert.rejects(db.getMatrix(item, [1], { features: ['a'] }), failure('MALFORMED_REQUEST', /1 × 3/));
});

test('rows without an event time get the time of the call, and LSNs come when asked for', async (context) => {
  const { server, db, item, schema } = await start(context);
  const times: number[] = [];
  server.on(OPERATIONS.PUT, (request) => {
    times.push(...rowsOfPut(schema, request).map(({ eventTime }) => eventTime));
    answerPut(schema, request, 40);
  });
  const before = Date.now() * 1000;
  const result = await db.put(
    item,
    [
      { id: 1, a: 1 },
      { id: 2, event_time: 5 },
      { id: 3, event_time: new Date(6) },
    ],
    { lsns: true },
  );
  assert.deepEqual(
    { ...result, lsns: [...result.lsns!] },
    { rows: 3, applied: 3, superseded: 0, lsns: [40, 41, 42] },
  );
  assert.ok(times[0]! >= before && times[0]! <= Date.now() * 1000);
  assert.deepEqual(times.slice(1), [5, 6000]);
});

test('a put is repeated after a lost connection only when that is allowed', async (context) => {
  for (const retryWrites of [false, true]) {
    const { server, db, item, schema } = await start(context, { retryWrites });
    const result = db.put(item, [{ id: 1 }]);
    result.catch(() => undefined);
    const first = await server.received(OPERATIONS.PUT);
    const { eventTime } = rowsOfPut(schema, first)[0]!;
    first.drop();
    if (!retryWrites) {
      await assert.rejects(result, (error: MillraceError) => error.indeterminate);
      continue;
    }
    const again = await server.received(OPERATIONS.PUT);
    assert.equal(rowsOfPut(schema, again)[0]!.eventTime, eventTime, 'the same version again');
    assert.deepEqual(
      [again.header.clientIdLo, again.header.clientIdHi, again.header.sequence],
      [first.header.clientIdLo, first.header.clientIdHi, first.header.sequence],
    );
    assert.ok(again.header.sequence > 0);
    answerPut(schema, again);
    assert.equal((await result).applied, 1);
  }
});

test('a put that was refused before it was carried out is repeated always', async (context) => {
  const { server, db, item, schema } = await start(context);
  const result = db.put(item, [{ id: 1 }]);
  (await server.received(OPERATIONS.PUT)).refuse('OVERLOADED');
  answerPut(schema, await server.received(OPERATIONS.PUT));
  assert.equal((await result).rows, 1);
});

test('deletes carry one event time for all keys', async (context) => {
  const { server, db, item, schema } = await start(context);
  const times: number[] = [];
  server.on(OPERATIONS.DELETE, (request) => times.push(...answerDelete(schema, request)));
  assert.equal((await db.delete(item, [1, 2], { eventTime: 77n })).applied, 2);
  assert.deepEqual(times, [77, 77]);
  assert.equal((await db.delete(item, [])).rows, 0);
  await assert.rejects(db.delete(item, [1], { eventTime: 0.5 }), failure('EVENT_TIME_INVALID'));
});

test('wrong arguments are rejections, never throws', async (context) => {
  const { db, item } = await start(context);
  await assert.rejects(db.put(item, 'rows' as never), failure('ROW_INVALID'));
  await assert.rejects(db.put(item, [null] as never), failure('ROW_INVALID', /row 0/));
  await assert.rejects(db.get(item, 1, { timeoutMs: -1 }), failure('USAGE'));
  await assert.rejects(db.createGroup({ name: 'x', key: {}, features: {} }), failure('SCHEMA_INVALID'));
  await assert.rejects(Millrace.connect('nowhere:0'), failure('USAGE'));
});

test('after close every call is refused with CLIENT_CLOSED', async (context) => {
  const { db, item } = await start(context);
  await db.close();
  for (const call of [
    db.get(item, 1),
    db.getMany(item, [1]),
    db.getMatrix(item, [1], { features: ['a'] }),
    db.put(item, [{ id: 1 }]),
    db.delete(item, [1]),
    db.groups(),
    db.scan(item).next(),
  ]) {
    await assert.rejects(call, failure('CLIENT_CLOSED'));
  }
});
