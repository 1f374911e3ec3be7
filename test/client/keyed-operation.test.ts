/** Operations over several shards: keys reach their owners, answers come back in order, wrong maps are corrected. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Group, Millrace } from '../../client/index.ts';
import {
  decodeGetMatrixRequest,
  decodeGetRequest,
  encodeKeys,
  encodeMapResponse,
  GET_KEYS_MAX,
  type GroupSchema,
  type KeyBatch,
  OPERATIONS,
  partitionOf,
} from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { answerGet, answerMatrix, answerPut, EVENT_TIME_MICROS, keysOf, keysOfGet } from './fake-answers.ts';
import { type FakeRequest, FakeServer, SEED_HI, SEED_LO } from './fake-server.ts';

interface Fixture {
  server: FakeServer;
  db: Millrace;
  item: Group;
  schema: GroupSchema;
}

async function start(context: TestContext, shardCount: number): Promise<Fixture> {
  const server = await FakeServer.start(context, shardCount);
  const db = await Millrace.connect(server.address, { closeTimeoutMs: 1000 });
  context.after(() => db.close());
  const item = await db.createGroup({
    name: 'item',
    key: [{ name: 'id', type: 'int64' }],
    features: [{ name: 'a', type: 'float32' }],
  });
  return { server, db, item, schema: item.schema };
}

function shardsOf(schema: GroupSchema, keys: KeyBatch, shardCount: number): number[] {
  keys.digest(SEED_LO, SEED_HI);
  return keysOf(schema, keys).map((_, i) => partitionOf(keys.digests[2 * i]!) % shardCount);
}

const rowOf = ({ id }: Record<string, unknown>): Record<string, unknown> => ({ a: Number(id) });
const ids = Array.from({ length: 500 }, (_, i) => (i * 37) % 500);

test('keys go to the shards that own them, in parallel, and rows come back in the order of the keys', async (context) => {
  const { server, db, item, schema } = await start(context, 3);
  const held: FakeRequest[] = [];
  server.on(OPERATIONS.GET, (request) => {
    const { keys } = decodeGetRequest(request.frame, schema.key);
    assert.deepEqual(new Set(shardsOf(schema, keys, 3)), new Set([request.shard]));
    held.push(request);
    if (held.length === 3) for (const each of held.reverse()) answerGet(schema, each, rowOf);
  });
  const rows = await db.getMany(item, ids);
  assert.deepEqual(
    rows.map((row) => row!['a']),
    ids,
  );
});

test('a matrix of several shards is one matrix in the order of the keys', async (context) => {
  const { server, db, item, schema } = await start(context, 3);
  server.on(OPERATIONS.GET_MATRIX, (request) =>
    answerMatrix(schema, request, 1, ({ id }) => (Number(id) % 5 === 0 ? Number.NaN : Number(id))),
  );
  const matrix = await db.getMatrix(item, ids, { features: ['a'], eventTimes: true });
  ids.forEach((id, row) => {
    const isThere = id % 5 !== 0;
    assert.equal(matrix.data[row], isThere ? id : Number.NaN);
    assert.equal(matrix.found[row], isThere ? 1 : 0);
    assert.equal(matrix.isValid(row, 0), isThere);
    assert.equal(matrix.eventTimes![row]! >= EVENT_TIME_MICROS, isThere);
  });
});

test('puts of several shards count and number their rows as the caller gave them', async (context) => {
  const { server, db, item, schema } = await start(context, 3);
  server.on(OPERATIONS.PUT, (request) => answerPut(schema, request, 1000 * (request.shard + 1)));
  const result = await db.put(
    item,
    ids.map((id) => ({ id, a: id })),
    { lsns: true },
  );
  assert.equal(result.applied, 500);
  const shards = shardsOf(schema, encodeKeys(schema.key, ids), 3);
  assert.deepEqual(
    Array.from(result.lsns!, (lsn) => Math.floor(lsn / 1000) - 1),
    shards,
  );
});

test('a row that the server refuses is named by its place in the call', async (context) => {
  const { server, db, item, schema } = await start(context, 2);
  const shards = shardsOf(schema, encodeKeys(schema.key, ids), 2);
  const third = shards.flatMap((shard, row) => (shard === 1 ? [row] : []))[2]!;
  server.on(OPERATIONS.PUT, (request) => {
    if (request.shard === 1) request.refuse('EVENT_TIME_IN_FUTURE', 'row 2: too far ahead');
    else answerPut(schema, request);
  });
  const expected = new RegExp(`^row ${third}: too far ahead \\(\\d+ of 500 rows were acknowledged\\)$`);
  const refused = db.put(
    item,
    ids.map((id) => ({ id })),
  );
  await assert.rejects(refused, failure('EVENT_TIME_IN_FUTURE', expected));
});

test('more keys than one request may name go out as several', async (context) => {
  const { server, db, item, schema } = await start(context, 1);
  const counts: number[] = [];
  server.on(OPERATIONS.GET, (request) => {
    counts.push(keysOfGet(schema, request).length);
    answerGet(schema, request, rowOf);
  });
  const many = Array.from({ length: GET_KEYS_MAX + 5 }, (_, id) => id);
  const rows = await db.getMany(item, many);
  assert.deepEqual(counts, [GET_KEYS_MAX, 5]);
  assert.deepEqual(rows.at(-1), {
    id: BigInt(GET_KEYS_MAX + 4),
    event_time: EVENT_TIME_MICROS,
    a: GET_KEYS_MAX + 4,
  });
});

test('a request whose answer does not fit a frame is halved until it does', async (context) => {
  const { server, db, item, schema } = await start(context, 1);
  server.on(OPERATIONS.GET_MATRIX, (request) => {
    const { keys } = decodeGetMatrixRequest(request.frame, schema.key);
    if (keys.count > 100) request.refuse('BATCH_TOO_LARGE');
    else answerMatrix(schema, request, 1, ({ id }) => Number(id));
  });
  const matrix = await db.getMatrix(item, ids, { features: ['a'] });
  assert.deepEqual([...matrix.data], ids);
  server.on(OPERATIONS.GET_MATRIX, (request) => request.refuse('BATCH_TOO_LARGE', 'one row is too large'));
  await assert.rejects(db.getMatrix(item, ids, { features: ['a'] }), failure('BATCH_TOO_LARGE', /one row/));
});

test('NOT_OWNER brings a new map, and the keys go where it says', async (context) => {
  const { server, db, item, schema } = await start(context, 2);
  // The map was wrong: everything is on a second node, which is listener 1 of the fake.
  let isMoved = false;
  server.on(OPERATIONS.MAP, (request) => {
    isMoved = true;
    const { nodes, ...rest } = server.map();
    const shards = [nodes[0]!.shards[1]!];
    const owners = rest.owners.map(() => 1);
    const moved = {
      ...rest,
      epoch: 2,
      owners,
      nodes: [...nodes, { id: 'other', host: '127.0.0.1', shards }],
    };
    request.answer((writer, id) => encodeMapResponse(writer, id, moved));
  });
  server.on(OPERATIONS.GET, (request) => {
    if (request.shard !== 1 || !isMoved) request.refuse('NOT_OWNER');
    else answerGet(schema, request, rowOf);
  });
  const rows = await db.getMany(item, ids);
  assert.deepEqual(
    rows.map((row) => row!['a']),
    ids,
  );
});

test('NOT_OWNER for ever ends with NOT_OWNER', async (context) => {
  const { server, db, item } = await start(context, 2);
  server.on(OPERATIONS.GET, (request) => request.refuse('NOT_OWNER'));
  await assert.rejects(db.getMany(item, ids, { timeoutMs: 300 }), failure('NOT_OWNER'));
});

test('one shard that fails fails the call, after the others have ended', async (context) => {
  const { server, db, item, schema } = await start(context, 2);
  server.on(OPERATIONS.GET, (request) => {
    if (request.shard === 0) request.refuse('BLOCK_CORRUPT', 'shard 0');
    else answerGet(schema, request, rowOf);
  });
  await assert.rejects(db.getMany(item, ids), failure('BLOCK_CORRUPT', /shard 0/));
  const settled = await Promise.allSettled(ids.map((id) => db.get(item, id)));
  const shards = shardsOf(schema, encodeKeys(schema.key, ids), 2);
  const expected = shards.map((shard) => (shard === 0 ? 'rejected' : 'fulfilled'));
  assert.deepEqual(
    settled.map(({ status }) => status),
    expected,
  );
});
