/**
 * Values at and beyond the edge of what is allowed, through the client against a real node: each is answered by its own code or taken
 * as it should be, and what was written before stays.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Group } from '../../client/index.ts';
import { Millrace } from '../../server/millrace.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const DAY_SECONDS = 86_400;
const CENTURY_SECONDS = 36_525 * DAY_SECONDS;
/** As protocol/limits.ts has it: 31 years. */
const TTL_SECONDS_MAX = 1_000_000_000;
const KEPT = { id: 'kept', n: 1, s: 'before' };

interface Fixture {
  readonly db: Millrace;
  readonly group: Group;
  readonly nowMicros: number;
}

/** Runs `use` on a node with one row, and sees that the row is there afterwards, and after a restart. */
async function withRow(context: TestContext, use: (fixture: Fixture) => Promise<void>): Promise<void> {
  const directory = temporaryDirectory(context);
  const nowMicros = Date.now() * 1000;
  let db = await Millrace.open(directory, { shards: 1 });
  try {
    const group = (await db.createGroup({
      name: 'g',
      key: { id: 'string' },
      features: { n: 'int32', s: 'string' },
      retentionSeconds: DAY_SECONDS,
    })) as unknown as Group;
    await db.put(group, [{ ...KEPT, event_time: nowMicros }]);
    await use({ db, group, nowMicros });
    for (let opening = 0; opening < 2; opening++) {
      assert.deepEqual(await db.get(await db.group('g'), 'kept'), { ...KEPT, event_time: nowMicros });
      await db.close();
      db = await Millrace.open(directory);
    }
  } finally {
    await db.close();
  }
}

async function codeOf(refused: Promise<unknown>): Promise<string> {
  try {
    await refused;
    return 'nothing';
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

test('event times in the far future, before 1970 and beyond what a number holds', async (context) => {
  await withRow(context, async ({ db, group, nowMicros }) => {
    const put = (event_time: number, options = {}): Promise<string> =>
      codeOf(db.put(group, [{ id: 'x', n: 2, s: '', event_time }], options));
    assert.equal(await put(nowMicros + 3600e6), 'EVENT_TIME_IN_FUTURE');
    assert.equal(await put(2 ** 53 - 1), 'EVENT_TIME_IN_FUTURE');
    for (const time of [2 ** 53, -(2 ** 53), 253_402_300_799_000_000, Number.NaN, 1.5]) {
      assert.equal(await put(time), 'EVENT_TIME_INVALID', `${time}`);
    }
    assert.equal(await put(-1), 'TOO_LATE');
    assert.equal(await put(-(2 ** 53 - 1)), 'TOO_LATE');
    assert.equal(await db.get(group, 'x'), null);
    assert.equal(await put(-1, { backfill: true }), 'nothing', 'history may be as old as it is');
    assert.equal(await db.get(group, 'x'), null);
  });
});

test('a TTL of nothing never expires, the longest one does not wrap, and one of a century is refused', async (context) => {
  await withRow(context, async ({ db, nowMicros }) => {
    const create = (name: string, ttlSeconds: number): Promise<Group> =>
      db.createGroup({
        name,
        key: { id: 'string' },
        features: { n: 'int32' },
        ttlSeconds,
      }) as unknown as Promise<Group>;
    for (const [name, seconds] of [
      ['never', 0],
      ['longest', TTL_SECONDS_MAX],
    ] as const) {
      const group = await create(name, seconds);
      await db.put(group, [{ id: 'x', n: 2, event_time: nowMicros }]);
      assert.equal((await db.get(group, 'x'))?.['n'], 2, name);
    }
    const longest = (await db.group('longest')) as unknown as Group;
    const bornMicros = nowMicros - (TTL_SECONDS_MAX - DAY_SECONDS) * 1e6;
    await db.put(longest, [
      { id: 'old', n: 3, event_time: bornMicros },
      { id: 'older', n: 4, event_time: bornMicros - 2 * DAY_SECONDS * 1e6 },
    ]);
    assert.equal((await db.get(longest, 'old'))?.['n'], 3, 'a day is left to it');
    assert.equal(await db.get(longest, 'older'), null, 'it has expired');
    for (const seconds of [-1, 1.5, CENTURY_SECONDS, 1e12, Number.NaN]) {
      assert.equal(await codeOf(create('refused', seconds)), 'SCHEMA_INVALID', `${seconds}`);
    }
  });
});

test('rows above the limit, keys of nothing and of 64 KiB, a schema of ten thousand features', async (context) => {
  await withRow(context, async ({ db, group, nowMicros }) => {
    const put = (row: Record<string, unknown>): Promise<string> =>
      codeOf(db.put(group, [{ n: 2, s: '', event_time: nowMicros, ...row }]));
    assert.equal(await put({ id: 'x', s: 'x'.repeat(1_100_000) }), 'ROW_TOO_LARGE');
    const large = 'y'.repeat(1_000_000);
    assert.equal(await put({ id: 'large', s: large }), 'nothing');
    assert.equal((await db.get(group, 'large'))?.['s'], large);
    assert.equal(await put({ id: 'k'.repeat(65_536) }), 'KEY_TOO_LARGE');
    assert.equal(await codeOf(db.get(group, 'k'.repeat(65_536))), 'KEY_TOO_LARGE');
    assert.equal(await put({ id: '' }), 'nothing', 'an empty text is a key as any other');
    assert.equal((await db.get(group, ''))?.['n'], 2);
    const features = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, index) => [`f${index}`, 'float32' as const]),
    );
    assert.equal(
      await codeOf(db.createGroup({ name: 'wide', key: { id: 'string' }, features })),
      'SCHEMA_INVALID',
    );
    assert.equal(await codeOf(db.group('wide')), 'GROUP_NOT_FOUND');
  });
});
