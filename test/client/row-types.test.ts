/** The types of declared groups. What must not compile is marked; the compiler is the test, and this file must run too. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Millrace } from '../../client/index.ts';
import { OPERATIONS } from '../../protocol/index.ts';
import { answerGet, answerMatrix, answerPut } from './fake-answers.ts';
import { FakeServer } from './fake-server.ts';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function assertType<_T extends true>(): void {
  assert.ok(true);
}

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
