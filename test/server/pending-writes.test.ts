/** PUT and DELETE from their decoding to their answer: results, deadlines, refusals, and that nothing is kept. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  decodeDeleteResponse,
  decodePutResponse,
  encodeDeleteRequest,
  encodeKeys,
  errorNumber,
  type GroupSchema,
  RESULT_APPLIED,
  RESULT_SUPERSEDED,
  schemaFromSpec,
} from '../../protocol/index.ts';
import { DEADLINE_TICK_MS } from '../../server/limits.ts';
import { EVENT_TIME_FUTURE_MICROS_MAX, StorageError, type WriteRequest } from '../../storage/index.ts';
import { TEST_NOW_MICROS, TestShard } from '../support/shard.ts';
import { encodeRows, ShardOperations } from '../support/shard-operations.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const GROUP: GroupSchema = schemaFromSpec(
  { name: 'g', key: [{ name: 'id', type: 'int64' }], features: [{ name: 'n', type: 'int32' }] },
  1,
  0,
);

async function opened(context: TestContext): Promise<{ shard: TestShard; operations: ShardOperations }> {
  const shard = await new TestShard(temporaryDirectory(context)).open();
  context.after(() => shard.store.close());
  return { shard, operations: new ShardOperations(shard.store, [GROUP]) };
}

test('each row has its result and its LSN, in the order of the request', async (context) => {
  const { operations } = await opened(context);
  const rows = Array.from({ length: 11 }, (_, id) => ({ key: id, values: { n: id } }));
  await operations.put(GROUP, rows);
  const older = rows.map((row, index) => ({
    ...row,
    eventTime: TEST_NOW_MICROS + (index % 2 === 0 ? -1 : 1),
  }));
  await operations.put(GROUP, older);
  const [first, second] = operations.session.taken().map((response) => decodePutResponse(response.frame));
  assert.deepEqual([...first!.results], new Array(11).fill(RESULT_APPLIED));
  assert.deepEqual(
    [...second!.results],
    rows.map((_, index) => (index % 2 === 0 ? RESULT_SUPERSEDED : RESULT_APPLIED)),
  );
  rows.forEach((_, index) => {
    assert.ok(second!.lsns[index]! > first!.lsns[index]!, 'the LSN of a key rises');
  });
});

test('a write is in flight until it is durable, and then released', async (context) => {
  const { operations } = await opened(context);
  operations.handle((writer) => encodeRows(writer, GROUP, [{ key: 1, values: {} }]));
  assert.equal(operations.session.requestsInFlight, 1);
  assert.deepEqual(operations.session.taken(), []);
  await operations.answered();
  assert.equal(operations.session.requestsInFlight, 0);
  assert.equal(operations.session.taken().length, 1);
});

test('deletes have results too', async (context) => {
  const { operations } = await opened(context);
  await operations.put(GROUP, [{ key: 1, values: {} }]);
  operations.session.taken();
  const keys = encodeKeys(GROUP.key, [1, 2]);
  const eventTimes = [TEST_NOW_MICROS - 1, TEST_NOW_MICROS];
  operations.handle((writer) =>
    encodeDeleteRequest(writer, { correlationId: 4 }, { groupId: GROUP.id, eventTimes, keys }),
  );
  await operations.answered();
  const [response] = operations.session.taken();
  assert.equal(response!.correlationId, 4);
  assert.deepEqual([...decodeDeleteResponse(response!.frame).results], [RESULT_SUPERSEDED, RESULT_APPLIED]);
});

test('a write whose time is up is answered as indeterminate, once, and stays in flight until it is done', async (context) => {
  const { shard, operations } = await opened(context);
  const done: ((error: StorageError | null) => void)[] = [];
  context.mock.method(
    shard.store,
    'write',
    (_request: unknown, finish: (error: StorageError | null) => void) => {
      done.push(finish);
    },
  );
  context.mock.timers.enable({ apis: ['setInterval'] });
  operations.handle((writer) => encodeRows(writer, GROUP, [{ key: 1, values: {} }], 50));
  operations.handle((writer) => encodeRows(writer, GROUP, [{ key: 2, values: {} }], 0));
  context.mock.timers.tick(DEADLINE_TICK_MS);
  assert.deepEqual(operations.session.taken(), []);
  operations.nowMs = 50;
  context.mock.timers.tick(DEADLINE_TICK_MS);
  assert.deepEqual(
    operations.session.taken().map((response) => response.status),
    [33],
  );
  assert.equal(operations.session.requestsInFlight, 2);
  for (const finish of done) finish(null);
  assert.deepEqual(
    operations.session.taken().map((response) => response.status),
    [0],
  );
  assert.equal(operations.session.requestsInFlight, 0);
});

test('a write that fails after it was accepted is answered with the store’s code', async (context) => {
  const { shard, operations } = await opened(context);
  context.mock.method(
    shard.store,
    'write',
    (_request: unknown, finish: (error: StorageError | null) => void) => {
      setImmediate(finish, new StorageError('INTERNAL', 'the journal failed'));
    },
  );
  await operations.put(GROUP, [{ key: 1, values: {} }]);
  assert.deepEqual(
    operations.session.taken().map((response) => response.status),
    [63],
  );
});

test('what the store refuses is thrown, and nothing stays in flight', async (context) => {
  const { shard, operations } = await opened(context);
  const refusal = new StorageError('OVERLOADED', 'a test');
  const write = context.mock.method(shard.store, 'write', () => {
    throw refusal;
  });
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.throws(
      () => operations.handle((writer) => encodeRows(writer, GROUP, [{ key: 1, values: {} }])),
      refusal,
    );
  }
  assert.equal(operations.session.requestsInFlight, 0);
  write.mock.restore();
  await operations.put(GROUP, [{ key: 1, values: {} }]);
  assert.equal(operations.session.taken().length, 1);
});

test('conditions and keys reach the store, and do not stay behind in the object that is used again', async (context) => {
  const { shard, operations } = await opened(context);
  const seen: unknown[] = [];
  const write = shard.store.write.bind(shard.store);
  context.mock.method(
    shard.store,
    'write',
    (request: WriteRequest, done: (error: StorageError | null) => void) => {
      const { isBackfill, ifVersions, clientIdLo, clientIdHi, sequence } = request;
      seen.push([isBackfill, ifVersions === null ? null : [...ifVersions], clientIdLo, clientIdHi, sequence]);
      write({ ...request, ifVersions: null, results: request.results, lsns: request.lsns }, done);
    },
  );
  const keys = encodeKeys(GROUP.key, [1, 2]);
  const head = { groupId: GROUP.id, eventTimes: [TEST_NOW_MICROS, TEST_NOW_MICROS], keys };
  const key = { correlationId: 4, clientIdLo: 5, clientIdHi: 0xffffffff, sequence: 2 ** 40 };
  operations.handle((writer) => encodeDeleteRequest(writer, key, { ...head, ifVersions: [7, 0] }));
  await operations.answered();
  operations.handle((writer) =>
    encodeDeleteRequest(writer, { correlationId: 4 }, { ...head, isBackfill: true }),
  );
  await operations.answered();
  await operations.put(GROUP, [{ key: 1, values: {} }]);
  assert.deepEqual(seen, [
    [false, [7, 0], 5, 0xffffffff, 2 ** 40],
    [true, null, 0, 0, 0],
    [false, null, 0, 0, 0],
  ]);
});

test('an event time at the edge of the future is taken, one after it refused, row by row', async (context) => {
  const { operations } = await opened(context);
  const edge = TEST_NOW_MICROS + EVENT_TIME_FUTURE_MICROS_MAX;
  await operations.put(GROUP, [
    { key: 1, values: {}, eventTime: edge },
    { key: 2, values: {}, eventTime: edge + 1 },
  ]);
  const [response] = operations.session.taken();
  const { results, lsns } = decodePutResponse(response!.frame);
  assert.deepEqual([...results], [RESULT_APPLIED, errorNumber('EVENT_TIME_IN_FUTURE')]);
  assert.equal(lsns[1], 0);
});
