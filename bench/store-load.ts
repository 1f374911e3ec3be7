/**
 * Rows written to one shard's store as fast as it takes them: what the measurements of compaction load it with.
 *
 * A row is 256 bytes on disk, as 50 float32 features make it. Keys are numbers, drawn at random with replacement; each batch
 * is of one feature group. Batches wait while the store asks for it (`pressure`), so level 0 stays within its bounds. The
 * longest turn is that of what the store schedules, flushes, group commits and compaction alike, without the time that the
 * thread was ready and waited for a processor (on Linux, from its schedstat).
 */
import { openSync, readSync } from 'node:fs';
import { KeyBatch } from '../protocol/index.ts';
import { nodeClock, nodeDisk, nodeRandom } from '../server/node-environment.ts';
import {
  type GroupPolicies,
  KIND_PUT,
  openShardStore,
  type ShardStore,
  UNCONDITIONAL,
} from '../storage/index.ts';

export const ROW_BYTES = 256;
const KEY_BYTES = 8;
const HEADER_BYTES = 48;
const PAYLOAD_BYTES: number = ROW_BYTES - HEADER_BYTES - KEY_BYTES;
const BATCH_ROWS = 500;
/** Batches on their way at once: enough that each group commit is full. */
const BATCHES_IN_FLIGHT = 8;

/** No history is kept: what is overwritten is dead at once. */
const POLICIES: GroupPolicies = {
  policyOf: () => ({ retentionMicros: 0, latenessMicros: 0, durability: 'journal' }),
};

export interface StoreLoadOptions {
  readonly directory: string;
  readonly writeBufferBytes: number;
  readonly groupCount: number;
  /** Distinct rows, over all groups. */
  readonly rowCount: number;
}

/** A mixing of all bits (the finaliser of MurmurHash3): stands in for the digest. */
function mix(value: number, seed: number): number {
  let x = Math.imul(value ^ seed, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

export class StoreLoad {
  store!: ShardStore;
  rowsWritten = 0;
  /** Of one turn's work, ms. */
  longestTurnMs = 0;
  private readonly options: StoreLoadOptions;
  private readonly payload: Uint8Array = new Uint8Array(BATCH_ROWS * PAYLOAD_BYTES).fill(7);
  private readonly payloadOffsets: Uint32Array = Uint32Array.from(
    { length: BATCH_ROWS + 1 },
    (_value, row) => row * PAYLOAD_BYTES,
  );
  private state = 1;
  private failure: Error | undefined;
  private readonly schedstat: number | undefined = openSchedstat();
  private readonly schedstatText: Buffer = Buffer.alloc(128);

  constructor(options: StoreLoadOptions) {
    this.options = options;
  }

  async open(): Promise<void> {
    const { directory, writeBufferBytes } = this.options;
    this.store = await openShardStore({
      directory,
      shardIndex: 0,
      shardCount: 1,
      disk: nodeDisk,
      clock: nodeClock,
      random: nodeRandom,
      schedule: (run) => this.schedule(run),
      delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      writeBufferBytes,
      cacheBytes: 64 * 2 ** 20,
      policies: POLICIES,
      onFatal: (error) => {
        this.failure = error;
      },
    });
  }

  /** Writes each row once, in order. */
  async fill(): Promise<void> {
    const { rowCount, groupCount } = this.options;
    const perGroup = Math.floor(rowCount / groupCount);
    let next = 0;
    let group = 1;
    await this.write(perGroup * groupCount, () => {
      const from = next;
      const rows = Math.min(BATCH_ROWS, perGroup - from);
      next = from + rows === perGroup ? 0 : from + rows;
      const batch = { group, rows, keyOf: (row: number) => from + row };
      if (next === 0) group += 1;
      return batch;
    });
  }

  /** Overwrites rows drawn at random, until so many are written or `isOver` says so. */
  async overwrite(rows: number, isOver: () => boolean = () => false): Promise<void> {
    const { rowCount, groupCount } = this.options;
    const perGroup = Math.floor(rowCount / groupCount);
    await this.write(
      rows,
      () => ({ group: 1 + this.draw(groupCount), rows: BATCH_ROWS, keyOf: () => this.draw(perGroup) }),
      isOver,
    );
  }

  private async write(
    rowsMax: number,
    next: () => { group: number; rows: number; keyOf: (row: number) => number },
    isOver: () => boolean = () => false,
  ): Promise<void> {
    let left = rowsMax;
    const writer = async (): Promise<void> => {
      while (left > 0 && !isOver()) {
        if (this.failure !== undefined) throw this.failure;
        if (this.store.pressure) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        const { group, rows, keyOf } = next();
        left -= rows;
        await this.writeBatch(group, rows, keyOf);
        this.rowsWritten += rows;
      }
    };
    await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, writer));
  }

  private writeBatch(group: number, rows: number, keyOf: (row: number) => number): Promise<void> {
    const keys = new KeyBatch(rows);
    keys.ensure(rows);
    keys.count = rows;
    const bytes = new Uint8Array(rows * KEY_BYTES);
    const view = new DataView(bytes.buffer);
    keys.bytes = bytes;
    for (let row = 0; row < rows; row++) {
      const key = keyOf(row);
      view.setUint32(row * KEY_BYTES, key, true);
      keys.offsets[row] = row * KEY_BYTES;
      keys.digests[2 * row] = mix(key, 0x1b873593);
      keys.digests[2 * row + 1] = mix(key, 0xcc9e2d51);
    }
    keys.offsets[rows] = rows * KEY_BYTES;
    const request = {
      ...UNCONDITIONAL,
      group,
      kind: KIND_PUT,
      count: rows,
      keys,
      eventTimes: new Float64Array(rows).fill(nodeClock.nowMicros()),
      ttlSeconds: 0,
      payload: this.payload,
      payloadOffsets: this.payloadOffsets,
      results: new Uint8Array(rows),
      lsns: new Float64Array(rows),
    };
    return new Promise((resolve, reject) => {
      this.store.write(request, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** Two immediates in a row: the second runs when the first, with all that it resolved, has ended. */
  private schedule(run: () => void): void {
    let started = 0;
    let waited = 0;
    setImmediate(() => {
      waited = this.runQueueMs();
      started = performance.now();
      run();
    });
    setImmediate(() => {
      const turnMs = performance.now() - started;
      if (turnMs <= this.longestTurnMs) return;
      this.longestTurnMs = Math.max(this.longestTurnMs, turnMs - (this.runQueueMs() - waited));
    });
  }

  /** How long this thread has waited for a processor so far: `CPU ns, run-queue ns, slices`. */
  private runQueueMs(): number {
    if (this.schedstat === undefined) return 0;
    const bytes = readSync(this.schedstat, this.schedstatText, 0, this.schedstatText.length, 0);
    return Number(this.schedstatText.toString('latin1', 0, bytes).split(' ')[1]) / 1e6;
  }

  private draw(limit: number): number {
    this.state = (Math.imul(this.state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(((this.state ^ (this.state >>> 15)) >>> 0) * (limit / 2 ** 32));
  }
}

function openSchedstat(): number | undefined {
  try {
    return openSync('/proc/thread-self/schedstat', 'r');
  } catch {
    return undefined;
  }
}
