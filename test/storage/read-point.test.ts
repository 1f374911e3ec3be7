/** Read points: nothing is ever numbered at or below a closed one, whatever the clock does and however often the shard restarts. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { decodeReadPoint, encodeReadPoint } from '../../storage/read-point.ts';
import { readRecordBytes, readRecordCommitTime, readRecordLsn } from '../../storage/record.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { keyBatchOf, TEST_NOW_MICROS, TestShard } from '../support/shard.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

interface Numbered {
  readonly lsn: number;
  readonly commitTime: number;
}

/** LSN and commit time of every buffered version of the key, by LSN. */
function versionsOf(shard: TestShard, key: string): Numbered[] {
  const partition = keyBatchOf([key]).digests[0]! & 4095;
  const { bytes } = shard.store.bufferedVersions(1, Uint16Array.of(partition));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const versions: Numbered[] = [];
  for (let at = 0; at < bytes.length; at += readRecordBytes(view, at)) {
    versions.push({ lsn: readRecordLsn(view, at), commitTime: readRecordCommitTime(view, at) });
  }
  return versions.sort((a, b) => a.lsn - b.lsn);
}

async function opened(context: TestContext): Promise<TestShard> {
  const shard = await new TestShard(temporaryDirectory(context)).open();
  context.after(() => shard.store.close());
  return shard;
}

test('what was written before lies at or below the read point, what comes after above it', async (context) => {
  const shard = await opened(context);
  await shard.put(1, [{ key: 'a' }, { key: 'a' }]);
  const point = await shard.store.closeReadPoint();
  shard.nowMicros -= 3600e6;
  await shard.put(1, [{ key: 'a' }]);
  const [first, second, third] = versionsOf(shard, 'a');
  assert.ok(first!.commitTime <= point && second!.commitTime <= point);
  assert.ok(third!.commitTime > point);
  shard.store.assertReadPoint(point);
  assert.throws(() => shard.store.assertReadPoint(point + 1), { code: 'READ_POINT_INVALID' });
});

test('a read point is as late as asked for', async (context) => {
  const shard = await opened(context);
  const later = TEST_NOW_MICROS + 5e6;
  assert.equal(await shard.store.closeReadPoint(later), later);
  assert.ok((await shard.store.closeReadPoint()) >= later);
  await shard.put(1, [{ key: 'a' }]);
  assert.ok(versionsOf(shard, 'a')[0]!.commitTime > later);
});

test('it waits for writes on their way, which are then visible', async (context) => {
  const shard = await opened(context);
  const writes = Array.from({ length: 20 }, (_value, index) =>
    shard.put(1, [{ key: `k${index}`, value: 'v' }]),
  );
  const point = await shard.store.closeReadPoint();
  assert.deepEqual(shard.get(1, ['k0', 'k19']), ['v', 'v']);
  for (let index = 0; index < 20; index++) {
    for (const { commitTime } of versionsOf(shard, `k${index}`)) assert.ok(commitTime <= point);
  }
  await Promise.all(writes);
});

test('clocks that jump both ways, restarts and read points: numbers rise strictly, and above what was closed', async (context) => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const directory = temporaryDirectory(context);
  const shard = new TestShard(directory, { journalSegmentBytes: 1024 * 1024 });
  await shard.open();
  let closed = 0;
  let last: Numbered = { lsn: 0, commitTime: 0 };
  for (let step = 0; step < 120; step++) {
    const jump = random.below(4) === 0 ? random.below(8.64e10) : random.below(1000);
    shard.nowMicros += random.chance(0.5) ? jump : -jump;
    const choice = random.below(10);
    if (choice === 0) {
      await shard.store.close();
      await shard.open();
      shard.store.assertReadPoint(closed);
    } else if (choice < 4) {
      const point = await shard.store.closeReadPoint();
      assert.ok(point >= closed && point >= last.commitTime);
      closed = point;
    } else {
      await shard.put(1, [{ key: 'a', eventTimeMicros: step }]);
      const newest = versionsOf(shard, 'a').at(-1)!;
      assert.ok(newest.lsn > last.lsn, 'LSNs rise');
      assert.ok(newest.commitTime > last.commitTime && newest.commitTime > closed, 'commit times rise');
      last = newest;
    }
  }
  await shard.store.close();
});

test('no read point is closed while the shard closes', async (context) => {
  const shard = await new TestShard(temporaryDirectory(context)).open();
  const closing = shard.store.close();
  await assert.rejects(shard.store.closeReadPoint(), { code: 'SHUTTING_DOWN' });
  await closing;
  assert.deepEqual(shard.fatal, []);
});

test('a read point that is damaged, cut or of a later format is refused', () => {
  const bytes = encodeReadPoint(1234567890123456);
  assert.equal(decodeReadPoint(bytes), 1234567890123456);
  for (let at = 4; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    assert.throws(() => decodeReadPoint(changed), { code: 'BLOCK_CORRUPT' }, `byte ${at}`);
  }
  assert.throws(() => decodeReadPoint(bytes.slice(0, 16)), { code: 'BLOCK_CORRUPT' });
  const later = bytes.slice();
  later[0] = 2;
  assert.throws(() => decodeReadPoint(later), { code: 'DATA_DIRECTORY_NEWER' });
});
