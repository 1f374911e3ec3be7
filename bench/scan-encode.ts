/**
 * How fast one thread turns stored rows into Arrow: blocks gathered, versions merged, batches encoded, no sockets.
 *
 * One shard of two holds 1.5 M flights (int64 key, event time, two int32, two strings of three letters), one version a
 * row, all in level 0: 732 rows a partition. Each phase is timed apart, on the wall, in one otherwise idle thread with
 * the file in the page cache; so rows/s here are rows/s a core.
 */

import {
  ByteWriter,
  compileLayout,
  encodeRowColumns,
  type GroupSchema,
  KeyBatch,
  PARTITION_COUNT,
  schemaFromSpec,
} from '../protocol/index.ts';
import { chooseColumns } from '../server/arrow-schema.ts';
import { ArrowWriter } from '../server/arrow-writer.ts';
import { nodeDisk, nodeRandom } from '../server/node-environment.ts';
import {
  KIND_PUT,
  openBlockStore,
  openShardStore,
  type ShardStore,
  SnapshotReader,
  UNCONDITIONAL,
  VersionMerge,
} from '../storage/index.ts';
import { type Benchmark, type BenchmarkContext, type BenchmarkResult, withDirectory } from './benchmark.ts';
import { formatCount } from './statistics.ts';

const ROWS = 1_500_000;
const ROWS_QUICK = 60_000;
const WRITE_ROWS = 16_384;
const SHARD_COUNT = 2;
const ROUNDS = 5;
const ROUNDS_QUICK = 1;
const BATCH_ROWS = 65_536;
const BATCH_BYTES = 4 << 20;
const MESSAGE_BYTES_MAX = 16 << 20;
const SEED = 7;
const NOW_MICROS = 1_700_000_000_000_000;
const GOAL_ROWS_PER_SECOND = 2_000_000;
const AIRPORTS = ['ATL', 'ORD', 'DFW', 'DEN', 'LAX', 'SFO', 'PHX', 'IAH', 'LAS', 'SEA'];

const SCHEMA: GroupSchema = schemaFromSpec(
  {
    name: 'flight',
    key: [{ name: 'flight_id', type: 'int64' }],
    features: [
      { name: 'delay', type: 'int32' },
      { name: 'distance', type: 'int32' },
      { name: 'origin', type: 'string' },
      { name: 'destination', type: 'string' },
    ],
  },
  1,
  0,
);

interface Pass {
  rows: number;
  arrowBytes: number;
  gatherMs: number;
  encodeMs: number;
}

/** Writes the rows whose partitions are shard 0's. Answers how many those are. */
async function load(store: ShardStore, rows: number): Promise<number> {
  let kept = 0;
  let key = 0;
  while (kept < rows) {
    const ids = ownKeys(key, key + WRITE_ROWS);
    key += WRITE_ROWS;
    kept += ids.length;
    await write(store, ids);
  }
  await store.flush();
  return kept;
}

function keyBatch(ids: readonly number[]): KeyBatch {
  const batch = new KeyBatch(ids.length);
  batch.ensure(ids.length);
  batch.count = ids.length;
  batch.bytes = new Uint8Array(ids.length * 8);
  const view = new DataView(batch.bytes.buffer);
  for (const [index, id] of ids.entries()) {
    view.setUint32(index * 8, id, true);
    batch.offsets[index] = index * 8;
  }
  batch.offsets[ids.length] = ids.length * 8;
  batch.digest(SEED, 0);
  return batch;
}

function ownKeys(from: number, to: number): number[] {
  const ids = Array.from({ length: to - from }, (_, index) => from + index);
  const { digests } = keyBatch(ids);
  return ids.filter((_, index) => (digests[2 * index]! & (PARTITION_COUNT - 1)) % SHARD_COUNT === 0);
}

function write(store: ShardStore, ids: readonly number[]): Promise<void> {
  const count = ids.length;
  const payload = new ByteWriter(count * 80);
  const payloadOffsets = new Uint32Array(count + 1);
  const columns = {
    delay: Int32Array.from(ids, (id) => (id % 200) - 20),
    distance: Int32Array.from(ids, (id) => id % 3000),
    origin: ids.map((id) => AIRPORTS[id % 10]!),
    destination: ids.map((id) => AIRPORTS[(id * 7 + 3) % 10]!),
  };
  encodeRowColumns(compileLayout(SCHEMA), columns, 0, count, payload, payloadOffsets);
  const request = {
    group: SCHEMA.id,
    kind: KIND_PUT,
    count,
    keys: keyBatch(ids),
    eventTimes: Float64Array.from(ids, (id) => NOW_MICROS + id),
    ttlSeconds: 0,
    ...UNCONDITIONAL,
    payload: payload.finish(),
    payloadOffsets,
    results: new Uint8Array(count),
    lsns: new Float64Array(count),
  };
  return new Promise((resolve, reject) => {
    store.write(request, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** One scan of all partitions, as a scan thread does it, into one buffer. */
function pass(store: ShardStore, reader: SnapshotReader, into: Uint8Array): Pass {
  const partitions = Uint16Array.from(
    { length: PARTITION_COUNT / SHARD_COUNT },
    (_, index) => index * SHARD_COUNT,
  );
  const layout = compileLayout(SCHEMA);
  const writer = new ArrowWriter(
    SCHEMA,
    { of: () => layout },
    chooseColumns(SCHEMA, undefined),
    MESSAGE_BYTES_MAX,
  );
  const merge = new VersionMerge();
  const result: Pass = { rows: 0, arrowBytes: 0, gatherMs: 0, encodeMs: 0 };
  const send = (): void => {
    result.rows += writer.rowCount;
    result.arrowBytes += writer.seal();
    writer.write(into, 0);
  };
  for (let at = 0; at < partitions.length; ) {
    const start = performance.now();
    const asked = partitions.subarray(at, at + reader.plan(SCHEMA.id, partitions, at));
    const { flushNumber, bytes } = store.bufferedVersions(SCHEMA.id, asked);
    const step = reader.open(flushNumber, SCHEMA.id, asked, bytes, merge)!;
    while (!step.advance());
    merge.finish(step.partitionCount, NOW_MICROS / 1e6);
    at += step.partitionCount;
    const gathered = performance.now();
    for (let row = 0; row < merge.count; ) {
      row += writer.append(merge, row, Math.min(merge.count, row + BATCH_ROWS - writer.rowCount));
      if (writer.rowCount === BATCH_ROWS || writer.bodyBytes >= BATCH_BYTES) send();
    }
    result.gatherMs += gathered - start;
    result.encodeMs += performance.now() - gathered;
  }
  if (writer.rowCount > 0) send();
  return result;
}

async function measure(context: BenchmarkContext, directory: string): Promise<Pass[]> {
  const store = await openShardStore({
    directory,
    shardIndex: 0,
    shardCount: SHARD_COUNT,
    disk: nodeDisk,
    clock: { nowMicros: () => NOW_MICROS },
    random: nodeRandom,
    schedule: (run) => void setImmediate(run),
    delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    policies: {
      policyOf: () => ({
        retentionMicros: Number.POSITIVE_INFINITY,
        latenessMicros: Number.POSITIVE_INFINITY,
        durability: 'journal',
      }),
    },
    writeBufferBytes: 64 << 20,
    cacheBytes: 16 << 20,
    onFatal: (error) => {
      throw error;
    },
  });
  const rows = await load(store, context.isQuick ? ROWS_QUICK : ROWS);
  context.say(`${formatCount(rows)} rows loaded`);
  const blocks = openBlockStore({ directory: `${directory}/blocks` });
  const reader = new SnapshotReader(blocks, SHARD_COUNT);
  const into = new Uint8Array(MESSAGE_BYTES_MAX);
  const passes: Pass[] = [];
  for (let round = 0; round < (context.isQuick ? ROUNDS_QUICK : ROUNDS); round++) {
    passes.push(pass(store, reader, into));
    const { rows: seen, gatherMs, encodeMs } = passes.at(-1)!;
    if (seen !== rows) throw new Error(`${seen} rows were scanned, ${rows} were written`);
    context.say(`gathered in ${gatherMs.toFixed(0)} ms, encoded in ${encodeMs.toFixed(0)} ms`);
  }
  await blocks.close();
  await store.close();
  return passes;
}

export const scanEncode: Benchmark = async (context): Promise<BenchmarkResult> => {
  const passes = await withDirectory((directory) => measure(context, directory));
  const best = passes.reduce((a, b) => (a.gatherMs + a.encodeMs <= b.gatherMs + b.encodeMs ? a : b));
  const seconds = (best.gatherMs + best.encodeMs) / 1000;
  const phase = (name: string, ms: number): string[] => [
    name,
    `${ms.toFixed(0)} ms`,
    `${((ms * 1e6) / best.rows).toFixed(0)} ns`,
  ];
  return {
    name: 'scan-encode',
    title: 'Stored rows to Arrow, one thread',
    setup: [
      `${formatCount(best.rows)} flights of one shard in level 0, 732 a partition, read from the page cache;`,
      `the best of ${passes.length} passes; ${formatCount(best.arrowBytes)} bytes of Arrow.`,
    ],
    tables: [
      {
        title: 'Where the time goes',
        columns: ['phase', 'time', 'a row'],
        rows: [
          phase('read, check and merge blocks', best.gatherMs),
          phase('encode Arrow', best.encodeMs),
          phase('both', best.gatherMs + best.encodeMs),
        ],
      },
    ],
    goals: [
      { what: 'rows a core', measured: best.rows / seconds, goal: GOAL_ROWS_PER_SECOND, unit: 'rows/s' },
    ],
  };
};
