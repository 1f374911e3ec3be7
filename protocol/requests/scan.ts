/**
 * SCAN: streams a group's partitions as Arrow record batches. Sent to a shard's scan port.
 *
 *   request     {group, partitions?: [[from, toExclusive], …], columns?: [name, …], batchRows?, creditBytes,
 *               schemaVersion?, asOf?, readPoint?, since?}
 *   responses   data frames with MORE: 0 u32 partition of the last row | 4 u32 rowCount | 8 u32 0 | 12 u32 0
 *                 | 16 Arrow IPC stream bytes (the first frame's begin with the schema message)
 *               the last frame, without MORE: MessagePack {rows, bytes, partitions}
 *
 * Credits: the client grants bytes, first in the request, then by SCAN_CREDIT. The server sends a data frame only
 * while granted − sent > 0, so one frame may overdraw. SCAN_CANCEL ends the scan with a last frame of status
 * CANCELLED, unless it had ended already.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import { beginResponse, endFrame, FLAG_MORE, type RequestOptions, responseBody } from '../frame-header.ts';
import {
  EVENT_TIME_MICROS_MAX,
  FEATURES_MAX,
  KEY_COLUMNS_MAX,
  PARTITION_COUNT,
  SCAN_BATCH_ROWS_DEFAULT,
  SCAN_BATCH_ROWS_MAX,
  SCHEMA_VERSIONS_MAX,
} from '../limits.ts';
import type { MessagePackMap } from '../message-pack.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import { validateGroupName } from '../schema-validation.ts';
import {
  appendControlRequest,
  appendControlResponse,
  arrayField,
  integerField,
  readControlRequest,
  readControlResponse,
  refuseField,
} from './control.ts';

/** Bytes before the Arrow part of a data frame's body. */
export const SCAN_DATA_PREFIX_BYTES = 16;

/** Columns of a scan: key columns, the event time and every feature. */
const COLUMNS_MAX: number = KEY_COLUMNS_MAX + 1 + FEATURES_MAX;
const U32_MAX = 0xffffffff;

export interface ScanRequest {
  group: string;
  /** [from, toExclusive) ranges of partitions, rising and apart; null: all that the shard owns. */
  partitions: [number, number][] | null;
  /** Names of key columns, the event time or features; null: all. */
  columns: string[] | null;
  batchRows: number;
  creditBytes: number;
  /**
   * In terms of which version of the group's schema rows are answered; absent: the newest that the shard knows. A client
   * that joins the scans of several shards names it, for the group may be altered between their beginnings.
   */
  schemaVersion?: number;
  /**
   * Rows as of this event time, µs; with a read point. Absent beside a read point: as of the read point. Absent both:
   * the latest rows.
   */
  asOf?: number;
  /** Versions committed up to this closed read point, µs (READ_POINT). */
  readPoint?: number;
  /** Of those, rows whose version was committed after this moment, µs. */
  since?: number;
}

export interface ScanData {
  /** Partition of the frame's last row. */
  partition: number;
  rowCount: number;
  /** Arrow IPC stream bytes: frame.bytes[from, to). */
  from: number;
  to: number;
}

export interface ScanSummary {
  rows: number;
  bytes: number;
  partitions: number;
}

export function encodeScanRequest(writer: ByteWriter, options: RequestOptions, request: ScanRequest): void {
  const body: MessagePackMap = { group: request.group };
  if (request.partitions !== null) body['partitions'] = request.partitions;
  if (request.columns !== null) body['columns'] = request.columns;
  body['batchRows'] = request.batchRows;
  body['creditBytes'] = request.creditBytes;
  for (const name of OPTIONAL_INTEGERS) {
    if (request[name] !== undefined) body[name] = request[name];
  }
  appendControlRequest(writer, OPERATIONS.SCAN, options, body);
}

export function decodeScanRequest(frame: Frame): ScanRequest {
  const map = readControlRequest(frame);
  const request: ScanRequest = {
    group: validateGroupName(map['group']),
    partitions: isAbsent(map['partitions']) ? null : decodePartitions(map),
    columns: isAbsent(map['columns']) ? null : decodeColumns(map),
    batchRows: isAbsent(map['batchRows'])
      ? SCAN_BATCH_ROWS_DEFAULT
      : integerField(map, 'batchRows', 1, SCAN_BATCH_ROWS_MAX),
    creditBytes: integerField(map, 'creditBytes', 1, U32_MAX),
  };
  for (const name of OPTIONAL_INTEGERS) {
    const isTime = name !== 'schemaVersion';
    const [min, max] = isTime ? [-EVENT_TIME_MICROS_MAX, EVENT_TIME_MICROS_MAX] : [1, SCHEMA_VERSIONS_MAX];
    if (!isAbsent(map[name])) request[name] = integerField(map, name, min!, max!);
  }
  if (request.asOf !== undefined && request.readPoint === undefined) {
    return refuseField('readPoint', undefined, 'a closed read point beside asOf: READ_POINT gives one');
  }
  return request;
}

const OPTIONAL_INTEGERS = ['schemaVersion', 'asOf', 'readPoint', 'since'] as const;

function decodePartitions(map: MessagePackMap): [number, number][] {
  let before = 0;
  return arrayField(map, 'partitions', PARTITION_COUNT).map((range): [number, number] => {
    const [from, to]: unknown[] = Array.isArray(range) ? range : [];
    const isRange =
      Number.isInteger(from) && Number.isInteger(to) && Array.isArray(range) && range.length === 2;
    if (
      !isRange ||
      (from as number) < before ||
      (to as number) <= (from as number) ||
      (to as number) > PARTITION_COUNT
    ) {
      return refuseField(
        'partitions',
        range,
        `[from, toExclusive] within 0 to ${PARTITION_COUNT}, each after the one before`,
      );
    }
    before = to as number;
    return [from as number, to as number];
  });
}

function decodeColumns(map: MessagePackMap): string[] {
  const columns = arrayField(map, 'columns', COLUMNS_MAX);
  if (columns.length === 0) return refuseField('columns', columns, 'at least one name');
  return columns.map((column) =>
    typeof column === 'string' ? column : refuseField('columns', column, 'names'),
  );
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** Appends one data frame; `parts` are Arrow IPC bytes, in order. */
export function encodeScanData(
  writer: ByteWriter,
  correlationId: number,
  partition: number,
  rowCount: number,
  parts: readonly Uint8Array[],
): void {
  const start = beginScanData(writer, correlationId, partition, rowCount);
  for (const part of parts) writer.raw(part);
  endFrame(writer, start);
}

/** Appends a data frame's header and prefix; the caller appends the Arrow bytes and calls endFrame. */
export function beginScanData(
  writer: ByteWriter,
  correlationId: number,
  partition: number,
  rowCount: number,
): number {
  const start = beginResponse(writer, OPERATIONS.SCAN, correlationId, FLAG_MORE);
  const at = writer.reserve(SCAN_DATA_PREFIX_BYTES);
  writer.view.setUint32(at, partition, true);
  writer.view.setUint32(at + 4, rowCount, true);
  return start;
}

export function decodeScanData(frame: Frame): ScanData {
  const body = responseBody(frame);
  if (frame.end - body < SCAN_DATA_PREFIX_BYTES) {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `a scan's data frame has at least ${SCAN_DATA_PREFIX_BYTES} bytes; this has ${frame.end - body}`,
    );
  }
  return {
    partition: frame.view.getUint32(body, true),
    rowCount: frame.view.getUint32(body + 4, true),
    from: body + SCAN_DATA_PREFIX_BYTES,
    to: frame.end,
  };
}

export function encodeScanEnd(writer: ByteWriter, correlationId: number, summary: ScanSummary): void {
  appendControlResponse(writer, OPERATIONS.SCAN, correlationId, {
    rows: summary.rows,
    bytes: summary.bytes,
    partitions: summary.partitions,
  });
}

export function decodeScanEnd(frame: Frame): ScanSummary {
  const map = readControlResponse(frame);
  const max = Number.MAX_SAFE_INTEGER;
  return {
    rows: integerField(map, 'rows', 0, max),
    bytes: integerField(map, 'bytes', 0, max),
    partitions: integerField(map, 'partitions', 0, PARTITION_COUNT),
  };
}
