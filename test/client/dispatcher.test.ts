/** Where requests go: maps, retries, time-outs and closing, over a server that misbehaves on demand. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type ConnectOptions, Millrace, type MillraceError } from '../../client/index.ts';
import {
  encodeMapResponse,
  encodePingResponse,
  encodeStatusResponse,
  OPERATIONS,
} from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { FakeServer } from './fake-server.ts';

const STATUS = { nodeId: 'node', version: '0', uptimeSeconds: 1, shards: [] };

async function start(
  context: TestContext,
  options: ConnectOptions = {},
): Promise<{ server: FakeServer; db: Millrace }> {
  const server = await FakeServer.start(context);
  const db = await Millrace.connect(server.address, { closeTimeoutMs: 1000, ...options });
  context.after(() => db.close());
  return { server, db };
}

test('one connection serves the seed and its shard', async (context) => {
  const { server, db } = await start(context);
  await db.ping();
  assert.equal(server.connectionCount, 1);
});

test('connecting fails when the map cannot be had', async (context) => {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.MAP, (request) => request.refuse('INTERNAL', 'no map today'));
  await assert.rejects(Millrace.connect(server.address), failure('INTERNAL', /no map today/));
});

test('an overloaded server is asked again, after the time it asks for', async (context) => {
  const { server, db } = await start(context);
  const answer = db.status();
  (await server.received(OPERATIONS.STATUS)).refuse('OVERLOADED', 'busy', 1);
  (await server.received(OPERATIONS.STATUS)).refuse('SHUTTING_DOWN');
  (await server.received(OPERATIONS.STATUS)).answer((writer, id) => encodeStatusResponse(writer, id, STATUS));
  assert.equal((await answer).nodeId, 'node');
});

test('a read outlives a lost connection', async (context) => {
  const { server, db } = await start(context);
  const answer = db.status();
  (await server.received(OPERATIONS.STATUS)).drop();
  (await server.received(OPERATIONS.STATUS)).answer((writer, id) => encodeStatusResponse(writer, id, STATUS));
  assert.equal((await answer).nodeId, 'node');
  assert.equal(server.connectionCount, 2);
});

test('what changes the catalog is not repeated when its end is unclear', async (context) => {
  const { server, db } = await start(context);
  server.on(OPERATIONS.DROP_GROUP, (request) => request.drop());
  await assert.rejects(
    db.dropGroup('g'),
    (error: MillraceError) => error.indeterminate && failure('CONNECTION_LOST')(error),
  );
});

test('creating with ifNotExists is repeated', async (context) => {
  const { server, db } = await start(context);
  let count = 0;
  const create = server.handlerOf(OPERATIONS.CREATE_GROUP);
  server.on(OPERATIONS.CREATE_GROUP, (request) => (count++ === 0 ? request.drop() : create(request)));
  const spec = { name: 'g', key: { id: 'int64' }, features: { a: 'int8' } } as const;
  assert.equal((await db.createGroup(spec, { ifNotExists: true })).name, 'g');
});

test('a request without an answer ends with TIMEOUT, and its budget travelled', async (context) => {
  const { server, db } = await start(context, { timeoutMs: 40 });
  const answer = db.status();
  const { header } = await server.received(OPERATIONS.STATUS);
  assert.ok(header.timeoutMs > 0 && header.timeoutMs <= 40, String(header.timeoutMs));
  await assert.rejects(answer, failure('TIMEOUT'));
});

test('the map is asked for again when a listener is reached anew, and its epoch travels', async (context) => {
  const { server, db } = await start(context);
  server.epoch = 7;
  const refreshed = new Promise<void>((resolve) =>
    server.on(OPERATIONS.MAP, (request) => {
      request.answer((writer, id) => encodeMapResponse(writer, id, server.map()));
      resolve();
    }),
  );
  server.dropConnections();
  await db.ping();
  await refreshed;
  // The ping is answered behind the map's answer, on the same connection.
  await db.ping();
  const epoch = new Promise((resolve) =>
    server.on(OPERATIONS.PING, (request) => {
      resolve(request.header.mapEpoch);
      request.answer(encodePingResponse);
    }),
  );
  await db.ping();
  assert.equal(await epoch, 7);
});

test('a server of another cluster on the same port is refused', async (context) => {
  const { server, db } = await start(context);
  server.clusterId = 'somebody else';
  server.dropConnections();
  await assert.rejects(db.ping(), failure('CONNECT_FAILED', /somebody else/));
});

test('close waits for the answers under way, and for what was asked in the same turn', async (context) => {
  const { server, db } = await start(context);
  const answer = db.status();
  const closed = db.close();
  await assert.rejects(db.ping(), failure('CLIENT_CLOSED'));
  let isClosed = false;
  const closedAgain = db.close().then(() => {
    isClosed = true;
  });
  const request = await server.received(OPERATIONS.STATUS);
  assert.equal(isClosed, false, 'a second close waits as the first does');
  request.answer((writer, id) => encodeStatusResponse(writer, id, STATUS));
  assert.equal((await answer).nodeId, 'node');
  await Promise.all([closed, closedAgain]);
});

test('close rejects what is not answered in its time', async (context) => {
  const { server, db } = await start(context, { closeTimeoutMs: 10 });
  const answer = db.status();
  answer.catch(() => undefined);
  await server.received(OPERATIONS.STATUS);
  await db.close();
  await assert.rejects(answer, failure('CLIENT_CLOSED'));
  await db.close();
});

test('close does not wait for another attempt', async (context) => {
  const { server, db } = await start(context);
  const answer = db.status();
  answer.catch(() => undefined);
  (await server.received(OPERATIONS.STATUS)).refuse('OVERLOADED', 'busy', 5000);
  // The refusal has been read when a later request is answered.
  await db.ping();
  await db.close();
  await assert.rejects(answer, failure('OVERLOADED'));
});
