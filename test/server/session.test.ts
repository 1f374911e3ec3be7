/**
 * Sessions over real sockets, with handlers of the test's own: order, bounds, holds, deadlines, and every way in which a
 * connection may end. `settled` waits until nothing changes any more, instead of sleeping.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ProtocolError } from '../../protocol/index.ts';
import {
  HALF_OPEN_TIMEOUT_MS,
  OUTPUT_HIGH_WATER_BYTES,
  SESSION_REQUEST_BYTES_MAX,
  SESSION_REQUESTS_MAX,
} from '../../server/limits.ts';
import type { SessionContext } from '../../server/operation.ts';
import { correlationIdOf } from '../../server/request-fields.ts';
import { errorOf, RawConnection } from '../support/raw-connection.ts';
import { emptyRequest, operation, PING, startTestListener } from '../support/test-listener.ts';

const LATER = 100;
const LARGE = 101;
const THROWS = 102;
const BUSY = 103;
const ODD = 104;
const LARGE_BYTES = 256 * 1024;

async function connected(context: TestContext, port: number): Promise<RawConnection> {
  const connection = await RawConnection.greeted(port);
  context.after(() => connection.destroy());
  return connection;
}

/** Lets everything that is under way on this machine's loopback happen. */
async function settled(look: () => number): Promise<number> {
  let before = -1;
  for (let now = look(); now !== before; now = look()) {
    before = now;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  return before;
}

test('requests of one chunk are answered in their order, in few segments', async (context) => {
  const { port } = await startTestListener(context, []);
  const connection = await connected(context, port);
  let reads = 0;
  connection.socket.on('data', () => {
    reads += 1;
  });
  connection.send(Buffer.concat(Array.from({ length: 500 }, (_, index) => emptyRequest(PING, 100 + index))));
  const responses = await connection.collected(500);
  assert.deepEqual(
    responses.map((response) => response.correlationId),
    Array.from({ length: 500 }, (_, index) => 100 + index),
  );
  assert.ok(reads < 50, `${reads} reads for 500 answers`);
});

test('answers of a later turn come in any order, each under its own correlation id', async (context) => {
  const waiting: [SessionContext, number][] = [];
  const { port } = await startTestListener(context, [
    operation(LATER, (session, frame) => {
      session.acquire(10);
      waiting.push([session, correlationIdOf(frame)]);
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(Buffer.concat([emptyRequest(LATER, 1), emptyRequest(LATER, 2), emptyRequest(PING, 3)]));
  await connection.response(3);
  for (const [session, correlationId] of waiting.reverse()) {
    session.reserve(LATER, correlationId, 0, 0);
    session.release(10);
  }
  const responses = await connection.collected(2);
  assert.deepEqual(
    responses.map((response) => response.correlationId),
    [2, 1],
  );
});

test('what a handler throws is answered with its code, and the frame it had begun is not sent', async (context) => {
  const { port } = await startTestListener(context, [
    operation(THROWS, (session, frame) => {
      if (correlationIdOf(frame) === 1) session.reserve(THROWS, 1, 5000, 0);
      if (correlationIdOf(frame) === 3) throw new TypeError('a secret');
      throw new ProtocolError('KEY_INVALID', 'for the test');
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(
    Buffer.concat(
      [1, 2, 3].map((correlationId) => emptyRequest(THROWS, correlationId)).concat(emptyRequest(PING, 4)),
    ),
  );
  const responses = await connection.collected(4);
  assert.deepEqual(
    responses.slice(0, 3).map((response) => errorOf(response).code),
    ['KEY_INVALID', 'KEY_INVALID', 'INTERNAL'],
  );
  assert.doesNotMatch(errorOf(responses[2]!).message, /secret/);
  assert.equal(responses[3]!.status, 0);
});

test('reserved bodies begin on 8 bytes whatever was answered before them', async (context) => {
  const offsets: number[] = [];
  const { port } = await startTestListener(context, [
    operation(ODD, (session, frame) => {
      const correlationId = correlationIdOf(frame);
      if (correlationId % 3 === 0)
        session.respondError(ODD, correlationId, 'CANCELLED', 'x'.repeat(correlationId));
      else {
        const body = session.reserve(ODD, correlationId, correlationId, 0);
        offsets.push(body);
        session.output.bytes.fill(correlationId, body, body + correlationId);
      }
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(Buffer.concat(Array.from({ length: 200 }, (_, index) => emptyRequest(ODD, index))));
  const responses = await connection.collected(200);
  assert.ok(offsets.every((offset) => offset % 8 === 0));
  for (const { correlationId, frame, status } of responses) {
    if (status !== 0) continue;
    const body = frame.bytes.subarray(16);
    assert.equal(body.length, correlationId);
    assert.ok(body.every((byte) => byte === (correlationId & 0xff)));
  }
});

test('a reader that does not read stops its own requests, and no one else', async (context) => {
  let handled = 0;
  const { port } = await startTestListener(context, [
    operation(LARGE, (session, frame) => {
      handled += 1;
      const body = session.reserve(LARGE, correlationIdOf(frame), LARGE_BYTES, 0);
      session.output.bytes.fill(handled, body, body + LARGE_BYTES);
    }),
  ]);
  const slow = await connected(context, port);
  slow.socket.pause();
  const count = 2000;
  slow.send(Buffer.concat(Array.from({ length: count }, (_, index) => emptyRequest(LARGE, index + 10))));
  const stuck = await settled(() => handled);
  // What the kernels buffer is theirs to say (a few MiB); beyond it we keep the high-water mark and a response.
  assert.ok(stuck * LARGE_BYTES < 32 * OUTPUT_HIGH_WATER_BYTES, `${stuck} responses of ${LARGE_BYTES} bytes`);
  const other = await connected(context, port);
  other.send(emptyRequest(PING, 5));
  await other.response(5);
  slow.socket.resume();
  const responses = await slow.collected(count);
  assert.equal(responses.length, count);
  responses.forEach((response, index) => {
    assert.equal(response.frame.bytes[16], (index + 1) & 0xff);
    assert.equal(response.frame.bytes[16 + LARGE_BYTES - 1], (index + 1) & 0xff);
  });
});

test('requests in flight are bounded: more wait in the socket until half were answered', async (context) => {
  const waiting: [SessionContext, number][] = [];
  const { port } = await startTestListener(context, [
    operation(LATER, (session, frame) => {
      session.acquire(10);
      waiting.push([session, correlationIdOf(frame)]);
    }),
  ]);
  const connection = await connected(context, port);
  const count = SESSION_REQUESTS_MAX * 3;
  connection.send(
    Buffer.concat(Array.from({ length: count }, (_, index) => emptyRequest(LATER, index + 10))),
  );
  assert.equal(await settled(() => waiting.length), SESSION_REQUESTS_MAX);
  let answered = 0;
  while (answered < count) {
    const [session, correlationId] = waiting[answered++]!;
    session.reserve(LATER, correlationId, 0, 0);
    session.release(10);
    if (answered === waiting.length) await settled(() => waiting.length);
    assert.ok(waiting.length - answered <= SESSION_REQUESTS_MAX);
  }
  assert.equal((await connection.collected(count)).length, count);
});

test('bytes in flight are bounded', async (context) => {
  let taken = 0;
  const { port } = await startTestListener(context, [
    operation(LATER, (session) => {
      session.acquire(SESSION_REQUEST_BYTES_MAX / 4);
      taken += 1;
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(Buffer.concat(Array.from({ length: 50 }, (_, index) => emptyRequest(LATER, index))));
  assert.equal(await settled(() => taken), 4);
  connection.destroy();
});

test('a busy store holds the connection that writes, until it is not busy', async (context) => {
  let isBusy = true;
  let handled = 0;
  const { port } = await startTestListener(context, [
    operation(BUSY, (session, frame) => {
      handled += 1;
      session.reserve(BUSY, correlationIdOf(frame), 0, 0);
      session.holdWhile(() => isBusy);
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(Buffer.concat([1, 2, 3].map((correlationId) => emptyRequest(BUSY, correlationId))));
  await connection.response(1);
  assert.equal(await settled(() => handled), 1);
  const other = await connected(context, port);
  other.send(emptyRequest(PING, 5));
  await other.response(5);
  isBusy = false;
  await connection.response(3);
  assert.equal(handled, 3);
});

test('a request whose time was up before its turn is refused', async (context) => {
  let isBusy = true;
  const { port } = await startTestListener(context, [
    operation(BUSY, (session, frame) => {
      session.reserve(BUSY, correlationIdOf(frame), 0, 0);
      session.holdWhile(() => isBusy);
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(
    Buffer.concat([emptyRequest(BUSY, 1), emptyRequest(PING, 2, 1), emptyRequest(PING, 3, 60_000)]),
  );
  await connection.response(1);
  const sentAtMs = performance.now();
  while (performance.now() - sentAtMs < 20) await new Promise((resolve) => setImmediate(resolve));
  isBusy = false;
  assert.equal(errorOf(await connection.response(2)).code, 'DEADLINE_EXCEEDED');
  assert.equal((await connection.response(3)).status, 0);
});

test('a peer that ends its side gets the answers to what it asked before', async (context) => {
  const waiting: [SessionContext, number][] = [];
  const { port } = await startTestListener(context, [
    operation(LATER, (session, frame) => {
      session.acquire(10);
      waiting.push([session, correlationIdOf(frame)]);
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(emptyRequest(LATER, 9));
  connection.socket.end();
  await settled(() => waiting.length);
  const [session, correlationId] = waiting[0]!;
  session.reserve(LATER, correlationId, 0, 0);
  session.release(10);
  assert.equal((await connection.response(9)).status, 0);
  await connection.closed;
});

test('a peer that ended its side and takes nothing any more is given up', async (context) => {
  let session: SessionContext | undefined;
  const { port, listener } = await startTestListener(context, [
    operation(LATER, (given) => {
      given.acquire(10);
      session = given;
    }),
  ]);
  const connection = await connected(context, port);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  connection.send(emptyRequest(LATER, 9));
  connection.socket.end();
  await settled(() => (session === undefined ? 0 : 1));
  assert.equal(session?.isOpen, true);
  context.mock.timers.tick(HALF_OPEN_TIMEOUT_MS);
  context.mock.timers.reset();
  await connection.closed;
  await settled(() => listener.sessionCount);
  assert.equal(session?.isOpen, false);
});

test('a broken frame behind good requests does not cost their answers', async (context) => {
  const waiting: [SessionContext, number][] = [];
  const { port } = await startTestListener(context, [
    operation(LATER, (session, frame) => {
      session.acquire(10);
      waiting.push([session, correlationIdOf(frame)]);
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(Buffer.concat([emptyRequest(LATER, 9), emptyRequest(PING, 8), Buffer.alloc(100)]));
  assert.equal((await connection.response(8)).status, 0);
  assert.equal(errorOf(await connection.response(0)).code, 'MALFORMED_FRAME');
  const [session, correlationId] = waiting[0]!;
  assert.ok(session.isOpen);
  session.reserve(LATER, correlationId, 0, 0);
  session.release(10);
  assert.equal((await connection.response(9)).status, 0);
  await connection.closed;
});

test('an answer after the connection has gone is dropped, and who asked to know is told', async (context) => {
  let session: SessionContext | undefined;
  let told = 0;
  const { port, listener } = await startTestListener(context, [
    operation(LATER, (given) => {
      given.acquire(10);
      given.onClose(() => {
        told += 1;
      });
      given.onClose(() => assert.fail('unsubscribed'))();
      session = given;
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(emptyRequest(LATER, 9));
  await settled(() => (session === undefined ? 0 : 1));
  connection.socket.resetAndDestroy();
  await settled(() => listener.sessionCount);
  assert.equal(told, 1);
  assert.equal(session?.isOpen, false);
  session?.reserve(LATER, 9, 100, 0);
  session?.respondError(LATER, 9, 'CANCELLED', 'too late');
  session?.release(10);
  const drained = new Promise<void>((resolve) => session?.onDrain(resolve));
  await drained;
  const other = await connected(context, port);
  other.send(emptyRequest(PING, 5));
  await other.response(5);
});

test('onDrain calls when the reader has caught up', async (context) => {
  let session: SessionContext | undefined;
  const { port } = await startTestListener(context, [
    operation(LARGE, (given, frame) => {
      session = given;
      for (let count = 0; count < 64; count++) {
        const body = given.reserve(LARGE, correlationIdOf(frame), LARGE_BYTES, 1);
        given.output.bytes.fill(1, body, body + LARGE_BYTES);
      }
    }),
  ]);
  const connection = await connected(context, port);
  connection.socket.pause();
  connection.send(emptyRequest(LARGE, 9));
  await settled(() => session?.outputBytes ?? 0);
  assert.ok(session!.outputBytes > 0, 'the kernel did not take it all');
  let isDrained = false;
  session!.onDrain(() => {
    isDrained = true;
  });
  await settled(() => session!.outputBytes);
  assert.equal(isDrained, false);
  connection.socket.resume();
  await connection.collected(64);
  await settled(() => (isDrained ? 1 : 0));
  assert.ok(isDrained);
  assert.equal(session!.outputBytes, 0);
});

test('a drain refuses new requests, waits for those in flight, and ends', async (context) => {
  const waiting: [SessionContext, number][] = [];
  const { port, listener } = await startTestListener(context, [
    operation(LATER, (session, frame) => {
      session.acquire(10);
      waiting.push([session, correlationIdOf(frame)]);
    }),
  ]);
  const connection = await connected(context, port);
  connection.send(emptyRequest(LATER, 9));
  await settled(() => waiting.length);
  let isDrained = false;
  const drained = listener.drain(60_000).then(() => {
    isDrained = true;
  });
  connection.send(emptyRequest(PING, 8));
  assert.equal(errorOf(await connection.response(8)).code, 'SHUTTING_DOWN');
  await assert.rejects(RawConnection.open(port));
  assert.equal(isDrained, false);
  const [session, correlationId] = waiting[0]!;
  session.reserve(LATER, correlationId, 0, 0);
  session.release(10);
  assert.equal((await connection.response(9)).status, 0);
  await drained;
});
