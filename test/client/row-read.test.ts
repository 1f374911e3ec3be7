/** Rows by key: which features they hold, in which order they come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerGet, EVENT_TIME_MICROS } from './fake-answers.ts';
import { itemOf, startItems } from './item-fixture.ts';

test('chosen features come with key and event time, others do not', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, itemOf));
  const [some, all] = await Promise.all([db.get(item, 2, { features: ['b'] }), db.get(item, 2)]);
  assert.deepEqual(some, { id: 2n, event_time: EVENT_TIME_MICROS, b: 'item 2' });
  assert.deepEqual(Object.keys(all!), ['id', 'event_time', 'a', 'b']);
  await assert.rejects(db.get(item, 2, { features: ['c'] }), failure('FEATURE_NOT_FOUND', /it has: a, b/));
});

test('many keys come back in their order, and no keys need no request', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, itemOf));
  const rows = await db.getMany(item, [4, 3, 0, 4]);
  assert.deepEqual(
    rows.map((row) => row?.a ?? null),
    [4, null, 0, 4],
  );
  server.on(OPERATIONS.GET, () => assert.fail('asked for nothing'));
  assert.deepEqual(await db.getMany(item, []), []);
});

test('a version comes with its row, and is 0 where there is none', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, itemOf));
  const [two, three, four] = await db.getVersioned(item, [2, 3, 4], { features: ['a'] });
  assert.deepEqual(two, { row: { id: 2n, event_time: EVENT_TIME_MICROS, a: 2 }, version: 1 });
  assert.deepEqual(three, { row: null, version: 0 });
  assert.equal(four!.version, 3);
});
