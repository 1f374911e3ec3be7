/** A worker's life as the main thread sees it, with workers of a few lines: every way to fail is told once, with reasons. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerError } from '../../server/server-error.ts';
import { WorkerHandle } from '../../server/worker-handle.ts';
import type { WorkerData } from '../../server/worker-messages.ts';

/** What the handle reads of it. */
const DATA = { role: 'shard', shardIndex: 3 } as unknown as WorkerData;

interface Watched {
  readonly worker: WorkerHandle;
  readonly failure: Promise<ServerError>;
  readonly progress: string[];
  failures: number;
}

function start(code: string): Watched {
  const program = `import { parentPort } from 'node:worker_threads';
    const say = (message) => parentPort.postMessage(message);
    ${code}`;
  let failed: (error: ServerError) => void = () => undefined;
  const failure = new Promise<ServerError>((resolve) => {
    failed = resolve;
  });
  const progress: string[] = [];
  const watched: Watched = {
    worker: new WorkerHandle(new URL(`data:text/javascript,${encodeURIComponent(program)}`), DATA, [], {
      onProgress: (_worker, phase, done, total) => progress.push(`${phase} ${done}/${total}`),
      onControl: () => undefined,
      onFailure: (_worker, error) => {
        watched.failures += 1;
        failed(error);
      },
    }),
    failure,
    progress,
    failures: 0,
  };
  return watched;
}

test('a life without failure is followed to its end', async () => {
  const { worker, progress } = start(`
    say({ type: 'progress', phase: 'blocks', done: 1, total: 2 });
    say({ type: 'opened' });
    say({ type: 'listening', port: 7 });
    parentPort.on('message', (message) => {
      if (message.type === 'status') say({ type: 'status-answer', requestId: message.requestId, status: { rows: 4 } });
      if (message.type === 'group-dropped') say({ type: 'acknowledged', requestId: message.requestId });
      if (message.type === 'drain') say({ type: 'drained' });
      if (message.type === 'close') { say({ type: 'closed' }); parentPort.close(); }
    });`);
  await worker.opened();
  await worker.opened();
  assert.equal(await worker.listening(), 7);
  assert.deepEqual(await worker.status(), { rows: 4 });
  await worker.acknowledged((requestId) => ({ type: 'group-dropped', requestId, groupId: 1 }));
  await worker.drain(10);
  await worker.close();
  assert.deepEqual(progress, ['blocks 1/2']);
});

test('what a worker says of its failure is told, with its code, to all who wait', async () => {
  const { worker, failure } = start(`
    parentPort.on('message', () =>
      say({ type: 'failed', failure: { code: 'JOURNAL_CORRUPT', message: 'a test', stack: 'where' } }));`);
  const waiting = [worker.opened(), worker.listening(), worker.status()];
  for (const outcome of await Promise.allSettled(waiting)) {
    assert.equal(outcome.status, 'rejected');
    assert.equal((outcome.reason as ServerError).code, 'JOURNAL_CORRUPT');
  }
  assert.equal((await failure).message, 'shard 3: a test');
  await assert.rejects(worker.opened(), { code: 'JOURNAL_CORRUPT' });
  await assert.rejects(worker.status(), { code: 'JOURNAL_CORRUPT' });
  await worker.terminate();
});

test('an uncaught error and an early exit are failures, each told once', async () => {
  const thrown = start(`throw new Error('boom');`);
  assert.match((await thrown.failure).message, /shard 3 failed: boom/);
  const ended = start(`process.exit(3);`);
  assert.match((await ended.failure).message, /shard 3 exited with code 3/);
  await Promise.all([thrown.worker.terminate(), ended.worker.terminate()]);
  assert.deepEqual([thrown.failures, ended.failures], [1, 1]);
});
