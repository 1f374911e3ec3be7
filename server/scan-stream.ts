/**
 * One scan: rows in, Arrow frames out, as fast as the client grants and takes them.
 *
 * I1  A data frame leaves only while the client's credit is positive and its connection's output is below the high-water
 *     mark; nothing is read or encoded otherwise. So a slow client costs one step and one batch of memory, and none at
 *     all after SCAN_IDLE_TIMEOUT_MS without credit.
 * I2  Credit counts Arrow bytes: what a data frame carries behind its prefix.
 * I3  Exactly one last frame ends the scan: the summary, or an error (CANCELLED, SHUTTING_DOWN, what went wrong);
 *     none when the connection is gone.
 * I4  A scan without credit holds no rows in a half-filled batch, for a batch is only begun with credit and credit is
 *     only used up by sending one: its position is that of its rows.
 *
 * Left to others: whose turn it is (scan-thread.ts), the rows (scan-rows.ts), their encoding (arrow-writer.ts).
 */
import { AssertionError, strict as assert } from 'node:assert';
import {
  ByteWriter,
  type ErrorCodeName,
  encodeScanEnd,
  FLAG_MORE,
  OPERATIONS,
  SCAN_DATA_PREFIX_BYTES,
} from '../protocol/index.ts';
import { assertHistory, StorageError } from '../storage/index.ts';
import { ArrowWriter } from './arrow-writer.ts';
import type { Group } from './group-table.ts';
import { OUTPUT_HIGH_WATER_BYTES } from './limits.ts';
import type { Logger } from './log.ts';
import type { SessionContext } from './operation.ts';
import { SCAN_IDLE_TIMEOUT_MS, SCAN_MESSAGE_BYTES_MAX } from './scan-limits.ts';
import type { ScanPlan } from './scan-plan.ts';
import { ScanRows, type ScanSource } from './scan-rows.ts';
import { errorCodeOf, messageOf } from './server-error.ts';

/** A last frame's usual size; it grows if need be. */
const SUMMARY_FRAME_BYTES = 128;

/** What a stream needs of the thread it runs on. */
export interface ScanHost {
  readonly source: ScanSource;
  readonly log: Logger;
  /** The group as it is now. Throws GROUP_NOT_FOUND when it has been dropped. */
  requireGroup(groupId: number): Group;
  /** The stream can do something: give it a turn. */
  wake(stream: ScanStream): void;
  /** The stream has ended; called once. */
  ended(stream: ScanStream): void;
}

export class ScanStream {
  readonly sessionId: number;
  readonly correlationId: number;
  rowsSent = 0;
  bytesSent = 0;
  readonly #context: SessionContext;
  readonly #plan: ScanPlan;
  readonly #host: ScanHost;
  readonly #rows: ScanRows;
  readonly #writer: ArrowWriter;
  readonly #unsubscribe: () => void;
  #creditBytes: number;
  #isSchemaSent = false;
  #isEnded = false;
  /** Partition of the last row encoded. */
  #lastPartition = 0;
  #cancelIdle: (() => void) | undefined;

  constructor(context: SessionContext, correlationId: number, plan: ScanPlan, host: ScanHost) {
    this.sessionId = context.id;
    this.correlationId = correlationId;
    this.#context = context;
    this.#plan = plan;
    this.#host = host;
    const { schema } = plan;
    this.#writer = new ArrowWriter(schema, plan.group.layouts, plan.columns, SCAN_MESSAGE_BYTES_MAX);
    this.#rows = new ScanRows(host.source, schema.id, plan.partitions, plan.view, () => host.wake(this));
    this.#creditBytes = plan.creditBytes;
    context.acquire(0);
    this.#unsubscribe = context.onClose(() => this.#end());
  }

  grant(bytes: number): void {
    this.#creditBytes += bytes;
    this.#host.wake(this);
  }

  /** Ends the scan early, with this as its last frame. */
  refuse(code: ErrorCodeName, message: string): void {
    if (this.#isEnded) return;
    this.#context.respondError(OPERATIONS.SCAN, this.correlationId, code, message);
    this.#end();
  }

  /** Does one bounded piece of work. True when there is another at once; else `wake` is called when there is. */
  turn(): boolean {
    if (this.#isEnded || !this.#maySend()) return false;
    try {
      return this.#work();
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.#fail(error);
      return false;
    }
  }

  #work(): boolean {
    const { schema, policy } = this.#host.requireGroup(this.#plan.group.schema.id);
    // Between the turn that pins a step's blocks and the one that uses their rows, too: what was kept then is there.
    const nowMicros = this.#host.source.nowMicros();
    assertHistory(this.#plan.view, nowMicros, policy.retentionMicros, schema.historyFromMicros);
    switch (this.#rows.advance()) {
      case 'rows':
        this.#encode();
        return true;
      case 'more':
        return true;
      case 'waiting':
        return false;
      case 'end':
        if (this.#writer.rowCount > 0 || !this.#isSchemaSent) this.#send();
        this.#finish();
        return false;
    }
  }

  /** False while the client's credit is used up, or its connection is behind: both wake the stream when they change. */
  #maySend(): boolean {
    if (this.#creditBytes <= 0) {
      this.#cancelIdle ??= this.#host.source.after(SCAN_IDLE_TIMEOUT_MS, () => this.#idle());
      return false;
    }
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    if (this.#context.outputBytes < OUTPUT_HIGH_WATER_BYTES) return true;
    this.#context.onDrain(() => this.#host.wake(this));
    return false;
  }

  #idle(): void {
    assert(this.#writer.rowCount === 0, 'a scan without credit has no half-filled batch');
    this.#rows.release();
  }

  /** Encodes the rows at hand until they or the batch's bounds end, and sends a full batch. */
  #encode(): void {
    const writer = this.#writer;
    const rows = this.#rows;
    const { merge } = rows;
    const { batchRows, batchBytes } = this.#plan;
    while (rows.row < merge.count) {
      const to = Math.min(merge.count, rows.row + batchRows - writer.rowCount);
      const taken = writer.append(merge, rows.row, to);
      rows.row += taken;
      if (taken > 0) this.#lastPartition = merge.partitionAt(rows.row - 1);
      if (taken === 0 || writer.rowCount === batchRows || writer.bodyBytes >= batchBytes) {
        this.#send();
        return;
      }
    }
  }

  /** Sends the batch; before the first, the schema; the schema alone when there are no rows at all. */
  #send(): void {
    const writer = this.#writer;
    const { rowCount } = writer;
    const schemaBytes = this.#isSchemaSent ? 0 : writer.schemaMessage.length;
    const arrowBytes = schemaBytes + (rowCount > 0 ? writer.seal() : 0);
    const bodyBytes = SCAN_DATA_PREFIX_BYTES + arrowBytes;
    const start = this.#context.reserve(OPERATIONS.SCAN, this.correlationId, bodyBytes, FLAG_MORE);
    const { bytes, view } = this.#context.output;
    view.setUint32(start, this.#lastPartition, true);
    view.setUint32(start + 4, rowCount, true);
    view.setUint32(start + 8, 0, true);
    view.setUint32(start + 12, 0, true);
    let at = start + SCAN_DATA_PREFIX_BYTES;
    if (schemaBytes > 0) bytes.set(writer.schemaMessage, at);
    at += schemaBytes;
    if (rowCount > 0) at = writer.write(bytes, at);
    assert(at === start + bodyBytes, 'a batch has the size it was sealed with');
    this.#isSchemaSent = true;
    this.#creditBytes -= arrowBytes;
    this.rowsSent += rowCount;
    this.bytesSent += arrowBytes;
  }

  #finish(): void {
    const summary = {
      rows: this.rowsSent,
      bytes: this.bytesSent,
      partitions: this.#plan.partitions.length,
    };
    const writer = new ByteWriter(SUMMARY_FRAME_BYTES);
    encodeScanEnd(writer, this.correlationId, summary);
    this.#context.send(writer.finish());
    this.#end();
  }

  #fail(error: unknown): void {
    if (error instanceof StorageError && error.block !== undefined)
      this.#host.source.peer.report(error.block);
    const code = errorCodeOf(error);
    if (code === undefined || code === 'INTERNAL') this.#host.log.error({ err: error }, 'scan failed');
    if (code === undefined) this.refuse('INTERNAL', 'the server failed on this scan; its log says why');
    else this.refuse(code, messageOf(error));
  }

  /** Gives everything back. */
  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelIdle?.();
    this.#unsubscribe();
    this.#rows.release();
    this.#host.ended(this);
    this.#context.release(0);
  }
}
