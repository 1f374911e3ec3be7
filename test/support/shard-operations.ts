/**
 * The data operations of one shard over a real store, called without a socket: a request goes in as bytes, responses come
 * out of a session that fills what it reserves with rubbish.
 */

import { SingleNodeOwnership, singleNodeMap } from '../../cluster/index.ts';
import {
  ByteWriter,
  compileLayout,
  encodeKeys,
  encodePatch,
  encodePatchRequest,
  encodePutRequest,
  encodeRow,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  type GroupSchema,
  OPERATIONS,
  type PatchRequestInput,
  REQUEST_HEADER_BYTES,
  type RequestOptions,
} from '../../protocol/index.ts';
import { Deadlines } from '../../server/deadlines.ts';
import { GroupTable } from '../../server/group-table.ts';
import type { Operation } from '../../server/operation.ts';
import { deleteOperation } from '../../server/operations/delete.ts';
import { getOperation } from '../../server/operations/get.ts';
import { getMatrixOperation } from '../../server/operations/get-matrix.ts';
import { patchOperation } from '../../server/operations/patch.ts';
import { putOperation } from '../../server/operations/put.ts';
import { PatchMerges } from '../../server/patch-merges.ts';
import { PendingReads } from '../../server/pending-reads.ts';
import { PendingWrites } from '../../server/pending-writes.ts';
import { ShardServices } from '../../server/shard-services.ts';
import type { ShardStore } from '../../storage/index.ts';
import { RecordingSession } from './recording-session.ts';
import { TEST_NOW_MICROS } from './shard.ts';

export interface KeyedRow {
  readonly key: unknown;
  readonly values: Record<string, unknown>;
  readonly eventTime?: number;
}

export class ShardOperations {
  readonly session: RecordingSession;
  readonly shard: ShardServices;
  readonly writes: PendingWrites;
  readonly reads: PendingReads;
  readonly deadlines: Deadlines;
  /** On the clock of deadlines. */
  nowMs = 0;
  readonly #operations: Map<number, Operation>;

  constructor(store: ShardStore, schemas: readonly GroupSchema[], shardCount: number = 1) {
    this.session = Object.assign(new RecordingSession(1), { receivedAtMicros: TEST_NOW_MICROS });
    const shards = Array.from({ length: shardCount }, () => ({ port: 1, scanPort: 2 }));
    const ownership = new SingleNodeOwnership(singleNodeMap({ id: 'n', host: '', shards }));
    this.shard = new ShardServices({
      store,
      groups: new GroupTable(schemas),
      ownership: () => ownership,
      shardIndex: 0,
      shardCount,
      hashSeedLo: 7,
      hashSeedHi: 8,
    });
    this.deadlines = new Deadlines(() => this.nowMs);
    this.writes = new PendingWrites(store, this.deadlines);
    this.reads = new PendingReads({
      shard: this.shard,
      deadlines: this.deadlines,
      nowMs: () => this.nowMs,
      schedule: (run) => setImmediate(run),
    });
    const operations = [
      getOperation(this.shard, this.reads),
      getMatrixOperation(this.shard, this.reads),
      putOperation(this.shard, this.writes),
      patchOperation(this.shard, this.writes, new PatchMerges(this.shard.groups)),
      deleteOperation(this.shard, this.writes),
    ];
    this.#operations = new Map(operations.map((operation) => [operation.number, operation]));
  }

  /** Handles the requests as one chunk; throws what a handler throws. */
  handle(encode: (writer: ByteWriter) => void): void {
    const writer = new ByteWriter();
    encode(writer);
    const decoder = new FrameDecoder(FRAME_BYTES_MAX, REQUEST_HEADER_BYTES);
    decoder.push(writer.finish());
    for (let frame = decoder.next(); frame !== null; frame = decoder.next()) this.handleFrame(frame);
    for (const operation of this.#operations.values()) operation.finishChunk?.(this.session);
  }

  handleFrame(frame: Frame): void {
    this.#operations.get(frame.view.getUint8(frame.offset + 5))!.handle(this.session, frame);
  }

  /** Writes rows and waits for the answer. */
  async put(group: GroupSchema, rows: readonly KeyedRow[], timeoutMs: number = 0): Promise<void> {
    this.handle((writer) => encodeRows(writer, group, rows, timeoutMs));
    await this.answered();
  }

  /** Settles when no write is in flight. */
  async answered(): Promise<void> {
    while (this.writes.inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A PATCH of rows whose values are steps; `head` says more of them. */
export function encodePatches(
  writer: ByteWriter,
  group: GroupSchema,
  rows: readonly KeyedRow[],
  head: Partial<PatchRequestInput> & Partial<RequestOptions> = {},
): void {
  const layout = compileLayout(group);
  const rowWriter = new ByteWriter();
  const rowOffsets = new Uint32Array(rows.length + 1);
  rows.forEach((row, index) => {
    encodePatch(layout, row.values, rowWriter);
    rowOffsets[index + 1] = rowWriter.length;
  });
  encodePatchRequest(
    writer,
    { correlationId: OPERATIONS.PATCH, ...head },
    {
      groupId: group.id,
      eventTimes: Float64Array.from(rows, (row) => row.eventTime ?? TEST_NOW_MICROS),
      keys: encodeKeys(
        group.key,
        rows.map((row) => row.key),
      ),
      rows: rowWriter.bytes,
      rowOffsets,
      isTimeFloor: false,
      ...head,
    },
  );
}

export function encodeRows(
  writer: ByteWriter,
  group: GroupSchema,
  rows: readonly KeyedRow[],
  timeoutMs: number = 0,
): void {
  const layout = compileLayout(group);
  const rowWriter = new ByteWriter();
  const rowOffsets = new Uint32Array(rows.length + 1);
  rows.forEach((row, index) => {
    encodeRow(layout, row.values, rowWriter);
    rowOffsets[index + 1] = rowWriter.length;
  });
  encodePutRequest(
    writer,
    { correlationId: OPERATIONS.PUT, timeoutMs },
    {
      groupId: group.id,
      schemaVersion: group.version,
      eventTimes: Float64Array.from(rows, (row) => row.eventTime ?? TEST_NOW_MICROS),
      keys: encodeKeys(
        group.key,
        rows.map((row) => row.key),
      ),
      rows: rowWriter.bytes,
      rowOffsets,
    },
  );
}
