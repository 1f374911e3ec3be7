/** Which versions compaction keeps: the rules held to a slow statement of them, and to what readers see before and after. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arena, arenaOf } from '../../storage/arena.ts';
import type { GroupPolicy } from '../../storage/group-policy.ts';
import { WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from '../../storage/index-entry.ts';
import { IDEMPOTENCY_KEEP_MICROS } from '../../storage/limits.ts';
import {
  FLAG_HISTORY_ONLY,
  FLAG_KEYED,
  KIND_DELETE,
  KIND_PUT,
  recordBytesOf,
  writeRecordHeader,
} from '../../storage/record.ts';
import {
  decideKey,
  FATE_DROP,
  FATE_DROP_WITH_ENTRY,
  FATE_DUPLICATE,
  FATE_KEEP,
  NEWEST_ALONE_GO,
  NEWEST_GO,
  NEWEST_OF_LEVEL_ONE_GO,
  NEWEST_STAY,
} from '../../storage/sweep-fate.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';

const SEED = testSeed();
console.log(`seed ${SEED}`);
const SECOND = 1_000_000;
const NOW = 2_000_000 * SECOND;

interface Version {
  readonly eventTime: number;
  readonly commitTime: number;
  readonly lsn: number;
  readonly isDelete: boolean;
  readonly isHistoryOnly: boolean;
  readonly isKeyed: boolean;
  readonly expirySeconds: number;
  readonly where: number;
}

const VERSION: Version = {
  eventTime: NOW,
  commitTime: NOW,
  lsn: 1,
  isDelete: false,
  isHistoryOnly: false,
  isKeyed: false,
  expirySeconds: 0,
  where: WHERE_LEVEL_ONE,
};

function policyOf(retentionMicros: number, latenessMicros = 0): GroupPolicy {
  return { retentionMicros, latenessMicros, durability: 'journal' };
}

function isBefore(a: Version, b: Version): boolean {
  return a.eventTime !== b.eventTime ? a.eventTime < b.eventTime : a.lsn < b.lsn;
}

function sorted(versions: readonly Version[]): Version[] {
  return [...versions].sort((a, b) => a.eventTime - b.eventTime || a.lsn - b.lsn);
}

/** Fates of the versions in the order given, which ascends. */
function decide(
  versions: readonly Version[],
  policy: GroupPolicy | undefined,
  newestMayGo: number,
  sealedMicros: number = NOW,
  isErased?: (view: DataView, at: number) => boolean,
): { fates: number[]; deaths: number[] } {
  const flagsOf = (version: Version): number =>
    (version.isHistoryOnly ? FLAG_HISTORY_ONLY : 0) | (version.isKeyed ? FLAG_KEYED : 0);
  const starts = new Uint32Array(versions.length);
  let end = 0;
  for (const [index, version] of versions.entries()) {
    starts[index] = end;
    end += recordBytesOf(8, 0, flagsOf(version));
  }
  const arena: Arena = arenaOf(new Uint8Array(end));
  for (const [index, version] of versions.entries()) {
    const flags = flagsOf(version);
    const kind = version.isDelete ? KIND_DELETE : KIND_PUT;
    const { eventTime, lsn, commitTime, expirySeconds } = version;
    const bytes = recordBytesOf(8, 0, flags);
    const at = starts[index]!;
    writeRecordHeader(
      arena.view,
      at,
      bytes,
      1,
      kind,
      7,
      7,
      eventTime,
      lsn,
      commitTime,
      expirySeconds,
      8,
      flags,
    );
  }
  const unit = {
    arena,
    starts,
    wheres: Uint8Array.from(versions, ({ where }) => where),
    order: Uint32Array.from(versions.keys()),
    fates: new Uint8Array(versions.length),
    deaths: new Float64Array(versions.length),
  };
  decideKey({ policy, nowMicros: NOW, sealedMicros, isErased }, newestMayGo, unit, 0, versions.length);
  return { fates: [...unit.fates], deaths: [...unit.deaths] };
}

/** V3, V5 and V8 as the contract says them: what stays, V4 apart. */
function keptSlowly(versions: readonly Version[], policy: GroupPolicy): Version[] {
  const unique = versions.filter((version, i) => i === 0 || isBefore(versions[i - 1]!, version));
  const newest = unique.filter(({ isHistoryOnly }) => !isHistoryOnly).at(-1);
  const cutoff = NOW - policy.retentionMicros;
  return unique.filter((version) => {
    const isHidden = unique.some(
      (later) => isBefore(version, later) && later.eventTime < cutoff && later.commitTime < cutoff,
    );
    const isHeld = version.isKeyed && version.commitTime >= NOW - IDEMPOTENCY_KEEP_MICROS;
    return !isHidden || version === newest || isHeld;
  });
}

/** The row as of a moment, at a read point: null when there is none. */
function readAsOf(versions: readonly Version[], asOf: number, readPoint: number): number | null {
  const chosen = sorted(versions.filter((v) => v.eventTime <= asOf && v.commitTime <= readPoint)).at(-1);
  if (chosen === undefined || chosen.isDelete) return null;
  return chosen.expirySeconds !== 0 && chosen.expirySeconds <= Math.floor(asOf / SECOND) ? null : chosen.lsn;
}

function lookUp(versions: readonly Version[]): number | null {
  const newest = sorted(versions.filter(({ isHistoryOnly }) => !isHistoryOnly)).at(-1);
  if (newest === undefined || newest.isDelete) return null;
  return newest.expirySeconds !== 0 && newest.expirySeconds <= NOW / SECOND ? null : newest.lsn;
}

function randomVersions(random: SeededRandom): Version[] {
  const count = 1 + random.below(8);
  const versions: Version[] = [];
  for (let lsn = 1; lsn <= count; lsn++) {
    const commitTime = NOW - random.below(40) * 100 * SECOND;
    const eventTime = commitTime - (random.chance(0.5) ? 0 : random.below(20) * 100 * SECOND);
    const version: Version = {
      eventTime,
      commitTime,
      lsn,
      isDelete: random.chance(0.3),
      isHistoryOnly: random.chance(0.2),
      isKeyed: random.chance(0.2),
      expirySeconds: random.chance(0.3) ? Math.floor(eventTime / SECOND) + random.below(1500) : 0,
      where: random.chance(0.5) ? WHERE_LEVEL_ONE : WHERE_LEVEL_ZERO,
    };
    versions.push(version.isDelete ? { ...version, expirySeconds: 0 } : version);
    if (random.chance(0.1)) versions.push({ ...version, where: WHERE_LEVEL_ZERO });
  }
  return sorted(versions);
}

test('what stays is what the rules say, and readers see no difference', () => {
  const random = new SeededRandom(SEED);
  let dropped = 0;
  let endings = 0;
  for (let round = 0; round < 20_000; round++) {
    const policy = policyOf(
      [0, 500, 1500, Infinity][random.below(4)]! * SECOND,
      random.below(3) * 700 * SECOND,
    );
    const versions = randomVersions(random);
    const mode = [NEWEST_STAY, NEWEST_OF_LEVEL_ONE_GO, NEWEST_GO, NEWEST_ALONE_GO][random.below(4)]!;
    const { fates, deaths } = decide(versions, policy, mode);
    const kept = versions.filter((_version, i) => fates[i] === FATE_KEEP);
    const expected = keptSlowly(versions, policy);
    const newest = expected.filter(({ isHistoryOnly }) => !isHistoryOnly).at(-1);
    const ended = versions.find((_version, i) => fates[i] === FATE_DROP_WITH_ENTRY);
    assert.deepEqual(kept, ended === undefined ? expected : expected.filter((version) => version !== ended));
    dropped += versions.length - kept.length;
    if (ended !== undefined) {
      endings += 1;
      assert.equal(ended, newest);
      assert.notEqual(mode, NEWEST_STAY);
      assert.ok(mode === NEWEST_GO || ended.where === WHERE_LEVEL_ONE);
      assert.ok(
        kept.every((version) => isBefore(ended, version)),
        'all older versions go with it',
      );
      assert.ok(mode !== NEWEST_ALONE_GO || versions[0]!.lsn === ended.lsn);
      assert.ok(ended.eventTime < NOW - Math.max(policy.retentionMicros, policy.latenessMicros));
    }
    assert.equal(lookUp(kept), lookUp(versions));
    const span = Math.min(policy.retentionMicros, 5000 * SECOND);
    for (let step = 0; step <= 10; step++) {
      const asOf = NOW - (span * step) / 10;
      assert.equal(readAsOf(kept, asOf, NOW), readAsOf(versions, asOf, NOW));
      assert.equal(readAsOf(kept, NOW, asOf), readAsOf(versions, NOW, asOf));
      assert.equal(readAsOf(kept, asOf, asOf), readAsOf(versions, asOf, asOf));
    }
    for (const [i, version] of versions.entries()) {
      if (version.isKeyed && version.commitTime >= NOW - IDEMPOTENCY_KEEP_MICROS) {
        assert.ok(fates[i] === FATE_KEEP || fates[i] === FATE_DUPLICATE);
      }
      // A version whose time has come stays only as a newest one that may not go here.
      const isHeldBack = version === newest && fates[i] === FATE_KEEP;
      if (fates[i] === FATE_KEEP && !isHeldBack) assert.ok(deaths[i]! >= NOW);
    }
  }
  assert.ok(dropped > 10_000 && endings > 500, `${dropped} dropped, ${endings} of them newest ones`);
});

test('a tombstone stays while a write that it would hide may still come', () => {
  const tombstone = {
    ...VERSION,
    eventTime: NOW - 100 * SECOND,
    commitTime: NOW - 100 * SECOND,
    isDelete: true,
  };
  const policy = policyOf(0, 50 * SECOND);
  assert.deepEqual(decide([tombstone], policy, NEWEST_GO).fates, [FATE_DROP_WITH_ENTRY]);
  assert.deepEqual(decide([tombstone], policy, NEWEST_GO, NOW - 50 * SECOND).fates, [FATE_KEEP]);
  assert.deepEqual(decide([tombstone], policy, NEWEST_GO, -Infinity).fates, [FATE_KEEP]);
  assert.deepEqual(decide([tombstone], policyOf(0, 100 * SECOND), NEWEST_GO).fates, [FATE_KEEP]);
  const { deaths } = decide([tombstone], policyOf(0, 300 * SECOND), NEWEST_GO);
  assert.deepEqual(deaths, [NOW + 200 * SECOND]);
});

test('a row that lives on never dies, a superseded one dies when its successor is past retention', () => {
  const old = { ...VERSION, eventTime: NOW - 10, commitTime: NOW - 10 };
  const { fates, deaths } = decide([old, { ...VERSION, lsn: 2 }], policyOf(60 * SECOND), NEWEST_GO);
  assert.deepEqual(fates, [FATE_KEEP, FATE_KEEP]);
  assert.deepEqual(deaths, [NOW + 60 * SECOND, Infinity]);
});

test('of a dropped group and of what is erased nothing stays', () => {
  const versions = [VERSION, { ...VERSION, lsn: 2 }, { ...VERSION, lsn: 2 }];
  assert.deepEqual(decide(versions, undefined, NEWEST_STAY).fates, [
    FATE_DROP_WITH_ENTRY,
    FATE_DROP_WITH_ENTRY,
    FATE_DUPLICATE,
  ]);
  const erased = decide(versions, policyOf(Infinity), NEWEST_STAY, NOW, () => true);
  assert.ok(erased.fates.every((fate) => fate === FATE_DROP_WITH_ENTRY || fate === FATE_DUPLICATE));
  assert.ok(!erased.fates.includes(FATE_DROP));
});
