/** Puts and deletes: event times, LSNs, and what is repeated when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MillraceError } from '../../client/index.ts';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerDelete, answerPut, rowsOfPut } from './fake-answers.ts';
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
  assert.deepEqual(
    { ...result, lsns: [...result.lsns!] },
    { rows: 3, applied: 3, superseded: 0, lsns: [40, 41, 42] },
  );
  assert.ok(times[0]! >= before && times[0]! <= Date.now() * 1000);
  assert.deepEqual(times.slice(1), [5, 6000]);
});

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
