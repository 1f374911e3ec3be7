/**
 * A shard's store over real files, with keys and payloads made of short texts: what storage tests talk to.
 *
 * The clock is the test's: it starts at a fixed instant and moves when told. Nothing here looks inside the store.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyBatch } from '../../protocol/index.ts';
import { nodeDisk, nodeRandom } from '../../server/node-environment.ts';
import {
  type DamagedBlock,
  type GroupPolicies,
  KIND_DELETE,
  KIND_PUT,
  LATENESS_SECONDS_DEFAULT,
  openShardStore,
  RECORD_MISSING,
  ReadBatch,
  recordPayloadOffset,
  type ShardStore,
  type ShardStoreOptions,
  type StorageError,
  UNCONDITIONAL,
} from '../../storage/index.ts';
import { readRecordBytes } from '../../storage/record.ts';

/** Every group keeps all of its history, and acknowledges what is durable. */
export const KEEP_ALL: GroupPolicies = {
  policyOf: () => ({
    retentionMicros: Number.POSITIVE_INFINITY,
    latenessMicros: 1e6 * LATENESS_SECONDS_DEFAULT,
    durability: 'journal',
  }),
};

export const TEST_NOW_MICROS: number = 1_700_000_000_000_000;
const SEED_LO = 0x1234_5678;
const SEED_HI = 0x9abc_def0;

export interface TestRow {
  readonly key: string;
  readonly value?: string;
  readonly eventTimeMicros?: number;
}

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'millrace-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function keyBatchOf(keys: readonly string[]): KeyBatch {
  const encoded = keys.map((key) => Buffer.from(key));
  const batch = new KeyBatch(keys.length);
  batch.ensure(keys.length);
  batch.count = keys.length;
  batch.bytes = Buffer.concat(encoded);
  let end = 0;
  for (const [index, key] of encoded.entries()) {
    batch.offsets[index] = end;
    end += key.length;
  }
  batch.offsets[keys.length] = end;
  batch.digest(SEED_LO, SEED_HI);
  return batch;
}

/** A payload that says its own length, zero-padded to 8. */
function payloadOf(value: string): Uint8Array {
  const text = Buffer.from(value);
  const payload = Buffer.alloc((4 + text.length + 7) & ~7);
  payload.writeUInt32LE(text.length, 0);
  text.copy(payload, 4);
  return payload;
}

export class TestShard {
  nowMicros: number = TEST_NOW_MICROS;
  readonly fatal: StorageError[] = [];
  readonly notices: string[] = [];
  readonly damage: DamagedBlock[] = [];
  store!: ShardStore;
  private readonly directory: string;
  private readonly overrides: Partial<ShardStoreOptions>;

  constructor(directory: string, overrides: Partial<ShardStoreOptions> = {}) {
    this.directory = directory;
    this.overrides = overrides;
  }

  async open(): Promise<this> {
    this.store = await openShardStore({
      directory: this.directory,
      shardIndex: 0,
      shardCount: 1,
      disk: nodeDisk,
      clock: { nowMicros: () => this.nowMicros },
      random: nodeRandom,
      schedule: (run) => void setImmediate(run),
      delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      writeBufferBytes: 64 * 1024 * 1024,
      cacheBytes: 32 * 1024 * 1024,
      policies: KEEP_ALL,
      onFatal: (error) => this.fatal.push(error),
      onNotice: (text) => this.notices.push(text),
      onDamage: (block) => this.damage.push(block),
      verifies: true,
      ...this.overrides,
    });
    return this;
  }

  async put(
    group: number,
    rows: readonly TestRow[],
    ttlSeconds = 0,
  ): Promise<{ results: Uint8Array; lsns: Float64Array }> {
    const payloads = rows.map((row) => payloadOf(row.value ?? ''));
    const offsets = new Uint32Array(rows.length + 1);
    for (const [index, payload] of payloads.entries()) {
      offsets[index + 1] = (offsets[index] as number) + payload.length;
    }
    return this.write(group, KIND_PUT, rows, Buffer.concat(payloads), offsets, ttlSeconds);
  }

  async delete(
    group: number,
    rows: readonly TestRow[],
  ): Promise<{ results: Uint8Array; lsns: Float64Array }> {
    return this.write(group, KIND_DELETE, rows, new Uint8Array(0), null, 0);
  }

  /** The live rows' values in the order of the keys; null where there is none. */
  get(group: number, keys: readonly string[]): (string | null)[] {
    const batch = new ReadBatch(keys.length);
    this.store.read(group, keyBatchOf(keys), Math.floor(this.nowMicros / 1e6), batch);
    return this.valuesAt(batch, keys.length);
  }

  /** The live rows as they are stored, copied. */
  payloads(group: number, keys: readonly string[]): (Uint8Array | null)[] {
    const batch = new ReadBatch(keys.length);
    this.store.read(group, keyBatchOf(keys), Math.floor(this.nowMicros / 1e6), batch);
    return keys.map((_key, index) => {
      const offset = batch.offset[index] as number;
      if (offset === RECORD_MISSING) return null;
      const { bytes, view } = this.store.arenas.get(batch.arena[index] as number);
      return Uint8Array.from(
        bytes.subarray(recordPayloadOffset(view, offset), offset + readRecordBytes(view, offset)),
      );
    });
  }

  /** The same without waiting for the device in a turn; also how often it had to wait for other threads. */
  async getCold(
    group: number,
    keys: readonly string[],
  ): Promise<{ values: (string | null)[]; waits: number }> {
    const batch = new ReadBatch(keys.length);
    const encoded = keyBatchOf(keys);
    const seconds = Math.floor(this.nowMicros / 1e6);
    for (let waits = 0; ; waits++) {
      const values = await new Promise<(string | null)[] | null>((resolve, reject) => {
        const done = (error: StorageError | null): void => (error === null ? resolve(null) : reject(error));
        const isFound = this.store.readCold(group, encoded, seconds, batch, done);
        // Places hold in this turn only.
        if (isFound) resolve(this.valuesAt(batch, keys.length));
      });
      if (values !== null) return { values, waits };
    }
  }

  private valuesAt(batch: ReadBatch, count: number): (string | null)[] {
    return Array.from({ length: count }, (_value, index) => {
      const offset = batch.offset[index] as number;
      if (offset === RECORD_MISSING) return null;
      const { bytes, view } = this.store.arenas.get(batch.arena[index] as number);
      const at = recordPayloadOffset(view, offset);
      return Buffer.from(bytes.subarray(at + 4, at + 4 + view.getUint32(at, true))).toString();
    });
  }

  private write(
    group: number,
    kind: number,
    rows: readonly TestRow[],
    payload: Uint8Array,
    payloadOffsets: Uint32Array | null,
    ttlSeconds: number,
  ): Promise<{ results: Uint8Array; lsns: Float64Array }> {
    const eventTimes = Float64Array.from(rows, (row) => row.eventTimeMicros ?? this.nowMicros);
    const results = new Uint8Array(rows.length);
    const lsns = new Float64Array(rows.length);
    const keys = keyBatchOf(rows.map((row) => row.key));
    const request = {
      group,
      kind,
      count: rows.length,
      keys,
      eventTimes,
      ...UNCONDITIONAL,
      ttlSeconds,
      payload,
      payloadOffsets,
      results,
      lsns,
    };
    return new Promise((resolve, reject) => {
      this.store.write(request, (error) => (error === null ? resolve({ results, lsns }) : reject(error)));
    });
  }
}
