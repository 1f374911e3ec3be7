/** The types of declared groups. What must not compile is marked; the compiler is the test, and this file must run too. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { add, append, Millrace, max, min, set } from '../../client/index.ts';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerGet, answerMatrix, answerPatch, answerPut } from './fake-answers.ts';
import { FakeServer } from './fake-server.ts';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Does nothing when it runs: a call whose type argument is not `true` does not compile. */
function assertType<_T extends true>(): void {}

async function connect(context: TestContext): Promise<{ server: FakeServer; db: Millrace }> {
  const server = await FakeServer.start(context);
  const db = await Millrace.connect(server.address);
  context.after(() => db.close());
  return { server, db };
}

test('rows, puts and keys of a declared group have its types', async (context) => {
  const { server, db } = await connect(context);
  const airport = await db.createGroup({
    name: 'airport',
    key: { origin: 'string' },
    features: { delay: 'float32', count: 'int64', embedding: { type: 'vector', length: 2 } },
  });
  server.on(OPERATIONS.PUT, (request) => answerPut(airport.schema, request));
  server.on(OPERATIONS.GET, (request) => answerGet(airport.schema, request, () => ({ delay: 1 })));
  server.on(OPERATIONS.GET_MATRIX, (request) => answerMatrix(airport.schema, request, 1, () => 1));

  await db.put(airport, [{ origin: 'SFO', delay: 1, event_time: new Date(), embedding: [1, 2] }]);
  // @ts-expect-error a delay is a number
  await assert.rejects(db.put(airport, [{ origin: 'SFO', delay: 'late' }]));
  // @ts-expect-error the key is missing
  await assert.rejects(db.put(airport, [{ delay: 1 }]));

  const row = await db.get(airport, 'SFO');
  assertType<
    Equal<
      typeof row,
      {
        origin: string;
        event_time: number;
        delay: number | null;
        count: bigint | null;
        embedding: Float32Array | null;
      } | null
    >
  >();
  assert.equal(row?.delay, 1);
  await db.get(airport, { origin: 'SFO' });
  // @ts-expect-error an airport is named by text
  await assert.rejects(db.get(airport, 7));

  const some = await db.get(airport, 'SFO', { features: ['delay'] });
  assertType<Equal<NonNullable<typeof some>['delay'], number | null | undefined>>();

  const single = await db.getMatrix(airport, ['SFO'], { features: ['delay'] });
  assertType<Equal<typeof single.data, Float32Array>>();
  const double = await db.getMatrix(airport, ['SFO'], { features: ['delay'], dtype: 'float64' });
  assertType<Equal<typeof double.data, Float64Array>>();
});

test('a key of several columns is an object or an array, and the event time has its name', async (context) => {
  const { server, db } = await connect(context);
  const route = await db.createGroup({
    name: 'route',
    key: { origin: 'string', destination: 'string' },
    features: { tags: { type: 'list', item: 'string' }, at: 'timestamp' },
    eventTimeName: 'departed',
  });
  server.on(OPERATIONS.GET, (request) => answerGet(route.schema, request, () => ({})));
  const row = await db.get(route, { origin: 'A', destination: 'B' });
  assertType<Equal<NonNullable<typeof row>['departed'], number>>();
  assertType<Equal<NonNullable<typeof row>['at'], number | null>>();
  await db.get(route, ['A', 'B']);
  // @ts-expect-error two columns are not one text
  await assert.rejects(db.get(route, 'A'));
});

test('a patch takes the steps of its features, and values of their types', async (context) => {
  const { server, db } = await connect(context);
  const user = await db.createGroup({
    name: 'user',
    key: { id: 'int64' },
    features: {
      clicks: 'int64',
      score: 'float32',
      seen: 'timestamp',
      name: 'string',
      embedding: { type: 'vector', length: 2 },
      recent: { type: 'list', item: 'int32' },
      extra: 'msgpack',
    },
  });
  server.on(OPERATIONS.PATCH, (request) => answerPatch(user.schema, request));
  const result = await db.patch(user, [
    { id: 1, clicks: add(1), score: max(0.5), seen: max(new Date(5)), recent: append(7, { max: 50 }) },
    { id: 2n, event_time: 5, clicks: add(2n ** 40n), name: set('x'), embedding: [1, 2], extra: { a: 1 } },
    { id: 3, clicks: null, recent: append([1, 2], { max: 50 }), name: undefined, seen: min(9) },
  ]);
  assert.equal(result.applied, 3);
  const refused = failure('PATCH_INVALID');
  // @ts-expect-error nothing is added to a text
  await assert.rejects(db.patch(user, [{ id: 1, name: add(1) }]), refused);
  // @ts-expect-error nothing is added to a moment
  await assert.rejects(db.patch(user, [{ id: 1, seen: add(1) }]), refused);
  // @ts-expect-error a number is no list
  await assert.rejects(db.patch(user, [{ id: 1, score: append(1, { max: 5 }) }]), refused);
  // @ts-expect-error a text is no score
  await assert.rejects(db.patch(user, [{ id: 1, score: set('x') }]), failure('TYPE_MISMATCH'));
  // @ts-expect-error a key is not changed
  await assert.rejects(db.patch(user, [{ id: add(1), score: 1 }]), failure('KEY_INVALID'));
  // @ts-expect-error there is no such feature
  await assert.rejects(db.patch(user, [{ id: 1, scores: 1 }]), failure('ROW_INVALID'));
  await assert.rejects(db.patch(user, [{ id: 1 }]), failure('PATCH_INVALID', /^row 0: .*changes no feature/));
});

test('a group looked up by name has loose types', async (context) => {
  const { server, db } = await connect(context);
  await db.createGroup({
    name: 'g',
    key: [{ name: 'id', type: 'int64' }],
    features: [{ name: 'a', type: 'int8' }],
  });
  const group = await db.group('g');
  server.on(OPERATIONS.GET, (request) => answerGet(group.schema, request, () => ({ a: 1 })));
  const row = await db.get(group, 5);
  assertType<Equal<typeof row, Record<string, unknown> | null>>();
  assert.equal((await db.get('g', 5n))?.['a'], 1);
});
