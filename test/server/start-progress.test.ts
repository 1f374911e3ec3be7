/** What a starting server shows: nothing of a short start, one line on a terminal, a line a phase elsewhere. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StartProgress } from '../../server/start-progress.ts';

interface Shown {
  readonly progress: StartProgress;
  readonly texts: string[];
  wait: (ms: number) => void;
}

function shown(context: TestContext, isTTY: boolean): Shown {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const texts: string[] = [];
  const stream = { isTTY, write: (text: string) => texts.push(text) };
  const wait = (ms: number): void => {
    nowMs += ms;
  };
  return { progress: new StartProgress(stream), texts, wait };
}

test('a short start shows nothing', (context) => {
  const { progress, texts, wait } = shown(context, true);
  wait(400);
  progress.show({ worker: 'shard 0', phase: 'blocks', done: 1, total: 2 });
  progress.end();
  assert.deepEqual(texts, []);
});

test('on a terminal one line is rewritten with all workers summed, and removed at the end', (context) => {
  const { progress, texts, wait } = shown(context, true);
  progress.show({ worker: 'shard 0', phase: 'blocks', done: 50, total: 100 });
  wait(600);
  progress.show({ worker: 'shard 1', phase: 'blocks', done: 0, total: 100 });
  progress.show({ worker: 'shard 1', phase: 'blocks', done: 1, total: 100 });
  wait(200);
  progress.show({ worker: 'shard 0', phase: 'journal', done: 0, total: 0 });
  progress.end();
  assert.deepEqual(texts.slice(0, 2), [
    '\rstarting: reading blocks 25%',
    `\r${'starting: reading journal'.padEnd('starting: reading blocks 25%'.length)}`,
  ]);
  assert.match(texts[2]!, /^\r +\r$/);
});

test('elsewhere there is a line a phase', (context) => {
  const { progress, texts, wait } = shown(context, false);
  for (let step = 0; step < 10; step++) {
    wait(200);
    progress.show({ worker: 'shard 0', phase: step < 6 ? 'blocks' : 'journal', done: step, total: 10 });
  }
  progress.end();
  assert.deepEqual(texts, ['starting: reading blocks 20%\n', 'starting: reading journal 60%\n']);
});
