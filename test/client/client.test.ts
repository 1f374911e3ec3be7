/** The client as a whole: groups by name, arguments, and closing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Millrace } from '../../client/index.ts';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerGet } from './fake-answers.ts';
import { itemOf, startItems } from './item-fixture.ts';

test('a name is looked up once, and again when its group was replaced', async (context) => {
  const { server, schema } = await startItems(context);
  let lookups = 0;
  const lookUp = server.handlerOf(OPERATIONS.GET_GROUP);
  server.on(OPERATIONS.GET_GROUP, (request) => {
    lookups += 1;
    lookUp(request);
  });
  server.on(OPERATIONS.GET, (request) => answerGet(schema, request, itemOf));
  const fresh = await Millrace.connect(server.address);
  context.after(() => fresh.close());
  await fresh.get('item', 0);
  await fresh.get('item', 0);
  assert.equal(lookups, 1);
  server.groups.set('item', { ...schema, id: 99 });
  server.on(OPERATIONS.GET, (request) => {
    const groupId = request.frame.view.getUint16(40, true);
    if (groupId === 99) answerGet(schema, request, itemOf);
    else request.refuse('GROUP_NOT_FOUND');
  });
  assert.equal((await fresh.get('item', 2))?.['a'], 2);
  assert.equal(lookups, 2);
  await assert.rejects(fresh.get('nothing', 0), failure('GROUP_NOT_FOUND'));
});

test('wrong arguments are rejections, never throws', async (context) => {
  const { db, item } = await startItems(context);
  await assert.rejects(db.put(item, 'rows' as never), failure('ROW_INVALID'));
  await assert.rejects(db.put(item, [null] as never), failure('ROW_INVALID', /row 0/));
  await assert.rejects(db.get(item, 1, { timeoutMs: -1 }), failure('USAGE'));
  await assert.rejects(db.createGroup({ name: 'x', key: {}, features: {} }), failure('SCHEMA_INVALID'));
  await assert.rejects(Millrace.connect('nowhere:0'), failure('USAGE'));
});

test('an argument that is left out is USAGE and says what is needed, not INTERNAL', async (context) => {
  const { db, item } = await startItems(context);
  const needsKeys = failure('USAGE', /an array of keys is needed/);
  await assert.rejects(db.getMany(item, null as never), needsKeys);
  await assert.rejects(db.getMany(item, 'ORD' as never), needsKeys);
  await assert.rejects(db.delete(item, undefined as never), needsKeys);
  await assert.rejects(db.getMatrix(item, null as never, { features: ['a'] }), needsKeys);
  await assert.rejects(db.getMatrix(item, [1], undefined as never), failure('USAGE', /needs \{ features \}/));
  await assert.rejects(db.getMatrix(item, [1], {} as never), failure('USAGE', /needs \{ features \}/));
  await assert.rejects(db.createGroup(null as never), failure('USAGE', /takes a declaration/));
});

test('after close every call is refused with CLIENT_CLOSED', async (context) => {
  const { db, item } = await startItems(context);
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
