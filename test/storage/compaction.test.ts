/**
 * Compaction on real files, beside everything else a shard does: no row is lost, no read fails, history within retention is
 * whole, what is dead goes, and a restart at any point goes on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openBlockStore } from '../../storage/block-store.ts';
import type { GroupPolicies } from '../../storage/index.ts';
import { SnapshotReader } from '../../storage/snapshot.ts';
import { VersionMerge } from '../../storage/version-merge.ts';
import { type StoredState, storedVersions } from '../support/every-version.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { keyBatchOf, TestShard, temporaryDirectory } from '../support/shard.ts';

const SHARD_COUNT = 256;
const SECOND = 1_000_000;
/** What a request's key is kept for does not matter here: no write has one. */
const GROUPS = [1, 2, 3];
const PARTITIONS = Uint16Array.from({ length: 4096 / SHARD_COUNT }, (_value, i) => i * SHARD_COUNT);

/** Group 1 keeps no history, group 2 a minute of it, group 3 all. */
const POLICIES: GroupPolicies = {
  policyOf: (group) => ({
    retentionMicros: group === 1 ? 0 : group === 2 ? 60 * SECOND : Infinity,
    latenessMicros: 30 * SECOND,
    durability: 'journal',
  }),
};

/** Keys whose partitions are this shard's. */
function keysOfShard(count: number): string[] {
  const candidates = Array.from({ length: count * SHARD_COUNT * 2 }, (_value, i) => `k${i}`);
  const { digests } = keyBatchOf(candidates);
  const keys = candidates.filter((_key, i) => (digests[2 * i]! & 4095) % SHARD_COUNT === 0);
  assert.ok(keys.length >= count);
  return keys.slice(0, count);
}

interface Version {
  readonly eventTimeMicros: number;
  readonly lsn: number;
  /** Null: deleted. */
  readonly value: string | null;
  readonly expirySeconds: number;
}

function isNewer(a: Version, b: Version): boolean {
  return a.eventTimeMicros !== b.eventTimeMicros ? a.eventTimeMicros > b.eventTimeMicros : a.lsn > b.lsn;
}

/** A shard under test beside what it should answer. */
class Compacted {
  readonly directory = temporaryDirectory();
  readonly versions: Map<string, Version[]> = new Map();
  shard: TestShard;
  policies: GroupPolicies = POLICIES;
  reads = 0;
  private timerMicros = 0;
  private timerCalls = 0;

  constructor() {
    this.shard = this.newShard();
  }

  async reopen(): Promise<void> {
    const { nowMicros } = this.shard;
    await this.shard.store.close();
    this.shard = this.newShard();
    this.shard.nowMicros = nowMicros;
    await this.shard.open();
    assert.deepEqual(this.shard.fatal, []);
  }

  async write(
    group: number,
    keys: readonly string[],
    value: string | null,
    eventTimeMicros: number,
    ttlSeconds = 0,
  ): Promise<void> {
    while (this.shard.store.pressure) await new Promise((resolve) => setTimeout(resolve, 1));
    const rows = keys.map((key) => ({ key, eventTimeMicros, ...(value === null ? {} : { value }) }));
    const { lsns } =
      value === null ? await this.shard.delete(group, rows) : await this.shard.put(group, rows, ttlSeconds);
    for (const [index, key] of keys.entries()) {
      const known = this.versions.get(`${group} ${key}`) ?? [];
      const expirySeconds = ttlSeconds === 0 ? 0 : Math.floor(eventTimeMicros / SECOND) + ttlSeconds;
      known.push({ eventTimeMicros, lsn: lsns[index]!, value, expirySeconds });
      this.versions.set(`${group} ${key}`, known);
    }
  }

  /** What lookups see; as of a moment, what history says. */
  expected(group: number, key: string, asOfMicros = Infinity): string | null {
    return this.chosen(this.versions.get(`${group} ${key}`) ?? [], asOfMicros);
  }

  private chosen(versions: readonly Version[], asOfMicros: number): string | null {
    let newest: Version | undefined;
    for (const version of versions) {
      if (version.eventTimeMicros > asOfMicros) continue;
      if (newest === undefined || isNewer(version, newest)) newest = version;
    }
    const atSeconds = Math.floor(Math.min(asOfMicros, this.shard.nowMicros) / SECOND);
    if (newest === undefined || newest.value === null) return null;
    return newest.expirySeconds !== 0 && newest.expirySeconds <= atSeconds ? null : newest.value;
  }

  checkReads(keys: readonly string[]): void {
    for (const group of GROUPS) {
      assert.deepEqual(
        this.shard.get(group, keys),
        keys.map((key) => this.expected(group, key)),
      );
    }
    this.reads += keys.length;
  }

  /** What scans see, and what an as-of read of any moment within retention needs. */
  checkHistory(keys: readonly string[]): StoredState {
    const blocks = openBlockStore({ directory: `${this.directory.path}/blocks` });
    const state = storedVersions(blocks, this.shard.store, GROUPS, PARTITIONS);
    assert.ok(state !== null);
    const { nowMicros } = this.shard;
    const found = new Map<string, Version[]>();
    for (const stored of state.versions) {
      const name = `${stored.group} ${stored.key}`;
      const model = this.versions.get(name)?.find(({ lsn }) => lsn === stored.lsn);
      assert.ok(model !== undefined, `version ${stored.lsn} of ${name} was written`);
      const list = found.get(name) ?? [];
      list.push(model);
      found.set(name, list);
    }
    for (const group of GROUPS) {
      const policy = this.policies.policyOf(group);
      if (policy === undefined) continue;
      const from = Math.max(nowMicros - policy.retentionMicros, nowMicros - 300 * SECOND);
      for (const key of keys) {
        const name = `${group} ${key}`;
        for (let step = 0; step <= 6; step++) {
          const asOf = from + ((nowMicros - from) * step) / 6;
          const seen = this.chosen(found.get(name) ?? [], asOf);
          assert.equal(seen, this.expected(group, key, asOf), `${name} as of ${nowMicros - asOf} before now`);
        }
      }
    }
    this.checkScan(blocks, keys);
    return state;
  }

  private checkScan(blocks: ReturnType<typeof openBlockStore>, keys: readonly string[]): void {
    const reader = new SnapshotReader(blocks, SHARD_COUNT);
    const merge = new VersionMerge();
    for (const group of GROUPS) {
      const { flushNumber, bytes } = this.shard.store.bufferedVersions(group, PARTITIONS);
      const step = reader.open(flushNumber, group, PARTITIONS, bytes, merge);
      assert.ok(step !== undefined);
      while (!step.advance());
      merge.finish(step.partitionCount, Math.floor(this.shard.nowMicros / SECOND));
      const live = keys.filter((key) => this.expected(group, key) !== null).length;
      assert.equal(merge.count, live, `group ${group}`);
    }
  }

  private newShard(): TestShard {
    return new TestShard(this.directory.path, {
      shardIndex: 0,
      shardCount: SHARD_COUNT,
      writeBufferBytes: 64 * 1024,
      cacheBytes: 1024 * 1024,
      journalSegmentBytes: 1024 * 1024,
      policies: { policyOf: (group) => this.policies.policyOf(group) },
      compaction: { levelZeroBytesMax: 256 * 1024 },
      timerMicros: () => this.slowTimer(),
    });
  }

  /** By turns some hundred reads take no time, and some hundred as long as from a device. */
  private slowTimer(): number {
    this.timerCalls += 1;
    if (this.timerCalls % 700 < 350) this.timerMicros += 100;
    return this.timerMicros;
  }
}

test('rows, history and scans stay whole while a shard compacts, flushes and restarts', async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const keys = keysOfShard(300);
  const under = new Compacted();
  await under.shard.open();
  const some = (count: number): string[] =>
    Array.from({ length: count }, () => keys[random.below(keys.length)]!);
  let sweeping: Promise<void> | undefined;
  for (let round = 0; round < 400; round++) {
    const { shard } = under;
    shard.nowMicros += random.below(2 * SECOND);
    const group = GROUPS[random.below(3)]!;
    const late = random.chance(0.2) ? random.below(25 * SECOND) : 0;
    const chosen = [...new Set(some(1 + random.below(40)))];
    const kind = random.below(10);
    if (kind < 7) {
      const value = `${round}`.padEnd(random.below(400), 'x');
      await under.write(group, chosen, value, shard.nowMicros - late, random.chance(0.2) ? 20 : 0);
    } else await under.write(group, chosen, null, shard.nowMicros - late);
    if (random.chance(0.05)) sweeping = shard.store.compact();
    if (random.chance(0.1)) shard.store.tick();
    if (random.chance(0.03)) shard.nowMicros += 90 * SECOND;
    under.checkReads(some(20));
    if (random.chance(0.05)) {
      await sweeping;
      sweeping = undefined;
    }
    if (random.chance(0.04)) {
      await shard.store.flush();
      under.checkHistory(keys);
    }
    if (random.chance(0.02)) await under.reopen();
  }
  await sweeping;
  under.checkReads(keys);
  await under.shard.store.flush();
  await under.shard.store.compact();
  const state = under.checkHistory(keys);
  assert.ok(state.levelOneBlocks > 0, 'units have moved to level 1');
  assert.equal(under.shard.store.status().damagedBlocks, 0);
  await reclaimed(under, keys);
  await under.reopen();
  under.checkReads(keys);
  await under.shard.store.close();
  under.directory.remove();
});

test('a sweep that meets slow reads takes the units of all runs in their order', async () => {
  const under = new Compacted();
  await under.shard.open();
  const keys = keysOfShard(300);
  // Runs that begin at different units: each later one holds lower groups than those before it.
  for (let round = 0; round < 6; round++) {
    under.shard.nowMicros += SECOND;
    const group = GROUPS[2 - (round % 3)]!;
    await under.write(
      group,
      keys.slice(50 * (5 - round)),
      `${round}`.padEnd(300, 'x'),
      under.shard.nowMicros,
    );
    await under.shard.store.flush();
  }
  for (let sweep = 0; sweep < 3; sweep++) {
    await under.shard.store.compact();
    under.checkReads(keys);
    under.checkHistory(keys);
  }
  assert.deepEqual(under.shard.fatal, []);
  await under.reopen();
  under.checkReads(keys);
  under.checkHistory(keys);
  await under.shard.store.close();
  under.directory.remove();
});

/** What is dead goes within a few rounds over the units: of the group without history less than three versions a key stay. */
async function reclaimed(under: Compacted, keys: readonly string[]): Promise<void> {
  let kept = Infinity;
  for (let round = 0; round < 100; round++) {
    kept = under.checkHistory(keys).versions.filter(({ group }) => group === 1).length;
    if (kept < 3 * keys.length) return;
    under.shard.nowMicros += 61 * SECOND;
    under.shard.store.tick();
    await delay(100);
  }
  assert.fail(`a group without history keeps ${kept} versions of ${keys.length} keys`);
}

/** A few rows of group 1 in level 1 and level 0, flushed. */
async function filled(rounds: number): Promise<{ under: Compacted; keys: string[] }> {
  const under = new Compacted();
  await under.shard.open();
  const keys = keysOfShard(200);
  for (let round = 0; round < rounds; round++) {
    under.shard.nowMicros += SECOND;
    await under.write(1, keys, `${round}`.padEnd(300, 'x'), under.shard.nowMicros);
    await under.shard.store.flush();
  }
  return { under, keys };
}

test('a dropped group leaves no version and no entry', async () => {
  const { under, keys } = await filled(3);
  await under.write(2, keys, 'stays', under.shard.nowMicros);
  await under.shard.store.flush();
  await under.shard.store.compact();
  under.policies = { policyOf: (group) => (group === 1 ? undefined : POLICIES.policyOf(group)) };
  await under.shard.store.compact();
  const blocks = openBlockStore({ directory: `${under.directory.path}/blocks` });
  const groupsStored = (): Set<number> => {
    const state = storedVersions(blocks, under.shard.store, GROUPS, PARTITIONS);
    return new Set(state?.versions.map(({ group }) => group));
  };
  // Units without new records go with the round over all units, and their old blocks in a transaction after their entries.
  for (let wait = 0; wait < 1000 && groupsStored().has(1); wait++) {
    under.shard.nowMicros += 61 * SECOND;
    under.shard.store.tick();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(groupsStored(), new Set([2]));
  assert.equal(under.shard.store.status().rows, keys.length);
  assert.deepEqual(new Set(under.shard.get(2, keys)), new Set(['stays']));
  await under.shard.store.close();
  under.directory.remove();
});

test('dropped records are gone from every block, and others stay', async () => {
  const { under, keys } = await filled(3);
  await under.shard.store.compact();
  await under.write(1, keys, 'again', under.shard.nowMicros + 1);
  await under.shard.store.flush();
  const key = keys[7]!;
  const partition = keyBatchOf([key]).digests[0]! & 4095;
  const encoded = Buffer.from(key);
  const isKey = (view: DataView, at: number): boolean =>
    view.getUint16(at + 44, true) === encoded.length &&
    Buffer.from(view.buffer, view.byteOffset + at + 48, encoded.length).equals(encoded);
  await under.shard.store.dropRecords(1, partition, isKey);
  assert.deepEqual(under.shard.get(1, [key]), [null]);
  const blocks = openBlockStore({ directory: `${under.directory.path}/blocks` });
  const state = storedVersions(blocks, under.shard.store, GROUPS, PARTITIONS);
  assert.ok(state !== null && !state.versions.some((version) => version.key === key));
  under.checkReads(keys.filter((other) => other !== key));
  await under.shard.store.close();
  under.directory.remove();
});
