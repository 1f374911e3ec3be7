/**
 * What the index costs: DRAM a row at the worst row count from 1 M to 10 M, and the time of a lookup, an insert and the
 * longest growth.
 *
 * Digests are random, as hashes are, over all 4096 partitions in one index, so tables are as small as they get for
 * a row count. Bytes are what the index says it holds, at every 256th row; beside them stands what the process's resident memory
 * grew by. Times are of one thread; the inserted rows come in no order, so almost each one finds its table in no cache.
 */
import { PARTITION_COUNT } from '../protocol/index.ts';
import { IndexTable } from '../storage/index-table.ts';
import type { Benchmark, BenchmarkContext, BenchmarkResult } from './benchmark.ts';
import { residentBytes } from './cpu-time.ts';
import { formatCount, formatMs, medianOf } from './statistics.ts';

const SWEEP_ROWS = 10_000_000;
const SWEEP_ROWS_QUICK = 600_000;
/** Where a fixed page of 1 KiB and the 36 bytes of a table still count for much: 244 rows a partition. */
const SWEEP_FROM = 1_000_000;
const SWEEP_FROM_QUICK = 300_000;
const TIMED_ROWS = 3_000_000;
const TIMED_ROWS_QUICK = 200_000;
const ONE_PARTITION_ROWS = 2_000_000;
const ONE_PARTITION_ROWS_QUICK = 50_000;
const ROUNDS = 5;
const PAUSE_ROUNDS = 5;
/** Growth of the tables that matter takes longer than this. */
const PAUSE_MS_MIN = 0.05;
/** Rows that are touched together before they are applied, as the write path does it. */
const WINDOW = 64;
const BATCH_KEYS = 100;
const SAMPLE_ROWS = 256;

const ROW_BYTES_GOAL = 48;
const LOOKUP_NS_GOAL = 100;
const INSERT_NS_GOAL = 250;
const PAUSE_MS_GOAL = 5;

/** xorshift32: random enough for digests, and a few cycles each. */
class Digests {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }

  fill(into: Uint32Array): Uint32Array {
    for (let at = 0; at < into.length; at++) into[at] = this.next();
    return into;
  }
}

function insertRow(index: IndexTable, digestLo: number, digestHi: number, block: number): void {
  const partition = digestLo & (PARTITION_COUNT - 1);
  let handle = index.findForWrite(partition, digestHi | 0, digestLo | 0, 1, 0);
  if (handle < 0) handle = index.insert(partition, digestHi | 0, digestLo | 0, 1, 0);
  index.set(handle, 2, block, 48, 1_700_000_000_000_000, block + 1, false, 0);
}

interface Peak {
  bytes: number;
  rows: number;
}

/** The worst bytes a row between each row count and the next, doubling. */
function sweep(rows: number, from: number): { peaks: Peak[]; residentPerRow: number } {
  const digests = new Digests(12_345);
  const residentBefore = residentBytes(process.pid);
  const index = new IndexTable({ partitionCount: PARTITION_COUNT });
  const peaks: Peak[] = [];
  let peak: Peak = { bytes: 0, rows: 0 };
  let end = 2 * from;
  for (let row = 1; row <= rows; row++) {
    insertRow(index, digests.next(), digests.next(), row);
    if (row % SAMPLE_ROWS !== 0 || row < from) continue;
    if (index.bytes / row > peak.bytes) peak = { bytes: index.bytes / row, rows: row };
    if (row + SAMPLE_ROWS > Math.min(end, rows)) {
      peaks.push(peak);
      peak = { bytes: 0, rows: 0 };
      end *= 2;
    }
  }
  return { peaks, residentPerRow: (residentBytes(process.pid) - residentBefore) / index.rowCount };
}

interface Times {
  insertNs: number;
  insertTouchedNs: number;
  findNs: number;
  missNs: number;
  batchNs: number;
  batchMissNs: number;
}

function nsPerRow(rows: number, body: () => void): number {
  const started = performance.now();
  body();
  return ((performance.now() - started) / rows) * 1e6;
}

function fillIndex(digests: Uint32Array, isTouched: boolean): IndexTable {
  const index = new IndexTable({ partitionCount: PARTITION_COUNT });
  const rows = digests.length / 2;
  const homes = new Int32Array(WINDOW);
  for (let from = 0; from < rows; from += WINDOW) {
    const to = Math.min(from + WINDOW, rows);
    if (isTouched) touchRows(index, digests, from, to, homes);
    insertRows(index, digests, from, to);
  }
  return index;
}

function touchRows(
  index: IndexTable,
  digests: Uint32Array,
  from: number,
  to: number,
  homes: Int32Array,
): void {
  for (let row = from; row < to; row++) {
    homes[row - from] = index.home(digests[2 * row]! & (PARTITION_COUNT - 1), digests[2 * row + 1]! | 0, 1);
  }
  index.touch(homes, 0, to - from);
}

function insertRows(index: IndexTable, digests: Uint32Array, from: number, to: number): void {
  for (let row = from; row < to; row++) insertRow(index, digests[2 * row]!, digests[2 * row + 1]!, row);
}

function findRows(index: IndexTable, digests: Uint32Array, from: number, to: number): number {
  let sum = 0;
  for (let row = from; row < to; row++) {
    const digestLo = digests[2 * row]! | 0;
    sum += index.find(digestLo & (PARTITION_COUNT - 1), digests[2 * row + 1]! | 0, digestLo, 1);
  }
  return sum;
}

/** One by one; the answer keeps the lookups alive. */
function findAll(index: IndexTable, digests: Uint32Array): number {
  let sum = 0;
  for (let row = 0; row < digests.length / 2; row += BATCH_KEYS) {
    sum += findRows(index, digests, row, Math.min(row + BATCH_KEYS, digests.length / 2));
  }
  return sum;
}

function findBatches(index: IndexTable, batches: Uint32Array[]): void {
  const handles = new Int32Array(BATCH_KEYS);
  for (const batch of batches) index.findBatch(1, batch, batch.length / 2, 1, handles);
}

function batchesOf(digests: Uint32Array): Uint32Array[] {
  const batches: Uint32Array[] = [];
  for (let at = 0; at < digests.length; at += 2 * BATCH_KEYS)
    batches.push(digests.slice(at, at + 2 * BATCH_KEYS));
  return batches;
}

function measureTimes(rows: number, rounds: number): Times {
  const digests = new Digests(7).fill(new Uint32Array(2 * rows));
  const absent = new Digests(8).fill(new Uint32Array(2 * rows));
  const batches = batchesOf(digests);
  const absentBatches = batchesOf(absent);
  const samples: Times[] = [];
  for (let round = 0; round <= rounds; round++) {
    const insertNs = nsPerRow(rows, () => fillIndex(digests, false));
    let index = new IndexTable({ partitionCount: 1 });
    const insertTouchedNs = nsPerRow(rows, () => {
      index = fillIndex(digests, true);
    });
    samples.push({
      insertNs,
      insertTouchedNs,
      findNs: nsPerRow(rows, () => findAll(index, digests)),
      missNs: nsPerRow(rows, () => findAll(index, absent)),
      batchNs: nsPerRow(rows, () => findBatches(index, batches)),
      batchMissNs: nsPerRow(rows, () => findBatches(index, absentBatches)),
    });
  }
  // The first round compiles.
  const median = (of: (times: Times) => number): number => medianOf(samples.slice(1).map(of));
  return {
    insertNs: median((times) => times.insertNs),
    insertTouchedNs: median((times) => times.insertTouchedNs),
    findNs: median((times) => times.findNs),
    missNs: median((times) => times.missNs),
    batchNs: median((times) => times.batchNs),
    batchMissNs: median((times) => times.batchMissNs),
  };
}

/**
 * Inserts into one partition: the longest single insert is the longest growth. Each insert counts with its shortest time of
 * all rounds, which do the same: what the scheduler or the collector did in one of them does not.
 */
function longestPauseMs(rows: number): number {
  let slow = new Map<number, number>();
  for (let round = 0; round < PAUSE_ROUNDS; round++) {
    const digests = new Digests(99);
    const index = new IndexTable({ partitionCount: 1 });
    const again = new Map<number, number>();
    for (let row = 0; row < rows; row++) {
      const digestHi = digests.next();
      const digestLo = digests.next();
      const started = performance.now();
      index.set(index.insert(0, digestHi, digestLo, 1, row), 1, row, 0, 0, 1, false, 0);
      const ms = performance.now() - started;
      if (round === 0 ? ms > PAUSE_MS_MIN : slow.has(row)) again.set(row, Math.min(ms, slow.get(row) ?? ms));
    }
    slow = again;
  }
  return Math.max(...slow.values(), PAUSE_MS_MIN);
}

export const indexMemory: Benchmark = async ({
  isQuick,
  say,
}: BenchmarkContext): Promise<BenchmarkResult> => {
  say('bytes a row');
  const { peaks, residentPerRow } = sweep(
    isQuick ? SWEEP_ROWS_QUICK : SWEEP_ROWS,
    isQuick ? SWEEP_FROM_QUICK : SWEEP_FROM,
  );
  const worst = peaks.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  say('lookups and inserts');
  const rows = isQuick ? TIMED_ROWS_QUICK : TIMED_ROWS;
  const times = measureTimes(rows, isQuick ? 1 : ROUNDS);
  say('growth of one partition');
  const onePartitionRows = isQuick ? ONE_PARTITION_ROWS_QUICK : ONE_PARTITION_ROWS;
  const pauseMs = longestPauseMs(onePartitionRows);
  const ns = (value: number): string => `${value.toFixed(0)} ns`;
  return {
    name: 'index-memory',
    title: 'The index: bytes a row, lookups, inserts',
    setup: [
      `One index of 4096 partitions, random digests, up to ${formatCount(SWEEP_ROWS)} rows; bytes at every ${SAMPLE_ROWS}th row.`,
      `Times at ${formatCount(rows)} rows in random order, single thread, median of ${ROUNDS} rounds; batches of ${BATCH_KEYS} keys.`,
    ],
    tables: [
      {
        title: 'Bytes a row, the worst in each range of row counts',
        columns: ['rows', 'worst', 'at rows', 'a partition'],
        rows: peaks.map(({ bytes, rows: at }, range) => [
          `from ${formatCount((isQuick ? SWEEP_FROM_QUICK : SWEEP_FROM) * 2 ** range)}`,
          bytes.toFixed(2),
          formatCount(at),
          (at / PARTITION_COUNT).toFixed(0),
        ]),
      },
      {
        title: 'Time a row',
        columns: ['', 'found', 'not there', 'inserted'],
        rows: [
          ['one by one', ns(times.findNs), ns(times.missNs), ns(times.insertNs)],
          ['touched together', ns(times.batchNs), ns(times.batchMissNs), ns(times.insertTouchedNs)],
        ],
      },
      {
        title: 'Beside it',
        columns: ['', ''],
        rows: [
          ['resident memory grew by, a row, at the last row count', `${residentPerRow.toFixed(1)} bytes`],
          [`longest insert, ${formatCount(onePartitionRows)} rows in one partition`, formatMs(pauseMs)],
        ],
      },
    ],
    goals: [
      {
        what: 'DRAM a row, worst row count',
        measured: worst.bytes,
        goal: ROW_BYTES_GOAL,
        unit: 'bytes',
        lowerIsBetter: true,
      },
      {
        what: 'lookup in a batch',
        measured: times.batchNs,
        goal: LOOKUP_NS_GOAL,
        unit: 'ns',
        lowerIsBetter: true,
      },
      {
        what: 'insert, growth included',
        measured: times.insertTouchedNs,
        goal: INSERT_NS_GOAL,
        unit: 'ns',
        lowerIsBetter: true,
      },
      { what: 'longest growth', measured: pauseMs, goal: PAUSE_MS_GOAL, unit: 'ms', lowerIsBetter: true },
    ],
  };
};
