/** Dispatch without a socket: who gets a request, who is refused, and what becomes of what a handler throws. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Frame, OPERATIONS, ProtocolError } from '../../protocol/index.ts';
import { Dispatch } from '../../server/dispatch.ts';
import { createLogger } from '../../server/log.ts';
import type { Operation } from '../../server/operation.ts';
import { ServerError } from '../../server/server-error.ts';
import { StorageError } from '../../storage/index.ts';
import { RecordingSession } from '../support/recording-session.ts';
import { emptyRequest, operation } from '../support/test-listener.ts';

const KNOWN = 100;

function frame(number: number, timeoutMs: number = 0): Frame {
  const bytes = emptyRequest(number, 5, timeoutMs);
  return { bytes, view: new DataView(bytes.buffer), offset: 0, end: bytes.length };
}

function dispatching(...operations: Operation[]): { dispatch: Dispatch; session: RecordingSession } {
  return {
    dispatch: new Dispatch(operations, createLogger('silent', 'test')),
    session: new RecordingSession(1),
  };
}

test('a request goes to the handler of its number, others are refused by number', () => {
  const handled: number[] = [];
  const { dispatch, session } = dispatching(
    operation(KNOWN, () => handled.push(KNOWN)),
    operation(255, () => handled.push(255)),
  );
  dispatch.handle(session, frame(255), 0);
  dispatch.handle(session, frame(KNOWN), 0);
  dispatch.handle(session, frame(7), 0);
  assert.deepEqual(handled, [255, KNOWN]);
  assert.deepEqual(
    session.taken().map(({ status, correlationId }) => [status, correlationId]),
    [[4, 5]],
  );
});

test('while draining, requests are refused and continuations are not', () => {
  const handled: string[] = [];
  const { dispatch, session } = dispatching(
    operation(KNOWN, () => handled.push('request')),
    { ...operation(101, () => handled.push('continuation')), isContinuation: true },
  );
  dispatch.isDraining = true;
  dispatch.handle(session, frame(KNOWN), 0);
  dispatch.handle(session, frame(101), 0);
  assert.deepEqual(handled, ['continuation']);
  assert.deepEqual(
    session.taken().map(({ status }) => status),
    [35],
  );
});

test('a request that waited longer than it had is refused unhandled', () => {
  let handled = 0;
  const { dispatch, session } = dispatching(
    operation(KNOWN, () => {
      handled += 1;
    }),
  );
  dispatch.handle(session, frame(KNOWN, 10), 9);
  dispatch.handle(session, frame(KNOWN, 0), 1e9);
  assert.equal(handled, 2);
  dispatch.handle(session, frame(KNOWN, 10), 10);
  assert.equal(handled, 2);
  assert.deepEqual(
    session.taken().map(({ status }) => status),
    [33],
  );
});

test('errors of each folder keep their code, others become INTERNAL, assertions are not caught', () => {
  const { dispatch, session } = dispatching();
  const thrown = [
    new ProtocolError('KEY_INVALID', 'a'),
    new StorageError('BLOCK_CORRUPT', 'b'),
    new ServerError('SHUTTING_DOWN', 'c'),
    new RangeError('d'),
    Object.assign(new Error('e'), { code: 'ENOENT' }),
    'f',
  ];
  for (const error of thrown) dispatch.answerThrown(session, frame(KNOWN), error);
  assert.deepEqual(
    session.taken().map(({ status }) => status),
    [22, 38, 35, 63, 63, 63],
  );
  assert.throws(
    () => dispatch.answerThrown(session, frame(KNOWN), new assert.AssertionError({ message: 'g' })),
    {
      name: 'AssertionError',
    },
  );
});

test('only HELLO is taken as a greeting, and a gathering handler is told at the end of a chunk', () => {
  let finished = 0;
  const { dispatch, session } = dispatching(
    operation(OPERATIONS.HELLO, () => undefined),
    {
      ...operation(KNOWN, () => undefined),
      finishChunk: () => {
        finished += 1;
      },
    },
  );
  dispatch.greet(session, frame(OPERATIONS.HELLO));
  assert.throws(() => dispatch.greet(session, frame(KNOWN)), { code: 'HANDSHAKE_REQUIRED' });
  dispatch.finishChunk(session);
  assert.equal(finished, 1);
});
