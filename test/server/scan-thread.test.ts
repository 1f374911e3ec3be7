/** Scans of one thread, turn by turn: rows, credit, back-pressure, fairness, idling, errors and ends. */
import { strict as assert } from 'node:assert';
import { before, test } from 'node:test';
import { RecordBatchReader, tableFromIPC } from 'apache-arrow';
import {
  ByteWriter,
  compileLayout,
  decodeErrorResponse,
  decodeScanData,
  decodeScanEnd,
  type ErrorCodeName,
  encodeKey,
  encodeRow,
  FLAG_MORE,
  type GroupSchema,
  type ScanRequest,
  type ScanSummary,
  schemaFromSpec,
} from '../../protocol/index.ts';
import { GroupTable } from '../../server/group-table.ts';
import { OUTPUT_HIGH_WATER_BYTES } from '../../server/limits.ts';
import { createLogger } from '../../server/log.ts';
import {
  SCAN_IDLE_TIMEOUT_MS,
  SCAN_RETRIES_MAX,
  SCANS_PER_CONNECTION_MAX,
  SCANS_PER_THREAD_MAX,
} from '../../server/scan-limits.ts';
import type { BufferedVersionsDone } from '../../server/scan-peer.ts';
import { ScanThread } from '../../server/scan-thread.ts';
import { ServerError } from '../../server/server-error.ts';
import { type CorruptBlock, loadChecksum, SnapshotReader } from '../../storage/index.ts';
import { RecordingSession } from '../support/recording-session.ts';
import { encodeRecords, MemoryBlockStore, type StoredRecord } from '../support/stored-records.ts';

before(loadChecksum);

const NOW_SECONDS = 1_700_000_000;
const SCHEMA: GroupSchema = schemaFromSpec(
  {
    name: 'g',
    key: [{ name: 'id', type: 'int64' }],
    features: [
      { name: 'n', type: 'int32' },
      { name: 's', type: 'string' },
    ],
  },
  1,
  0,
);
const LAYOUT = compileLayout(SCHEMA);

/** A row whose digest ascends with its id; `partition` defaults to the id's low bits. */
function row(id: number, more: Partial<StoredRecord> & { n?: number; s?: string } = {}): StoredRecord {
  const key = new ByteWriter();
  encodeKey(SCHEMA.key, id, key);
  const payload = new ByteWriter();
  encodeRow(LAYOUT, { n: more.n ?? id, s: more.s ?? `s${id}` }, payload);
  return {
    partition: id & 7,
    digestHi: id,
    key: key.finish(),
    eventTimeMicros: 1000,
    lsn: 1,
    payload: payload.finish(),
    ...more,
  };
}

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** A scan thread over a store in memory, whose turns, time and shard are the test's. */
class Bench {
  readonly store: MemoryBlockStore = new MemoryBlockStore();
  readonly groups: GroupTable = new GroupTable([SCHEMA]);
  buffered: StoredRecord[] = [];
  /** What the shard says its flush number is; the store's unless set. */
  shardFlushNumber: number | undefined;
  asked = 0;
  /** Blocks that the shard was told of. */
  readonly reported: CorruptBlock[] = [];
  readonly scans: ScanThread;
  readonly timers: Set<Timer> = new Set();
  nowMs = 0;
  #turns: (() => void)[] = [];
  #shardTurns: (() => void)[] = [];
  shardError: ServerError | undefined;

  constructor(shardIndex = 0, shardCount = 1, isOwnedHere = (): boolean => true) {
    this.scans = new ScanThread({
      source: {
        reader: new SnapshotReader(this.store, shardCount),
        peer: {
          ask: (group, partitions, done) => this.#ask(group, partitions, done),
          report: (block) => this.reported.push(block),
        },
        nowMicros: () => NOW_SECONDS * 1e6,
        after: (delayMs, run) => {
          const timer = { atMs: this.nowMs + delayMs, run };
          this.timers.add(timer);
          return () => this.timers.delete(timer);
        },
      },
      groups: this.groups,
      shardIndex,
      shardCount,
      isOwnedHere,
      schedule: (run) => this.#turns.push(run),
      log: createLogger('silent', 'test'),
    });
  }

  /** Runs turns until there are none; the shard answers between them. Answers how many there were. */
  run(turnsMax = 100_000): number {
    let turns = 0;
    while (turns < turnsMax && (this.#turns.length > 0 || this.#shardTurns.length > 0)) {
      this.#shardTurns.shift()?.();
      const turn = this.#turns.shift();
      if (turn === undefined) continue;
      turn();
      turns++;
    }
    return turns;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const timer of [...this.timers]) {
      if (timer.atMs > this.nowMs || !this.timers.delete(timer)) continue;
      timer.run();
    }
  }

  begin(session: RecordingSession, request: Partial<ScanRequest> = {}, correlationId = 1): void {
    this.scans.begin(session, correlationId, {
      group: 'g',
      partitions: null,
      columns: null,
      batchRows: 65536,
      creditBytes: 1 << 30,
      ...request,
    });
  }

  #ask(group: number, partitions: Uint16Array, done: BufferedVersionsDone): void {
    this.asked += 1;
    const wanted = [...partitions];
    this.#shardTurns.push(() => {
      if (this.shardError !== undefined) {
        done(this.shardError, null);
        return;
      }
      const records = this.buffered.filter(
        (record) => (record.group ?? 1) === group && wanted.includes(record.partition),
      );
      const flushNumber = this.shardFlushNumber ?? this.store.flushNumber;
      done(null, { flushNumber, bytes: encodeRecords(records) });
    });
  }
}

interface ScanResult {
  readonly rows: { id: number; n: number; s: string }[];
  readonly frames: { rowCount: number; partition: number; bytes: number }[];
  readonly batchRows: number[];
  readonly summary: ScanSummary | undefined;
  readonly error: ErrorCodeName | undefined;
}

/** Gathers a scan's frames, of one call or of several. */
class Collector {
  readonly #parts: Uint8Array[] = [];
  readonly #frames: ScanResult['frames'] = [];
  #summary: ScanSummary | undefined;
  #error: ErrorCodeName | undefined;
  readonly #session: RecordingSession;
  readonly #correlationId: number;

  constructor(session: RecordingSession, correlationId = 1) {
    this.#session = session;
    this.#correlationId = correlationId;
  }

  get frameCount(): number {
    return this.#frames.length;
  }

  collect(): this {
    for (const { frame, status, correlationId, flags } of this.#session.taken()) {
      assert.equal(correlationId, this.#correlationId);
      assert.ok(this.#summary === undefined && this.#error === undefined, 'nothing follows the last frame');
      if (status !== 0) this.#error = decodeErrorResponse(frame, status).code;
      else if (flags === 0) this.#summary = decodeScanEnd(frame);
      else {
        assert.equal(flags, FLAG_MORE);
        const { partition, rowCount, from, to } = decodeScanData(frame);
        this.#frames.push({ partition, rowCount, bytes: to - from });
        this.#parts.push(frame.bytes.slice(from, to));
      }
    }
    return this;
  }

  result(): ScanResult {
    this.collect();
    const bytes = Buffer.concat(this.#parts);
    const rows: ScanResult['rows'] = [];
    const batchRows: number[] = [];
    if (bytes.length > 0) {
      for (const batch of RecordBatchReader.from(bytes)) batchRows.push(batch.numRows);
      const table = tableFromIPC(bytes);
      const columns = ['id', 'n', 's'].map((name) => table.getChild(name));
      for (let index = 0; index < table.numRows; index++) {
        const [id, n, s] = columns.map((column) => column?.get(index));
        rows.push({ id: Number(id), n: n as number, s: s as string });
      }
    }
    return { rows, frames: this.#frames, batchRows, summary: this.#summary, error: this.#error };
  }
}

function idsOf(result: ScanResult): number[] {
  return result.rows.map(({ id }) => id);
}

/** 8 partitions of 400 rows with wide texts: several steps and, by 64 KiB, many batches. */
const MANY: readonly StoredRecord[] = Array.from({ length: 3200 }, (_, id) =>
  row(id, { s: 'x'.repeat(300) }),
);
const MANY_IDS: readonly number[] = MANY.map((_, id) => id).sort((a, b) => (a & 7) - (b & 7) || a - b);

test('all live rows leave in order, with what happened to them since they were flushed', () => {
  const bench = new Bench();
  bench.store.flush([row(1), row(2), row(9), row(10), row(17), row(3, { expirySeconds: NOW_SECONDS - 1 })]);
  bench.buffered = [
    row(9, { lsn: 2, eventTimeMicros: 2000, isDelete: true }),
    row(10, { lsn: 2, eventTimeMicros: 500, n: -1 }),
    row(17, { lsn: 2, eventTimeMicros: 2000, n: 170 }),
    row(25),
    row(4, { group: 2 }),
  ];
  const session = new RecordingSession(1);
  bench.begin(session);
  bench.run();
  const result = new Collector(session).result();
  assert.deepEqual(
    result.rows.map(({ id, n, s }) => [id, n, s]),
    [
      [1, 1, 's1'],
      [17, 170, 's17'],
      [25, 25, 's25'],
      [2, 2, 's2'],
      [10, 10, 's10'],
    ],
  );
  assert.equal(result.frames.length, 1);
  assert.deepEqual(result.summary, { rows: 5, bytes: result.frames[0]!.bytes, partitions: 4096 });
  assert.equal(result.frames[0]!.partition, 2);
  assert.equal(session.requestsInFlight, 0);
});

test('an empty result is one frame with the schema, and a summary', () => {
  const bench = new Bench();
  const session = new RecordingSession(1);
  bench.begin(session, { columns: ['s', 'id'] });
  bench.run();
  const [data] = session.taken();
  const { rowCount, from, to } = decodeScanData(data!.frame);
  assert.equal(rowCount, 0);
  assert.deepEqual(tableFromIPC(data!.frame.bytes.slice(from, to)).schema.names, ['s', 'id']);
});

test('batches have the rows asked for, over the bounds of partitions and steps', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  bench.begin(session, { batchRows: 999 });
  bench.run();
  const result = new Collector(session).result();
  assert.deepEqual(idsOf(result), MANY_IDS);
  assert.deepEqual(result.batchRows, [999, 999, 999, 203]);
  assert.deepEqual(
    result.frames.map(({ partition }) => partition),
    [2, 4, 7, 7],
  );
});

test('ranges are of the whole keyspace, and a shard scans its own part of them', () => {
  const scannedBy = (bench: Bench, partitions: [number, number][]): ScanResult => {
    bench.store.flush([row(1), row(2), row(3), row(5), row(6), row(7)]);
    const session = new RecordingSession(1);
    bench.begin(session, { partitions });
    bench.run();
    return new Collector(session).result();
  };
  const odd = scannedBy(new Bench(1, 2), [
    [0, 2],
    [3, 7],
  ]);
  assert.deepEqual(idsOf(odd), [1, 3, 5]);
  assert.equal(odd.summary?.partitions, 3);
  const none = scannedBy(new Bench(1, 2), [[2, 3]]);
  assert.deepEqual([none.rows.length, none.frames.length, none.summary?.partitions], [0, 1, 0]);
  const notOwned = scannedBy(new Bench(0, 1, () => false), [[0, 4096]]);
  assert.deepEqual([notOwned.rows.length, notOwned.summary?.partitions], [0, 0]);
});

test('nothing is read or sent without credit; a frame may overdraw it; more is sent when more is granted', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  const collector = new Collector(session);
  bench.begin(session, { creditBytes: 1000 });
  bench.run();
  const { frames } = collector.result();
  assert.equal(frames.length, 1);
  assert.ok(frames[0]!.bytes >= 64 << 10, 'the smallest batch');
  const { reads } = bench.store;
  assert.equal(bench.run(), 0);
  bench.scans.grant(1, 1, frames[0]!.bytes - 1000);
  bench.run();
  assert.equal(collector.collect().frameCount, 1, 'the debt is paid, and no more');
  bench.scans.grant(1, 1, 1);
  bench.run();
  assert.equal(collector.collect().frameCount, 2);
  bench.scans.grant(1, 99, 1 << 30);
  bench.scans.grant(2, 1, 1 << 30);
  bench.run();
  assert.equal(collector.collect().frameCount, 2, 'credit is of one scan of one connection');
  assert.equal(bench.store.reads, reads);
  bench.scans.grant(1, 1, 1 << 30);
  bench.run();
  assert.deepEqual(idsOf(collector.result()), MANY_IDS);
});

test('a connection that takes nothing stops its scan until it drains', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  const collector = new Collector(session);
  bench.begin(session, { batchRows: 100 });
  while (collector.collect().frameCount === 0) bench.run(1);
  session.outputBytes = OUTPUT_HIGH_WATER_BYTES;
  bench.run();
  assert.equal(collector.collect().frameCount, 1);
  session.drain();
  bench.run();
  assert.deepEqual(idsOf(collector.result()), MANY_IDS);
});

test('scans of one thread take turns', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const sessions = [new RecordingSession(1), new RecordingSession(2), new RecordingSession(3)];
  for (const session of sessions) bench.begin(session, { batchRows: 50 });
  const collectors = sessions.map((session) => new Collector(session));
  for (let round = 0; round < 20; round++) {
    bench.run(30);
    const counts = collectors.map((collector) => collector.collect().frameCount);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`);
  }
  bench.run();
  for (const collector of collectors) assert.deepEqual(idsOf(collector.result()), MANY_IDS);
});

test('a cancelled scan ends with CANCELLED, and what crosses it is ignored', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  const collector = new Collector(session);
  bench.begin(session, { creditBytes: 1 });
  bench.run();
  bench.scans.cancel(1, 1);
  bench.scans.cancel(1, 1);
  bench.scans.grant(1, 1, 1 << 30);
  bench.run();
  const { frames, error } = collector.result();
  assert.deepEqual([frames.length, error], [1, 'CANCELLED']);
  assert.equal(session.requestsInFlight, 0);
  assert.equal(bench.store.snapshots, 0);
  bench.begin(session, { partitions: [[0, 1]] });
});

test('a scan whose connection is gone ends in silence', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  bench.begin(session, { creditBytes: 1 });
  bench.run(1);
  session.close();
  bench.run();
  assert.equal(session.taken().length, 0);
  assert.equal(bench.scans.status()['scans'], 0);
  assert.equal(session.requestsInFlight, 0);
});

test('scans are bounded for each connection and for the thread, and a correlation id serves one at a time', () => {
  const bench = new Bench();
  const overloaded = { code: 'OVERLOADED', retryable: true };
  const first = new RecordingSession(0);
  for (let id = 1; id <= SCANS_PER_CONNECTION_MAX; id++) bench.begin(first, {}, id);
  assert.throws(() => bench.begin(first, {}, 99), overloaded);
  assert.throws(() => bench.begin(first, {}, 1), { code: 'MALFORMED_REQUEST' });
  for (let id = SCANS_PER_CONNECTION_MAX; id < SCANS_PER_THREAD_MAX; id++)
    bench.begin(new RecordingSession(id));
  assert.throws(() => bench.begin(new RecordingSession(1000)), overloaded);
  assert.equal(bench.scans.status()['scans'], SCANS_PER_THREAD_MAX);
  bench.run();
  assert.equal(bench.scans.status()['scans'], 0);
  bench.begin(first);
});

test('a request that makes no sense is refused with its own code', () => {
  const bench = new Bench();
  const session = new RecordingSession(1);
  assert.throws(() => bench.begin(session, { group: 'nope' }), { code: 'GROUP_NOT_FOUND' });
  assert.throws(() => bench.begin(session, { columns: ['nope'] }), { code: 'FEATURE_NOT_FOUND' });
  assert.throws(() => bench.begin(session, { columns: ['id', 'id'] }), { code: 'MALFORMED_REQUEST' });
  assert.equal(bench.scans.status()['scans'], 0);
  assert.equal(session.requestsInFlight, 0);
});

test('an idle scan gives its memory back and goes on behind its last row, whatever happened meanwhile', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  const collector = new Collector(session);
  bench.begin(session, { creditBytes: 1, batchRows: 150 });
  bench.run();
  const seen = idsOf(collector.result());
  assert.ok(seen.length > 0 && seen.length < 400, 'within the first partition');
  const { asked } = bench;
  bench.pass(SCAN_IDLE_TIMEOUT_MS);
  // Later in the same partition a row goes and one comes; before the scan's position too.
  const gone = MANY_IDS[seen.length + 2]!;
  bench.store.flush([row(gone, { lsn: 2, eventTimeMicros: 2000, isDelete: true })]);
  bench.buffered = [row(8_000), row(seen[0]!, { lsn: 3, eventTimeMicros: 3000, n: -1 })];
  bench.scans.grant(1, 1, 1 << 30);
  bench.run();
  assert.ok(bench.asked > asked, 'the shard is asked again');
  const expected = MANY_IDS.filter((id) => id !== gone);
  expected.splice(expected.findLastIndex((id) => (id & 7) === 0) + 1, 0, 8_000);
  assert.deepEqual(idsOf(collector.result()), expected);
});

test('idling after every batch changes nothing', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  const collector = new Collector(session);
  bench.begin(session, { creditBytes: 1, batchRows: 130 });
  for (let frames = 0; collector.result().summary === undefined; frames++) {
    assert.ok(frames < 100);
    bench.run();
    const sent = collector.result().frames.reduce((sum, { bytes }) => sum + bytes, 0);
    bench.pass(SCAN_IDLE_TIMEOUT_MS);
    bench.scans.grant(1, 1, sent);
  }
  assert.deepEqual(idsOf(collector.result()), MANY_IDS);
});

test('an answer asked for ahead of a flush is not used', () => {
  const bench = new Bench();
  bench.store.flush(MANY.slice(0, 1600));
  bench.buffered = MANY.slice(1600);
  const session = new RecordingSession(1);
  const collector = new Collector(session);
  bench.begin(session, { partitions: [[0, 8]], batchRows: 100 });
  while (collector.collect().frameCount === 0) bench.run(1);
  bench.store.flush(MANY.slice(1600));
  bench.buffered = [];
  bench.run();
  assert.deepEqual(idsOf(collector.result()), MANY_IDS);
});

test('while a flush is being finished the shard is asked again, and in the end the scan gives up', () => {
  const bench = new Bench();
  bench.store.flush([row(1)]);
  bench.shardFlushNumber = 0;
  const session = new RecordingSession(1);
  const collector = new Collector(session);
  bench.begin(session);
  const wait = (times: number): void => {
    for (let retry = 0; retry < times; retry++) {
      bench.run();
      bench.pass(10);
    }
  };
  wait(50);
  assert.equal(collector.collect().frameCount, 0);
  bench.shardFlushNumber = undefined;
  wait(2);
  assert.deepEqual(idsOf(collector.result()), [1]);
  bench.shardFlushNumber = 0;
  bench.begin(session, {}, 2);
  wait(SCAN_RETRIES_MAX + 2);
  assert.equal(new Collector(session, 2).result().error, 'INTERNAL');
});

test('what goes wrong ends the scan it happens to, and no other', () => {
  const bench = new Bench();
  bench.store.flush([row(1), row(2)]);
  const sessions = [new RecordingSession(1), new RecordingSession(2)];
  bench.begin(sessions[0]!);
  bench.shardError = new ServerError('SHUTTING_DOWN', 'the shard is closing');
  bench.run();
  bench.shardError = undefined;
  assert.equal(new Collector(sessions[0]!).result().error, 'SHUTTING_DOWN');
  bench.begin(sessions[1]!);
  bench.run();
  assert.deepEqual(idsOf(new Collector(sessions[1]!).result()), [1, 2]);
  for (const [key, bytes] of bench.store.values) {
    if (bytes.length === 4072) bench.store.values.get(key)![100]! ^= 1;
  }
  bench.begin(sessions[0]!);
  bench.run();
  assert.equal(new Collector(sessions[0]!).result().error, 'BLOCK_CORRUPT');
  assert.deepEqual(
    bench.reported.map(({ fault }) => fault),
    ['checksum differs'],
  );
  assert.equal(bench.store.snapshots, 0);
  assert.equal(bench.scans.status()['scans'], 0);
});

test('a scan of a group that is dropped meanwhile ends', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const session = new RecordingSession(1);
  bench.begin(session, { creditBytes: 1 });
  bench.run();
  bench.groups.remove(1);
  bench.scans.grant(1, 1, 1 << 20);
  bench.run();
  assert.equal(new Collector(session).result().error, 'GROUP_NOT_FOUND');
});

test('shutting down ends all scans, retryably, and begins no other', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const sessions = [new RecordingSession(1), new RecordingSession(2)];
  for (const session of sessions) bench.begin(session, { creditBytes: 1 });
  bench.run();
  bench.scans.shutDown();
  for (const session of sessions) assert.equal(new Collector(session).result().error, 'SHUTTING_DOWN');
  assert.throws(() => bench.begin(sessions[0]!), { code: 'SHUTTING_DOWN', retryable: true });
  assert.equal(bench.scans.status()['scans'], 0);
});

test('a thread without scans forgets the directory, and no timer is left behind', () => {
  const bench = new Bench();
  bench.store.flush(MANY);
  const held = (): number => bench.scans.status()['directoryBytes'] as number;
  const empty = held();
  const session = new RecordingSession(1);
  for (let id = 1; id <= 3; id++) {
    bench.begin(session, { partitions: [[0, 1]] }, id);
    bench.run();
    assert.equal(bench.timers.size, 1);
  }
  bench.pass(SCAN_IDLE_TIMEOUT_MS);
  assert.equal(bench.timers.size, 0);
  assert.equal(held(), empty);
  assert.deepEqual([bench.scans.status()['scansBegun'], bench.scans.status()['scanRows']], [3, 1200]);
});
