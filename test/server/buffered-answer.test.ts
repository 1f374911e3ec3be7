/** What a shard gathers of its write buffer for a scan: whole, of one flush number, and a bounded part of it a turn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatherBuffered } from '../../server/buffered-answer.ts';
import { BUFFERED_PARTITION_BYTES, BUFFERED_SLICE_BYTES } from '../../server/scan-limits.ts';

const RECORD_BYTES = 1000;

/** Partition p has p % 7 records, each filled with p's low byte; `flushNumber` is the test's to change. */
class Buffers {
  flushNumber = 5;
  asked: number[] = [];

  bufferedVersions(_group: number, partitions: Uint16Array): { flushNumber: number; bytes: Uint8Array } {
    const bytes = [...partitions].map((partition) => {
      this.asked.push(partition);
      return Buffer.alloc((partition % 7) * RECORD_BYTES, partition & 255);
    });
    return { flushNumber: this.flushNumber, bytes: Buffer.concat(bytes) };
  }
}

function expected(partitions: Uint16Array): Buffer {
  return Buffer.concat([...partitions].map((p) => Buffer.alloc((p % 7) * RECORD_BYTES, p & 255)));
}

const ALL = Uint16Array.from({ length: 1000 }, (_value, at) => at);

test('all partitions come back to back, and a turn gathers a slice at the most', async () => {
  const buffers = new Buffers();
  const turns: number[] = [];
  const answer = await gatherBuffered(buffers, 1, ALL, async () => {
    turns.push(buffers.asked.length);
  });
  assert.equal(answer.flushNumber, 5);
  assert.deepEqual(Buffer.from(answer.bytes), expected(ALL));
  let from = 0;
  for (const to of turns) {
    const bytes = expected(ALL.subarray(from, to)).length + (to - from) * BUFFERED_PARTITION_BYTES;
    assert.ok(bytes < BUFFERED_SLICE_BYTES + 6 * RECORD_BYTES + BUFFERED_PARTITION_BYTES, `${bytes} bytes`);
    from = to;
  }
  assert.ok(turns.length >= expected(ALL).length / (2 * BUFFERED_SLICE_BYTES), `${turns.length} turns`);
});

test('it begins again when a flush has finished meanwhile', async () => {
  const buffers = new Buffers();
  let pauses = 0;
  const answer = await gatherBuffered(buffers, 1, ALL, async () => {
    pauses += 1;
    if (pauses === 3) buffers.flushNumber = 6;
  });
  assert.equal(answer.flushNumber, 6);
  assert.deepEqual(Buffer.from(answer.bytes), expected(ALL));
  assert.ok(buffers.asked.length > ALL.length, 'what was gathered before was asked for again');
  assert.deepEqual(buffers.asked.slice(-ALL.length), [...ALL]);
});

test('what the store refuses is what it rejects with', async () => {
  const refusal = new Error('damaged');
  const store = {
    bufferedVersions: (): never => {
      throw refusal;
    },
  };
  await assert.rejects(
    gatherBuffered(store, 1, ALL, () => Promise.resolve()),
    refusal,
  );
});
