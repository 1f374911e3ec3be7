/** Puts and deletes: event times, LSNs, and what is repeated when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, type MillraceError } from '../../client/index.ts';
import { PUT_CHUNK_ROWS } from '../../client/limits.ts';
import { errorNumber, OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerDelete, answerPatch, answerPut, decodedPut, rowsOfPut } from './fake-answers.ts';
import type { FakeRequest } from './fake-server.ts';
import { startItems } from './item-fixture.ts';

test('rows without an event time get the time of the call, and LSNs come when asked for', async (context) => {
  const { server, db, item, schema } = await startItems(context);
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
  assert.deepEqual([result.rows, result.applied, result.superseded], [3, 3, 0]);
  assert.deepEqual([...result.lsns!], [40, 41, 42]);
  assert.ok(times[0]! >= before && times[0]! <= Date.now() * 1000);
  assert.deepEqual(times.slice(1), [5, 6000]);
});

function keyOf({ header }: FakeRequest): number[] {
  return [header.clientIdLo, header.clientIdHi, header.sequence];
}

test('a put is repeated after a lost connection only when that is allowed', async (context) => {
  for (const retryWrites of [false, true]) {
    const { server, db, item, schema } = await startItems(context, { retryWrites });
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
    assert.deepEqual(keyOf(again), [0, 0, 0], 'without a key the server keeps nothing of it');
    answerPut(schema, again);
    assert.equal((await result).applied, 1);
  }
});

test('a put that was refused before it was carried out is repeated always', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  const result = db.put(item, [{ id: 1 }]);
  (await server.received(OPERATIONS.PUT)).refuse('OVERLOADED');
  answerPut(schema, await server.received(OPERATIONS.PUT));
  assert.equal((await result).rows, 1);
});

test('deletes carry one event time for all keys', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  const times: number[] = [];
  server.on(OPERATIONS.DELETE, (request) => times.push(...answerDelete(schema, request)));
  assert.equal((await db.delete(item, [1, 2], { eventTime: 77n })).applied, 2);
  assert.deepEqual(times, [77, 77]);
  assert.equal((await db.delete(item, [])).rows, 0);
  await assert.rejects(db.delete(item, [1], { eventTime: 0.5 }), failure('EVENT_TIME_INVALID'));
});

test('a keyed put is repeated after a lost connection under the same key, and each call has its own', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  const keys: number[][] = [];
  for (const options of [{ idempotent: true }, { ifVersion: 7 }]) {
    const result = db.put(item, [{ id: 1, event_time: 5 }], options);
    const first = await server.received(OPERATIONS.PUT);
    first.drop();
    const again = await server.received(OPERATIONS.PUT);
    assert.deepEqual(keyOf(again), keyOf(first));
    answerPut(schema, again);
    assert.equal((await result).applied, 1);
    keys.push(keyOf(first));
  }
  const [one, other] = keys;
  assert.ok(one![2]! > 0 && one![0]! + one![1]! > 0);
  assert.deepEqual(other!.slice(0, 2), one!.slice(0, 2));
  assert.ok(other![2]! > one![2]!, 'sequences rise');
});

test('the parts of a keyed write carry one sequence', async (context) => {
  const { server, db, item, schema } = await startItems(context, { shards: 3 });
  const sequences: number[] = [];
  server.on(OPERATIONS.PUT, (request) => {
    sequences.push(request.header.sequence);
    answerPut(schema, request);
  });
  const rows = Array.from({ length: 100 }, (_, id) => ({ id }));
  await db.put(item, rows, { idempotent: true });
  assert.deepEqual(sequences, [sequences[0], sequences[0], sequences[0]]);
});

test('versions and backfill reach the server with their rows, over chunks and shards', async (context) => {
  const { server, db, item, schema } = await startItems(context, { shards: 2 });
  const seen = new Map<number, number>();
  let backfills = 0;
  server.on(OPERATIONS.PUT, (request) => {
    const { keys, ifVersions, isBackfill } = decodedPut(schema, request);
    keys.forEach(({ id }, index) => {
      seen.set(Number(id), ifVersions?.[index] ?? -1);
    });
    if (isBackfill) backfills += 1;
    answerPut(schema, request);
  });
  const ids = Array.from({ length: PUT_CHUNK_ROWS + 10 }, (_, id) => id);
  await db.put(item, { columns: { id: ids } }, { ifVersion: ids.map((id) => 3 * id) });
  assert.deepEqual(
    [...seen.entries()].sort(([a], [b]) => a - b),
    ids.map((id) => [id, 3 * id]),
  );
  assert.equal(backfills, 0);
  await db.put(item, [{ id: 1 }], { backfill: true });
  assert.deepEqual([seen.get(1), backfills], [-1, 1]);
});

test('a batch answers what became of each row; a lone row that was refused rejects', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  const refused = errorNumber('TOO_LATE');
  server.on(OPERATIONS.PUT, (request) =>
    answerPut(schema, request, 40, (id) => [0, 1, 2, refused][Number(id)]!),
  );
  const result = await db.put(item, [{ id: 0 }, { id: 3 }, { id: 1 }, { id: 2 }], { lsns: true });
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => result.status(row)),
    ['applied', 'refused', 'superseded', 'history'],
  );
  const { applied, superseded, history } = result;
  assert.deepEqual([result.rows, applied, superseded, history, result.refused], [4, 1, 1, 1, 1]);
  assert.deepEqual([...result.lsns!], [40, 0, 42, 43]);
  assert.deepEqual(
    result.refusals.map(({ row, code }) => [row, code]),
    [[1, 'TOO_LATE']],
  );
  await assert.rejects(db.put(item, [{ id: 3 }]), failure('TOO_LATE', /^row 0: .*backfill/));
});

test('a patch is keyed, repeated after a lost connection, and says which times it may keep', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  const result = db.patch(item, [{ id: 1, a: add(1) }]);
  const first = await server.received(OPERATIONS.PATCH);
  first.drop();
  const again = await server.received(OPERATIONS.PATCH);
  assert.deepEqual(keyOf(again), keyOf(first));
  assert.ok(keyOf(first)[2]! > 0);
  const decoded = answerPatch(schema, again);
  assert.deepEqual([decoded.isTimeFloor, decoded.ifVersions], [true, null]);
  assert.equal((await result).applied, 1);

  const strict = db.patch(
    item,
    [
      { id: 1, a: 2, event_time: 5 },
      { id: 2, b: 'x' },
    ],
    { ifVersion: [7, 0] },
  );
  const other = answerPatch(schema, await server.received(OPERATIONS.PATCH));
  assert.deepEqual([other.isTimeFloor, [...other.ifVersions!]], [false, [7, 0]]);
  assert.equal(other.eventTimes[0], 5);
  assert.equal((await strict).applied, 2);
});

test('a lone patch that was refused rejects with what the code means', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  server.on(OPERATIONS.PATCH, (request) => answerPatch(schema, request, () => errorNumber('PATCH_INVALID')));
  await assert.rejects(
    db.patch(item, [{ id: 3, a: add(1) }]),
    failure('PATCH_INVALID', /range of its integer/),
  );
  assert.equal(
    (
      await db.patch(item, [
        { id: 3, a: 1 },
        { id: 4, a: 1 },
      ])
    ).refused,
    2,
  );
  assert.equal((await db.patch(item, [])).rows, 0);
  await assert.rejects(db.patch('item', { a: 1 } as never), failure('ROW_INVALID', /array of row objects/));
});
