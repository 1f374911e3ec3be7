/** Coalescing: gets of one turn travel together and are answered apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerGet, EVENT_TIME_MICROS, keysOfGet } from './fake-answers.ts';
import { ITEM_SPEC, itemOf, startItems } from './item-fixture.ts';

test('gets of one turn travel in one request, and each has its own answer', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  const answers = Promise.all([0, 1, 2, 3].map((id) => db.get(item, id)));
  const request = await server.received(OPERATIONS.GET);
  assert.deepEqual(
    keysOfGet(schema, request).map(({ id }) => id),
    [0n, 1n, 2n, 3n],
  );
  answerGet(schema, request, itemOf);
  const rows = await answers;
  assert.deepEqual(rows[2], { id: 2n, event_time: EVENT_TIME_MICROS, a: 2, b: 'item 2' });
  assert.deepEqual([rows[1], rows[3]], [null, null]);
  assert.equal(server.untaken(OPERATIONS.GET), 0);
});

test('gets of different groups, of another turn, or with a time of their own travel apart', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  const other = await db.createGroup({ ...ITEM_SPEC, name: 'other' });
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, itemOf));
  let requests = 0;
  server.on(OPERATIONS.GET, (request) => {
    requests += 1;
    answerGet(schema, request, itemOf);
  });
  await Promise.all([db.get(item, 0), db.get(other, 0), db.get(item, 0, { timeoutMs: 5000 })]);
  assert.equal(requests, 3);
  await db.get(item, 0);
  assert.equal(requests, 4);
});

test('a bad key fails its own get and no other', async (context) => {
  const { server, db, item, schema } = await startItems(context);
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, itemOf));
  const results = await Promise.allSettled([db.get(item, 0), db.get(item, 1.5), db.get(item, 2)]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.ok(failure('KEY_INVALID', /1\.5/)((results[1] as PromiseRejectedResult).reason));
});

test('a failed batch rejects every get that was in it', async (context) => {
  const { server, db, item } = await startItems(context);
  server.on(OPERATIONS.GET, (request) => request.refuse('BLOCK_CORRUPT', 'block 7'));
  const results = await Promise.allSettled([db.get(item, 0), db.get(item, 2)]);
  for (const result of results) assert.ok(failure('BLOCK_CORRUPT')((result as PromiseRejectedResult).reason));
});
