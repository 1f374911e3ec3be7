/** Progress on a terminal and elsewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Progress } from '../../connectors/progress.ts';

function plain(options: { total: number; unit: 'rows' | 'bytes'; rowsBefore?: number }): {
  lines: string[];
  at(ms: number): void;
  progress: Progress;
} {
  const lines: string[] = [];
  let now = 0;
  const stream = { isTTY: false, write: (text: string) => lines.push(text) };
  const progress = new Progress({ label: 'flight', ...options, stream, isPlain: false, nowMs: () => now });
  return {
    lines,
    at: (ms) => {
      now = ms;
    },
    progress,
  };
}

test('without a terminal a whole line comes every few seconds, with rate and time left', () => {
  const { lines, at, progress } = plain({ total: 10_000, unit: 'rows' });
  at(1000);
  progress.update(1000, 1000);
  assert.deepEqual(lines, []);
  at(5000);
  progress.update(5000, 5000);
  at(6000);
  progress.update(6000, 6000);
  progress.stop();
  assert.deepEqual(lines, ['flight: 5,000 of 10,000 rows, 1,000 rows/s, ETA 5.0 s\n']);
});

test('where rows in all are not known, bytes tell how far it is', () => {
  const { lines, at, progress } = plain({ total: 2_000_000, unit: 'bytes' });
  at(5000);
  progress.update(100, 1_000_000);
  assert.deepEqual(lines, ['flight: 100 rows (1.00 MB of 2.00 MB), 20 rows/s, ETA 5.0 s\n']);
});

test('without any total there is no time left to tell', () => {
  const { lines, at, progress } = plain({ total: 0, unit: 'rows' });
  at(5000);
  progress.update(100, 100);
  assert.deepEqual(lines, ['flight: 100 rows, 20 rows/s\n']);
});

test('rows of an earlier attempt count as done and not as fast', () => {
  const { lines, at, progress } = plain({ total: 10_000, unit: 'rows', rowsBefore: 4000 });
  at(5000);
  progress.update(5000, 5000);
  assert.deepEqual(lines, ['flight: 5,000 of 10,000 rows, 200 rows/s, ETA 25 s\n']);
});

test('a terminal asked to be plain gets no control characters', () => {
  const written: string[] = [];
  const stream = { isTTY: true, write: (text: string) => written.push(text) };
  const progress = new Progress({ label: 'x', total: 10, unit: 'rows', stream, isPlain: true });
  progress.update(10, 10);
  progress.stop();
  assert.ok(!written.join('').includes('\u001b'));
});
