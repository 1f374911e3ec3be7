/** Scans from several shards: batches, bytes, credit, and every way in which a scan ends. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type RecordBatch, tableFromIPC } from 'apache-arrow';
import { type ConnectOptions, Millrace, type MillraceError, type ScanPart } from '../../client/index.ts';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { type FakeScan, serveScans } from './fake-scan.ts';
import { FakeServer } from './fake-server.ts';

async function start(
  context: TestContext,
  shardCount: number,
  options: ConnectOptions = {},
): Promise<{ server: FakeServer; db: Millrace }> {
  const server = await FakeServer.start(context, shardCount);
  const db = await Millrace.connect(server.address, { closeTimeoutMs: 1000, ...options });
  context.after(() => db.close());
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { n: 'int32' } });
  return { server, db };
}

function valuesOf(batch: RecordBatch): number[] {
  return [...(batch.getChild('n') as Iterable<number>)];
}

/** Resolves when the client has closed all connections to the scan ports. */
async function scansClosed(server: FakeServer): Promise<void> {
  const isScanPort = new Set(server.map().nodes[0]!.shards.map(({ scanPort }) => scanPort));
  const open = [...server.sockets].filter(({ localPort }) => isScanPort.has(localPort!));
  await Promise.all(open.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

test('batches of all shards come, each once', async (context) => {
  const { server, db } = await start(context, 3);
  serveScans(server, (scan) => {
    const { shard } = scan.request;
    scan.send([shard * 10, shard * 10 + 1]);
    scan.send([shard * 10 + 2]);
    scan.end();
  });
  const scan = db.scan('g');
  const values: number[] = [];
  for await (const batch of scan) values.push(...valuesOf(batch));
  assert.deepEqual(
    values.sort((a, b) => a - b),
    [0, 1, 2, 10, 11, 12, 20, 21, 22],
  );
  assert.equal(scan.rows, 9);
  assert.deepEqual(
    (await scan.schema())?.fields.map(({ name }) => name),
    ['n'],
  );
  assert.deepEqual(await scan.next(), { done: true, value: undefined });
});

test('what was asked for reaches every shard that owns some of it, and no other', async (context) => {
  const { server, db } = await start(context, 3);
  const asked: [number, unknown][] = [];
  serveScans(server, (scan) => {
    asked.push([scan.request.shard, scan.asked]);
    scan.send([]);
    scan.end();
  });
  const options = { columns: ['n'], partitions: [[3, 5]] as const, batchRows: 10, creditBytes: 1000 };
  assert.deepEqual(await collect(db.scan('g', options)), []);
  // Partitions 3 and 4 are on shards 0 and 1 of three.
  // Both are told in terms of which schema to answer, so that their rows go together.
  const request = { group: 'g', ...options, schemaVersion: 1 };
  assert.deepEqual(
    asked.sort(([a], [b]) => a - b),
    [
      [0, request],
      [1, request],
    ],
  );
});

test('options that make no sense are refused at once', async (context) => {
  const { db } = await start(context, 1);
  for (const partitions of [
    [[5, 5]],
    [[0, 4097]],
    [[-1, 2]],
    [
      [4, 6],
      [5, 7],
    ],
  ] as [number, number][][]) {
    assert.throws(() => db.scan('g', { partitions }), failure('USAGE', /partitions/));
  }
  assert.throws(() => db.scan('g', { batchRows: 0 }), failure('USAGE', /batchRows/));
  assert.throws(() => db.scanBytes('g', { creditBytes: 2 ** 32 }), failure('USAGE', /creditBytes/));
});

test('an empty group has a schema and no batches', async (context) => {
  const { server, db } = await start(context, 2);
  serveScans(server, (scan) => {
    scan.send([]);
    scan.end();
  });
  const scan = db.scan('g');
  assert.deepEqual(
    (await scan.schema())?.fields.map(({ name }) => name),
    ['n'],
  );
  assert.deepEqual(await collect(scan), []);
});

test('the parts of scanBytes are one Arrow stream', async (context) => {
  const { server, db } = await start(context, 2);
  serveScans(server, (scan) => {
    scan.send([scan.request.shard], scan.request.shard);
    scan.end();
  });
  const parts: ScanPart[] = await collect(db.scanBytes('g'));
  const table = tableFromIPC(Buffer.concat(parts.map(({ bytes }) => bytes)));
  assert.deepEqual([...table.getChild('n')!].sort(), [0, 1]);
  assert.deepEqual(
    parts.map(({ rows }) => rows),
    [0, 1, 1, 0],
  );
  assert.deepEqual(
    parts.map(({ partition }) => partition).sort((a, b) => a - b),
    [-1, -1, 0, 1],
  );
});

test('credit is given back as batches are taken, and a shard without credit is not heard', async (context) => {
  const { server, db } = await start(context, 1);
  let next = 0;
  const pump = (scan: FakeScan): void => {
    while (scan.creditBytes > 0 && next < 50) scan.send([next++]);
    if (next === 50) scan.end();
  };
  let credits = 0;
  serveScans(server, pump, (scan) => {
    credits += 1;
    pump(scan);
  });
  const scan = db.scan('g', { creditBytes: 1 });
  const seen: number[] = [];
  for await (const batch of scan) {
    seen.push(...valuesOf(batch));
    assert.ok(next <= seen.length + 1, 'one frame beyond what was taken, at most');
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 50 }, (_, i) => i),
  );
  assert.ok(credits >= 49, `${credits} credits`);
});

test('leaving the loop closes every scan', async (context) => {
  const { server, db } = await start(context, 2);
  serveScans(server, (scan) => scan.send([1]));
  for await (const batch of db.scan('g')) {
    assert.equal(batch.numRows, 1);
    break;
  }
  await scansClosed(server);
  for await (const part of db.scanBytes('g')) {
    assert.ok(part.bytes.length > 0);
    break;
  }
  await scansClosed(server);
});

test('an abort ends the iteration with CANCELLED and its reason', async (context) => {
  const { server, db } = await start(context, 2);
  serveScans(server, (scan) => scan.send([1]));
  const controller = new AbortController();
  const scan = db.scan('g', { signal: controller.signal });
  await scan.next();
  await scan.next();
  const blocked = scan.next();
  controller.abort(new Error('enough'));
  await assert.rejects(
    blocked,
    (error: MillraceError) => failure('CANCELLED')(error) && (error.cause as Error).message === 'enough',
  );
  await scansClosed(server);
  const late = db.scan('g', { signal: controller.signal });
  await assert.rejects(late.next(), failure('CANCELLED'));
});

test('a shard that refuses ends the scan of all', async (context) => {
  const { server, db } = await start(context, 2);
  server.on(OPERATIONS.SCAN, (request) => {
    if (request.shard === 1) request.refuse('GROUP_NOT_FOUND', 'no group "g"');
  });
  await assert.rejects(db.scan('g').next(), failure('GROUP_NOT_FOUND'));
  await scansClosed(server);
});

test('a shard that is busy or unreachable at first is asked again', async (context) => {
  const { server, db } = await start(context, 1);
  let attempts = 0;
  server.on(OPERATIONS.SCAN, (request) => {
    attempts += 1;
    if (attempts === 1) request.refuse('OVERLOADED');
    else if (attempts === 2) request.drop();
    else
      serveScans(server, (scan) => {
        scan.send([7]);
        scan.end();
      });
    if (attempts === 3) server.handlerOf(OPERATIONS.SCAN)(request);
  });
  assert.deepEqual((await collect(db.scan('g'))).flatMap(valuesOf), [7]);
});

test('a connection lost in the middle fails the scan: rows already given cannot be told apart', async (context) => {
  const { server, db } = await start(context, 1);
  serveScans(
    server,
    (scan) => scan.send([1]),
    (scan) => scan.request.drop(),
  );
  const scan = db.scan('g');
  assert.deepEqual(valuesOf((await scan.next()).value as RecordBatch), [1]);
  await assert.rejects(scan.next(), failure('CONNECTION_LOST'));
});

test('a shard that has credit and stays silent is given up', async (context) => {
  const { server, db } = await start(context, 1, { scanIdleTimeoutMs: 20 });
  serveScans(server, (scan) => scan.send([1]));
  const scan = db.scan('g');
  await scan.next();
  await assert.rejects(scan.next(), failure('TIMEOUT', /20 ms/));
  await scansClosed(server);
});

test('closing the client ends its scans with CLIENT_CLOSED', async (context) => {
  const { server, db } = await start(context, 1);
  serveScans(server, (scan) => scan.send([1]));
  const scan = db.scan('g');
  await scan.next();
  const blocked = scan.next();
  const refused = assert.rejects(blocked, failure('CLIENT_CLOSED'));
  await db.close();
  await refused;
});

test('data that is no Arrow stream fails the scan', async (context) => {
  const { server, db } = await start(context, 1);
  const { encodeScanData } = await import('../../protocol/index.ts');
  server.on(OPERATIONS.SCAN, (request) =>
    request.answer((writer, id) => encodeScanData(writer, id, 0, 1, [new Uint8Array(64)])),
  );
  await assert.rejects(db.scan('g').next(), failure('MALFORMED_REQUEST', /schema/));
  await scansClosed(server);
});
