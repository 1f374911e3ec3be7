/** The client and a real node: everything that is promised to a caller, end to end, over one and several shards. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { Millrace as Client, type Group, type Row } from '../../client/index.ts';
import { Millrace } from '../../server/millrace.ts';
import { announcedSeed } from '../protocol/seed.ts';
import { SeededRandom } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { failure } from './error-expectation.ts';

async function open(context: TestContext, shards: number): Promise<Millrace> {
  const db = await Millrace.open(temporaryDirectory(context), {
    shards,
    writeBufferBytes: 8 * 1024 * 1024,
    cacheBytes: 16 * 1024 * 1024,
  });
  context.after(() => db.close());
  return db;
}

const ALL_TYPES = {
  name: 'all',
  key: { name: 'string', number: 'int64', id: 'uuid', at: 'timestamp', raw: 'bytes' },
  features: {
    flag: 'bool',
    tiny: 'int8',
    small: 'int16',
    medium: 'int32',
    large: 'int64',
    single: 'float32',
    double: 'float64',
    moment: 'timestamp',
    text: 'string',
    bytes: 'bytes',
    embedding: { type: 'vector', length: 3 },
    tags: { type: 'list', item: 'string' },
    counts: { type: 'list', item: 'int32' },
    anything: 'msgpack',
  },
  eventTimeName: 'seen_at',
} as const;

const KEY = {
  name: 'Zürich',
  number: 7n,
  id: '00112233-4455-6677-8899-aabbccddeeff',
  at: 1_600_000_000_000_000,
  raw: Uint8Array.of(0, 255),
};

const VALUES = {
  flag: true,
  tiny: -128,
  small: 32767,
  medium: -2147483648,
  large: 2n ** 63n - 1n,
  single: 0.5,
  double: Math.PI,
  moment: 1_600_000_000_000_001,
  text: 'naïve 🚂',
  bytes: Uint8Array.of(1, 2, 3),
  embedding: Float32Array.of(1, 2, 3),
  tags: ['a', ''],
  counts: [1, -1],
  anything: { nested: [1, 'two', null] },
};

test('every type comes back as it was put, in rows, matrices and scans', async (context) => {
  const db = await open(context, 2);
  const group = await db.createGroup(ALL_TYPES);
  const seenAt = 1_650_000_000_000_000;
  await db.put(group, [{ ...KEY, ...VALUES, seen_at: seenAt }]);
  const row = await db.get(group, KEY);
  assert.deepEqual(row, { ...KEY, ...VALUES, seen_at: seenAt });
  assert.deepEqual(Object.keys(row!), [...Object.keys(KEY), 'seen_at', ...Object.keys(VALUES)]);

  const features = ['flag', 'tiny', 'small', 'medium', 'single', 'double', 'moment', 'embedding'];
  const matrix = await db.getMatrix(group, [KEY], { features, dtype: 'float64' });
  assert.deepEqual([...matrix.data], [1, -128, 32767, -2147483648, 0.5, Math.PI, VALUES.moment, 1, 2, 3]);

  const scanned: Record<string, unknown>[] = [];
  for await (const batch of db.scan(group)) scanned.push(...batch.toArray());
  assert.equal(scanned.length, 1);
  const { text, number, embedding } = scanned[0] as Record<'text' | 'number' | 'embedding', unknown>;
  assert.equal(text, VALUES.text);
  assert.equal(number, 7n);
  assert.deepEqual([...(embedding as Iterable<number>)], [1, 2, 3]);
});

test('nulls, missing rows and overwritten rows are told apart', async (context) => {
  const db = await open(context, 2);
  const group = await db.createGroup({
    name: 'g',
    key: { id: 'int64' },
    features: { a: 'float32', s: 'string' },
  });
  await db.put(group, [{ id: 1 }, { id: 2, a: 2, s: '' }]);
  await db.put(group, [{ id: 2, a: 3 }]);
  const rows = await db.getMany(group, [1, 2, 3]);
  assert.deepEqual([rows[0]?.a, rows[0]?.s], [null, null]);
  assert.deepEqual([rows[1]?.a, rows[1]?.s], [3, null]);
  assert.equal(rows[2], null);
  const matrix = await db.getMatrix(group, [1, 2, 3], { features: ['a'] });
  assert.deepEqual([...matrix.found], [1, 1, 0]);
  assert.deepEqual(
    [0, 1, 2].map((r) => matrix.isValid(r, 0)),
    [false, true, false],
  );
});

test('a late event does not replace a newer row, a delete is an event like any other', async (context) => {
  const db = await open(context, 1);
  const group = await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32' } });
  const now = Date.now() * 1000;
  const at = (minutes: number): number => now + minutes * 60e6;
  await db.put(group, [{ id: 1, a: 10, event_time: at(-10) }]);
  const late = await db.put(group, [{ id: 1, a: 20, event_time: at(-20) }]);
  assert.deepEqual([late.applied, late.superseded], [0, 1]);
  assert.equal((await db.get(group, 1))?.a, 10);
  await db.delete(group, [1], { eventTime: at(-15) });
  assert.equal((await db.get(group, 1))?.a, 10, 'a delete older than the row');
  await db.delete(group, [1], { eventTime: at(-5) });
  assert.equal(await db.get(group, 1), null);
  await db.put(group, [{ id: 1, a: 30, event_time: at(-1) }]);
  assert.equal((await db.get(group, 1))?.a, 30);
  await assert.rejects(db.put(group, [{ id: 1, event_time: at(60) }]), failure('EVENT_TIME_IN_FUTURE'));
});

test('random puts and deletes read as a map does, by every way of reading', async (context) => {
  const random = new SeededRandom(announcedSeed('client integration'));
  const db = await open(context, 1 + random.below(3));
  const group: Group = await db.createGroup({
    name: 'g',
    key: [{ name: 'k', type: 'string' }],
    features: [
      { name: 'a', type: 'float64' },
      { name: 'v', type: 'vector', length: 2 },
      { name: 's', type: 'string' },
    ],
  });
  const model = new Map<string, Row>();
  const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
  const firstTime = Date.now() * 1000 - 3600e6;
  for (let step = 0; step < 60; step++) {
    const time = firstTime + step * 1000;
    const chosen = keys.filter(() => random.below(10) === 0);
    if (random.below(4) === 0) {
      await db.delete(group, chosen, { eventTime: time });
      for (const k of chosen) model.delete(k);
    } else {
      const rows = chosen.map((k) => ({
        k,
        event_time: time,
        a: random.below(3) === 0 ? null : random.below(1e6),
        v: Float32Array.of(step, random.below(100)),
        s: 'x'.repeat(random.below(50)),
      }));
      await db.put(group, rows);
      for (const row of rows) model.set(row.k, row);
    }
  }
  assert.deepEqual(
    await db.getMany(group, keys),
    keys.map((k) => model.get(k) ?? null),
  );
  assert.deepEqual(
    await Promise.all(keys.map((k) => db.get('g', k))),
    keys.map((k) => model.get(k) ?? null),
  );
  const matrix = await db.getMatrix(group, keys, {
    features: ['v', 'a'],
    dtype: 'float64',
    eventTimes: true,
  });
  keys.forEach((k, row) => {
    const expected = model.get(k);
    const [v0, v1] = (expected?.['v'] as Float32Array | undefined) ?? [Number.NaN, Number.NaN];
    assert.deepEqual([...matrix.row(row)], [v0, v1, (expected?.['a'] as number | null) ?? Number.NaN]);
    assert.equal(matrix.eventTimes![row], expected?.['event_time'] ?? Number.NaN);
  });
  const scanned = new Map<string, number | null>();
  for await (const batch of db.scan(group, { columns: ['k', 'a'], batchRows: 17 })) {
    for (const { k, a } of batch.toArray()) scanned.set(k, a);
  }
  assert.deepEqual(
    [...scanned].sort(),
    [...model].map(([k, row]) => [k, row['a']] as [string, number | null]).sort(),
  );
});

test('a large put goes through in pieces, and a scan brings all of it as one Arrow stream', async (context) => {
  const db = await open(context, 2);
  const group = await db.createGroup({
    name: 'g',
    key: { id: 'int64' },
    features: { a: 'float32', b: 'string' },
  });
  const count = 50_000;
  const columns = {
    id: Float64Array.from({ length: count }, (_, i) => i),
    a: Float32Array.from({ length: count }, (_, i) => i / 2),
    b: Array.from({ length: count }, (_, i) => `row ${i}`),
  };
  const result = await db.put(group, { columns }, { lsns: true });
  assert.deepEqual([result.rows, result.applied], [count, count]);
  assert.ok(result.lsns!.every((lsn) => lsn > 0));
  const parts: Uint8Array[] = [];
  for await (const part of db.scanBytes(group, { creditBytes: 256 * 1024 })) parts.push(part.bytes);
  const table = tableFromIPC(Buffer.concat(parts));
  assert.equal(table.numRows, count);
  const ids = Float64Array.from(table.getChild('id')!, Number).sort();
  assert.deepEqual(ids, columns.id);
  // Half of the keyspace, then the other half: together all rows, none twice.
  const halves: number[] = [];
  for (const partitions of [[[0, 2048]], [[2048, 4096]]] as [number, number][][]) {
    let rows = 0;
    for await (const batch of db.scan(group, { partitions, columns: ['id'] })) rows += batch.numRows;
    halves.push(rows);
  }
  assert.equal(halves[0]! + halves[1]!, count);
  assert.ok(Math.abs(halves[0]! - halves[1]!) < count / 10, String(halves));
});

test('a scan that is left early or slowly consumed leaves the node well', async (context) => {
  const db = await open(context, 2);
  const group = await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'float32' } });
  const id = Float64Array.from({ length: 20_000 }, (_, i) => i);
  await db.put(group, { columns: { id } });
  for (let round = 0; round < 5; round++) {
    for await (const batch of db.scan(group, { batchRows: 100, creditBytes: 1 })) {
      assert.ok(batch.numRows > 0);
      break;
    }
  }
  let rows = 0;
  for await (const batch of db.scan(group, { batchRows: 500, creditBytes: 1 })) {
    rows += batch.numRows;
    await db.get(group, 1);
  }
  assert.equal(rows, 20_000);
});

test('errors of the node arrive with their codes', async (context) => {
  const db = await open(context, 1);
  const spec = { name: 'g', key: { id: 'int64' }, features: { a: 'float32' } } as const;
  const group = await db.createGroup(spec);
  await assert.rejects(db.createGroup(spec), failure('GROUP_EXISTS'));
  assert.equal((await db.createGroup(spec, { ifNotExists: true })).schema.id, group.schema.id);
  const changed = { ...spec, features: { a: 'float64' } } as const;
  await assert.rejects(db.createGroup(changed, { ifNotExists: true }), failure('GROUP_EXISTS'));
  await assert.rejects(db.group('h'), failure('GROUP_NOT_FOUND'));
  await assert.rejects(db.scan('h').next(), failure('GROUP_NOT_FOUND'));
  await assert.rejects(db.scan(group, { columns: ['x'] }).next(), failure('FEATURE_NOT_FOUND'));
  await assert.rejects(db.dropGroup('h'), failure('GROUP_NOT_FOUND'));
  await db.dropGroup(group);
  await assert.rejects(db.get(group, 1), failure('GROUP_NOT_FOUND'));
  assert.deepEqual(await db.groups(), []);
});

test('a group dropped and made again is found by its name', async (context) => {
  const db = await open(context, 1);
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32' } });
  const other = await Client.connect({ host: '127.0.0.1', port: db.port });
  context.after(() => other.close());
  await other.put('g', [{ id: 1, a: 1 }]);
  await db.dropGroup('g');
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { b: 'int32' } });
  assert.equal(await other.get('g', 1), null);
  await other.put('g', [{ id: 1, b: 2 }]);
  assert.equal((await other.get('g', 1))?.['b'], 2);
});

test("several clients at once see each other's writes", async (context) => {
  const db = await open(context, 2);
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32' } });
  const clients = await Promise.all(
    Array.from({ length: 4 }, () => Client.connect({ host: '127.0.0.1', port: db.port })),
  );
  for (const client of clients) context.after(() => client.close());
  const ids = Array.from({ length: 200 }, (_, i) => i);
  await Promise.all(ids.map((id) => clients[id % 4]!.put('g', [{ id, a: id }])));
  const rows = await Promise.all(ids.map((id) => clients[(id + 1) % 4]!.get('g', id)));
  assert.deepEqual(
    rows.map((row) => row?.['a']),
    ids,
  );
  assert.equal((await db.status()).shards.length, 2);
});
