/**
 * Which rows are written, refused, repeated or merged, held to a model that decides the slow way: random requests with
 * several on their way, commits that succeed or find the device full, cold bases, clocks that jump.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorNumber } from '../../protocol/index.ts';
import type { GroupPolicies } from '../../storage/group-policy.ts';
import { RECORD_MISSING, ReadBatch } from '../../storage/read-batch.ts';
import {
  countRecords,
  KIND_DELETE,
  readRecordBytes,
  readRecordDigestLo,
  readRecordLsn,
  recordPayloadOffset,
} from '../../storage/record.ts';
import { StorageError } from '../../storage/storage-error.ts';
import type { ReadBases } from '../../storage/write-deferral.ts';
import type { PatchMerge, WriteRequest } from '../../storage/write-request.ts';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { KEEP_ALL, keyBatchOf } from '../support/shard.ts';
import { type ModelDecision, type ModelVersion, WriteModel } from '../support/write-model.ts';
import { type WriteRig, writeRequest, writeRig } from '../support/write-rig.ts';

const MEMORY_GROUP = 2;
const SHORT_GROUP = 3;
const START_MICROS = 1_700_000_000_000_000;
const KEYS = Array.from({ length: 12 }, (_value, index) => `key ${index}`);
const UNDECIDED = 255;
const HOUR_MICROS = 3600e6;

/** Group 3 keeps an hour; group 2 is acknowledged before it is durable. */
const POLICIES: GroupPolicies = {
  policyOf: (group) => {
    const policy = KEEP_ALL.policyOf(group)!;
    if (group === MEMORY_GROUP) return { ...policy, durability: 'memory' };
    if (group === SHORT_GROUP)
      return { ...policy, retentionMicros: HOUR_MICROS, latenessMicros: HOUR_MICROS / 2 };
    return policy;
  },
};

/** A row is one float64; a patch adds to it, and one of NaN is invalid. */
const ADD: PatchMerge = (base, baseFrom, _baseTo, patch, patchFrom) => {
  const added = new DataView(patch.buffer, patch.byteOffset).getFloat64(patchFrom, true);
  if (Number.isNaN(added)) return 'PATCH_INVALID';
  const merged = new DataView(new ArrayBuffer(8));
  merged.setFloat64(0, (base === null ? 0 : base.view.getFloat64(baseFrom, true)) + added, true);
  return new Uint8Array(merged.buffer);
};

interface Sent {
  readonly request: WriteRequest;
  readonly keys: string[];
  readonly values: number[];
  decision: ModelDecision | undefined;
  answer: StorageError | null | undefined;
}

/** The store and the model side by side. */
class Duel {
  readonly rig: WriteRig;
  readonly model: WriteModel = new WriteModel(POLICIES);
  readonly sent: Sent[] = [];
  private readonly random: SeededRandom;
  private readonly fetching: (() => void)[] = [];
  private readonly fetched: WeakSet<object> = new WeakSet();
  private settled = 0;

  constructor(random: SeededRandom) {
    this.random = random;
    const cold =
      (read: ReadBases): ReadBases =>
      (group, keys, nowSeconds, batch, done) => {
        if (this.fetched.has(keys) || !this.random.chance(0.3))
          return read(group, keys, nowSeconds, batch, done);
        this.fetching.push(() => {
          this.fetched.add(keys);
          done(null);
        });
        return false;
      };
    this.rig = writeRig({ policies: POLICIES, readBases: cold });
    this.rig.nowMicros = START_MICROS;
  }

  step(): void {
    const { random, rig } = this;
    const choice = random.below(20);
    if (choice < 9) this.send();
    else if (choice < 12) rig.endTurn();
    else if (choice < 16) this.settleCommit(random.chance(0.1));
    else if (choice < 18) this.fetching.splice(random.below(this.fetching.length + 1), 1)[0]?.();
    else if (choice === 18) rig.nowMicros += random.below(5) === 0 ? -random.below(1e9) : random.below(600e6);
    else {
      rig.mayInsert = random.chance(0.8);
      this.model.mayInsert = rig.mayInsert;
    }
    this.decideLaid();
  }

  /** Lets everything go on until nothing waits. */
  finish(): void {
    for (let round = 0; round < 1000 && this.sent.some(({ answer }) => answer === undefined); round++) {
      this.fetching.shift()?.();
      this.decideLaid();
      this.rig.endTurn();
      this.settleCommit(false);
    }
    assert.ok(
      this.sent.every(({ answer }) => answer !== undefined),
      'everything is answered',
    );
    while (this.rig.journal.commits.length > this.settled) this.settleCommit(false);
  }

  /** Lookups see what the model says is newest among the visible. */
  compareReads(): void {
    for (const group of [1, MEMORY_GROUP, SHORT_GROUP]) {
      const batch = new ReadBatch(KEYS.length);
      const nowSeconds = Math.floor(this.rig.nowMicros / 1e6);
      this.rig.reads.read(group, keyBatchOf(KEYS), nowSeconds, batch);
      KEYS.forEach((key, row) => {
        const newest = this.model.newest(group, key);
        const expected = this.model.isLive(newest, this.rig.nowMicros) ? newest.value : null;
        const at = batch.offset[row]!;
        const { view } = at === RECORD_MISSING ? { view: null } : this.rig.arenas.get(batch.arena[row]!);
        const seen = view === null ? null : view.getFloat64(recordPayloadOffset(view, at), true);
        assert.equal(seen, expected, `group ${group}, ${key}`);
      });
    }
  }

  private send(): void {
    const { random } = this;
    const repeated = random.chance(0.15) ? this.sent[random.below(this.sent.length)] : undefined;
    const sent = repeated === undefined ? this.draw() : this.again(repeated);
    this.sent.push(sent);
    this.rig.path.write(sent.request, (error) => this.answered(sent, error));
  }

  private draw(): Sent {
    const { random } = this;
    const count = 1 + random.below(6);
    const keys = Array.from({ length: count }, () => KEYS[random.below(KEYS.length)]!);
    const isDelete = random.chance(0.15);
    const isPatch = !isDelete && random.chance(0.4);
    const values = keys.map(() => (isPatch && random.chance(0.05) ? Number.NaN : random.below(1000)));
    const group = 1 + random.below(3);
    const isBackfill = !isPatch && random.chance(0.1);
    const hasConditions = !isBackfill && random.chance(0.3);
    const request = writeRequest(keys, {
      group,
      eventTimes: Float64Array.from(keys, () => this.drawEventTime()),
      ttlSeconds: !isDelete && random.chance(0.3) ? 1 + random.below(5000) : 0,
      payload: new Uint8Array(Float64Array.from(values).buffer),
      results: new Uint8Array(count).fill(UNDECIDED),
      isBackfill,
      merge: isPatch ? ADD : null,
      isTimeFloor: isPatch && random.chance(0.5),
      ifVersions: hasConditions ? Float64Array.from(keys, (key) => this.drawVersion(group, key)) : null,
      ...(random.chance(0.4) ? { clientIdLo: 1 + random.below(2), sequence: random.below(300) } : {}),
      ...(isDelete ? { kind: KIND_DELETE, payloadOffsets: null } : {}),
    });
    return { request, keys, values, decision: undefined, answer: undefined };
  }

  private drawEventTime(): number {
    const { random, rig } = this;
    const choice = random.below(10);
    if (choice === 0) return rig.nowMicros + random.below(400e6);
    if (choice === 1) return rig.nowMicros - random.below(2 * HOUR_MICROS);
    if (choice === 2) return -random.below(1e12);
    return rig.nowMicros - random.below(4) * 1e6;
  }

  private drawVersion(group: number, key: string): number {
    const newest = this.model.newest(group, key);
    return this.random.chance(0.7) ? (newest?.lsn ?? 0) : this.random.below(20);
  }

  private again({ request, keys, values }: Sent): Sent {
    const results = new Uint8Array(request.count).fill(UNDECIDED);
    const lsns = new Float64Array(request.count);
    return { request: { ...request, results, lsns }, keys, values, decision: undefined, answer: undefined };
  }

  /** Rows of a request are laid down together; those of several that waited, in the order in which they came. */
  private decideLaid(): void {
    for (const sent of this.sent) {
      const { request, keys, values } = sent;
      const isLaid = request.lsns[0] !== 0 || request.results[0] !== UNDECIDED;
      if (sent.decision !== undefined || !isLaid) continue;
      sent.decision = this.model.lay(request, keys, values, this.rig.nowMicros);
      assert.deepEqual([...request.lsns], sent.decision.lsns);
    }
  }

  private settleCommit(isFull: boolean): void {
    const commit = this.rig.journal.commits[this.settled];
    if (commit === undefined) return;
    this.settled += 1;
    if (isFull) {
      // What stays is what was acknowledged before, and it is tried again.
      const isKept = ({ request }: ModelVersion): boolean => request.group === MEMORY_GROUP;
      this.model.dropUndurable(isKept);
      commit.settle(new StorageError('STORAGE_FULL', 'no room'));
      return;
    }
    const body = commit.body();
    const bytes = Uint8Array.from(body);
    const view = new DataView(bytes.buffer);
    assert.equal(countRecords(view, 0, bytes.length), commit.records);
    for (let at = 0; at < bytes.length; at += readRecordBytes(view, at)) {
      const partition = readRecordDigestLo(view, at) & 4095;
      const lsn = readRecordLsn(view, at);
      const version = this.model.versions.find((other) => other.partition === partition && other.lsn === lsn);
      assert.ok(version !== undefined, 'only what was decided is journalled');
      version.isDurable = true;
    }
    commit.settle(null);
  }

  private answered(sent: Sent, error: StorageError | null): void {
    assert.equal(sent.answer, undefined, 'answered once');
    sent.answer = error;
    assert.ok(sent.decision !== undefined, 'decided before it is answered');
    if (error !== null) {
      assert.equal(error.code, 'STORAGE_FULL');
      return;
    }
    assert.deepEqual([...sent.request.results], sent.decision.results);
    if (sent.request.group === MEMORY_GROUP) return;
    for (const { isDurable } of sent.decision.seen) assert.ok(isDurable, 'what it saw is durable');
  }
}

test('random requests are decided, answered and applied as the model says', () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  for (let run = 0; run < 60; run++) {
    const duel = new Duel(new SeededRandom(seed + run));
    for (let step = 0; step < 400; step++) duel.step();
    duel.finish();
    duel.compareReads();
    assert.deepEqual(duel.rig.fatal, []);
  }
});

test('event times are refused row by row, and the rest of the request is written', () => {
  const rig = writeRig({ policies: POLICIES });
  rig.nowMicros = START_MICROS;
  const eventTimes = Float64Array.of(
    START_MICROS,
    START_MICROS + 300e6,
    START_MICROS + 300e6 + 1,
    START_MICROS - HOUR_MICROS,
    START_MICROS - HOUR_MICROS - 1,
    2 ** 53,
    -(2 ** 53),
    Number.NaN,
  );
  const keys = KEYS.slice(0, eventTimes.length);
  const request = writeRequest(keys, { group: SHORT_GROUP, eventTimes });
  let isDone = false;
  rig.path.write(request, () => {
    isDone = true;
  });
  rig.endTurn();
  rig.journal.commits[0]?.settle(null);
  assert.ok(isDone);
  const future = errorNumber('EVENT_TIME_IN_FUTURE');
  const late = errorNumber('TOO_LATE');
  const invalid = errorNumber('EVENT_TIME_INVALID');
  assert.deepEqual([...request.results], [0, 0, future, 0, late, invalid, invalid, invalid]);
  assert.deepEqual(
    [...request.lsns].map((lsn) => lsn > 0),
    [true, true, false, true, false, false, false, false],
  );
  assert.equal(rig.index.rowCount, 3);
});

test('before 1970 is legal where history is kept, and a time to live from there has passed', () => {
  const rig = writeRig();
  rig.nowMicros = START_MICROS;
  const eventTimes = Float64Array.of(-1, -(2 ** 53) + 1);
  const request = writeRequest(['a', 'b'], { eventTimes, ttlSeconds: 60 });
  rig.path.write(request, () => {});
  rig.endTurn();
  rig.journal.commits[0]?.settle(null);
  assert.deepEqual([...request.results], [0, 0]);
  const batch = new ReadBatch(2);
  rig.reads.read(1, keyBatchOf(['a', 'b']), START_MICROS / 1e6, batch);
  assert.deepEqual([...batch.offset], [RECORD_MISSING, RECORD_MISSING]);
});

test('a request whose rows are all refused is answered at the end of its turn when it saw nothing', () => {
  const rig = writeRig();
  const done: (string | undefined)[] = [];
  const request = writeRequest(['a'], { ifVersions: Float64Array.of(7) });
  rig.path.write(request, (error) => done.push(error?.code));
  assert.equal(done.length, 0);
  rig.endTurn();
  assert.deepEqual(done, [undefined]);
  assert.equal(request.results[0], errorNumber('VERSION_MISMATCH'));
  assert.equal(rig.journal.commits.length, 0);
});

test('a refusal waits for the version that it saw', () => {
  const rig = writeRig();
  const done: string[] = [];
  rig.path.write(writeRequest(['a']), () => done.push('put'));
  rig.endTurn();
  rig.path.write(writeRequest(['a'], { ifVersions: Float64Array.of(0) }), () => done.push('refused'));
  rig.endTurn();
  assert.equal(done.length, 0);
  rig.journal.commits[0]?.settle(null);
  assert.deepEqual(done, ['put', 'refused']);
});
