/**
 * Reads as of moments, end to end: against a model of everything written, while late events keep arriving, and after the
 * node has been closed and opened again.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Millrace as Client, ScanOptions } from '../../client/index.ts';
import { Millrace } from '../../server/millrace.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { failure } from './error-expectation.ts';

const SMALL = { shards: 2, writeBufferBytes: 1024 * 1024, cacheBytes: 16 * 1024 * 1024 };
const KEYS = 40;
const MINUTE = 60e6;

async function open(context: TestContext, directory = temporaryDirectory(context)): Promise<Millrace> {
  const db = await Millrace.open(directory, SMALL);
  context.after(() => db.close());
  return db;
}

type Rows = Map<number, number>;

async function scanned(db: Client, options: ScanOptions): Promise<Rows> {
  const rows: Rows = new Map();
  for await (const batch of db.scan('g', { columns: ['id', 'a'], ...options })) {
    for (const row of batch) rows.set(Number(row!['id']), row!['a'] as number);
  }
  return new Map([...rows].sort(([left], [right]) => left - right));
}

interface Version {
  readonly id: number;
  readonly eventTime: number;
  /** The value; null: a delete. Values rise as versions are written, so they order those of one event time. */
  readonly a: number | null;
  /** The round in which it was written. */
  readonly round: number;
}

function modelled(versions: readonly Version[], asOf: number, round: number, since = -1): Rows {
  const newest = new Map<number, Version>();
  for (const version of versions) {
    if (version.eventTime > asOf || version.round > round) continue;
    const best = newest.get(version.id);
    if (best === undefined || version.eventTime >= best.eventTime) newest.set(version.id, version);
  }
  const live = [...newest.values()].filter((version) => version.a !== null && version.round > since);
  return new Map(live.map(({ id, a }): [number, number] => [id, a!]).sort(([left], [right]) => left - right));
}

test('the same (asOf, read point) gives the same rows, whatever is written late, and after a restart', async (context) => {
  const random = new SeededRandom(testSeed());
  const directory = temporaryDirectory(context);
  let db = await open(context, directory);
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32', filler: 'bytes' } });
  const start = Date.now() * 1000 - 60 * MINUTE;
  const versions: Version[] = [];
  const readPoints: number[] = [];
  let value = 0;
  const filler = new Uint8Array(4000);
  const write = async (round: number): Promise<void> => {
    for (let index = 0; index < 40; index++) {
      const id = random.uint32() % KEYS;
      const eventTime = start + (random.uint32() % 60) * MINUTE;
      const kind = random.uint32() % 6;
      value += 1;
      if (kind === 0) await db.delete('g', [id], { eventTime });
      else await db.put('g', [{ id, event_time: eventTime, a: value, filler }], { backfill: kind === 1 });
      versions.push({ id, eventTime, a: kind === 0 ? null : value, round });
    }
  };
  const check = async (): Promise<void> => {
    for (let index = 0; index < 6; index++) {
      const round = random.uint32() % readPoints.length;
      const readPoint = readPoints[round]!;
      const asOf = start + (random.uint32() % 62) * MINUTE - 1;
      assert.deepEqual(await scanned(db, { asOf, readPoint }), modelled(versions, asOf, round));
      const before = random.uint32() % (round + 1);
      const since = readPoints[before]!;
      const changed = await scanned(db, { asOf: new Date(asOf / 1000), readPoint, since });
      assert.deepEqual(changed, modelled(versions, Math.floor(asOf / 1000) * 1000, round, before));
    }
  };
  for (let round = 0; round < 10; round++) {
    await write(round);
    readPoints.push(await db.readPoint());
    await Promise.all([check(), round > 0 ? write(round + 0.5) : null]);
    if (round % 4 === 3) {
      await db.close();
      db = await open(context, directory);
      await check();
    }
  }
  const scan = db.scan('g', { asOf: start + 30 * MINUTE });
  let rows = 0;
  for await (const batch of scan) rows += batch.numRows;
  assert.ok(scan.readPoint! >= readPoints.at(-1)!, 'a scan without a read point takes one');
  assert.equal((await scanned(db, { asOf: start + 30 * MINUTE, readPoint: scan.readPoint! })).size, rows);
});

test('a latest scan sees no backfill, one as of its time does; deletes and expiry are of the moment', async (context) => {
  const db = await open(context);
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32' }, ttlSeconds: 3600 });
  const now = Date.now() * 1000;
  const at = (minutesAgo: number): number => now - minutesAgo * MINUTE;
  await db.put('g', [{ id: 1, event_time: at(50), a: 1 }]);
  await db.put('g', [{ id: 1, event_time: at(20), a: 2 }], { backfill: true });
  await db.put('g', [{ id: 2, event_time: at(100), a: 3 }]);
  await db.put('g', [{ id: 3, event_time: at(30), a: 4 }]);
  await db.delete('g', [3], { eventTime: at(10) });
  const before = await db.readPoint();
  assert.deepEqual([...(await scanned(db, {}))], [[1, 1]]);
  assert.deepEqual([...(await scanned(db, { readPoint: before }))], [[1, 2]]);
  assert.deepEqual(
    [...(await scanned(db, { asOf: at(25) }))],
    [
      [1, 1],
      [3, 4],
    ],
  );
  assert.deepEqual(
    [...(await scanned(db, { asOf: at(45) }))],
    [
      [1, 1],
      [2, 3],
    ],
  );
  assert.deepEqual([...(await scanned(db, { asOf: at(60) }))], [[2, 3]]);
  await db.put('g', [{ id: 4, event_time: at(5), a: 5 }]);
  assert.deepEqual([...(await scanned(db, { since: before }))], [[4, 5]]);
  assert.deepEqual([...(await scanned(db, { readPoint: before }))], [[1, 2]]);
});

test('what was acknowledged before is within a read point, on every shard', async (context) => {
  const db = await open(context);
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32' } });
  for (let round = 1; round <= 20; round++) {
    const rows = Array.from({ length: 50 }, (_, id) => ({ id, a: round }));
    await db.put('g', rows);
    const readPoint = await db.readPoint();
    await db.put(
      'g',
      rows.map(({ id }) => ({ id, a: -1 })),
    );
    const read = await scanned(db, { asOf: new Date(Date.now() + 1000), readPoint });
    assert.ok(read.size === 50 && [...read.values()].every((a) => a === round));
  }
});

test('reads that cannot be exact are refused: an open read point, history beyond retention', async (context) => {
  const db = await open(context);
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32' }, retentionSeconds: 600 });
  const now = Date.now() * 1000;
  await db.put('g', [{ id: 1, event_time: now - 5 * MINUTE, a: 1 }]);
  const ahead = (await db.readPoint()) + 60 * MINUTE;
  await assert.rejects(scanned(db, { asOf: now, readPoint: ahead }), failure('READ_POINT_INVALID'));
  await assert.rejects(scanned(db, { asOf: now - 11 * MINUTE }), failure('HISTORY_EXPIRED'));
  assert.equal((await scanned(db, { asOf: now - 4 * MINUTE })).size, 1);
  // Lengthened: what was older than the old retention may be gone already.
  await db.alterGroup('g', { retentionSeconds: 3600 });
  await assert.rejects(scanned(db, { asOf: now - 11 * MINUTE }), failure('HISTORY_EXPIRED'));
  assert.equal((await scanned(db, { asOf: now - 9 * MINUTE })).size, 0);
  await db.alterGroup('g', { retentionSeconds: 60 });
  await assert.rejects(scanned(db, { asOf: now - 4 * MINUTE }), failure('HISTORY_EXPIRED'));
  assert.throws(() => db.scan('g', { asOf: 'today' as never }), failure('USAGE', /asOf/));
});

test('a lengthened lateness takes no put whose delete may be forgotten', async (context) => {
  const db = await open(context);
  const spec = { name: 'g', key: { id: 'int64' }, features: { a: 'int32' } } as const;
  await db.createGroup({ ...spec, retentionSeconds: 60, latenessSeconds: 600 });
  const now = Date.now() * 1000;
  const put = (minutesAgo: number) => db.put('g', [{ id: 1, event_time: now - minutesAgo * MINUTE, a: 1 }]);
  await assert.rejects(put(11), failure('TOO_LATE'));
  await db.alterGroup('g', { latenessSeconds: 3600 });
  await assert.rejects(put(11), failure('TOO_LATE'));
  assert.equal((await put(9)).applied, 1);
});
