/** The shard's store as a whole: what is written is read, newest wins, and it survives closing, crashing and flushing. */
import { strict as assert } from 'node:assert';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { RESULT_APPLIED, RESULT_SUPERSEDED } from '../../storage/index.ts';
import { TEST_NOW_MICROS, TestShard, temporaryDirectory } from '../support/shard.ts';

describe('shard store', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let shard: TestShard;

  beforeEach(async () => {
    directory = temporaryDirectory();
    shard = await new TestShard(directory.path).open();
  });

  afterEach(async () => {
    await shard.store.close();
    directory.remove();
    assert.deepEqual(shard.fatal, []);
  });

  /** A second store over a copy of the files as they are now: what a process killed at this moment leaves. */
  async function crashAndRecover(): Promise<TestShard> {
    const copy = join(directory.path, 'copy');
    for (const part of ['journal', 'blocks']) {
      cpSync(join(directory.path, part), join(copy, part), { recursive: true });
    }
    return new TestShard(copy).open();
  }

  test('a row that was written is read, another is missing', async () => {
    await shard.put(1, [{ key: 'a', value: 'one' }]);
    assert.deepEqual(shard.get(1, ['a', 'b']), ['one', null]);
  });

  test('groups do not see each other’s rows', async () => {
    await shard.put(1, [{ key: 'a', value: 'one' }]);
    await shard.put(2, [{ key: 'a', value: 'two' }]);
    assert.deepEqual(shard.get(1, ['a']), ['one']);
    assert.deepEqual(shard.get(2, ['a']), ['two']);
  });

  test('the newest event time wins, and a late event is superseded', async () => {
    const newer = await shard.put(1, [{ key: 'a', value: 'new', eventTimeMicros: 2000 }]);
    const older = await shard.put(1, [{ key: 'a', value: 'old', eventTimeMicros: 1000 }]);
    assert.equal(newer.results[0], RESULT_APPLIED);
    assert.equal(older.results[0], RESULT_SUPERSEDED);
    assert.deepEqual(shard.get(1, ['a']), ['new']);
  });

  test('of two rows with one event time the later write wins, within a request too', async () => {
    const written = await shard.put(1, [
      { key: 'a', value: 'first' },
      { key: 'a', value: 'second' },
    ]);
    assert.deepEqual([...written.results], [RESULT_APPLIED, RESULT_APPLIED]);
    assert.ok((written.lsns[1] as number) > (written.lsns[0] as number));
    assert.deepEqual(shard.get(1, ['a']), ['second']);
  });

  test('a deleted row is missing, and an older put does not bring it back', async () => {
    await shard.put(1, [{ key: 'a', value: 'one', eventTimeMicros: 1000 }]);
    await shard.delete(1, [{ key: 'a', eventTimeMicros: 3000 }]);
    assert.deepEqual(shard.get(1, ['a']), [null]);
    await shard.put(1, [{ key: 'a', value: 'late', eventTimeMicros: 2000 }]);
    assert.deepEqual(shard.get(1, ['a']), [null]);
    await shard.put(1, [{ key: 'a', value: 'again', eventTimeMicros: 4000 }]);
    assert.deepEqual(shard.get(1, ['a']), ['again']);
  });

  test('a row is missing from the second in which its time to live ends', async () => {
    await shard.put(1, [{ key: 'a', value: 'one' }], 60);
    shard.nowMicros = TEST_NOW_MICROS + 59_000_000;
    assert.deepEqual(shard.get(1, ['a']), ['one']);
    shard.nowMicros = TEST_NOW_MICROS + 60_000_000;
    assert.deepEqual(shard.get(1, ['a']), [null]);
  });

  test('nothing is visible before it is durable', async () => {
    const written = shard.put(1, [{ key: 'a', value: 'one' }]);
    assert.deepEqual(shard.get(1, ['a']), [null]);
    await written;
    assert.deepEqual(shard.get(1, ['a']), ['one']);
  });

  test('rows of all sizes are read from the write buffer, from blocks and after a restart', async () => {
    const rows = [0, 1, 7, 100, 3900, 4000, 4072, 5000, 20_000, 900_000].map((length, index) => ({
      key: `row-${index}`,
      value: 'x'.repeat(length),
    }));
    const keys = rows.map((row) => row.key);
    const values = rows.map((row) => row.value);
    await shard.put(1, rows);
    assert.deepEqual(shard.get(1, keys), values);
    await shard.store.flush();
    assert.equal(shard.store.status().writeBufferRecords, 0);
    assert.deepEqual(shard.get(1, keys), values);
    await shard.store.close();
    await shard.open();
    assert.deepEqual(shard.get(1, keys), values);
  });

  test('small rows between rows larger than a page are flushed and read', async () => {
    const rows = Array.from({ length: 400 }, (_value, i) => ({
      key: `row-${i}`,
      value: `${i}:${'z'.repeat(i % 2 === 0 ? 20_000 : 10)}`,
    }));
    await shard.put(1, rows);
    await shard.store.flush();
    const keys = rows.map((row) => row.key);
    const values = rows.map((row) => row.value);
    assert.deepEqual(shard.get(1, keys), values);
    await shard.store.close();
    await shard.open();
    assert.deepEqual(shard.get(1, keys), values);
  });

  test('a killed shard has everything acknowledged: flushed, unflushed, and both versions of a key', async () => {
    await shard.put(1, [{ key: 'flushed', value: 'f' }]);
    await shard.put(1, [{ key: 'both', value: 'old', eventTimeMicros: 1000 }]);
    await shard.store.flush();
    await shard.put(1, [{ key: 'both', value: 'new', eventTimeMicros: 2000 }]);
    await shard.put(1, [{ key: 'unflushed', value: 'u' }]);
    await shard.delete(2, [{ key: 'gone' }]);
    const recovered = await crashAndRecover();
    assert.deepEqual(recovered.get(1, ['flushed', 'both', 'unflushed', 'none']), ['f', 'new', 'u', null]);
    assert.equal(recovered.store.status().versions, 5);
    await recovered.store.close();
  });

  test('LSNs go on rising after a restart', async () => {
    const before = await shard.put(1, [{ key: 'a', value: 'one' }]);
    await shard.store.close();
    await shard.open();
    const after = await shard.put(1, [{ key: 'a', value: 'two' }]);
    assert.ok((after.lsns[0] as number) > (before.lsns[0] as number));
  });

  test('a commit time never runs backwards, even when the clock does', async () => {
    await shard.put(1, [{ key: 'a', value: 'one', eventTimeMicros: 1 }]);
    shard.nowMicros = TEST_NOW_MICROS - 1_000_000;
    await shard.put(1, [{ key: 'a', value: 'two', eventTimeMicros: 2 }]);
    assert.deepEqual(shard.get(1, ['a']), ['two']);
  });

  test('buffered versions are handed out until the checkpoint that covers them', async () => {
    await shard.put(1, [{ key: 'a', value: 'one' }]);
    await shard.put(2, [{ key: 'a', value: 'other group' }]);
    const all = Uint16Array.from({ length: 4096 }, (_value, index) => index);
    const before = shard.store.bufferedVersions(1, all);
    assert.equal(before.flushNumber, 0);
    assert.equal(before.bytes.length, 48 + 8 + 8);
    await shard.store.flush();
    const after = shard.store.bufferedVersions(1, all);
    assert.equal(after.flushNumber, 1);
    assert.equal(after.bytes.length, 0);
  });

  test('writes are refused once the shard closes', async () => {
    const closing = shard.store.close();
    await assert.rejects(shard.put(1, [{ key: 'a' }]), { code: 'SHUTTING_DOWN' });
    await closing;
    await shard.open();
  });
});

describe('shard store with a small write buffer', () => {
  test('flushes while it is written, gives its memory and journal back, and keeps every row', async () => {
    const directory = temporaryDirectory();
    const shard = await new TestShard(directory.path, { writeBufferBytes: 512 * 1024 }).open();
    const keys: string[] = [];
    for (let round = 0; round < 40; round++) {
      const rows = Array.from({ length: 500 }, (_value, index) => ({
        key: `key-${round}-${index}`,
        value: `value ${round * index} ${'.'.repeat(index % 90)}`,
      }));
      // As a session does: on a slow device the flush is behind, and writers are held back.
      while (shard.store.pressure) await new Promise((resolve) => setTimeout(resolve, 1));
      await shard.put(1 + (round % 7), rows);
      keys.push(...rows.map((row) => row.key));
    }
    await shard.store.flush();
    const status = shard.store.status();
    assert.ok(status.flushes > 3, `${status.flushes} flushes`);
    assert.equal(status.rows, 20_000);
    assert.equal(status.writeBufferRecords, 0);
    for (let round = 0; round < 40; round++) {
      const found = shard.get(1 + (round % 7), keys.slice(round * 500, round * 500 + 500));
      for (const [index, value] of found.entries()) {
        assert.equal(value, `value ${round * index} ${'.'.repeat(index % 90)}`);
      }
    }
    await shard.store.close();
    await shard.open();
    assert.equal(shard.store.status().rows, 20_000);
    assert.deepEqual(shard.get(2, ['key-1-3']), [`value 3 ...`]);
    await shard.store.close();
    directory.remove();
    assert.deepEqual(shard.fatal, []);
  });
});
