/** Numbers, sizes and times as the terminal shows them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatLatency,
  formatRate,
  formatTable,
} from '../../connectors/format.ts';

test('counts have separators and rates survive no time at all', () => {
  assert.equal(formatCount(3_000_000), '3,000,000');
  assert.equal(formatRate(1000, 0.5), '2,000');
  assert.equal(formatRate(1000, 0), '0');
});

test('sizes keep three digits and the right unit', () => {
  assert.deepEqual([999, 1000, 13_500_000, 999_999, 1.5e15].map(formatBytes), [
    '999 B',
    '1.00 kB',
    '13.5 MB',
    '1.00 MB',
    '1500 TB',
  ]);
});

test('durations and latencies are read at a glance', () => {
  assert.deepEqual([0.85, 9.44, 59, 200, 7500].map(formatDuration), [
    '850 ms',
    '9.4 s',
    '59 s',
    '3 min 20 s',
    '2 h 5 min',
  ]);
  assert.deepEqual([43.2, 1204].map(formatLatency), ['43 µs', '1.20 ms']);
});

test('a table is as wide as its widest cells and has no trailing blanks', () => {
  assert.equal(
    formatTable(
      [
        ['a', 'bbb', ''],
        ['cc', 'd', 'e'],
      ],
      '',
    ),
    'a   bbb\ncc  d    e\n',
  );
});
