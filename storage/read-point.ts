/**
 * The shard's last closed read point: a commit time that no later version has or undercuts, so that a read up to it sees
 * the same versions whenever it is repeated.
 *
 *   offset | size | field                       (key 0|5|1 of the block store)
 *   -------|------|--------------------------------
 *   0      | 4    | format version, 1
 *   4      | 4    | 0
 *   8      | 8    | the read point, i64 µs
 *   16     | 8    | XXH64 (seed 0) of bytes 0–15
 *
 * I1  When `close` answers T, every version with a commit time up to T is visible and in the journal, and every later one
 *     gets a commit time above T: after a restart too, with a clock that ran back, for T is on disk before it is answered.
 * I2  T is at least the clock's time, at least what the caller asks for, and never below an earlier T.
 *
 * Reads at read points that were never closed are refused: they could change.
 */

import { READ_POINT_KEY_HI } from './block-key.ts';
import type { BlockStore } from './block-store.ts';
import { checksum64 } from './checksum.ts';
import type { Clock } from './environment.ts';
import type { PartitionClock } from './partition-clock.ts';
import { isSafeInteger64, readSafeInteger, writeSafeInteger } from './record.ts';
import { StorageError } from './storage-error.ts';

const READ_POINT_KEY_LO = 1;
const FORMAT_VERSION = 1;
const READ_POINT_BYTES = 24;
const CHECKED_BYTES = 16;

export interface ReadPointOptions {
  readonly store: BlockStore;
  readonly clock: Clock;
  readonly partitionClock: PartitionClock;
  /** Resolves when everything numbered so far is durable and visible. */
  readonly settled: () => Promise<void>;
}

export class ReadPoint {
  private readonly options: ReadPointOptions;
  private closedMicros: number;
  private last: Promise<unknown> = Promise.resolve();

  /** Reads what was closed before, and keeps new commit times above it. To be made before the first write. */
  constructor(options: ReadPointOptions) {
    this.options = options;
    const bytes = options.store.read(READ_POINT_KEY_HI, READ_POINT_KEY_LO);
    this.closedMicros = bytes === undefined ? 0 : decodeReadPoint(bytes);
    if (bytes !== undefined) options.partitionClock.raise(this.closedMicros);
  }

  /** Closes everything up to now, and up to `atLeastMicros`. One at a time: each is a transaction of the block store. */
  close(atLeastMicros: number): Promise<number> {
    const closing = this.last.then(() => this.closeNext(atLeastMicros));
    this.last = closing.catch(() => undefined);
    return closing;
  }

  /** Resolves when none is being closed. */
  async idle(): Promise<void> {
    await this.last;
  }

  /** Throws READ_POINT_INVALID for a read point that was not closed here. */
  assertClosed(readPointMicros: number): void {
    if (readPointMicros <= this.closedMicros) return;
    throw new StorageError(
      'READ_POINT_INVALID',
      `read point ${readPointMicros} µs is above ${this.closedMicros} µs, the last one that this shard has closed`,
    );
  }

  private async closeNext(atLeastMicros: number): Promise<number> {
    const { clock, partitionClock, settled, store } = this.options;
    const micros = partitionClock.raise(Math.max(clock.nowMicros(), atLeastMicros, this.closedMicros));
    await settled();
    const bytes = encodeReadPoint(micros);
    await store.write([{ keyHi: READ_POINT_KEY_HI, keyLo: READ_POINT_KEY_LO, bytes }]);
    this.closedMicros = micros;
    return micros;
  }
}

export function encodeReadPoint(micros: number): Uint8Array {
  const bytes = new Uint8Array(READ_POINT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, FORMAT_VERSION, true);
  writeSafeInteger(view, 8, micros);
  const checksum = new Uint32Array(2);
  checksum64(bytes, 0, CHECKED_BYTES, checksum);
  view.setUint32(CHECKED_BYTES, checksum[0] as number, true);
  view.setUint32(CHECKED_BYTES + 4, checksum[1] as number, true);
  return bytes;
}

export function decodeReadPoint(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (version > FORMAT_VERSION) {
    throw new StorageError(
      'DATA_DIRECTORY_NEWER',
      `the read point has format ${version}; this version reads up to ${FORMAT_VERSION}`,
    );
  }
  const checksum = new Uint32Array(2);
  const isWhole = version === FORMAT_VERSION && bytes.length === READ_POINT_BYTES;
  if (isWhole) checksum64(bytes, 0, CHECKED_BYTES, checksum);
  const isIntact =
    isWhole &&
    view.getUint32(CHECKED_BYTES, true) === checksum[0] &&
    view.getUint32(CHECKED_BYTES + 4, true) === checksum[1] &&
    isSafeInteger64(view, 8);
  if (!isIntact) throw new StorageError('BLOCK_CORRUPT', 'the last closed read point is damaged');
  return readSafeInteger(view, 8);
}
