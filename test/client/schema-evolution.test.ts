/** Groups that change while rows are written and read: end to end, by a client that knows and by one that does not. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Millrace as Client } from '../../client/index.ts';
import { Millrace } from '../../server/millrace.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { failure } from './error-expectation.ts';

const SMALL = { shards: 2, writeBufferBytes: 8 * 1024 * 1024, cacheBytes: 16 * 1024 * 1024 };

async function open(context: TestContext, directory = temporaryDirectory(context)): Promise<Millrace> {
  const db = await Millrace.open(directory, SMALL);
  context.after(() => db.close());
  return db;
}

async function another(context: TestContext, db: Millrace): Promise<Client> {
  const client = await Client.connect({ host: '127.0.0.1', port: db.port });
  context.after(() => client.close());
  return client;
}

async function scanned(db: Client, group: string): Promise<Map<number, Record<string, unknown>>> {
  const rows = new Map<number, Record<string, unknown>>();
  for await (const batch of db.scan(group)) {
    for (const row of batch) rows.set(Number(row!['id']), { ...row!.toJSON() });
  }
  return rows;
}

const SPEC = { name: 'g', key: { id: 'int64' }, features: { a: 'int32', b: 'float32' } } as const;

test('rows of every version read alike by get, getMany, getMatrix and scan, also after a restart', async (context) => {
  const directory = temporaryDirectory(context);
  let db = await open(context, directory);
  const first = await db.createGroup(SPEC);
  const put = (group: string, row: Record<string, unknown>) => db.put(group, [{ event_time: 1e15, ...row }]);
  await put('g', { id: 1, a: 1, b: 1.5 });
  await db.alterGroup('g', { add: { c: { type: 'int16', default: 9 }, t: 'string' } });
  await put('g', { id: 2, a: 2, b: 2.5, c: null, t: 'x' });
  await db.alterGroup(first, { drop: ['a'] });
  await put('g', { id: 3, b: 3.5 });
  const fourth = await db.alterGroup('g', { add: [{ name: 'a', type: 'float64', default: 0.5 }] });
  await put('g', { id: 4, a: 4 });
  assert.deepEqual(
    [fourth.schema.version, fourth.schema.features.map(({ name }) => name)],
    [4, ['b', 'c', 't', 'a']],
  );
  const expected = [
    { b: 1.5, c: 9, t: null, a: 0.5 },
    { b: 2.5, c: null, t: 'x', a: 0.5 },
    { b: 3.5, c: 9, t: null, a: 0.5 },
    { b: null, c: 9, t: null, a: 4 },
  ].map((row, index) => ({ id: BigInt(index + 1), event_time: 1e15, ...row }));
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await db.getMany('g', [1, 2, 3, 4]), expected);
    assert.deepEqual(await Promise.all([1, 2, 3, 4].map((id) => db.get('g', id))), expected);
    const matrix = await db.getMatrix('g', [1, 2, 3, 4], { features: ['c', 'a', 'b'] });
    assert.deepEqual([...matrix.data], [9, 0.5, 1.5, Number.NaN, 0.5, 2.5, 9, 0.5, 3.5, 9, 4, Number.NaN]);
    assert.deepEqual(
      [matrix.isValid(0, 0), matrix.isValid(1, 0), matrix.isValid(3, 2)],
      [true, false, false],
    );
    const rows = await scanned(db, 'g');
    for (const row of expected) {
      const { event_time: _time, ...rest } = rows.get(Number(row.id))!;
      assert.deepEqual(rest, { id: row.id, b: row.b, c: row.c, t: row.t, a: row.a });
    }
    if (round === 1) break;
    await db.close();
    db = await open(context, directory);
  }
});

test('a client that has not heard of a change loses no write, and reads what others write', async (context) => {
  const db = await open(context);
  const group = await db.createGroup(SPEC);
  const unaware = await another(context, db);
  const old = await unaware.group('g');
  await db.alterGroup('g', { add: { c: { type: 'int8', default: 7 } }, drop: ['b'] });
  // By its own, older declaration: the row is taken, and reads as one that says nothing of what came later.
  await unaware.put(old, [{ id: 1, a: 1, b: 1 }]);
  const { event_time: _time, ...seen } = (await db.get('g', 1))!;
  assert.deepEqual(seen, { id: 1n, a: 1, c: 7 });
  // Newer rows, by an object of the older declaration: in its own terms.
  await db.put('g', [{ id: 2, event_time: 5, a: 2, c: 3 }]);
  assert.deepEqual(await unaware.get(old, 2), { id: 2n, event_time: 5, a: 2, b: null });
  assert.deepEqual(
    await unaware.getMany(old, [2, 1], { features: ['a'] }).then((rows) => rows.map((row) => row?.['a'])),
    [2, 1],
  );
  assert.deepEqual(await db.get(group, 2), { id: 2n, event_time: 5, a: 2, b: null });
  // By name: in the group's newest terms, whichever call meets the change first.
  await unaware.put('g', [{ id: 3, event_time: 6, a: 3, c: 4 }]);
  assert.deepEqual(await unaware.get('g', 3), { id: 3n, event_time: 6, a: 3, c: 4 });
  const third = await another(context, db);
  await third.group('g');
  await db.alterGroup('g', { add: { d: 'float32' } });
  await third.put('g', { columns: { id: [4], event_time: [7], d: [0.5] } });
  assert.deepEqual(await unaware.get('g', 4), { id: 4n, event_time: 7, a: null, c: 7, d: 0.5 });
  const matrix = await (await another(context, db)).getMatrix('g', [4, 3], { features: ['d', 'c'] });
  assert.deepEqual([...matrix.data], [0.5, 7, Number.NaN, 4]);
  await assert.rejects(unaware.put('g', [{ id: 5, b: 1 }]), failure('ROW_INVALID', /no column "b"/));
  await assert.rejects(unaware.getMatrix('g', [1], { features: ['b'] }), failure('FEATURE_NOT_FOUND'));
});

test('writers and readers go on while the group is changed many times, and every write is there', async (context) => {
  const db = await open(context);
  await db.createGroup({ name: 'g', key: { id: 'int64' }, features: { a: 'int32' } });
  const writer = await another(context, db);
  const reader = await another(context, db);
  const old = await writer.group('g');
  let isDone = false;
  const written = (async () => {
    let id = 0;
    for (; !isDone || id < 500; id += 2) {
      await Promise.all([
        writer.put(old, [{ id, event_time: 1, a: id }]),
        writer.put('g', [{ id: id + 1, event_time: 1, a: id + 1 }]),
      ]);
    }
    return id;
  })();
  const read = (async () => {
    while (!isDone) {
      const rows = await reader.getMany('g', [0, 1, 2, 3, 4]);
      for (const row of rows) if (row !== null) assert.equal(row['a'], Number(row['id']));
      await scanned(reader, 'g');
    }
  })();
  for (let version = 2; version <= 40; version++) {
    const add = { [`f${version}`]: { type: 'int32', default: version } } as const;
    await db.alterGroup('g', version > 5 ? { add, drop: [`f${version - 3}`] } : { add });
  }
  isDone = true;
  const count = await written;
  await read;
  const { schema } = await db.group('g');
  assert.equal(schema.version, 40);
  const keys = Array.from({ length: count }, (_, id) => id);
  const rows = await db.getMany('g', keys);
  rows.forEach((row, id) => {
    assert.equal(row?.['a'], id);
    assert.deepEqual(
      schema.features.slice(1).map(({ name }) => row?.[name]),
      schema.features.slice(1).map(({ name }) => Number(name.slice(1))),
    );
  });
  assert.equal((await scanned(db, 'g')).size, count);
});

test('changes that cannot be are refused with their code, and change nothing', async (context) => {
  const db = await open(context);
  await db.createGroup(SPEC);
  await assert.rejects(db.alterGroup('none', { drop: ['a'] }), failure('GROUP_NOT_FOUND'));
  await assert.rejects(
    db.alterGroup('g', { add: { a: 'float64' } }),
    failure('SCHEMA_INVALID', /a type never changes/),
  );
  await assert.rejects(db.alterGroup('g', { drop: ['x'] }), failure('FEATURE_NOT_FOUND'));
  await assert.rejects(db.alterGroup('g', {}), failure('SCHEMA_INVALID'));
  const many = (count: number): Record<string, 'int8'> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, 'int8']));
  await assert.rejects(db.alterGroup('g', { add: many(10_000) }), failure('SCHEMA_INVALID', /10000/));
  await assert.rejects(db.alterGroup('g', { add: many(4095) }), failure('LIMIT_EXCEEDED'));
  const wide = { name: 'wide', key: { id: 'int64' }, features: many(10_000) } as const;
  await assert.rejects(db.createGroup(wide), failure('SCHEMA_INVALID', /1 to 4096/));
  assert.equal((await db.group('g')).schema.version, 1);
  assert.equal((await db.alterGroup('g', { add: many(4094) })).schema.features.length, 4096);
});
