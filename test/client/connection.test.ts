/** One connection: pipelining, answers in any order, and every way in which it ends. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Call } from '../../client/call.ts';
import type { Connection } from '../../client/connection.ts';
import { ClientContext } from '../../client/context.ts';
import type { MillraceError } from '../../client/errors.ts';
import { openConnection } from '../../client/handshake.ts';
import { IN_FLIGHT_MAX, SILENT_MS_MAX } from '../../client/limits.ts';
import { parseAddress, resolveOptions } from '../../client/options.ts';
import {
  beginResponse,
  encodeErrorResponse,
  encodePingRequest,
  encodePingResponse,
  endFrame,
  OPERATIONS,
  ProtocolError,
} from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { FakeServer, framesOf } from './fake-server.ts';

/** A ping whose end is a promise of the answer's body length. */
class PingCall implements Call {
  readonly operation: number = OPERATIONS.PING;
  readonly deadlineMs: number;
  readonly sequence = 0;
  readonly ended: Promise<number>;
  private settle: { resolve: (bytes: number) => void; reject: (error: MillraceError) => void };

  constructor(deadlineMs: number = Number.POSITIVE_INFINITY) {
    this.deadlineMs = deadlineMs;
    let settle: typeof this.settle | null = null;
    this.ended = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.settle = settle!;
    this.ended.catch(() => undefined);
  }

  encode(...args: Parameters<Call['encode']>): void {
    encodePingRequest(...args);
  }

  receive(frame: Parameters<Call['receive']>[0]): void {
    this.settle.resolve(frame.end - frame.offset - 16);
  }

  fail(error: MillraceError): void {
    this.settle.reject(error);
  }
}

async function connect(
  context: TestContext,
  server: FakeServer,
): Promise<{ connection: Connection; clientContext: ClientContext }> {
  const clientContext = new ClientContext(resolveOptions({}));
  const { connection } = await openConnection(parseAddress(server.address), clientContext);
  context.after(() => connection.close({} as MillraceError));
  return { connection, clientContext };
}

/** A server on which pings wait for the test. */
async function startServer(context: TestContext): Promise<FakeServer> {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.PING, () => undefined);
  return server;
}

test('answers reach their own calls, in whatever order they come', async (context) => {
  const server = await FakeServer.start(context);
  const pings: (() => void)[] = [];
  let count = 0;
  server.on(OPERATIONS.PING, (request) => {
    const body = 8 * count++;
    pings.push(() =>
      request.answer((writer, id) => {
        const start = beginResponse(writer, OPERATIONS.PING, id);
        writer.reserve(body);
        endFrame(writer, start);
      }),
    );
    if (pings.length === 5) for (const answer of pings.reverse()) answer();
  });
  const { connection } = await connect(context, server);
  const calls = Array.from({ length: 5 }, () => new PingCall());
  for (const call of calls) connection.send(call);
  assert.deepEqual(await Promise.all(calls.map((call) => call.ended)), [0, 8, 16, 24, 32]);
});

test('all requests of a turn leave in one write', async (context) => {
  const server = await FakeServer.start(context);
  const { connection } = await connect(context, server);
  const write = context.mock.method(net.Socket.prototype, 'write');
  const calls = Array.from({ length: 100 }, () => new PingCall());
  for (const call of calls) connection.send(call);
  await Promise.all(calls.map((call) => call.ended));
  const written = write.mock.calls.filter(({ arguments: [chunk] }) => (chunk as Uint8Array).length === 4000);
  assert.equal(written.length, 1, 'one write of a hundred 40-byte frames');
});

test('a frame larger than the read buffer, and frames in pieces, are put together', async (context) => {
  const server = await FakeServer.start(context);
  const bytes = 600_000;
  server.on(OPERATIONS.PING, (request) => {
    const frame = framesOf((writer) => {
      const start = beginResponse(writer, OPERATIONS.PING, request.id);
      writer.reserve(bytes);
      endFrame(writer, start);
    });
    const sendFrom = (at: number): void => {
      if (at >= frame.length) return;
      request.socket.write(frame.subarray(at, at + 70_001), () => sendFrom(at + 70_001));
    };
    sendFrom(0);
  });
  const { connection } = await connect(context, server);
  const call = new PingCall();
  connection.send(call);
  assert.equal(await call.ended, bytes);
});

test('a call that cannot be encoded fails alone', async (context) => {
  const server = await FakeServer.start(context);
  const { connection } = await connect(context, server);
  const good = new PingCall();
  const bad = new PingCall();
  bad.encode = (writer, options) => {
    encodePingRequest(writer, options);
    throw new ProtocolError('KEY_INVALID', 'half written');
  };
  connection.send(good);
  assert.equal(connection.send(bad), 0);
  const after = new PingCall();
  connection.send(after);
  await assert.rejects(bad.ended, failure('KEY_INVALID'));
  await Promise.all([good.ended, after.ended]);
});

test('an answer after its call timed out is dropped, and the connection lives', async (context) => {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.PING, () => undefined);
  let slow: (() => void) | null = null;
  const arrived = new Promise<void>((resolve) =>
    server.on(OPERATIONS.PING, (request) => {
      slow = () => request.answer(encodePingResponse);
      resolve();
    }),
  );
  const { connection } = await connect(context, server);
  const call = new PingCall(performance.now() + 5);
  connection.send(call);
  await arrived;
  connection.expire(performance.now() + 10);
  await assert.rejects(call.ended, failure('TIMEOUT'));
  assert.equal(connection.inFlight, 0);
  slow!();
  server.on(OPERATIONS.PING, (request) => request.answer(encodePingResponse));
  const next = new PingCall();
  connection.send(next);
  assert.equal(await next.ended, 0);
});

test('a peer that is silent for long is taken for gone; one that answers other calls is not', async (context) => {
  const server = await startServer(context);
  const { connection } = await connect(context, server);
  const nowMs = performance.now();
  const [first, second, third] = [
    new PingCall(nowMs),
    new PingCall(nowMs + 2 * SILENT_MS_MAX),
    new PingCall(),
  ];
  connection.send(first);
  connection.send(second);
  connection.send(third);
  connection.expire(nowMs + SILENT_MS_MAX / 2);
  await assert.rejects(first.ended, failure('TIMEOUT'));
  assert.ok(connection.isOpen, 'silent, but not for long');
  connection.expire(nowMs + 3 * SILENT_MS_MAX);
  await assert.rejects(second.ended, failure('TIMEOUT'));
  await assert.rejects(third.ended, failure('CONNECTION_LOST', /silent/));

  const lively = await connect(context, server);
  const slow = new PingCall(performance.now() + SILENT_MS_MAX);
  lively.connection.send(slow);
  let pings = 0;
  server.on(OPERATIONS.PING, (request) => {
    pings += 1;
    if (pings === 2) request.answer(encodePingResponse);
  });
  const quick = new PingCall();
  lively.connection.send(quick);
  await quick.ended;
  lively.connection.expire(performance.now() + 2 * SILENT_MS_MAX);
  await assert.rejects(slow.ended, failure('TIMEOUT'));
  assert.ok(lively.connection.isOpen);
});

test('a broken connection fails everything in flight and says that it is unclear', async (context) => {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.PING, (request) => request.drop());
  const { connection } = await connect(context, server);
  const calls = [new PingCall(), new PingCall()];
  for (const call of calls) connection.send(call);
  for (const call of calls) {
    await assert.rejects(
      call.ended,
      (error: MillraceError) => failure('CONNECTION_LOST')(error) && error.indeterminate,
    );
  }
  assert.equal(connection.isOpen, false);
  assert.equal(connection.hasRoom, false);
});

test('bytes that are no frame end the connection with what was seen', async (context) => {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.PING, (request) => request.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const { connection } = await connect(context, server);
  const call = new PingCall();
  connection.send(call);
  await assert.rejects(call.ended, failure('CONNECTION_LOST', /"HTTP"/));
});

test('an announced length beyond the limit ends the connection before anything is allocated', async (context) => {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.PING, (request) =>
    request.socket.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 48, 0, 0)),
  );
  const { connection } = await connect(context, server);
  const call = new PingCall();
  connection.send(call);
  await assert.rejects(call.ended, failure('CONNECTION_LOST', /4294967295/));
});

test('an error of the connection itself ends it with the reason that the server gave', async (context) => {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.PING, ({ socket }) => {
    socket.write(
      framesOf((writer) => encodeErrorResponse(writer, 0, 0, 'OVERLOADED', 'too many connections')),
    );
  });
  const { connection } = await connect(context, server);
  const call = new PingCall();
  connection.send(call);
  await assert.rejects(call.ended, failure('CONNECTION_LOST', /too many connections/));
});

test('there is room for so many calls in flight and no more', async (context) => {
  const server = await startServer(context);
  const { connection } = await connect(context, server);
  for (let i = 0; i < IN_FLIGHT_MAX; i++) {
    assert.ok(connection.hasRoom);
    connection.send(new PingCall());
  }
  assert.ok(!connection.hasRoom);
});
