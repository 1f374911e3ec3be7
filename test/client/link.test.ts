/** A link over the life of several connections: what waits, what is sent again, what is given up. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Call } from '../../client/call.ts';
import { ClientContext } from '../../client/context.ts';
import { MillraceError } from '../../client/errors.ts';
import { IN_FLIGHT_MAX, WAITING_MAX } from '../../client/limits.ts';
import { type ConnectionCheck, Link } from '../../client/link.ts';
import { parseAddress, resolveOptions } from '../../client/options.ts';
import { encodePingRequest, encodePingResponse, OPERATIONS } from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { FakeServer } from './fake-server.ts';

interface Ping {
  readonly call: Call;
  readonly ended: Promise<void>;
}

function ping(deadlineMs: number = Number.POSITIVE_INFINITY, sequence: number = 0): Ping {
  let call: Call | null = null;
  const ended = new Promise<void>((resolve, reject) => {
    call = {
      operation: OPERATIONS.PING,
      deadlineMs,
      sequence,
      encode: encodePingRequest,
      receive: () => resolve(),
      fail: reject,
    };
  });
  ended.catch(() => undefined);
  return { call: call!, ended };
}

function linkTo(context: TestContext, address: string, check: ConnectionCheck = () => undefined): Link {
  const link = new Link(parseAddress(address), new ClientContext(resolveOptions({})), check);
  context.after(() => link.close(new MillraceError('CLIENT_CLOSED', 'test over')));
  return link;
}

test('the first call dials, and calls meanwhile go out in order', async (context) => {
  const server = await FakeServer.start(context);
  const link = linkTo(context, server.address);
  assert.ok(!link.isReady);
  const sequences: number[] = [];
  server.on(OPERATIONS.PING, (request) => {
    sequences.push(request.header.sequence);
    request.answer(encodePingResponse);
  });
  const pings = Array.from({ length: 20 }, (_, index) => ping(Number.POSITIVE_INFINITY, index));
  for (const { call } of pings) link.submit(call);
  await Promise.all(pings.map(({ ended }) => ended));
  assert.ok(link.isReady);
  assert.equal(server.connectionCount, 1);
  assert.deepEqual(
    sequences,
    pings.map((_, index) => index),
  );
});

test('a lost connection is dialled again for the next call', async (context) => {
  const server = await FakeServer.start(context);
  const checks: boolean[] = [];
  const link = linkTo(context, server.address, (_, isFirst) => checks.push(isFirst));
  server.on(OPERATIONS.PING, (request) => request.drop());
  const first = ping();
  link.submit(first.call);
  await assert.rejects(first.ended, failure('CONNECTION_LOST'));
  server.on(OPERATIONS.PING, (request) => request.answer(encodePingResponse));
  const second = ping();
  link.submit(second.call);
  await second.ended;
  assert.deepEqual(checks, [true, false]);
});

test('a server that comes back gets what waited for it', async (context) => {
  const server = await FakeServer.start(context);
  await server.close();
  const link = linkTo(context, server.address);
  const waiting = ping();
  link.submit(waiting.call);
  await server.listen();
  await waiting.ended;
});

test('a call whose time is over while nobody listens was never sent', async (context) => {
  const server = await FakeServer.start(context);
  await server.close();
  const link = linkTo(context, server.address);
  const late = ping(5);
  const patient = ping();
  link.submit(late.call);
  link.submit(patient.call);
  link.expire(6);
  await assert.rejects(late.ended, (error: MillraceError) => !error.indeterminate);
  await server.listen();
  await patient.ended;
});

test('a failure that does not pass fails all that wait, at once', async (context) => {
  const server = await FakeServer.start(context);
  server.on(OPERATIONS.HELLO, (request) => request.refuse('UNSUPPORTED_VERSION'));
  const link = linkTo(context, server.address);
  const pings = [ping(), ping()];
  for (const { call } of pings) link.submit(call);
  for (const { ended } of pings) await assert.rejects(ended, failure('UNSUPPORTED_VERSION'));
});

test('a connection that the check refuses is not used', async (context) => {
  const server = await FakeServer.start(context);
  const link = linkTo(context, server.address, () => {
    throw new MillraceError('CONNECT_FAILED', 'another cluster', { retryable: false });
  });
  const refused = ping();
  link.submit(refused.call);
  await assert.rejects(refused.ended, failure('CONNECT_FAILED', /another cluster/));
  assert.ok(!link.isReady);
});

test('more than may be in flight waits its turn, more than may wait is refused', async (context) => {
  const server = await FakeServer.start(context);
  const held: (() => void)[] = [];
  server.on(OPERATIONS.PING, (request) => held.push(() => request.answer(encodePingResponse)));
  const link = linkTo(context, server.address);
  const pings = Array.from({ length: IN_FLIGHT_MAX + 10 }, () => ping());
  for (const { call } of pings) link.submit(call);
  await new Promise<void>((resolve) => {
    server.on(OPERATIONS.PING, (request) => {
      held.push(() => request.answer(encodePingResponse));
      if (held.length === IN_FLIGHT_MAX) resolve();
    });
  });
  const beyond = Array.from({ length: WAITING_MAX - 10 }, () => ping());
  for (const { call } of beyond) link.submit(call);
  const refused = ping();
  link.submit(refused.call);
  await assert.rejects(refused.ended, failure('OVERLOADED'));
  server.on(OPERATIONS.PING, (request) => request.answer(encodePingResponse));
  for (const answer of held) answer();
  await Promise.all([...pings, ...beyond].map(({ ended }) => ended));
});

test('closing fails what waits and what comes later', async (context) => {
  const server = await FakeServer.start(context);
  await server.close();
  const link = linkTo(context, server.address);
  const waiting = ping();
  link.submit(waiting.call);
  link.close(new MillraceError('CLIENT_CLOSED', 'closed'));
  await assert.rejects(waiting.ended, failure('CLIENT_CLOSED'));
  const later = ping();
  link.submit(later.call);
  await assert.rejects(later.ended, failure('CLIENT_CLOSED'));
});
