/** Figures of a shard's blocks, against what was written. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { inspectBlocks, loadChecksum, openBlockStore } from '../../storage/index.ts';
import { keyBatchOf, TEST_NOW_MICROS, TestShard, temporaryDirectory } from '../support/shard.ts';

before(loadChecksum);

const KEYS = Array.from({ length: 50 }, (_, index) => `key-${index}`);

test('rows, versions, live and dead bytes and ages are those of what was written', async (context) => {
  const { path, remove } = temporaryDirectory();
  context.after(remove);
  const shard = await new TestShard(path, { journalSegmentBytes: 256 * 1024 }).open();
  const rows = KEYS.map((key) => ({ key, value: 'v' }));
  await shard.put(1, rows);
  await shard.store.flush();
  shard.nowMicros += 1e6;
  // Ten are written again, five deleted, and one of another group has expired.
  await shard.put(1, rows.slice(0, 10));
  await shard.delete(1, rows.slice(10, 15));
  await shard.put(2, [{ key: 'short', value: 'v', eventTimeMicros: TEST_NOW_MICROS }], 5);
  await shard.store.close();
  const store = openBlockStore({ directory: `${path}/blocks`, readOnly: true });
  const inspected = await inspectBlocks({
    store,
    shardIndex: 0,
    shardCount: 1,
    nowSeconds: TEST_NOW_MICROS / 1e6 + 60,
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    onProgress: () => undefined,
  });
  await store.close();
  const sum = (group: number, figure: 'rows' | 'versions' | 'liveBytes' | 'deadBytes'): number =>
    inspected.units.filter((unit) => unit.group === group).reduce((total, unit) => total + unit[figure], 0);
  assert.equal(sum(1, 'rows'), 45);
  assert.equal(sum(1, 'versions'), 65);
  assert.equal(sum(2, 'rows'), 0);
  assert.equal(sum(2, 'versions'), 1);
  // A record is 48 bytes, its key in eights, and 8 of payload unless it deletes.
  const keyBytes = (key: string): number => (key.length + 7) & ~7;
  const bytesOf = (keys: readonly string[], payload: number): number =>
    keys.reduce((total, key) => total + 48 + keyBytes(key) + payload, 0);
  assert.equal(sum(1, 'liveBytes'), bytesOf([...KEYS.slice(0, 10), ...KEYS.slice(15)], 8));
  assert.equal(sum(1, 'deadBytes'), bytesOf(KEYS.slice(0, 15), 8) + bytesOf(KEYS.slice(10, 15), 0));
  assert.equal(inspected.damagedBlocks, 0);
  assert.ok(inspected.indexBytes > 0 && inspected.fileBytes > inspected.freeBytes);
  const partition = (keyBatchOf(['short']).digests[0] as number) & 4095;
  const unit = inspected.units.find(({ group }) => group === 2);
  assert.deepEqual([unit?.partition, unit?.oldestEventMicros], [partition, TEST_NOW_MICROS]);
});
