/** A flush writes by group, then partition, then in the order in which records were applied. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { flushOrder } from '../../storage/flush-order.ts';
import { WriteBuffer } from '../../storage/write-buffer.ts';

const noPause = (): Promise<void> => Promise.resolve();

test('an empty buffer has an empty order', async () => {
  assert.equal((await flushOrder(new WriteBuffer(8), 8, noPause)).length, 0);
});

test('the order is that of a stable sort by group and partition', async () => {
  const partitionCount = 700;
  const buffer = new WriteBuffer(partitionCount);
  const partitions: number[] = [];
  let state = 12_345;
  for (let record = 0; record < 30_000; record++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const partition = (state >>> 8) % partitionCount;
    partitions.push(partition);
    buffer.add(partition, [1, 7, 4095][(state >>> 20) % 3] as number, record, 64);
  }
  const expected = partitions.map((_partition, record) => record);
  expected.sort(
    (a, b) =>
      (buffer.groups[a] as number) - (buffer.groups[b] as number) ||
      (partitions[a] as number) - (partitions[b] as number) ||
      a - b,
  );
  assert.deepEqual([...(await flushOrder(buffer, partitionCount, noPause))], expected);
});

test('the work is paused between stretches of partitions', async () => {
  let pauses = 0;
  await flushOrder(new WriteBuffer(4096), 4096, async () => {
    pauses += 1;
  });
  assert.ok(pauses >= 8, `${pauses} pauses`);
});
