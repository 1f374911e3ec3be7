/** Records built by hand, and a block store in memory: what tests of scans read from. */

import { arenaOf } from '../../storage/arena.ts';
import { LEVEL_ONE, LEVEL_ZERO } from '../../storage/block.ts';
import { BlockBuilder, type BuiltBlock } from '../../storage/block-builder.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  levelOneKeyHi,
} from '../../storage/block-key.ts';
import type {
  BlockSnapshot,
  BlockStore,
  BlockVisitor,
  BlockWrite,
  KeyVisitor,
} from '../../storage/block-store.ts';
import { encodeCheckpoint } from '../../storage/checkpoint.ts';
import { encodeDirectory } from '../../storage/level-zero-directory.ts';
import {
  align8,
  FLAG_HISTORY_ONLY,
  KIND_DELETE,
  KIND_PUT,
  recordBytesOf,
  writeRecordHeader,
} from '../../storage/record.ts';
import type { BlockSpace } from '../../storage/space-guard.ts';

export interface StoredRecord {
  readonly group?: number;
  readonly partition: number;
  readonly digestHi: number;
  /** The digest's low word above the partition's 12 bits. */
  readonly digestLoRest?: number;
  readonly key: string | Uint8Array;
  readonly eventTimeMicros: number;
  readonly lsn: number;
  readonly isDelete?: boolean;
  readonly isHistoryOnly?: boolean;
  /** The event time by default. */
  readonly commitTimeMicros?: number;
  readonly expirySeconds?: number;
  readonly payload?: Uint8Array;
}

export function keyBytesOf(record: StoredRecord): Uint8Array {
  return typeof record.key === 'string' ? Buffer.from(record.key) : record.key;
}

export function digestLoOf(record: StoredRecord): number {
  return (((record.digestLoRest ?? 0) << 12) | record.partition) >>> 0;
}

export function encodeRecords(records: readonly StoredRecord[]): Uint8Array {
  const sizes = records.map((record) =>
    recordBytesOf(keyBytesOf(record).length, record.isDelete ? 0 : (record.payload?.length ?? 8)),
  );
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [index, record] of records.entries()) {
    const key = keyBytesOf(record);
    writeRecordHeader(
      view,
      at,
      sizes[index]!,
      record.group ?? 1,
      record.isDelete ? KIND_DELETE : KIND_PUT,
      digestLoOf(record),
      record.digestHi,
      record.eventTimeMicros,
      record.lsn,
      record.commitTimeMicros ?? record.eventTimeMicros,
      record.expirySeconds ?? 0,
      key.length,
      record.isHistoryOnly ? FLAG_HISTORY_ONLY : 0,
    );
    bytes.set(key, at + 48);
    if (!record.isDelete && record.payload) bytes.set(record.payload, at + 48 + align8(key.length));
    at += sizes[index]!;
  }
  return bytes;
}

function order(a: StoredRecord, b: StoredRecord): number {
  return (
    (a.group ?? 1) - (b.group ?? 1) ||
    a.partition - b.partition ||
    a.digestHi - b.digestHi ||
    digestLoOf(a) - digestLoOf(b)
  );
}

function build(level: number, flushNumber: number, records: readonly StoredRecord[]): readonly BuiltBlock[] {
  const builder = new BlockBuilder(level);
  builder.reset(flushNumber);
  for (const record of [...records].sort(order)) builder.append(arenaOf(encodeRecords([record])), 0);
  return builder.finish().map((block) => ({ ...block, bytes: block.bytes.slice() }));
}

/** Keys and values in a sorted map; a snapshot is a copy. */
export class MemoryBlockStore implements BlockStore {
  readonly values: Map<number, Uint8Array> = new Map();
  reads = 0;
  snapshots = 0;
  /** What the next flush takes. */
  flushNumber = 0;
  nextSequence = 1;
  nextDirectory = 1;
  #levelOneCounter = 1;

  read(keyHi: number, keyLo: number): Uint8Array | undefined {
    this.reads += 1;
    return this.values.get(keyHi * 2 ** 32 + keyLo)?.slice();
  }

  scan(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: BlockVisitor): void {
    const from = fromHi * 2 ** 32 + fromLo;
    const to = toHi * 2 ** 32 + toLo;
    for (const key of [...this.values.keys()].sort((a, b) => a - b)) {
      if (key < from || key >= to) continue;
      this.reads += 1;
      if (visit(Math.floor(key / 2 ** 32), key % 2 ** 32, this.values.get(key)!.slice()) === false) return;
    }
  }

  keys(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: KeyVisitor): void {
    this.scan(fromHi, fromLo, toHi, toLo, (keyHi, keyLo) => visit(keyHi, keyLo));
  }

  readonly prefetches: { begun: number; begunBeside: number } = { begun: 0, begunBeside: 0 };

  prefetch(): Promise<void> {
    return Promise.resolve();
  }

  put(keyHi: number, keyLo: number, bytes: Uint8Array): void {
    this.values.set(keyHi * 2 ** 32 + keyLo, bytes);
  }

  /** Writes a flush; without `finish` it stops before its checkpoint. */
  flush(records: readonly StoredRecord[], finish = true): void {
    const flushNumber = this.flushNumber + 1;
    const blocks = build(LEVEL_ZERO, flushNumber, records);
    for (const [index, { bytes }] of blocks.entries()) {
      this.put(LEVEL_ZERO_KEY_HI, this.nextSequence + index, bytes);
    }
    const directory = encodeDirectory(flushNumber, flushNumber, this.nextSequence, blocks);
    this.put(LEVEL_ZERO_DIRECTORY_KEY_HI, this.nextDirectory, directory);
    if (!finish) return;
    this.nextSequence += blocks.length;
    this.nextDirectory += 1;
    this.flushNumber = flushNumber;
    const { nextSequence, nextDirectory } = this;
    const checkpoint = encodeCheckpoint({ flushNumber, journalPosition: 0, nextSequence, nextDirectory });
    this.put(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO, checkpoint);
  }

  levelOne(records: readonly StoredRecord[]): void {
    for (const { group, partitionMin, bytes } of build(LEVEL_ONE, this.flushNumber, records)) {
      this.put(levelOneKeyHi(group, partitionMin), this.#levelOneCounter++, bytes);
    }
  }

  openSnapshot(): BlockSnapshot {
    const copy = new MemoryBlockStore();
    for (const [key, value] of this.values) copy.values.set(key, value);
    this.snapshots += 1;
    return {
      read: (keyHi, keyLo) => {
        this.reads += 1;
        return copy.read(keyHi, keyLo);
      },
      scan: (fromHi, fromLo, toHi, toLo, visit) =>
        copy.scan(fromHi, fromLo, toHi, toLo, (keyHi, keyLo, bytes) => {
          this.reads += 1;
          return visit(keyHi, keyLo, bytes);
        }),
      keys: (fromHi, fromLo, toHi, toLo, visit) => copy.keys(fromHi, fromLo, toHi, toLo, visit),
      renew: () => undefined,
      close: () => {
        this.snapshots -= 1;
      },
    };
  }

  write(_batch: readonly BlockWrite[]): Promise<void> {
    return Promise.reject(new Error('scans do not write'));
  }

  sizeBytes(): number {
    return this.values.size * 4096;
  }

  space(): BlockSpace {
    return { fileBytes: this.sizeBytes(), reusableBytes: 0, mapBytes: 2 ** 40 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
