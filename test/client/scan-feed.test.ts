/** The feed of several shards: lazy, one consumer a piece, and silent once it was stopped. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ClientContext } from '../../client/context.ts';
import { Dispatcher } from '../../client/dispatcher.ts';
import { parseAddress, resolveOptions } from '../../client/options.ts';
import { ScanFeed } from '../../client/scan-feed.ts';
import { OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { serveScans } from './fake-scan.ts';
import { FakeServer } from './fake-server.ts';

const REQUEST = { group: 'g', partitions: null, columns: null, batchRows: 10, creditBytes: 1_000_000 };

async function start(context: TestContext, shards: number): Promise<{ server: FakeServer; feed: ScanFeed }> {
  const server = await FakeServer.start(context, shards);
  const dispatcher = await Dispatcher.open(
    parseAddress(server.address),
    new ClientContext(resolveOptions({})),
  );
  context.after(() => dispatcher.close());
  const feed = new ScanFeed(dispatcher, REQUEST, undefined);
  context.after(() => feed.stop());
  return { server, feed };
}

test('nothing is dialled before the first piece is asked for', async (context) => {
  const { server, feed } = await start(context, 2);
  assert.equal(server.connectionCount, 1);
  serveScans(server, (scan) => {
    scan.send([1]);
    scan.end();
  });
  await feed.next();
  assert.ok(server.connectionCount > 1);
});

test('several consumers share the pieces, and all hear of the end', async (context) => {
  const { server, feed } = await start(context, 2);
  serveScans(server, (scan) => {
    scan.send([scan.request.shard]);
    scan.end();
  });
  const pieces = await Promise.all([feed.next(), feed.next(), feed.next(), feed.next()]);
  assert.equal(pieces.filter((piece) => piece !== null).length, 2);
  assert.deepEqual(feed.summary, { rows: 2, bytes: 0, partitions: 2 });
  assert.equal(await feed.next(), null);
});

test('a failure is told to whoever waits and to whoever comes', async (context) => {
  const { server, feed } = await start(context, 2);
  server.on(OPERATIONS.SCAN, (request) => request.refuse('FEATURE_NOT_FOUND'));
  const both = await Promise.allSettled([feed.next(), feed.next()]);
  for (const { status } of both) assert.equal(status, 'rejected');
  await assert.rejects(feed.next(), failure('FEATURE_NOT_FOUND'));
});

test('a stopped feed answers null', async (context) => {
  const { server, feed } = await start(context, 1);
  serveScans(server, (scan) => scan.send([1]));
  await feed.next();
  const blocked = feed.next();
  feed.stop();
  assert.equal(await blocked, null);
  assert.equal(await feed.next(), null);
});
