/** Greeting: who may answer, and what is said when the wrong one does. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { ClientContext } from '../../client/context.ts';
import type { MillraceError } from '../../client/errors.ts';
import { type Greeted, openConnection } from '../../client/handshake.ts';
import type { ConnectOptions } from '../../client/index.ts';
import { parseAddress, resolveOptions } from '../../client/options.ts';
import { decodeHelloRequest, OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { FakeServer, SEED_HI, SEED_LO } from './fake-server.ts';

function dial(address: string, options: ConnectOptions = {}): Promise<Greeted> {
  return openConnection(parseAddress(address), new ClientContext(resolveOptions(options)));
}

/** A TCP server that does `onConnection`; its address. */
async function rawServer(context: TestContext, onConnection: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

test('the greeting names the client and brings the cluster, the shard and the hash seed', async (context) => {
  const server = await FakeServer.start(context, 2);
  const { connection, hello } = await dial(server.address, { clientName: 'test' });
  assert.equal(hello.clusterId, server.clusterId);
  assert.deepEqual([hello.seedLo, hello.seedHi], [SEED_LO, SEED_HI]);
  assert.deepEqual([hello.shardIndex, hello.shardCount, hello.role], [0, 2, 'shard']);
  connection.close({} as MillraceError);
});

test('a client name and a token travel in the greeting', async (context) => {
  const server = await FakeServer.start(context);
  const greeting = new Promise((resolve) =>
    server.on(OPERATIONS.HELLO, (request) => {
      resolve(decodeHelloRequest(request.frame));
      request.refuse('UNSUPPORTED_VERSION', 'spoken here: 9');
    }),
  );
  const refused = dial(server.address, { clientName: 'ranker', token: 'secret' });
  await assert.rejects(refused, failure('UNSUPPORTED_VERSION', /could not connect to .*spoken here: 9/));
  assert.deepEqual(await greeting, { minVersion: 1, maxVersion: 1, client: 'ranker', token: 'secret' });
});

test('a port where nobody listens is CONNECT_FAILED, retryable and not indeterminate', async (context) => {
  const server = await FakeServer.start(context);
  const { address } = server;
  await server.close();
  await assert.rejects(dial(address), (error: MillraceError) => {
    assert.deepEqual([error.retryable, error.indeterminate], [true, false]);
    return failure('CONNECT_FAILED', /ECONNREFUSED/)(error);
  });
});

test('a listener that never answers is given up after the time allowed', async (context) => {
  const address = await rawServer(context, () => undefined);
  await assert.rejects(dial(address, { connectTimeoutMs: 20 }), failure('CONNECT_FAILED', /within 20 ms/));
});

test('a server of another protocol is recognised', async (context) => {
  const address = await rawServer(context, (socket) => socket.write('SSH-2.0-OpenSSH_9.2p1\r\n'));
  await assert.rejects(dial(address), failure('CONNECT_FAILED', /"SSH-"/));
});

test('a listener that hangs up is CONNECT_FAILED', async (context) => {
  const address = await rawServer(context, (socket) => socket.destroy());
  await assert.rejects(dial(address), failure('CONNECT_FAILED'));
});
