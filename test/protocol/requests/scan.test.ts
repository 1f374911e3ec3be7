/** SCAN survives with its defaults, and ranges that make no sense are refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeScanData,
  decodeScanEnd,
  decodeScanRequest,
  encodeScanEnd,
  encodeScanRequest,
  FLAG_MORE,
  newResponseHeader,
  OPERATIONS,
  readResponseHeader,
  SCAN_BATCH_ROWS_DEFAULT,
  type ScanRequest,
} from '../../../protocol/index.ts';
import { appendControlRequest } from '../../../protocol/requests/control.ts';
import { cutTo, frameOf, refusal } from '../frames.ts';
import { OPTIONS, SAMPLE_MESSAGES } from '../sample-messages.ts';

const REQUEST: ScanRequest = {
  group: 'g',
  partitions: [
    [0, 1],
    [1, 4096],
  ],
  columns: ['a', 'b'],
  batchRows: 100,
  creditBytes: 5,
};

test('a request survives, and absent fields have their defaults', () => {
  assert.deepEqual(decodeScanRequest(frameOf((w) => encodeScanRequest(w, OPTIONS, REQUEST))), REQUEST);
  const least = frameOf((w) =>
    appendControlRequest(w, OPERATIONS.SCAN, OPTIONS, { group: 'g', creditBytes: 1 }),
  );
  assert.deepEqual(decodeScanRequest(least), {
    group: 'g',
    partitions: null,
    columns: null,
    batchRows: SCAN_BATCH_ROWS_DEFAULT,
    creditBytes: 1,
  });
});

test('fields that make no sense are refused', () => {
  const refuses = (changes: object, message: RegExp): void => {
    const frame = frameOf((w) =>
      appendControlRequest(w, OPERATIONS.SCAN, OPTIONS, { ...REQUEST, ...changes }),
    );
    assert.throws(() => decodeScanRequest(frame), refusal('MALFORMED_REQUEST', message));
  };
  for (const partitions of [
    [[0, 0]],
    [[5, 4]],
    [[0, 4097]],
    [[-1, 4]],
    [
      [0, 8],
      [4, 9],
    ],
    [[0]],
    [[0, 1, 2]],
    [5],
    'all',
  ]) {
    refuses({ partitions }, /"partitions"/);
  }
  refuses({ partitions: [[0.5, 2]] }, /"partitions"/);
  refuses({ columns: [] }, /"columns".*at least one/);
  refuses({ columns: [5] }, /"columns" holds 5/);
  refuses({ batchRows: 0 }, /"batchRows".*1 to 65536/);
  refuses({ batchRows: 65537 }, /"batchRows"/);
  refuses({ creditBytes: 0 }, /"creditBytes"/);
  refuses({ creditBytes: undefined }, /"creditBytes" holds null/);
});

test('a data frame carries partition, rows and Arrow bytes, and says that more follow', () => {
  const frame = frameOf(SAMPLE_MESSAGES['scan-data']!);
  const header = newResponseHeader();
  readResponseHeader(frame.view, frame.offset, header);
  assert.equal(header.flags, FLAG_MORE);
  const data = decodeScanData(frame);
  assert.equal(data.partition, 63);
  assert.equal(data.rowCount, 2);
  assert.deepEqual([...frame.bytes.subarray(data.from, data.to)], [255, 255, 255, 255, 0, 0, 0, 0]);
  assert.equal((data.from - frame.offset) % 8, 0);
  assert.throws(() => decodeScanData(cutTo(frame, 31)), refusal('MALFORMED_REQUEST', /at least 16 bytes/));
});

test('the end carries sums', () => {
  const sums = { rows: 2 ** 40, bytes: 2 ** 50, partitions: 4096 };
  assert.deepEqual(decodeScanEnd(frameOf((w) => encodeScanEnd(w, 7, sums))), sums);
});
