/**
 * A bit that flips in a block's file holds up its own unit and no other: everything else is swept, what the damaged unit still has
 * stays where a repair finds it, no restart forgets the damage, and after the repair the unit is swept like any other.
 *
 * Real files; the bit is flipped in LMDB's file under the running shard. MILLRACE_SEED replays.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { before, type TestContext, test } from 'node:test';
import { nodeDisk } from '../../server/node-environment.ts';
import { LEVEL_ZERO_KEY_HI } from '../../storage/block-key.ts';
import {
  type Finding,
  type GroupPolicies,
  loadChecksum,
  openBlockStore,
  planRepair,
  removeIndexCheckpoint,
  repairBlocks,
  StorageError,
  verifyBlocks,
} from '../../storage/index.ts';
import { type StoredVersion, storedVersions } from '../support/every-version.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { keyBatchOf, TestShard, temporaryDirectory } from '../support/shard.ts';

before(loadChecksum);

const SHARD_COUNT = 256;
const SECOND = 1_000_000;
const GROUPS = [1, 2];
const PARTITIONS = Uint16Array.from({ length: 4096 / SHARD_COUNT }, (_value, i) => i * SHARD_COUNT);
/** No history, and tombstones that go after a second: whatever may go is gone with the next sweep. */
const POLICIES: GroupPolicies = {
  policyOf: () => ({ retentionMicros: 0, latenessMicros: SECOND, durability: 'journal' }),
};

const OPTIONS = {
  shardIndex: 0,
  shardCount: SHARD_COUNT,
  writeBufferBytes: 256 * 1024,
  cacheBytes: 64 * 1024,
  journalSegmentBytes: 1024 * 1024,
  policies: POLICIES,
  // Sweeps begin when the test says so: one that has read a block before its bit flips would rightly replace it.
  compaction: { isEnabled: false },
  // A start that verifies reads every block, and so meets damage that another has to be told of.
  verifies: false,
};

interface Unit {
  readonly group: number;
  readonly partition: number;
}

function partitionOf(key: string): number {
  return keyBatchOf([key]).digests[0]! & 4095;
}

const KEYS = Array.from({ length: 100_000 }, (_value, i) => `key-${i}`)
  .filter((key) => partitionOf(key) % SHARD_COUNT === 0)
  .slice(0, 250);

class Damaged {
  readonly path: string;
  shard: TestShard;
  /** What lookups answer, by group and key; null after a delete. */
  readonly rows: Map<string, string | null> = new Map();

  constructor(context: TestContext) {
    const { path, remove } = temporaryDirectory();
    context.after(remove);
    this.path = path;
    this.shard = this.newShard();
  }

  async reopen(): Promise<void> {
    const { nowMicros } = this.shard;
    await this.shard.store.close();
    assert.deepEqual(this.shard.fatal, []);
    this.shard = this.newShard();
    this.shard.nowMicros = nowMicros;
    await this.shard.open();
  }

  async write(group: number, keys: readonly string[], value: string | null): Promise<void> {
    while (this.shard.store.pressure) await new Promise((resolve) => setTimeout(resolve, 1));
    this.shard.nowMicros += SECOND;
    const rows = keys.map((key) => ({ key, ...(value === null ? {} : { value }) }));
    if (value === null) await this.shard.delete(group, rows);
    else await this.shard.put(group, rows);
    for (const key of keys) this.rows.set(`${group} ${key}`, value);
  }

  /** Every row that is answered is right; answers the units that are refused. */
  refused(): Unit[] {
    const refused = new Map<string, Unit>();
    for (const group of GROUPS) {
      for (const key of KEYS) {
        try {
          assert.equal(this.shard.get(group, [key])[0], this.rows.get(`${group} ${key}`) ?? null);
        } catch (error) {
          if (!(error instanceof StorageError) || error.code !== 'BLOCK_CORRUPT') throw error;
          const partition = partitionOf(key);
          refused.set(`${group} ${partition}`, { group, partition });
        }
      }
    }
    return [...refused.values()];
  }

  /** What blocks and write buffer hold; none may be damaged. */
  versions(): StoredVersion[] {
    const blocks = openBlockStore({ directory: `${this.path}/blocks` });
    const state = storedVersions(blocks, this.shard.store, GROUPS, PARTITIONS);
    assert.ok(state !== null);
    return state.versions;
  }

  /** Flips a bit in the middle of the block, wherever the file has its bytes. */
  flip(keyHi: number, keyLo: number): void {
    const blocks = openBlockStore({ directory: `${this.path}/blocks` });
    const stored = Buffer.from(blocks.read(keyHi, keyLo)!);
    const path = `${this.path}/blocks/data.mdb`;
    const file = readFileSync(path);
    const fd = openSync(path, 'r+');
    let flips = 0;
    for (let at = file.indexOf(stored); at >= 0; at = file.indexOf(stored, at + 1)) {
      writeSync(fd, Buffer.from([stored[100]! ^ 4]), 0, 1, at + 100);
      flips += 1;
    }
    closeSync(fd);
    assert.ok(flips > 0 && !stored.equals(Buffer.from(blocks.read(keyHi, keyLo)!)));
  }

  /** Closes the shard, and drops what verification finds; answers that. */
  async repair(): Promise<Finding[]> {
    const { nowMicros } = this.shard;
    await this.shard.store.close();
    const store = openBlockStore({ directory: `${this.path}/blocks` });
    const verify = async (): Promise<{
      findings: Finding[];
      verified: Awaited<ReturnType<typeof verifyBlocks>>;
    }> => {
      const findings: Finding[] = [];
      const verified = await verifyBlocks({
        store,
        shardIndex: 0,
        shardCount: SHARD_COUNT,
        pause: () => new Promise((resolve) => setImmediate(resolve)),
        onProgress: () => undefined,
        onFinding: (finding) => findings.push(finding),
      });
      return { findings, verified };
    };
    const { findings, verified } = await verify();
    const plan = planRepair(findings);
    assert.deepEqual(plan.beyond, []);
    removeIndexCheckpoint(nodeDisk, this.path);
    await repairBlocks(store, plan, verified);
    assert.deepEqual((await verify()).findings, []);
    await store.close();
    this.shard = this.newShard();
    this.shard.nowMicros = nowMicros;
    await this.shard.open();
    return findings;
  }

  private newShard(): TestShard {
    return new TestShard(this.path, OPTIONS);
  }
}

function nameOf({ group, key, lsn }: StoredVersion): string {
  return `${group} ${key} ${lsn}`;
}

function isIn(units: readonly Unit[], { group, partition }: Unit): boolean {
  return units.some((unit) => unit.group === group && unit.partition === partition);
}

/** A block's units: it is listed with its lowest partition and its highest, whatever it holds between them. */
function spanned(units: readonly Unit[]): Unit[] {
  const partitions = units.map(({ partition }) => partition);
  const [from, to] = [Math.min(...partitions), Math.max(...partitions)];
  const { group } = units[0]!;
  return [...PARTITIONS].filter((p) => p >= from && p <= to).map((partition) => ({ group, partition }));
}

/** Rows of both groups in both levels, several versions of each, some deleted. */
async function filled(context: TestContext, random: SeededRandom): Promise<Damaged> {
  const under = new Damaged(context);
  await under.shard.open();
  for (let round = 0; round < 8; round++) {
    for (const group of GROUPS) {
      const some = KEYS.filter(() => random.chance(0.7));
      await under.write(group, some, `${round}`.padEnd(300, 'x'));
      await under.write(group, [KEYS[random.below(KEYS.length)]!, KEYS[round]!], null);
    }
    await under.shard.store.flush();
    if (round === 3) await under.shard.store.compact();
  }
  return under;
}

/** After the repair each key shows the newest of what the damaged blocks did not hold. */
function expectNewestOf(under: Damaged, versions: readonly StoredVersion[], units: readonly Unit[]): void {
  const newest = new Map<string, StoredVersion>();
  for (const version of versions) {
    const name = `${version.group} ${version.key}`;
    const known = newest.get(name);
    if (known === undefined || version.lsn > known.lsn) newest.set(name, version);
  }
  for (const group of GROUPS) {
    for (const key of KEYS) {
      if (!isIn(units, { group, partition: partitionOf(key) })) continue;
      const version = newest.get(`${group} ${key}`);
      const isThere = version !== undefined && !version.isDelete;
      assert.equal(under.shard.get(group, [key])[0] !== null, isThere, `group ${group}, ${key}`);
      under.rows.set(`${group} ${key}`, under.shard.get(group, [key])[0]!);
    }
  }
}

for (const isLevelZero of [true, false]) {
  const level = isLevelZero ? 0 : 1;
  test(`a sweep leaves a damaged level-${level} block's unit alone and goes on`, async (context) => {
    const seed = testSeed();
    console.log(`MILLRACE_SEED=${seed}`);
    const random = new SeededRandom(seed);
    const under = await filled(context, random);
    const before = under.versions();
    const blocks = before.flatMap(({ block }) => (block === null ? [] : [block]));
    const candidates = blocks.filter(({ keyHi }) => (keyHi === LEVEL_ZERO_KEY_HI) === isLevelZero);
    const hit = candidates[random.below(candidates.length)]!;
    const isHit = ({ block }: StoredVersion): boolean =>
      block?.keyHi === hit.keyHi && block.keyLo === hit.keyLo;
    const units = spanned(before.filter(isHit));
    const sound = before.filter((version) => !isHit(version));
    under.flip(hit.keyHi, hit.keyLo);
    if (random.chance(0.5)) await under.reopen();

    const { sweeps } = under.shard.store.status();
    await under.shard.store.compact();
    assert.ok(under.shard.store.status().sweeps > sweeps, 'the sweep has come to its end');
    assert.deepEqual(under.shard.fatal, []);
    if (isLevelZero) assert.equal(under.shard.damage.length, 1, 'told once');
    for (const unit of under.refused()) assert.ok(isIn(units, unit));

    for (let round = 0; round < 4; round++) {
      // A level-1 block is met only by who needs it.
      const refused = under.refused();
      const writable = KEYS.filter((key) => !isIn(units, { group: 2, partition: partitionOf(key) }));
      await under.write(2, writable, `later ${round}`.padEnd(300, 'y'));
      await under.shard.store.flush();
      const sweeping = under.shard.store.compact();
      // A close in the midst of a sweep leaves the rest of it to the next start.
      if (random.chance(0.5)) await new Promise((resolve) => setTimeout(resolve, random.below(20)));
      else await sweeping;
      if (random.chance(0.7)) await under.reopen();
      if (isLevelZero) {
        assert.ok(refused.length > 0);
        assert.deepEqual(under.refused(), refused, 'not forgotten');
      }
    }
    await under.shard.store.compact();
    if (isLevelZero) assert.equal(under.shard.store.status().damagedBlocks, 1);

    const findings = await under.repair();
    assert.ok(findings.length > 0 && findings.every(({ kind }) => kind === 'block'));
    expectNewestOf(under, sound, units);
    const after = new Set(under.versions().map(nameOf));
    if (isLevelZero) {
      for (const version of sound) {
        if (isIn(units, version)) assert.ok(after.has(nameOf(version)), `${nameOf(version)} is there still`);
      }
    }
    assert.deepEqual(under.refused(), []);
    await under.shard.store.compact();
    assert.deepEqual(under.refused(), []);
    const waited = KEYS.filter((key) => isIn(units, { group: units[0]!.group, partition: partitionOf(key) }));
    const fromMicros = under.shard.nowMicros;
    for (let round = 0; round < 3; round++) {
      await under.write(units[0]!.group, waited, `repaired ${round}`);
      await under.shard.store.flush();
    }
    under.shard.nowMicros += SECOND;
    await under.shard.store.compact();
    const isNew = (version: StoredVersion): boolean => version.commitTimeMicros > fromMicros;
    const left = under.versions().filter((version) => isIn(units, version) && isNew(version));
    assert.equal(left.length, waited.length, 'the unit is swept again');
    assert.deepEqual(under.refused(), []);
    await under.shard.store.close();
  });
}

test('a start that found damage is followed by one that knows of it', async (context) => {
  const under = await filled(context, new SeededRandom(2));
  const hit = under.versions().find(({ block }) => block?.keyHi === LEVEL_ZERO_KEY_HI)!.block!;
  under.flip(hit.keyHi, hit.keyLo);
  const { nowMicros } = under.shard;
  await under.shard.store.close();
  // Without it the index is built from the blocks, and lacks what the damaged one held.
  removeIndexCheckpoint(nodeDisk, under.path);
  under.shard = new TestShard(under.path, OPTIONS);
  under.shard.nowMicros = nowMicros;
  await under.shard.open();
  const refused = under.refused();
  assert.ok(refused.length > 0);
  const writable = KEYS.filter((key) => !isIn(refused, { group: 2, partition: partitionOf(key) }));
  await under.write(2, writable, 'later');
  await under.reopen();
  assert.deepEqual(under.refused(), refused);
  await under.shard.store.close();
});

test('an erasure of a damaged unit is refused, and one of another is not', async (context) => {
  const under = await filled(context, new SeededRandom(1));
  const first = under.versions().find(({ block }) => block?.keyHi === LEVEL_ZERO_KEY_HI)!;
  under.flip(LEVEL_ZERO_KEY_HI, first.block!.keyLo);
  const all = (): boolean => true;
  await assert.rejects(under.shard.store.dropRecords(first.group, first.partition, all), {
    code: 'BLOCK_CORRUPT',
  });
  const refused = under.refused();
  assert.ok(isIn(refused, first));
  const other = KEYS.map(partitionOf).find((partition) => !isIn(refused, { group: first.group, partition }))!;
  await under.shard.store.dropRecords(first.group, other, all);
  for (const key of KEYS) {
    if (partitionOf(key) === other) assert.deepEqual(under.shard.get(first.group, [key]), [null]);
  }
  await under.shard.store.close();
});
