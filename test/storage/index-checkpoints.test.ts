/** Index checkpoints in a shard's life: a start from one, whatever happened since, finds what a start from all blocks finds. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { GroupPolicy, RecoveryProgress, ShardStoreOptions } from '../../storage/index.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { keyBatchOf, TestShard, temporaryDirectory } from '../support/shard.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);

const OPTIONS: Partial<ShardStoreOptions> = { journalSegmentBytes: 1024 * 1024, indexCheckpointBytes: 1 };

const SECOND = 1_000_000;
const POLICIES: Readonly<Record<number, GroupPolicy>> = {
  1: { retentionMicros: 30 * SECOND, latenessMicros: 10 * SECOND, durability: 'journal' },
  2: { retentionMicros: Number.POSITIVE_INFINITY, latenessMicros: 10 * SECOND, durability: 'journal' },
};

interface Version {
  readonly value: string | null;
  readonly eventTimeMicros: number;
}

describe('index checkpoints', () => {
  let directory: ReturnType<typeof temporaryDirectory>;

  beforeEach(() => {
    directory = temporaryDirectory();
  });

  afterEach(() => directory.remove());

  const checkpointOf = (life: number): string => `${directory.path}/${life}/index/checkpoint`;

  /** A start on a copy of what another life of the shard has left on disk, as after a kill. */
  async function open(life: number, options: Partial<ShardStoreOptions> = {}): Promise<TestShard> {
    return new TestShard(`${directory.path}/${life}`, { ...OPTIONS, ...options }).open();
  }

  async function killAndOpen(shard: TestShard, life: number, options: Partial<ShardStoreOptions> = {}) {
    cpSync(`${directory.path}/${life}`, `${directory.path}/${life + 1}`, { recursive: true });
    await shard.store.close();
    rmSync(`${directory.path}/${life}`, { recursive: true });
    return open(life + 1, options);
  }

  function rowsOf(from: number, to: number): { key: string; value: string }[] {
    return Array.from({ length: to - from }, (_, i) => ({
      key: `key-${from + i}`,
      value: `value-${from + i}`,
    }));
  }

  /** Waits until no checkpoint is being written. */
  async function settled(shard: TestShard, count: number): Promise<void> {
    while (shard.store.status().indexCheckpoints < count)
      await new Promise((resolve) => setImmediate(resolve));
  }

  test('random writes, flushes, checkpoints and kills: both ways to an index agree, and with a model', async () => {
    const random = new SeededRandom(SEED);
    const model = new Map<string, Version>();
    let life = 0;
    let loads = 0;
    let shard = await open(life);
    for (let step = 0; step < 150; step += 1) {
      const choice = random.below(10);
      if (choice < 6) {
        const group = 1 + random.below(2);
        const keys = [
          ...new Set(Array.from({ length: 1 + random.below(40) }, () => `k${random.below(300)}`)),
        ];
        const eventTimeMicros = shard.nowMicros - random.below(1000);
        const value = random.chance(0.8) ? `${step}-${'x'.repeat(random.below(400))}` : null;
        const rows = keys.map((key) => ({ key, eventTimeMicros, ...(value === null ? {} : { value }) }));
        await (value === null ? shard.delete(group, rows) : shard.put(group, rows));
        for (const key of keys) {
          const seen = model.get(`${group} ${key}`);
          if (seen === undefined || seen.eventTimeMicros <= eventTimeMicros) {
            model.set(`${group} ${key}`, { value, eventTimeMicros });
          }
        }
      } else if (choice < 8) {
        await shard.store.flush();
      } else if (choice < 9) {
        shard.store.tick();
        if (random.chance(0.5)) await new Promise((resolve) => setTimeout(resolve, random.below(5)));
      } else {
        const told: RecoveryProgress[] = [];
        shard = await killAndOpen(shard, life, { onProgress: (progress) => told.push(progress) });
        life += 1;
        if (told.some(({ phase }) => phase === 'index')) loads += 1;
        assert.deepEqual(shard.notices, [], `step ${step}`);
        for (const [name, { value }] of model) {
          const [group, key] = name.split(' ') as [string, string];
          assert.deepEqual(shard.get(Number(group), [key]), [value], `step ${step}, ${name}`);
        }
        assert.equal(shard.store.status().rows, model.size);
      }
    }
    assert.ok(loads > 0, 'some starts have loaded a checkpoint');
    assert.deepEqual(shard.fatal, []);
    await shard.store.close();
  });

  test('random sweeps, rewrites and drops, killed between any two turns: both ways to an index agree, and with a model', async () => {
    const random = new SeededRandom(SEED);
    const policies = { policyOf: (group: number) => POLICIES[group] };
    const live = new Map<string, { value: string; eventTimeMicros: number; expiryMicros: number }>();
    /** Turns until the shard's files are copied as a kill would leave them; nothing is being written in such a turn. */
    let turns = Number.POSITIVE_INFINITY;
    let life = 0;
    let kills = 0;
    let loads = 0;
    const schedule = (run: () => void): void => {
      setImmediate(() => {
        turns -= 1;
        if (turns === 0)
          cpSync(`${directory.path}/${life}`, `${directory.path}/${life + 1}`, { recursive: true });
        run();
      });
    };
    const told: RecoveryProgress[] = [];
    const options = { policies, schedule, onProgress: (progress: RecoveryProgress) => told.push(progress) };
    let shard = await open(life, options);
    for (let step = 0; step < 120; step += 1) {
      shard.nowMicros += random.below(20) * 1_000_000;
      const group = 1 + random.below(2);
      const keys = [...new Set(Array.from({ length: 1 + random.below(60) }, () => `k${random.below(200)}`))];
      const eventTimeMicros = shard.nowMicros;
      const rows = keys.map((key) => ({
        key,
        eventTimeMicros,
        value: `${step}-${'x'.repeat(random.below(300))}`,
      }));
      if (random.chance(0.3)) {
        await shard.delete(group, rows);
        for (const key of keys) live.delete(`${group} ${key}`);
      } else {
        const ttlSeconds = random.chance(0.3) ? 1 + random.below(100) : 0;
        await shard.put(group, rows, ttlSeconds);
        const expiryMicros = ttlSeconds === 0 ? Number.POSITIVE_INFINITY : eventTimeMicros + ttlSeconds * 1e6;
        for (const { key, value } of rows)
          live.set(`${group} ${key}`, { value, eventTimeMicros, expiryMicros });
      }
      if (random.chance(0.5)) await shard.store.flush();
      if (random.chance(0.3)) shard.store.tick();
      if (random.chance(0.4)) continue;
      await shard.store.flush();
      turns = 1 + random.below(60);
      await shard.store.compact();
      if (turns > 0) {
        turns = Number.POSITIVE_INFINITY;
        continue;
      }
      turns = Number.POSITIVE_INFINITY;
      const { nowMicros } = shard;
      await shard.store.close();
      assert.deepEqual(shard.fatal, []);
      life += 1;
      kills += 1;
      told.length = 0;
      shard = new TestShard(`${directory.path}/${life}`, { ...OPTIONS, ...options });
      shard.nowMicros = nowMicros;
      await shard.open();
      if (told.some(({ phase }) => phase === 'index')) loads += 1;
      for (let group = 1; group <= 2; group += 1) {
        const names = Array.from({ length: 200 }, (_, key) => `k${key}`);
        const expected = names.map((key) => {
          const row = live.get(`${group} ${key}`);
          return row === undefined || row.expiryMicros <= nowMicros ? null : row.value;
        });
        assert.deepEqual(shard.get(group, names), expected, `step ${step}, life ${life}`);
      }
    }
    await shard.store.close();
    console.log(`${kills} kills, ${loads} starts from a checkpoint`);
    assert.ok(loads > 0);
  });

  test('a clean close leaves a checkpoint, and the next start reads no block', async () => {
    const shard = await open(0);
    await shard.put(1, rowsOf(0, 500));
    await shard.store.close();
    assert.ok(existsSync(checkpointOf(0)));
    const phases = new Map<string, number>();
    const again = await open(0, {
      verifies: false,
      onProgress: ({ phase, doneBytes }) => phases.set(phase, doneBytes),
    });
    assert.equal(phases.get('index'), statSync(checkpointOf(0)).size);
    assert.equal(phases.get('blocks') ?? 0, 0);
    assert.equal(again.store.status().versions, 500);
    assert.deepEqual(again.get(1, ['key-0', 'key-499', 'key-500']), ['value-0', 'value-499', null]);
    await again.store.close();
  });

  test('a start reads what was flushed after the checkpoint, and the journal', async () => {
    const shard = await open(0);
    await shard.put(1, rowsOf(0, 500));
    await shard.store.flush();
    await settled(shard, 1);
    await shard.put(1, [...rowsOf(400, 600), { key: 'key-0', value: 'second' }]);
    const checkpoint = readFileSync(checkpointOf(0));
    await shard.store.flush();
    await settled(shard, 2);
    writeFileSync(checkpointOf(0), checkpoint);
    await shard.put(1, [...rowsOf(600, 650), { key: 'key-1', value: 'third' }]);
    const again = await killAndOpen(shard, 0);
    assert.deepEqual(again.notices, []);
    assert.deepEqual(again.get(1, ['key-0', 'key-1', 'key-2', 'key-599', 'key-649']), [
      'second',
      'third',
      'value-2',
      'value-599',
      'value-649',
    ]);
    assert.equal(again.store.status().rows, 650);
    assert.equal(again.store.status().versions, 500 + 201 + 51);
    await again.store.close();
  });

  test('a damaged checkpoint, and one of another shard, is told and not used', async () => {
    const shard = await open(0);
    await shard.put(1, rowsOf(0, 500));
    await shard.store.close();
    const bytes = readFileSync(checkpointOf(0));
    bytes[2000] = (bytes[2000] as number) ^ 1;
    writeFileSync(checkpointOf(0), bytes);
    const again = await open(0);
    assert.match(String(again.notices), /checksum of section/);
    assert.deepEqual(again.get(1, ['key-7']), ['value-7']);
    await again.store.close();
  });

  test('a checkpoint that is newer than the blocks is not used', async () => {
    const shard = await open(0);
    await shard.put(1, rowsOf(0, 100));
    await shard.store.close();
    cpSync(`${directory.path}/0`, `${directory.path}/1`, { recursive: true });
    const later = await open(0);
    await later.put(1, rowsOf(100, 200));
    await later.store.close();
    cpSync(checkpointOf(0), checkpointOf(1));
    const again = await open(1);
    assert.match(String(again.notices), /newer than the blocks/);
    assert.equal(again.store.status().rows, 100);
    await again.store.close();
  });

  test('discarded, it is gone, also when one was being written', async () => {
    const shard = await open(0);
    await shard.put(1, rowsOf(0, 500));
    await shard.store.flush();
    await settled(shard, 1);
    await shard.put(1, rowsOf(500, 600));
    await shard.store.flush();
    await shard.store.dropRecords(1, 0, () => false);
    assert.equal(existsSync(checkpointOf(0)), false);
    const again = await killAndOpen(shard, 0);
    assert.deepEqual(again.get(1, ['key-7', 'key-599']), ['value-7', 'value-599']);
    await again.store.close();
  });

  test('rows that were dropped from blocks are not looked for by a start after a kill', async () => {
    const shard = await open(0);
    await shard.put(1, rowsOf(0, 500));
    await shard.store.flush();
    await settled(shard, 1);
    const partition = (keyBatchOf(['key-7']).digests[0] as number) & 4095;
    await shard.store.dropRecords(1, partition, () => true);
    const again = await killAndOpen(shard, 0);
    assert.deepEqual(again.get(1, ['key-7']), [null]);
    assert.ok(again.store.status().rows < 500);
    await again.store.close();
  });

  test('nor are rows that expired, or were deleted, and were compacted away after the checkpoint', async () => {
    const policies = { policyOf: (group: number) => POLICIES[group] };
    const shard = await open(0, { policies });
    await shard.put(1, rowsOf(0, 500), 20);
    await shard.put(1, rowsOf(500, 600));
    await shard.store.flush();
    await settled(shard, 1);
    const checkpoint = readFileSync(checkpointOf(0));
    await shard.delete(1, rowsOf(500, 550));
    shard.nowMicros += 120 * SECOND;
    await shard.put(1, rowsOf(600, 610));
    await shard.store.flush();
    await shard.store.compact();
    assert.equal(shard.store.status().rows, 60);
    writeFileSync(checkpointOf(0), checkpoint);
    const told: RecoveryProgress[] = [];
    const again = await killAndOpen(shard, 0, { policies, onProgress: (step) => told.push(step) });
    assert.ok(told.some(({ phase }) => phase === 'index'));
    // A clock that has run back does not bring them back.
    again.nowMicros = shard.nowMicros - 110 * SECOND;
    assert.deepEqual(again.notices, []);
    assert.deepEqual(again.get(1, ['key-7', 'key-510', 'key-560', 'key-605']), [
      null,
      null,
      'value-560',
      'value-605',
    ]);
    assert.equal(again.store.status().rows, 60);
    await again.store.close();
  });

  test('an entry without a place makes the start build the index from the blocks', async () => {
    const shard = await open(0);
    await shard.put(1, rowsOf(0, 300));
    await shard.store.flush();
    await settled(shard, 1);
    await shard.put(1, rowsOf(300, 310));
    shard.store.tick();
    await shard.store.flush();
    await settled(shard, 2);
    const lost = await lostJournal(shard);
    assert.match(String(lost.notices), /names versions that are nowhere/);
    assert.equal(lost.store.status().rows, 310);
    assert.deepEqual(lost.get(1, ['key-309', 'key-310']), ['value-309', null]);
    await lost.store.close();
  });

  /** Rows in the write buffer are in the checkpoint; then the journal that has them is cut off, as memory durability allows. */
  async function lostJournal(shard: TestShard): Promise<TestShard> {
    // With none that was written before, the next is due.
    await shard.store.dropRecords(1, 0, () => false);
    cpSync(`${directory.path}/0`, `${directory.path}/1`, { recursive: true });
    await shard.put(1, rowsOf(310, 320));
    await shard.put(2, rowsOf(0, 1));
    shard.store.tick();
    await settled(shard, 3);
    cpSync(checkpointOf(0), checkpointOf(1));
    await shard.store.close();
    return open(1);
  }
});
