/** A request over its attempts: it ends once, and is counted as open from its start to its end. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ClientContext } from '../../client/context.ts';
import { Dispatcher } from '../../client/dispatcher.ts';
import { ATTEMPTS_MAX } from '../../client/limits.ts';
import { parseAddress, resolveOptions } from '../../client/options.ts';
import {
  decodePingResponse,
  encodePingRequest,
  encodePingResponse,
  OPERATIONS,
} from '../../protocol/index.ts';
import { failure } from './error-expectation.ts';
import { FakeServer } from './fake-server.ts';

async function start(context: TestContext): Promise<{ server: FakeServer; dispatcher: Dispatcher }> {
  const server = await FakeServer.start(context);
  const dispatcher = await Dispatcher.open(
    parseAddress(server.address),
    new ClientContext(resolveOptions({})),
  );
  context.after(() => dispatcher.close());
  return { server, dispatcher };
}

function ping(dispatcher: Dispatcher): Promise<void> {
  return dispatcher.control('read', OPERATIONS.PING, encodePingRequest, decodePingResponse);
}

test('a request is open until its last attempt has ended', async (context) => {
  const { server, dispatcher } = await start(context);
  const open: number[] = [];
  server.on(OPERATIONS.PING, (request) => {
    open.push(dispatcher.openRequests);
    if (open.length < 3) request.refuse('OVERLOADED');
    else request.answer(encodePingResponse);
  });
  await ping(dispatcher);
  assert.deepEqual(open, [1, 1, 1]);
  assert.equal(dispatcher.openRequests, 0);
});

test('attempts are bounded', async (context) => {
  const { server, dispatcher } = await start(context);
  let attempts = 0;
  server.on(OPERATIONS.PING, (request) => {
    attempts += 1;
    request.refuse('OVERLOADED', 'for ever');
  });
  await assert.rejects(ping(dispatcher), failure('OVERLOADED', /for ever/));
  assert.equal(attempts, ATTEMPTS_MAX);
  assert.equal(dispatcher.openRequests, 0);
});

test('what was sent once may have been carried out, whatever the last attempt failed with', async (context) => {
  const { server, dispatcher } = await start(context);
  let attempts = 0;
  server.on(OPERATIONS.PING, (request) => {
    attempts += 1;
    if (attempts === 1) request.drop();
    else request.refuse('STORAGE_FULL');
  });
  const keyed = dispatcher.control('keyed', OPERATIONS.PING, encodePingRequest, decodePingResponse);
  await assert.rejects(keyed, { code: 'STORAGE_FULL', indeterminate: true });
  const next = dispatcher.control('keyed', OPERATIONS.PING, encodePingRequest, decodePingResponse);
  await assert.rejects(next, { code: 'STORAGE_FULL', indeterminate: false });
});

test('a write that was sent before its server went away is told as one that may be there', async (context) => {
  const { server, dispatcher } = await start(context);
  server.on(OPERATIONS.PING, (request) => {
    void server.close();
    request.drop();
  });
  const kinds = ['keyed', OPERATIONS.PING, encodePingRequest, decodePingResponse] as const;
  await assert.rejects(dispatcher.control(...kinds, 300), { code: 'CONNECT_FAILED', indeterminate: true });
});

test('an answer that cannot be decoded ends its request alone', async (context) => {
  const { server, dispatcher } = await start(context);
  const answer = server.handlerOf(OPERATIONS.MAP);
  server.on(OPERATIONS.PING, answer);
  await assert.rejects(ping(dispatcher), failure('MALFORMED_REQUEST'));
  server.on(OPERATIONS.PING, (request) => request.answer(encodePingResponse));
  await ping(dispatcher);
  assert.equal(dispatcher.openRequests, 0);
});
