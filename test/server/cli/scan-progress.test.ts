/** The progress of a scan on a terminal and elsewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScanProgress } from '../../../server/cli/scan-progress.ts';

function progress(
  isTTY: boolean,
  isPlain: boolean,
): { written: string[]; at(ms: number): void; scan: ScanProgress } {
  const written: string[] = [];
  let now = 0;
  const scan = new ScanProgress({ isTTY, write: (text) => written.push(text) }, 'g', isPlain, () => now);
  return {
    written,
    at: (ms) => {
      now = ms;
    },
    scan,
  };
}

test('a terminal gets one line, rewritten and taken away', () => {
  const { written, at, scan } = progress(true, false);
  scan.add(1000, 5000);
  at(1000);
  scan.add(1000, 5000);
  scan.end();
  assert.deepEqual(written, ['\rg: 2,000 rows, 10.0 kB, 2,000 rows/s', `\r${' '.repeat(36)}\r`]);
  assert.equal(scan.seconds, 1);
});

test('elsewhere, or when asked to be plain, whole lines come seldom', () => {
  for (const [isTTY, isPlain] of [
    [false, false],
    [true, true],
  ] as const) {
    const { written, at, scan } = progress(isTTY, isPlain);
    at(1000);
    scan.add(1000, 5000);
    at(5000);
    scan.add(1000, 5000);
    scan.end();
    assert.deepEqual(written, ['g: 2,000 rows, 10.0 kB, 400 rows/s\n']);
  }
});
