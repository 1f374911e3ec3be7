/**
 * Scans as callers see them: Arrow record batches, or the bytes of one Arrow IPC stream.
 *
 *   for await (const batch of db.scan('airport')) …          // apache-arrow RecordBatch
 *   for await (const part of db.scanBytes('airport')) file.write(part.bytes)
 *
 * Batches of different shards alternate as they arrive; within a shard rows come in (partition, digest, key) order.
 * Consuming slowly slows the shards; leaving the loop ends the scan. apache-arrow is loaded by the first `scan`, so a
 * program that never scans does not pay for it.
 *
 * An Arrow message: 0xffffffff | i32 metadata bytes | metadata, padded to 8 | body. A schema message has no body.
 */
import type { RecordBatch, RecordBatchReader, Schema } from 'apache-arrow';
import {
  describeValue,
  PARTITION_COUNT,
  SCAN_BATCH_ROWS_DEFAULT,
  type ScanRequest,
  timestampMicros,
} from '../protocol/index.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import { SCAN_CREDIT_BYTES_DEFAULT } from './limits.ts';
import type { TimeInput } from './row-types.ts';
import type { ScanFeed } from './scan-feed.ts';
import type { ScanData } from './scan-stream.ts';

export interface ScanOptions {
  /** Key columns, the event time and features to give, in this order. Default: all. */
  readonly columns?: readonly string[];
  /** [from, toExclusive) ranges of partitions 0 to 4096, rising and apart. Default: all. */
  readonly partitions?: readonly (readonly [number, number])[];
  /** Rows of a batch at most, up to 65,536, the default. */
  readonly batchRows?: number;
  /** Bytes that each shard may send ahead of the consumer. Default 8 MiB; half of it is a batch's size. */
  readonly creditBytes?: number;
  /**
   * Rows as of this moment: of each entity the newest version whose event time is not later, deleted and expired as of
   * then. Late and backfilled events count, as far as they were committed up to the read point.
   */
  readonly asOf?: TimeInput;
  /**
   * A commit time from `readPoint()`: nothing committed after it is seen, so the same (asOf, readPoint) gives the same rows
   * while the group's retention lasts. Default with `asOf`: one that is closed now; `Scan.readPoint` tells which. Alone: as
   * of the read point.
   */
  readonly readPoint?: TimeInput;
  /** Of those rows, the ones whose version was committed after this moment: what is new since an earlier read point. */
  readonly since?: TimeInput;
  /** Ends the scan: the iteration then fails with CANCELLED. */
  readonly signal?: AbortSignal;
}

/** Whole Arrow IPC messages of a scan. */
export interface ScanPart {
  /** Rows in it: 0 for the schema, which comes first, and for the end of the stream, which comes last. */
  readonly rows: number;
  /** Partition of the last row; -1 when there are none. */
  readonly partition: number;
  /** Concatenated, the parts' bytes are one Arrow IPC stream. */
  readonly bytes: Uint8Array;
}

const CONTINUATION = 0xffff_ffff;
const END_OF_STREAM: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
const CREDIT_BYTES_MAX = 0xffff_ffff;

/** The request that every shard gets. Throws USAGE. */
export function toScanRequest(group: string, options: ScanOptions): ScanRequest {
  const { columns, partitions, batchRows, creditBytes } = options;
  return {
    ...times(options),
    group,
    partitions: partitions === undefined ? null : partitions.map(checkedRange),
    columns: columns === undefined ? null : [...columns],
    batchRows: checkedCount('batchRows', batchRows ?? SCAN_BATCH_ROWS_DEFAULT, SCAN_BATCH_ROWS_DEFAULT),
    creditBytes: checkedCount('creditBytes', creditBytes ?? SCAN_CREDIT_BYTES_DEFAULT, CREDIT_BYTES_MAX),
  };
}

function times(options: ScanOptions): Pick<ScanRequest, 'asOf' | 'readPoint' | 'since'> {
  const given: Pick<ScanRequest, 'asOf' | 'readPoint' | 'since'> = {};
  for (const name of ['asOf', 'readPoint', 'since'] as const) {
    const value = options[name];
    if (value === undefined) continue;
    const micros = timestampMicros(value);
    if (Number.isNaN(micros)) {
      throw new MillraceError(
        'USAGE',
        `${name} is ${describeValue(value)}; allowed: a Date, or microseconds since 1970`,
      );
    }
    given[name] = micros;
  }
  return given;
}

function checkedRange(
  range: readonly [number, number],
  index: number,
  all: readonly (readonly [number, number])[],
): [number, number] {
  const [from, to] = range;
  const before = index === 0 ? 0 : all[index - 1]![1];
  const isRange = Number.isInteger(from) && Number.isInteger(to) && from >= before && to > from;
  if (isRange && to <= PARTITION_COUNT) return [from, to];
  throw new MillraceError(
    'USAGE',
    `partitions has [${from}, ${to}]; allowed: [from, toExclusive] within 0 to ${PARTITION_COUNT}, each after the one before`,
  );
}

function checkedCount(name: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new MillraceError('USAGE', `${name} is ${String(value)}; allowed: an integer from 1 to ${max}`);
}

/** A scan as record batches. Iterate it once. */
export class Scan implements AsyncIterableIterator<RecordBatch> {
  /** Rows given so far. */
  rows = 0;
  /** Arrow bytes received so far. */
  bytes = 0;
  private readonly feed: ScanFeed;
  private schemaBytes: Uint8Array | null = null;
  private knownSchema: Schema | null = null;
  private batches: RecordBatch[] = [];

  constructor(feed: ScanFeed) {
    this.feed = feed;
  }

  /** The read point that the scan reads up to, once it has begun; null for the latest rows. */
  get readPoint(): number | null {
    return this.feed.readPoint;
  }

  /** The batches' schema; starts the scan. Null when no shard was asked. */
  async schema(): Promise<Schema | null> {
    while (this.knownSchema === null && (await this.fill()));
    return this.knownSchema;
  }

  async next(): Promise<IteratorResult<RecordBatch, undefined>> {
    while (this.batches.length === 0) {
      if (!(await this.fill())) return { done: true, value: undefined };
    }
    const batch = this.batches.shift()!;
    this.rows += batch.numRows;
    return { done: false, value: batch };
  }

  return(): Promise<IteratorResult<RecordBatch, undefined>> {
    this.feed.stop();
    this.batches = [];
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Takes one piece of the feed in; false at its end. */
  private async fill(): Promise<boolean> {
    const arrow = await import('apache-arrow');
    const data = await this.feed.next();
    if (data === null) return false;
    try {
      this.decode(data, arrow.RecordBatchReader);
    } catch (error) {
      this.feed.stop();
      throw toMillraceError(error);
    }
    return true;
  }

  private decode(data: ScanData, Reader: typeof RecordBatchReader): void {
    this.bytes += data.bytes.length;
    const { schema, batches } = splitData(data);
    this.schemaBytes ??= schema;
    if (this.schemaBytes === null)
      throw new MillraceError('MALFORMED_REQUEST', 'a scan began without a schema');
    // A reader for each piece: it holds whole messages, so decoding needs no wait and no state between pieces.
    const reader = Reader.from([this.schemaBytes, batches]).open();
    this.knownSchema ??= reader.schema;
    if (data.rows > 0) this.batches.push(...reader);
  }
}

/** A scan as the parts of one Arrow IPC stream. */
export async function* scanParts(feed: ScanFeed): AsyncGenerator<ScanPart, void, undefined> {
  let hasSchema = false;
  try {
    for (let data = await feed.next(); data !== null; data = await feed.next()) {
      const { schema, batches } = splitData(data);
      if (schema !== null && !hasSchema) {
        hasSchema = true;
        yield { rows: 0, partition: -1, bytes: schema };
      }
      if (data.rows > 0) yield { rows: data.rows, partition: data.partition, bytes: batches };
    }
    if (hasSchema) yield { rows: 0, partition: -1, bytes: END_OF_STREAM };
  } finally {
    feed.stop();
  }
}

/** A piece's schema message, which only a shard's first one has, and its batches. */
function splitData(data: ScanData): { schema: Uint8Array | null; batches: Uint8Array } {
  const { bytes, isFirst } = data;
  if (!isFirst) return { schema: null, batches: bytes };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const schemaEnd = bytes.length < 8 ? -1 : 8 + view.getInt32(4, true);
  if (schemaEnd < 8 || schemaEnd > bytes.length || view.getUint32(0, true) !== CONTINUATION) {
    throw new MillraceError('MALFORMED_REQUEST', 'a scan did not begin with an Arrow schema message');
  }
  return { schema: bytes.subarray(0, schemaEnd), batches: bytes.subarray(schemaEnd) };
}
