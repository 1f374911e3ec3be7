/** A large put as a pipeline: bounded, in order, and honest about how far it came. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Group, Millrace } from '../../client/index.ts';
import { PUT_CHUNK_ROWS, PUT_CHUNKS_IN_FLIGHT } from '../../client/limits.ts';
import { type GroupSchema, OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerPut, rowsOfPut } from './fake-answers.ts';
import { type FakeRequest, FakeServer } from './fake-server.ts';

interface Fixture {
  server: FakeServer;
  db: Millrace;
  item: Group;
  schema: GroupSchema;
}

async function start(context: TestContext): Promise<Fixture> {
  const server = await FakeServer.start(context);
  const db = await Millrace.connect(server.address, { closeTimeoutMs: 1000 });
  context.after(() => db.close());
  const key = [{ name: 'id', type: 'int64' as const }];
  const item = await db.createGroup({ name: 'item', key, features: [{ name: 'a', type: 'float32' }] });
  return { server, db, item, schema: item.schema };
}

const CHUNKS = PUT_CHUNKS_IN_FLIGHT + 3;
const COUNT = CHUNKS * PUT_CHUNK_ROWS;
const COLUMNS = { id: Float64Array.from({ length: COUNT }, (_, i) => i) };

/** The next requests, `count` of them. */
async function take(server: FakeServer, count: number): Promise<FakeRequest[]> {
  const requests: FakeRequest[] = [];
  while (requests.length < count) requests.push(await server.received(OPERATIONS.PUT));
  return requests;
}

test('so many chunks are under way and no more; each answer lets the next one go', async (context) => {
  const { server, db, item, schema } = await start(context);
  const result = db.put(item, { columns: COLUMNS }, { lsns: true });
  const held = await take(server, PUT_CHUNKS_IN_FLIGHT);
  // Answered behind anything that was sent before it.
  await db.ping();
  assert.equal(server.untaken(OPERATIONS.PUT), 0);
  const firstIds: bigint[] = [];
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const request = held.shift() ?? (await server.received(OPERATIONS.PUT));
    const first = rowsOfPut(schema, request)[0]!.key['id'] as bigint;
    firstIds.push(first);
    answerPut(schema, request, Number(first));
  }
  const { rows, applied, lsns } = await result;
  assert.deepEqual([rows, applied], [COUNT, COUNT]);
  assert.deepEqual(
    firstIds,
    Array.from({ length: CHUNKS }, (_, chunk) => BigInt(chunk * PUT_CHUNK_ROWS)),
  );
  assert.deepEqual(lsns, COLUMNS.id, 'LSNs stand where their rows stood');
});

test('after a failure no further chunk goes out, and the error says how many rows are there', async (context) => {
  const { server, db, item, schema } = await start(context);
  const result = db.put(item, { columns: COLUMNS });
  result.catch(() => undefined);
  const held = await take(server, PUT_CHUNKS_IN_FLIGHT);
  held[1]!.refuse('STORAGE_FULL', 'the disk is full');
  answerPut(schema, held[0]!);
  answerPut(schema, held[2]!);
  answerPut(schema, held[3]!);
  const expected = new RegExp(`disk is full \\(${3 * PUT_CHUNK_ROWS} of ${COUNT} rows were acknowledged\\)`);
  await assert.rejects(result, failure('STORAGE_FULL', expected));
  await db.ping();
  assert.equal(server.untaken(OPERATIONS.PUT), 0);
});

test('a bad row in a later chunk ends the put there', async (context) => {
  const { server, db, item, schema } = await start(context);
  server.on(OPERATIONS.PUT, (request) => answerPut(schema, request));
  const id: unknown[] = [...COLUMNS.id];
  id[PUT_CHUNK_ROWS + 7] = 'seven';
  const expected = new RegExp(`^row ${PUT_CHUNK_ROWS + 7}: .*${PUT_CHUNK_ROWS} of ${COUNT} rows`);
  await assert.rejects(db.put(item, { columns: { id } }), failure('KEY_INVALID', expected));
});

test('a put of nothing is answered without a request', async (context) => {
  const { db, item } = await start(context);
  const { rows, applied, refused, lsns } = await db.put(item, []);
  assert.deepEqual([rows, applied, refused, lsns], [0, 0, 0, null]);
  assert.equal((await db.put(item, { columns: { id: [] } })).rows, 0);
});
