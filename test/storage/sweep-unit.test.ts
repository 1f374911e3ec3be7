/** What is gathered of a unit: sorted as a slow sort does, however many versions a key has, and decided on key by key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arenaOf } from '../../storage/arena.ts';
import { WHERE_LEVEL_ZERO } from '../../storage/index-entry.ts';
import { readRecordLsn } from '../../storage/record.ts';
import { FATE_DROP, FATE_DUPLICATE, FATE_KEEP, NEWEST_GO } from '../../storage/sweep-fate.ts';
import { SweepUnit } from '../../storage/sweep-unit.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { encodeRecords, type StoredRecord } from '../support/stored-records.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);
let pauses = 0;
const pause = (): Promise<void> => {
  pauses += 1;
  return Promise.resolve();
};

function unitOf(records: readonly StoredRecord[]): SweepUnit {
  const unit = new SweepUnit();
  for (const [index, record] of records.entries()) {
    unit.add(arenaOf(encodeRecords([record])), 0, WHERE_LEVEL_ZERO, index, 48);
  }
  return unit;
}

/** Any order of keys does, as long as it is one: by length, then by their first unequal little-endian word. */
function compareSlowly(a: StoredRecord, b: StoredRecord): number {
  const keys = [a, b].map(({ key }) => Buffer.from(key as string));
  const words = keys.map((key) => {
    const padded = Buffer.alloc((key.length + 3) & ~3);
    key.copy(padded);
    return Array.from({ length: padded.length / 4 }, (_value, i) => padded.readUInt32LE(i * 4));
  });
  const unequal = words[0]!.findIndex((word, i) => word !== words[1]![i]);
  return (
    a.digestHi - b.digestHi ||
    (a.digestLoRest ?? 0) - (b.digestLoRest ?? 0) ||
    keys[0]!.length - keys[1]!.length ||
    (unequal < 0 ? 0 : words[0]![unequal]! - words[1]![unequal]!) ||
    a.eventTimeMicros - b.eventTimeMicros ||
    a.lsn - b.lsn
  );
}

test('records are sorted by digest, key, event time and LSN, in bounded pieces', async () => {
  const random = new SeededRandom(SEED);
  for (const [count, digests, keys, times] of [
    [1, 1, 1, 1],
    [300, 50, 100, 10],
    [2000, 3, 5, 100],
    [5000, 1, 1, 4000],
    [6000, 2 ** 31, 6000, 5],
  ] as const) {
    const records = Array.from({ length: count }, (_value, lsn): StoredRecord => {
      const digestHi = random.below(digests) * (digests > 1000 ? 2 : 1);
      const digestLoRest = random.below(2);
      const key = `${'k'.repeat(1 + random.below(9))}${random.below(keys)}`;
      return {
        partition: 7,
        digestHi,
        digestLoRest,
        key,
        eventTimeMicros: random.below(times) - 5,
        lsn: lsn + 1,
      };
    });
    const unit = unitOf(records);
    pauses = 0;
    await unit.sort(pause);
    const sorted = Array.from(unit.order.subarray(0, unit.count), (record) => records[record]!);
    assert.deepEqual(sorted, [...records].sort(compareSlowly));
    assert.ok(count <= 512 || pauses > 0);
  }
});

test('each key is decided on by itself', async () => {
  const row = (key: string, lsn: number): StoredRecord => ({
    partition: 7,
    digestHi: key.charCodeAt(0),
    key,
    eventTimeMicros: lsn,
    lsn,
  });
  const unit = unitOf([row('a', 1), row('b', 2), row('a', 3), row('c', 4), row('a', 3), row('b', 5)]);
  await unit.sort(pause);
  const policy = { retentionMicros: 0, latenessMicros: 0, durability: 'journal' } as const;
  const rules = { policy, nowMicros: 100, sealedMicros: 100, isErased: undefined };
  await unit.decide(rules, NEWEST_GO, pause);
  const fates = Array.from(unit.order.subarray(0, unit.count), (record) => [
    readRecordLsn(unit.arena.view, unit.starts[record]!),
    unit.fates[record],
  ]);
  assert.deepEqual(fates, [
    [1, FATE_DROP],
    [3, FATE_KEEP],
    [3, FATE_DUPLICATE],
    [2, FATE_DROP],
    [5, FATE_KEEP],
    [4, FATE_KEEP],
  ]);
});
