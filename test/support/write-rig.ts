/**
 * A write path without files: its journal is the test's, which lets commits through, refuses them or fails them; rows stay in
 * the write buffer, and reads of them are as cold as the test wants.
 */
import { strict as assert } from 'node:assert';
import { ArenaTable } from '../../storage/arena.ts';
import { BlockCache } from '../../storage/block-cache.ts';
import { BufferChunks } from '../../storage/buffer-chunks.ts';
import { ColdBlocks } from '../../storage/cold-blocks.ts';
import type { GroupPolicies } from '../../storage/group-policy.ts';
import { IdempotencyWindows } from '../../storage/idempotency-windows.ts';
import { IndexTable } from '../../storage/index-table.ts';
import type { Journal } from '../../storage/journal.ts';
import { PartitionClock } from '../../storage/partition-clock.ts';
import { ReadPath } from '../../storage/read-path.ts';
import { KIND_PUT } from '../../storage/record.ts';
import type { StorageError } from '../../storage/storage-error.ts';
import { UnitTable } from '../../storage/unit-table.ts';
import { WriteBuffer } from '../../storage/write-buffer.ts';
import type { ReadBases } from '../../storage/write-deferral.ts';
import { WritePath } from '../../storage/write-path.ts';
import { UNCONDITIONAL, type WriteRequest } from '../../storage/write-request.ts';
import { KEEP_ALL, keyBatchOf } from './shard.ts';

export interface HeldCommit {
  readonly bytes: number;
  readonly records: number;
  /** The frame's body, as it is when the journal writes it. */
  readonly body: () => Buffer;
  readonly settle: (error: Error | null) => void;
}

/** Keeps each commit until the test settles it. */
export class HeldJournal implements Journal {
  nextPosition = 4096;
  bytesHeld = 0;
  spaceError: Error | null = null;
  retries = 0;
  readonly commits: HeldCommit[] = [];

  commit(
    parts: readonly Uint8Array[],
    bytes: number,
    records: number,
    done: (error: Error | null) => void,
  ): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    assert.equal(length, bytes);
    const settle = (error: Error | null): void => {
      if (error === null) this.nextPosition += 4096;
      done(error);
    };
    this.commits.push({ bytes, records, body: () => Buffer.concat(parts), settle });
  }

  async renew(): Promise<void> {}

  async discardSpares(): Promise<void> {}

  retrySpace(): void {
    this.retries += 1;
  }

  recycleBefore(): void {}
  async close(): Promise<void> {}
}

export interface WriteRig {
  readonly journal: HeldJournal;
  readonly path: WritePath;
  readonly buffer: WriteBuffer;
  readonly index: IndexTable;
  readonly chunks: BufferChunks;
  readonly arenas: ArenaTable;
  readonly reads: ReadPath;
  readonly windows: IdempotencyWindows;
  readonly fatal: StorageError[];
  /** What `delay` was asked for, to be resolved by the test. */
  readonly delayed: (() => void)[];
  nowMicros: number;
  mayInsert: boolean;
  endTurn(): void;
}

export interface WriteRigOptions {
  readonly policies?: GroupPolicies;
  /** Stands between the write path and the reads of bases; default: everything is in memory. */
  readonly readBases?: (read: ReadBases) => ReadBases;
}

export function writeRig(options: WriteRigOptions = {}): WriteRig {
  const journal = new HeldJournal();
  const scheduled: (() => void)[] = [];
  const buffer = new WriteBuffer(4096);
  const index = new IndexTable({ partitionCount: 4096 });
  const arenas = new ArenaTable();
  const chunks = new BufferChunks(arenas, 2 ** 25);
  const cache = new BlockCache({ budgetBytes: 4096, arenas, read: () => undefined });
  const blocks = new ColdBlocks({
    store: { read: () => undefined, prefetch: async () => {} },
    timerMicros: () => 0,
    schedule: (run) => scheduled.push(run),
    isWriting: () => false,
  });
  const reads = new ReadPath({ shardCount: 1, arenas, chunks, cache, blocks, index });
  const windows = new IdempotencyWindows(4096);
  const readBases: ReadBases = (group, keys, nowSeconds, batch) => {
    reads.read(group, keys, nowSeconds, batch);
    return true;
  };
  const rig: Omit<WriteRig, 'path'> = {
    journal,
    buffer,
    index,
    chunks,
    arenas,
    reads,
    windows,
    fatal: [],
    delayed: [],
    nowMicros: 1_000_000,
    mayInsert: true,
    endTurn: () => {
      for (const run of scheduled.splice(0)) run();
    },
  };
  const path = new WritePath({
    shardCount: 1,
    localPartitionCount: 4096,
    chunks,
    arenas,
    index,
    units: new UnitTable(4096, options.policies ?? KEEP_ALL),
    partitionClock: new PartitionClock(4096),
    windows,
    clock: { nowMicros: () => rig.nowMicros },
    journal,
    policies: options.policies ?? KEEP_ALL,
    mayInsert: () => rig.mayInsert,
    readBases: options.readBases?.(readBases) ?? readBases,
    delay: () => new Promise((resolve) => rig.delayed.push(resolve)),
    schedule: (run) => scheduled.push(run),
    activeBuffer: () => buffer,
    onApplied: () => {},
    onFatal: (error) => rig.fatal.push(error),
  });
  return Object.assign(rig, { path });
}

/** Puts of these keys at event time 5, with payloads of zeros, unless told otherwise. */
export function writeRequest(
  keys: readonly string[],
  fields: Partial<WriteRequest> & { readonly payloadBytes?: number } = {},
): WriteRequest {
  const { payloadBytes = 8, ...rest } = fields;
  return {
    group: 1,
    kind: KIND_PUT,
    count: keys.length,
    keys: keyBatchOf(keys),
    eventTimes: new Float64Array(keys.length).fill(5),
    ...UNCONDITIONAL,
    ttlSeconds: 0,
    payload: new Uint8Array(payloadBytes * keys.length),
    payloadOffsets: Uint32Array.from({ length: keys.length + 1 }, (_value, i) => i * payloadBytes),
    results: new Uint8Array(keys.length),
    lsns: new Float64Array(keys.length),
    ...rest,
  };
}
