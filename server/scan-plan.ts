/**
 * What one scan will do, from its request: the group's columns, this shard's partitions, the sizes of its batches.
 *
 * Ranges are over the whole keyspace, so one request may be sent to every shard: each scans those of the partitions
 * that it owns, in ascending order, and a shard that owns none of them answers no rows.
 */
import {
  type GroupSchema,
  PARTITION_COUNT,
  ProtocolError,
  type ScanRequest,
  schemaAt,
} from '../protocol/index.ts';
import type { ReadView } from '../storage/index.ts';
import { type ArrowColumn, chooseColumns } from './arrow-schema.ts';
import type { Group } from './group-table.ts';
import { SCAN_BATCH_BYTES_MAX, SCAN_BATCH_BYTES_MIN } from './scan-limits.ts';

export interface ScanPlan {
  readonly group: Group;
  /** The version of the group's schema in terms of which rows are answered. */
  readonly schema: GroupSchema;
  readonly columns: readonly ArrowColumn[];
  readonly view: ReadView;
  /** Ascending. */
  readonly partitions: Uint16Array;
  readonly batchRows: number;
  readonly batchBytes: number;
  readonly creditBytes: number;
}

/** Throws FEATURE_NOT_FOUND, SCHEMA_VERSION_UNKNOWN and MALFORMED_REQUEST. */
export function planScan(
  request: ScanRequest,
  group: Group,
  shardIndex: number,
  shardCount: number,
  isOwnedHere: (partition: number) => boolean,
): ScanPlan {
  const partitions: number[] = [];
  for (const [from, to] of request.partitions ?? [[0, PARTITION_COUNT]]) {
    for (let partition = from; partition < to; partition++) {
      if (partition % shardCount === shardIndex && isOwnedHere(partition)) partitions.push(partition);
    }
  }
  const schema = schemaAt(group.schema, request.schemaVersion ?? group.schema.version);
  if (schema === undefined) {
    throw new ProtocolError(
      'SCHEMA_VERSION_UNKNOWN',
      `group "${group.schema.name}" has schema version ${group.schema.version}; ${request.schemaVersion} was asked for`,
    );
  }
  return {
    group,
    schema,
    columns: chooseColumns(schema, request.columns ?? undefined),
    view: viewOf(request),
    partitions: Uint16Array.from(partitions),
    batchRows: request.batchRows,
    // A batch of the size of the credit: the next one is encoded while the client is busy with this one.
    batchBytes: Math.min(SCAN_BATCH_BYTES_MAX, Math.max(SCAN_BATCH_BYTES_MIN, request.creditBytes / 2)),
    creditBytes: request.creditBytes,
  };
}

function viewOf({ asOf, readPoint, since }: ScanRequest): ReadView {
  // The request was decoded: beside asOf there is a read point.
  const bounds =
    readPoint === undefined ? null : { asOfMicros: asOf ?? readPoint, readPointMicros: readPoint };
  return { bounds, sinceMicros: since ?? null };
}
