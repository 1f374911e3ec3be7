/**
 * A node in this process, from its start to its end: what it answers over sockets, what survives a restart, and what
 * stops a start. Left to others: bad requests (bad-input.test.ts), the command and its signals (serve.test.ts).
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import {
  decodeDeleteResponse,
  decodeGetGroupResponse,
  decodeGetMatrixResponse,
  decodeHelloResponse,
  decodeListGroupsResponse,
  decodeMapResponse,
  decodeStatusResponse,
  encodeCreateGroupRequest,
  encodeDeleteRequest,
  encodeDropGroupRequest,
  encodeGetGroupRequest,
  encodeGetMatrixRequest,
  encodeHelloRequest,
  encodeKeys,
  encodeListGroupsRequest,
  encodeMapRequest,
  encodeStatusRequest,
  type FeatureSpec,
  RESULT_APPLIED,
  RESULT_SUPERSEDED,
} from '../../protocol/index.ts';
import { startNode } from '../../server/index.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import {
  assertAlive,
  createGroup,
  EVENT_TIME,
  encodeGet,
  get,
  put,
  startTestNode,
} from '../support/test-node.ts';

const FEATURES: FeatureSpec[] = [
  { name: 'a', type: 'float32' },
  { name: 'b', type: 'float32' },
  { name: 's', type: 'string' },
  { name: 'n', type: 'int16' },
];

async function connected(context: TestContext, port: number): Promise<RawConnection> {
  const connection = await RawConnection.greeted(port);
  context.after(() => connection.destroy());
  return connection;
}

test('HELLO says who answers, and MAP where every partition is', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context), { shards: 2 });
  const connection = await RawConnection.open(node.ports[1]!);
  context.after(() => connection.destroy());
  const hello = await connection.exchange(5, (writer) =>
    encodeHelloRequest(writer, { correlationId: 5 }, { client: 'test' }),
  );
  const greeting = decodeHelloResponse(hello.frame);
  assert.deepEqual(
    [greeting.version, greeting.role, greeting.shardIndex, greeting.shardCount],
    [1, 'shard', 1, 2],
  );
  const response = await connection.exchange(6, (writer) => encodeMapRequest(writer, { correlationId: 6 }));
  const map = decodeMapResponse(response.frame);
  assert.deepEqual(map, node.map);
  assert.deepEqual(
    map.nodes[0]?.shards.map((shard) => shard.port),
    node.ports,
  );
  for (const { scanPort } of map.nodes[0]!.shards) await assertAlive(scanPort);
});

test('what was put is got, in one batch and in one matrix; missing keys are missing', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  const rows = Array.from({ length: 100 }, (_, id) => ({
    id,
    values: { a: id / 2, b: id % 3 === 0 ? null : id, s: `row ${id}`, n: 7 - id },
    eventTime: EVENT_TIME + id,
  }));
  const written = await put(connection, group, rows);
  assert.ok(written.results.every((result) => result === RESULT_APPLIED));
  const ids = [5, 1000, 99, 5, 0];
  const found = await get(connection, group, ids);
  assert.deepEqual(
    found,
    [5, -1, 99, 5, 0].map((id) => (id < 0 ? null : rows[id]!.values)),
  );
  const response = await connection.exchange(20, (writer) =>
    encodeGetMatrixRequest(
      writer,
      { correlationId: 20 },
      {
        groupId: group.id,
        dtype: 0,
        withEventTimes: true,
        featureIds: [1, 2, 4],
        keys: encodeKeys(group.key, ids),
      },
    ),
  );
  const shape = decodeGetMatrixResponse(response.frame);
  const body = 16;
  const { view, bytes } = response.frame;
  assert.deepEqual([shape.rowCount, shape.columnCount, shape.validityStride], [5, 3, 1]);
  assert.deepEqual([...bytes.subarray(body + shape.foundAt, body + shape.foundAt + 5)], [1, 0, 1, 1, 1]);
  assert.deepEqual(
    [...bytes.subarray(body + shape.validityAt, body + shape.validityAt + 5)],
    [0b111, 0, 0b101, 0b111, 0b101],
  );
  const cells = Array.from({ length: 15 }, (_, cell) =>
    view.getFloat32(body + shape.dataAt + 4 * cell, true),
  );
  const nan = Number.NaN;
  assert.deepEqual(cells, [2.5, 5, 2, nan, nan, nan, 49.5, nan, -92, 2.5, 5, 2, 0, nan, 7]);
  const times = ids.map((_, index) => Number(view.getBigInt64(body + shape.eventTimesAt + 8 * index, true)));
  assert.deepEqual(times, [EVENT_TIME + 5, 0, EVENT_TIME + 99, EVENT_TIME + 5, EVENT_TIME]);
});

test('a late event is superseded, a delete hides the row, a later put shows again', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  const row = (n: number, eventTime: number) => [{ id: 1, values: { n }, eventTime }];
  await put(connection, group, row(1, EVENT_TIME));
  const late = await put(connection, group, row(2, EVENT_TIME - 1));
  assert.deepEqual([...late.results], [RESULT_SUPERSEDED]);
  assert.equal((await get(connection, group, [1]))[0]?.['n'], 1);
  const deleted = await connection.exchange(30, (writer) =>
    encodeDeleteRequest(
      writer,
      { correlationId: 30 },
      { groupId: group.id, eventTimes: [EVENT_TIME + 1], keys: encodeKeys(group.key, [1]) },
    ),
  );
  assert.deepEqual([...decodeDeleteResponse(deleted.frame).results], [RESULT_APPLIED]);
  assert.deepEqual(await get(connection, group, [1]), [null]);
  await put(connection, group, row(3, EVENT_TIME + 2));
  assert.equal((await get(connection, group, [1]))[0]?.['n'], 3);
});

test('requests of one burst are all answered, each under its correlation id', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  await put(connection, group, [{ id: 1, values: { s: 'x'.repeat(333) } }]);
  connection.request((writer) => {
    for (let id = 100; id < 3100; id++) encodeGet(writer, id, group, [id % 2]);
  });
  const responses = await connection.collected(3000);
  assert.deepEqual(
    responses.map((response) => response.correlationId).sort((a, b) => a - b),
    Array.from({ length: 3000 }, (_, index) => index + 100),
  );
});

test('a group is known on every port when its creation is answered, and unknown after its drop', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context), { shards: 3 });
  const connections = await Promise.all(node.ports.map((port) => connected(context, port)));
  const group = await createGroup(connections[0]!, 'g', FEATURES);
  const statuses = async (): Promise<number[]> => {
    const responses = await Promise.all(
      connections.map((one) => one.exchange(40, (writer) => encodeGet(writer, 40, group, [1]))),
    );
    return responses.map((response) => response.status).sort((a, b) => a - b);
  };
  // One shard owns the key, the others say so.
  assert.deepEqual(await statuses(), [0, 32, 32]);
  const known = await connections[1]!.exchange(41, (writer) =>
    encodeGetGroupRequest(writer, { correlationId: 41 }, 'g'),
  );
  assert.deepEqual(decodeGetGroupResponse(known.frame), group);
  const dropped = await connections[2]!.exchange(42, (writer) =>
    encodeDropGroupRequest(writer, { correlationId: 42 }, 'g'),
  );
  assert.equal(dropped.status, 0);
  assert.deepEqual(await statuses(), [16, 16, 16]);
  const again = await createGroup(connections[1]!, 'g', FEATURES);
  assert.equal(again.id, group.id + 1, 'ids are not used again');
  assert.deepEqual(await statuses(), [16, 16, 16], 'the old id stays unknown');
});

test('a group is created once; ifNotExists takes the one that is the same', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  const create = async (features: FeatureSpec[], ifNotExists: boolean): Promise<number> => {
    const spec = { name: 'g', key: group.key, features };
    const response = await connection.exchange(50, (writer) =>
      encodeCreateGroupRequest(writer, { correlationId: 50 }, { spec, ifNotExists }),
    );
    return response.status;
  };
  assert.equal(await create(FEATURES, false), 17);
  assert.equal(await create(FEATURES, true), 0);
  assert.equal(await create(FEATURES.slice(1), true), 17);
  const list = await connection.exchange(51, (writer) =>
    encodeListGroupsRequest(writer, { correlationId: 51 }),
  );
  assert.deepEqual(decodeListGroupsResponse(list.frame), [group]);
});

test('STATUS counts the rows of every shard', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  await put(connection, group, [
    { id: 1, values: {} },
    { id: 2, values: {} },
  ]);
  const response = await connection.exchange(60, (writer) =>
    encodeStatusRequest(writer, { correlationId: 60 }),
  );
  const status = decodeStatusResponse(response.frame);
  assert.deepEqual(
    [status.version, status.shards[0]?.['rows'], status.shards[0]?.['connections']],
    ['0.1.0', 2, 1],
  );
});

test('rows are there after a close and a start; the shard count stays', async (context) => {
  const directory = temporaryDirectory(context);
  const first = await startNode({ dataDirectory: directory, shards: 2, logLevel: 'silent' });
  const before = await RawConnection.greeted(first.port);
  const group = await createGroup(before, 'g', FEATURES);
  const owned: number[] = [];
  for (let id = 0; owned.length < 5; id++) {
    const response = await before.exchange(70, (writer) => encodeGet(writer, 70, group, [id]));
    if (response.status === 0) owned.push(id);
  }
  await put(
    before,
    group,
    owned.map((id) => ({ id, values: { n: id } })),
  );
  await first.close();
  await first.closed;
  await before.closed;
  await assert.rejects(startNode({ dataDirectory: directory, shards: 3, logLevel: 'silent' }), {
    code: 'SHARD_COUNT_MISMATCH',
  });
  const second = await startTestNode(context, directory, { shards: undefined });
  assert.equal(second.shardCount, 2);
  const after = await connected(context, second.port);
  const found = await get(after, group, owned);
  assert.deepEqual(
    found.map((row) => row?.['n']),
    owned,
  );
});

test('a port in use stops the start, names the port and leaves nothing running', async (context) => {
  const directory = temporaryDirectory(context);
  const occupier = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => occupier.once('listening', resolve));
  context.after(() => occupier.close());
  const { port } = occupier.address() as { port: number };
  await assert.rejects(
    startNode({ dataDirectory: directory, shards: 1, port, logLevel: 'silent' }),
    (error) => {
      assert.equal((error as { code: string }).code, 'PORT_IN_USE');
      assert.match((error as Error).message, new RegExp(`127\\.0\\.0\\.1:${port} is in use`));
      return true;
    },
  );
  // The directory is free again, so its lock and its threads are gone.
  await startTestNode(context, directory);
});

test('a directory in use is refused', async (context) => {
  const directory = temporaryDirectory(context);
  const node = await startTestNode(context, directory);
  await assert.rejects(startNode({ dataDirectory: directory, logLevel: 'silent' }), {
    code: 'DATA_DIRECTORY_LOCKED',
  });
  await assertAlive(node.port);
});

test('a directory made by a newer version is refused, be it the node or the catalog that says so', async (context) => {
  for (const name of ['node.json', 'catalog.json']) {
    const directory = temporaryDirectory(context);
    const node = await startNode({ dataDirectory: directory, shards: 1, logLevel: 'silent' });
    await node.close();
    const path = join(directory, name);
    const file = JSON.parse(readFileSync(path, 'utf8')) as object;
    writeFileSync(path, JSON.stringify({ ...file, format: 3 }));
    await assert.rejects(startNode({ dataDirectory: directory, logLevel: 'silent' }), {
      code: 'DATA_DIRECTORY_NEWER',
    });
  }
});

test('a thread that dies ends the node, frees the directory, and loses nothing acknowledged', async (context) => {
  const directory = temporaryDirectory(context);
  const workers: Worker[] = [];
  const collect = (worker: Worker): void => void workers.push(worker);
  process.on('worker', collect);
  const node = await startNode({ dataDirectory: directory, shards: 1, logLevel: 'silent' });
  process.off('worker', collect);
  const connection = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  await put(connection, group, [{ id: 1, values: { n: 5 } }]);
  const failed = assert.rejects(node.closed, /(shard|scan) 0 exited/);
  await workers[0]!.terminate();
  await failed;
  await connection.closed;
  await assert.rejects(node.close(), /(shard|scan) 0 exited/);
  await assert.rejects(RawConnection.open(node.port));
  const again = await startTestNode(context, directory);
  const after = await connected(context, again.port);
  assert.equal((await get(after, group, [1]))[0]?.['n'], 5);
});

test('ports that would run past the last one are refused by name', async (context) => {
  const options = { dataDirectory: temporaryDirectory(context), shards: 2, port: 65534 };
  await assert.rejects(startNode({ ...options, logLevel: 'silent' }), { code: 'CONFIG_INVALID' });
});

test('closing answers what is in flight, refuses what comes later, and ends every connection', async (context) => {
  const node = await startTestNode(context, temporaryDirectory(context));
  const connection = await connected(context, node.port);
  const idle = await connected(context, node.port);
  const group = await createGroup(connection, 'g', FEATURES);
  const written = put(
    connection,
    group,
    Array.from({ length: 5000 }, (_, id) => ({ id, values: { n: 1 } })),
  );
  // The write is on its way when the node is told to close.
  const closing = node.close();
  const outcome = await written.then(
    () => 'written',
    (error: Error) => error.message,
  );
  assert.match(outcome, /written|shutting down|closed the connection/);
  await Promise.all([closing, connection.closed, idle.closed, node.closed]);
  await assert.rejects(RawConnection.open(node.port));
  assert.equal(node.close(), node.close(), 'closing twice is closing once');
});
