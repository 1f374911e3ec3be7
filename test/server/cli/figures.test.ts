/** Numbers, sizes and tables of the command line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatBytes,
  formatCount,
  formatLatency,
  formatTable,
  formatUptime,
} from '../../../server/cli/figures.ts';

test('figures are read at a glance', () => {
  assert.equal(formatCount(1_234_567), '1,234,567');
  assert.deepEqual([0, 999, 1500, 2.5e9].map(formatBytes), ['0 B', '999 B', '1.50 kB', '2.50 GB']);
  assert.deepEqual([3, 200, 7500, 100_000].map(formatUptime), ['3 s', '3 min 20 s', '2 h 5 min', '1 d 3 h']);
  assert.deepEqual([43.2, 1204].map(formatLatency), ['43 µs', '1.20 ms']);
});

test('numbers align on the right', () => {
  assert.equal(
    formatTable(
      [
        ['A', 'N'],
        ['bb', '10'],
        ['c', '9'],
      ],
      new Set([1]),
    ),
    'A    N\nbb  10\nc    9\n',
  );
});
