/**
 * The store under the model test: one or several real shards in a temporary directory, spoken to by key.
 *
 * Reads are made both ways that users have: lookups through the index, and scans over the blocks beside what the shard
 * still has in its write buffer. Everything is compared by whoever calls.
 */
import { strict as assert } from 'node:assert';
import { openBlockStore } from '../../storage/block-store.ts';
import {
  KIND_DELETE,
  KIND_PUT,
  type PatchMerge,
  type ShardStoreOptions,
  SnapshotReader,
  UNCONDITIONAL,
  VersionMerge,
  type WriteRequest,
} from '../../storage/index.ts';
import { LATEST, type ReadView } from '../../storage/read-view.ts';
import { readRecordKeyBytes, recordKeyOffset, recordPayloadOffset } from '../../storage/record.ts';
import { keyBatchOf, TestShard } from '../support/shard.ts';
import type { ModelRow } from './row-model.ts';

export interface StoreVariant {
  readonly name: string;
  readonly shardCount: number;
  readonly options: Partial<ShardStoreOptions>;
}

export interface StoreWrite {
  readonly kind: 'put' | 'delete' | 'patch';
  readonly group: number;
  readonly keys: readonly string[];
  readonly eventMicros: readonly number[];
  /** Of patches: what is appended. Bytes are a row or a patch as it is. */
  readonly values: readonly (string | Uint8Array)[];
  /** Of patches; by default their text comes behind the row's. */
  readonly merge?: PatchMerge;
  readonly ttlSeconds: number;
  readonly isBackfill?: boolean;
  /** By row; null: no condition. */
  readonly ifVersions?: readonly number[] | null;
  /** Not null: the request has this idempotency key. */
  readonly sequence?: number | null;
}

export interface StoreAnswer {
  readonly result: number;
  readonly lsn: number;
}

const PARTITIONS = 4096;
const CLIENT_ID = 77;

export function partitionOfKey(key: string): number {
  return (keyBatchOf([key]).digests[0] as number) & (PARTITIONS - 1);
}

export class ModelStore {
  readonly #directory: string;
  readonly #variant: StoreVariant;
  #nowMicros: number;
  #shards: TestShard[] = [];

  constructor(directory: string, variant: StoreVariant, nowMicros: number) {
    this.#directory = directory;
    this.#variant = variant;
    this.#nowMicros = nowMicros;
  }

  async open(): Promise<this> {
    const { shardCount, options } = this.#variant;
    this.#shards = [];
    for (let shardIndex = 0; shardIndex < shardCount; shardIndex++) {
      const shard = new TestShard(this.#shardDirectory(shardIndex), { ...options, shardIndex, shardCount });
      shard.nowMicros = this.#nowMicros;
      this.#shards.push(await shard.open());
    }
    return this;
  }

  async close(): Promise<void> {
    for (const shard of this.#shards) {
      await shard.store.close();
      assert.deepEqual(shard.fatal, []);
    }
  }

  setClock(nowMicros: number): void {
    this.#nowMicros = nowMicros;
    for (const shard of this.#shards) shard.nowMicros = nowMicros;
  }

  async flush(): Promise<void> {
    for (const shard of this.#shards) await shard.store.flush();
  }

  /** Compacts all that is in blocks. */
  async compact(): Promise<void> {
    for (const shard of this.#shards) await shard.store.compact();
  }

  /** Writes the rows, one request a shard; answers results and LSNs in their order. */
  async write(write: StoreWrite): Promise<StoreAnswer[]> {
    const answers: StoreAnswer[] = [];
    for (const [index, shard] of this.#shards.entries()) {
      const mine = write.keys.flatMap((key, at) => (this.#shardOf(key) === index ? [at] : []));
      if (mine.length === 0) continue;
      const written = await writeRows(shard, write, mine);
      for (const [place, at] of mine.entries()) answers[at] = written[place] as StoreAnswer;
    }
    return answers;
  }

  get(group: number, keys: readonly string[]): (string | null)[] {
    return this.#lookUp(keys, (shard, mine) => shard.get(group, mine));
  }

  /** The rows' bytes, for groups whose rows are more than a text. */
  payloads(group: number, keys: readonly string[]): (Uint8Array | null)[] {
    return this.#lookUp(keys, (shard, mine) => shard.payloads(group, mine));
  }

  /** Of a store of one shard. */
  closeReadPoint(): Promise<number> {
    assert.equal(this.#shards.length, 1);
    return (this.#shards[0] as TestShard).store.closeReadPoint();
  }

  #lookUp<T>(
    keys: readonly string[],
    read: (shard: TestShard, mine: readonly string[]) => (T | null)[],
  ): (T | null)[] {
    const found = new Map<string, T | null>();
    for (const [index, shard] of this.#shards.entries()) {
      const mine = keys.filter((key) => this.#shardOf(key) === index);
      if (mine.length === 0) continue;
      for (const [at, value] of read(shard, mine).entries()) found.set(mine[at] as string, value);
    }
    return keys.map((key) => found.get(key) ?? null);
  }

  /** Every row that the view sees, in the order of the keys. */
  async scan(group: number, keys: readonly string[], view: ReadView = LATEST): Promise<ModelRow[]> {
    const rows: ModelRow[] = [];
    for (const [index, shard] of this.#shards.entries()) {
      const partitions = [...new Set(keys.map(partitionOfKey))]
        .filter((partition) => partition % this.#variant.shardCount === index)
        .sort((a, b) => a - b);
      if (partitions.length === 0) continue;
      const directory = `${this.#shardDirectory(index)}/blocks`;
      rows.push(...(await scanShard(shard, directory, this.#variant.shardCount, group, partitions, view)));
    }
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #shardOf(key: string): number {
    return partitionOfKey(key) % this.#variant.shardCount;
  }

  #shardDirectory(shardIndex: number): string {
    return `${this.#directory}/shard-${shardIndex}`;
  }
}

async function writeRows(
  shard: TestShard,
  write: StoreWrite,
  mine: readonly number[],
): Promise<StoreAnswer[]> {
  const isDelete = write.kind === 'delete';
  const payloads = mine.map((at) => {
    const value = write.values[at] as string | Uint8Array;
    return typeof value === 'string' ? payloadOf(value) : value;
  });
  const offsets = new Uint32Array(mine.length + 1);
  for (const [index, payload] of payloads.entries()) {
    offsets[index + 1] = (offsets[index] as number) + payload.length;
  }
  const results = new Uint8Array(mine.length);
  const lsns = new Float64Array(mine.length);
  const { ifVersions = null, sequence = null } = write;
  const request = {
    ...UNCONDITIONAL,
    group: write.group,
    kind: isDelete ? KIND_DELETE : KIND_PUT,
    count: mine.length,
    keys: keyBatchOf(mine.map((at) => write.keys[at] as string)),
    eventTimes: Float64Array.from(mine, (at) => write.eventMicros[at] as number),
    ttlSeconds: write.ttlSeconds,
    payload: isDelete ? new Uint8Array(0) : Buffer.concat(payloads),
    payloadOffsets: isDelete ? null : offsets,
    isBackfill: write.isBackfill ?? false,
    ifVersions: ifVersions === null ? null : Float64Array.from(mine, (at) => ifVersions[at] as number),
    merge: write.kind === 'patch' ? (write.merge ?? appendText) : null,
    clientIdLo: sequence === null ? 0 : CLIENT_ID,
    sequence: sequence ?? 0,
    results,
    lsns,
  };
  while (!(await isWritten(shard, request)));
  return mine.map((_, at) => ({ result: results[at] as number, lsn: lsns[at] as number }));
}

/** The simplest patch: the row's text with the patch's behind it. */
const appendText: PatchMerge = (base, baseFrom, baseTo, patch, patchFrom, patchTo) => {
  const before = base === null ? '' : textOf(base.bytes.subarray(baseFrom, baseTo));
  return payloadOf(before + textOf(patch.subarray(patchFrom, patchTo)));
};

function textOf(payload: Uint8Array): string {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  return bytes.toString('utf8', 4, 4 + bytes.readUInt32LE(0));
}

/** False when the write buffer had no room: nothing was written, and its flush goes on meanwhile. */
function isWritten(shard: TestShard, request: WriteRequest): Promise<boolean> {
  return new Promise((resolve, reject) => {
    try {
      shard.store.write(request, (error) => (error === null ? resolve(true) : reject(error)));
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'OVERLOADED') throw error;
      setTimeout(() => resolve(false), 1);
    }
  });
}

/** As test/support/shard.ts lays a row out: its length, its text, zeros. */
function payloadOf(value: string): Uint8Array {
  const payload = Buffer.alloc((4 + value.length + 7) & ~7);
  payload.writeUInt32LE(value.length, 0);
  payload.write(value, 4);
  return payload;
}

async function scanShard(
  shard: TestShard,
  directory: string,
  shardCount: number,
  group: number,
  partitions: readonly number[],
  view: ReadView,
): Promise<ModelRow[]> {
  const blocks = openBlockStore({ directory, readOnly: true });
  try {
    const reader = new SnapshotReader(blocks, shardCount);
    const merge = new VersionMerge();
    const all = Uint16Array.from(partitions);
    const rows: ModelRow[] = [];
    for (let at = 0; at < all.length; ) {
      const { flushNumber, bytes } = shard.store.bufferedVersions(group, all.subarray(at));
      const step = reader.open(flushNumber, group, all.subarray(at), bytes, merge, view);
      if (step === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      while (!step.advance());
      merge.finish(step.partitionCount, Math.floor(shard.nowMicros / 1e6));
      rows.push(...rowsOf(merge));
      at += step.partitionCount;
    }
    return rows;
  } finally {
    await blocks.close();
  }
}

function rowsOf(merge: VersionMerge): ModelRow[] {
  const { view, bytes } = merge.arena;
  return Array.from(merge.places.subarray(0, merge.count), (place) => {
    const record = place * 8;
    const keyAt = recordKeyOffset(record);
    const valueAt = recordPayloadOffset(view, record);
    const text = (from: number, length: number): string =>
      Buffer.from(bytes.subarray(from, from + length)).toString();
    return {
      key: text(keyAt, readRecordKeyBytes(view, record)),
      value: text(valueAt + 4, view.getUint32(valueAt, true)),
    };
  });
}
