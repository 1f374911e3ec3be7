/**
 * Level 1 prototyped: 16 flushes of 200-byte rows merged into it, with 1, 10 and 100 groups.
 *
 * One shard of all partitions. Rows are written as level-0 runs, as flushes write them, and the index points at them;
 * then one merge (level-one-merge.ts) reads the runs, writes both levels and moves the index entries; then every partition's
 * key range in level 1 is read as a scan would. One thread, file in the page cache. It answers two questions: does the
 * format carry all of it, and what does a merge cost as groups grow in number.
 */
import { strict as assert } from 'node:assert';
import { statSync } from 'node:fs';
import { arenaOf } from '../storage/arena.ts';
import { LEVEL_ZERO, nextRecord, recordsEnd, recordsStart } from '../storage/block.ts';
import { BlockBuilder } from '../storage/block-builder.ts';
import { LEVEL_ZERO_KEY_HI, levelOneKeyHi } from '../storage/block-key.ts';
import { type BlockStore, openBlockStore } from '../storage/block-store.ts';
import { loadChecksum } from '../storage/checksum.ts';
import { WHERE_LEVEL_ZERO } from '../storage/index-entry.ts';
import { IndexTable } from '../storage/index-table.ts';
import { PARTITION_COUNT } from '../storage/limits.ts';
import { KIND_PUT, writeRecordHeader } from '../storage/record.ts';
import { applyRecord } from '../storage/row-index.ts';
import { type Benchmark, type BenchmarkContext, type BenchmarkResult, withDirectory } from './benchmark.ts';
import { mergeRuns, type Run } from './level-one-merge.ts';
import { formatCount } from './statistics.ts';

const RUNS = 16;
const ROWS = 2_000_000;
const ROWS_QUICK = 160_000;
const GROUP_COUNTS = [1, 10, 100];
const KEY_BYTES = 8;
const PAYLOAD_BYTES = 144;
/** Header, key and payload: 200 bytes. */
const RECORD_BYTES = 48 + KEY_BYTES + PAYLOAD_BYTES;
const STEP_BYTES = 1024 * 1024;
const NOW_MICROS = 1_700_000_000_000_000;

interface Measured {
  readonly groupCount: number;
  readonly mergeRowsPerSecond: number;
  readonly mergeRowsPerCpuSecond: number;
  readonly levelOneShare: number;
  readonly spaceRatio: number;
  readonly scanRowsPerSecond: number;
}

function xorshift(state: number): number {
  let next = state ^ (state << 13);
  next ^= next >>> 17;
  return (next ^ (next << 5)) >>> 0;
}

/** The rows of one run as columns, in writing order: by group, then partition. */
function runRows(
  seed: number,
  count: number,
  groupCount: number,
): { order: Float64Array; high: Uint32Array } {
  const order = new Float64Array(count);
  const high = new Uint32Array(count);
  let state = (seed | 1) >>> 0;
  for (let i = 0; i < count; i++) {
    state = xorshift(state);
    const partition = state & (PARTITION_COUNT - 1);
    const group = 1 + ((state >>> 12) % groupCount);
    state = xorshift(state);
    high[i] = state;
    order[i] = (group * PARTITION_COUNT + partition) * 2 ** 21 + i;
  }
  return { order: order.sort(), high };
}

/** Writes one flush's worth of rows as a level-0 run and points the index at them. */
async function writeRun(
  store: BlockStore,
  index: IndexTable,
  first: number,
  count: number,
  groupCount: number,
): Promise<Run> {
  const { order, high } = runRows(first * 2654435761, count, groupCount);
  const builder = new BlockBuilder(LEVEL_ZERO);
  const record = arenaOf(new Uint8Array(RECORD_BYTES));
  let sequence = first;
  builder.reset(1);
  const write = async (): Promise<void> => {
    const blocks = builder.finish();
    await store.write(
      blocks.map(({ bytes }, i) => ({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: sequence + i, bytes })),
    );
    sequence += blocks.length;
    builder.reset(1);
  };
  for (const packed of order) {
    const row = packed % 2 ** 21;
    const range = Math.floor(packed / 2 ** 21);
    const partition = range % PARTITION_COUNT;
    const group = Math.floor(range / PARTITION_COUNT);
    const digestLo = (((row << 12) | partition) ^ (first << 20)) >>> 0;
    const digestHi = high[row] as number;
    writeRecordHeader(
      record.view,
      0,
      RECORD_BYTES,
      group,
      KIND_PUT,
      digestLo,
      digestHi,
      NOW_MICROS,
      first,
      NOW_MICROS,
      0,
      KEY_BYTES,
    );
    record.view.setUint32(48, row, true);
    record.view.setUint32(52, first, true);
    const offset = builder.append(record, 0);
    applyRecord(index, partition, record, 0, WHERE_LEVEL_ZERO, sequence + builder.blockIndex, offset);
    if (builder.bytes >= STEP_BYTES) await write();
  }
  await write();
  return { first, end: sequence };
}

/** Reads every group's every partition in level 1, as a scan would: one key range each. Answers the rows. */
function scanLevelOne(store: BlockStore, groupCount: number): number {
  const arena = arenaOf(new Uint8Array(4096));
  let rows = 0;
  for (let group = 1; group <= groupCount; group++) {
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const keyHi = levelOneKeyHi(group, partition);
      store.scan(keyHi, 0, keyHi + 1, 0, (_keyHi, _keyLo, bytes) => {
        arena.bytes.set(bytes);
        const end = recordsEnd(arena, 0);
        for (let at = recordsStart(0); at < end; at = nextRecord(arena, at)) rows += 1;
        return undefined;
      });
    }
  }
  return rows;
}

async function measure(groupCount: number, rows: number): Promise<Measured> {
  return withDirectory(async (directory) => {
    const store = openBlockStore({ directory });
    const index = new IndexTable({ partitionCount: PARTITION_COUNT });
    const runs: Run[] = [];
    let next = 1;
    for (let run = 0; run < RUNS; run++) {
      const written = await writeRun(store, index, next, rows / RUNS, groupCount);
      runs.push(written);
      next = written.end;
    }
    const cpuBefore = process.cpuUsage();
    const startedMs = performance.now();
    const merged = await mergeRuns(store, index, runs);
    const mergeMs = performance.now() - startedMs;
    const cpu = process.cpuUsage(cpuBefore);
    const total = merged.levelOneRows + merged.levelZeroRows;
    assert(total === rows && merged.entriesMoved === index.rowCount);
    const removals = runs.flatMap(({ first, end }) =>
      Array.from({ length: end - first }, (_value, i) => ({ keyHi: LEVEL_ZERO_KEY_HI, keyLo: first + i })),
    );
    await store.write([], removals);
    const scanStartedMs = performance.now();
    const scanned = scanLevelOne(store, groupCount);
    const scanMs = performance.now() - scanStartedMs;
    assert(scanned === merged.levelOneRows);
    const fileBytes = statSync(`${directory}/data.mdb`).size;
    await store.close();
    return {
      groupCount,
      mergeRowsPerSecond: (rows / mergeMs) * 1000,
      mergeRowsPerCpuSecond: (rows / (cpu.user + cpu.system)) * 1e6,
      levelOneShare: merged.levelOneRows / total,
      spaceRatio: fileBytes / (rows * RECORD_BYTES),
      scanRowsPerSecond: scanned === 0 ? 0 : (scanned / scanMs) * 1000,
    };
  });
}

export const levelOne: Benchmark = async (context: BenchmarkContext): Promise<BenchmarkResult> => {
  await loadChecksum();
  const rows = context.isQuick ? ROWS_QUICK : ROWS;
  const measured: Measured[] = [];
  for (const groupCount of GROUP_COUNTS) {
    measured.push(await measure(groupCount, rows));
    context.say(`${groupCount} groups`);
  }
  return {
    name: 'level-one',
    title: 'Level 1: a prototype of the merge out of level 0',
    setup: [
      `${formatCount(rows)} rows of ${RECORD_BYTES} bytes in ${RUNS} level-0 runs, merged at once by one thread, index entries`,
      'moved with them, checksums and durable commits included; then every partition’s key range read and walked.',
    ],
    tables: [
      {
        title: 'merge and scan',
        columns: [
          'groups',
          'merged rows/s',
          'merged rows per CPU s',
          'rows in level 1',
          'file / rows',
          'scanned rows/s',
        ],
        rows: measured.map((result) => [
          String(result.groupCount),
          formatCount(result.mergeRowsPerSecond),
          formatCount(result.mergeRowsPerCpuSecond),
          `${(100 * result.levelOneShare).toFixed(0)} %`,
          `${result.spaceRatio.toFixed(2)}×`,
          result.scanRowsPerSecond === 0 ? '–' : formatCount(result.scanRowsPerSecond),
        ]),
      },
    ],
    goals: [],
  };
};
