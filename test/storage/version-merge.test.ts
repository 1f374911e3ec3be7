/** A merge answers the newest live version of each key, in (partition, digest, key) order, however versions arrive. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { VersionMerge } from '../../storage/version-merge.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { digestLoOf, encodeRecords, keyBytesOf, type StoredRecord } from '../support/stored-records.ts';

const NOW_SECONDS = 1000;

function merged(
  records: readonly StoredRecord[],
  partitions: readonly number[],
  cut: (bytes: Uint8Array) => Uint8Array[] = (bytes) => [bytes],
): string[] {
  const merge = new VersionMerge();
  merge.begin(1, Uint16Array.from(partitions));
  for (const part of cut(encodeRecords(records))) merge.addRecords(part);
  merge.finish(partitions.length, NOW_SECONDS);
  return rowsOf(merge);
}

/** "partition key@eventTime/lsn" of each row. */
function rowsOf(merge: VersionMerge): string[] {
  const rows: string[] = [];
  const { view, bytes } = merge.arena;
  for (let row = 0; row < merge.count; row++) {
    const at = merge.places[row]! * 8;
    const key = Buffer.from(bytes.subarray(at + 48, at + 48 + view.getUint16(at + 44, true))).toString(
      'latin1',
    );
    rows.push(
      `${merge.partitionAt(row)} ${key}@${Number(view.getBigInt64(at + 16, true))}/${Number(view.getBigUint64(at + 24, true))}`,
    );
  }
  return rows;
}

/** What `merged` should answer, the slow way. */
function expected(records: readonly StoredRecord[], partitions: readonly number[]): string[] {
  const newest = new Map<string, StoredRecord>();
  for (const record of records) {
    if ((record.group ?? 1) !== 1 || !partitions.includes(record.partition)) continue;
    const id = `${record.partition} ${record.digestHi} ${digestLoOf(record)} ${Buffer.from(keyBytesOf(record)).toString('hex')}`;
    const before = newest.get(id);
    const isNewer =
      before === undefined ||
      record.eventTimeMicros > before.eventTimeMicros ||
      (record.eventTimeMicros === before.eventTimeMicros && record.lsn > before.lsn);
    if (isNewer) newest.set(id, record);
  }
  return [...newest.values()]
    .filter((record) => !record.isDelete && !(record.expirySeconds && record.expirySeconds <= NOW_SECONDS))
    .sort(
      (a, b) =>
        a.partition - b.partition ||
        a.digestHi - b.digestHi ||
        digestLoOf(a) - digestLoOf(b) ||
        Buffer.compare(keyBytesOf(a), keyBytesOf(b)),
    )
    .map(
      (record) =>
        `${record.partition} ${Buffer.from(keyBytesOf(record)).toString('latin1')}@${record.eventTimeMicros}/${record.lsn}`,
    );
}

const row = (
  key: string,
  eventTimeMicros: number,
  lsn: number,
  more: Partial<StoredRecord> = {},
): StoredRecord => ({
  partition: 7,
  digestHi: 5,
  key,
  eventTimeMicros,
  lsn,
  ...more,
});

test('rows leave by partition, then digest high, digest low and key', () => {
  const records = [
    row('x', 1, 1, { partition: 9, digestHi: 0 }),
    row('b', 1, 2),
    row('a', 1, 3, { digestHi: 4_000_000_000 }),
    row('c', 1, 4, { digestLoRest: 0xfffff }),
    row('d', 1, 5, { digestLoRest: 3 }),
    row('a', 1, 6),
  ];
  assert.deepEqual(merged(records, [7, 9]), [
    '7 a@1/6',
    '7 b@1/2',
    '7 d@1/5',
    '7 c@1/4',
    '7 a@1/3',
    '9 x@1/1',
  ]);
});

test('keys with one digest are ordered as bytes, a prefix first', () => {
  const keys = [
    'b',
    'a\u00ff',
    'a',
    'ab',
    'a\0',
    'a\0\0\0\0\u0001',
    'abcdefgh',
    'abcdefghi',
    'abcdefg\u0080',
  ];
  const records = keys.map((key, index) => row('', 1, index + 1, { key: Buffer.from(key, 'latin1') }));
  assert.deepEqual(merged(records, [7]), expected(records, [7]));
  assert.equal(merged(records, [7]).length, keys.length);
});

test('the newest event time wins, then the higher LSN; times before 1970 are older', () => {
  assert.deepEqual(merged([row('a', 5, 1), row('a', 9, 2), row('a', 7, 3)], [7]), ['7 a@9/2']);
  assert.deepEqual(merged([row('a', 5, 8), row('a', 5, 9), row('a', 5, 7)], [7]), ['7 a@5/9']);
  assert.deepEqual(merged([row('a', -5, 8), row('a', 3, 1), row('a', -(2 ** 40), 9)], [7]), ['7 a@3/1']);
  assert.deepEqual(merged([row('a', 2 ** 33, 1), row('a', 2 ** 32 + 5, 2)], [7]), [`7 a@${2 ** 33}/1`]);
  assert.deepEqual(merged([row('a', 1, 2 ** 33), row('a', 1, 2 ** 32 + 5)], [7]), [`7 a@1/${2 ** 33}`]);
});

test('a tombstone hides older versions and yields to newer ones', () => {
  assert.deepEqual(merged([row('a', 5, 1), row('a', 6, 2, { isDelete: true })], [7]), []);
  assert.deepEqual(merged([row('a', 6, 2, { isDelete: true }), row('a', 7, 3)], [7]), ['7 a@7/3']);
});

test('an expired version is gone at its second, and hides older ones that are not', () => {
  assert.deepEqual(merged([row('a', 5, 1, { expirySeconds: NOW_SECONDS })], [7]), []);
  assert.deepEqual(merged([row('a', 5, 1, { expirySeconds: NOW_SECONDS + 1 })], [7]), ['7 a@5/1']);
  assert.deepEqual(merged([row('a', 5, 1), row('a', 6, 2, { expirySeconds: 1 })], [7]), []);
});

test('other groups and partitions are left out, and a version counts once however often it comes', () => {
  const records = [
    row('a', 1, 1),
    row('b', 1, 2, { group: 2 }),
    row('c', 1, 3, { partition: 8 }),
    row('a', 1, 1),
  ];
  assert.deepEqual(merged(records, [7]), ['7 a@1/1']);
});

test('finishing fewer partitions leaves the later ones out', () => {
  const merge = new VersionMerge();
  merge.begin(1, Uint16Array.of(3, 7));
  merge.addRecords(encodeRecords([row('a', 1, 1), row('b', 1, 1, { partition: 3 })]));
  merge.finish(1, NOW_SECONDS);
  assert.deepEqual(rowsOf(merge), ['3 b@1/1']);
});

test('a cursor stands on a row, whether that row is still there or not', () => {
  const keys = ['a', 'b', 'c', 'd'];
  const gather = (present: readonly string[]): VersionMerge => {
    const merge = new VersionMerge();
    merge.begin(1, Uint16Array.of(7, 8));
    const later = row('z', 1, 9, { partition: 8, digestHi: 0 });
    merge.addRecords(encodeRecords([...present.map((key, index) => row(key, 1, index + 1)), later]));
    merge.finish(2, NOW_SECONDS);
    return merge;
  };
  const cursor = gather(keys).cursorAt(1);
  assert.equal(gather(keys).rowsThrough(cursor), 2);
  assert.equal(gather(['a', 'c', 'd']).rowsThrough(cursor), 1);
  assert.equal(gather(['c']).rowsThrough(cursor), 0);
  assert.equal(gather(['a']).rowsThrough(cursor), 1);
});

test('a range that is no whole number of records is refused', () => {
  const bytes = encodeRecords([row('a', 1, 1), row('b', 1, 2)]);
  const refused = (change: (view: DataView) => void, length = bytes.length): void => {
    const broken = bytes.slice(0, length);
    change(new DataView(broken.buffer));
    const merge = new VersionMerge();
    merge.begin(1, Uint16Array.of(7));
    assert.throws(() => merge.addRecords(broken), { code: 'BLOCK_CORRUPT' });
  };
  refused(() => undefined, bytes.length - 8);
  refused((view) => view.setUint32(0, 0, true));
  refused((view) => view.setUint32(0, 60, true));
  refused((view) => view.setUint32(0, 0xffff_fff8, true));
  refused((view) => view.setUint16(44, 1000, true));
});

test('a long history takes the memory of its live rows', () => {
  const keys = 300;
  const rounds = 400;
  const payload = new Uint8Array(1024);
  const merge = new VersionMerge();
  merge.begin(1, Uint16Array.of(7, 8));
  for (let round = 0; round < rounds; round++) {
    const records = Array.from({ length: keys }, (_, key) =>
      row(`key-${key}`, round === 17 ? 1e6 : round, round + 1, {
        partition: 7 + (key & 1),
        digestHi: Math.imul(key, 0x9e3779b1) >>> 0,
        isDelete: key === 3 && round === rounds - 1,
        payload,
      }),
    );
    merge.addRecords(encodeRecords(records));
    assert.ok(merge.bytesHeld < 40 << 20, `${merge.bytesHeld} bytes after ${round} rounds`);
  }
  merge.finish(2, NOW_SECONDS);
  assert.equal(merge.count, keys);
  assert.ok(rowsOf(merge).every((text) => text.endsWith('@1000000/18')));
  merge.release();
  assert.equal(merge.bytesHeld, 0);
});

test('live rows beyond the arena make it grow', () => {
  const payload = new Uint8Array(256 << 10);
  const merge = new VersionMerge();
  merge.begin(1, Uint16Array.of(7));
  for (let key = 0; key < 200; key++) {
    merge.addRecords(encodeRecords([row(`${key}`, 1, 1, { digestHi: key, payload })]));
  }
  merge.finish(1, NOW_SECONDS);
  assert.equal(merge.count, 200);
  assert.deepEqual(rowsOf(merge).slice(0, 2), ['7 0@1/1', '7 1@1/1']);
});

test('any versions in any order give what the slow way gives', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 300; round++) {
    const partitions = [...new Set(Array.from({ length: 1 + random.below(6) }, () => random.below(12)))].sort(
      (a, b) => a - b,
    );
    const digests = Array.from({ length: 1 + random.below(20) }, () => random.uint32());
    const records = Array.from({ length: random.below(400) }, (_, lsn): StoredRecord => {
      const digest = random.below(digests.length);
      return {
        group: random.chance(0.9) ? 1 : 2,
        partition: random.below(12),
        digestHi: digests[digest]!,
        digestLoRest: digest & 3,
        key: `k${random.below(3)}`,
        eventTimeMicros: random.below(50) - 20,
        lsn: lsn + 1,
        isDelete: random.chance(0.2),
        expirySeconds: random.chance(0.2) ? NOW_SECONDS - 1 + random.below(3) : 0,
      };
    });
    assert.deepEqual(merged(records, partitions), expected(records, partitions), `round ${round}`);
  }
});
