/**
 * What one scan will do, from its request: the group's columns, this shard's partitions, the sizes of its batches.
 *
 * Ranges are over the whole keyspace, so one request may be sent to every shard: each scans those of the partitions
 * that it owns, in ascending order, and a shard that owns none of them answers no rows.
 */
import { PARTITION_COUNT, type RowLayout, type ScanRequest } from '../protocol/index.ts';
import { type ArrowColumn, chooseColumns } from './arrow-schema.ts';
import type { Group } from './group-table.ts';
import { SCAN_BATCH_BYTES_MAX, SCAN_BATCH_BYTES_MIN } from './scan-limits.ts';

export interface ScanPlan {
  readonly group: Group;
  readonly columns: readonly ArrowColumn[];
  /** By schema version. */
  readonly layouts: ReadonlyMap<number, RowLayout>;
  /** Ascending. */
  readonly partitions: Uint16Array;
  readonly batchRows: number;
  readonly batchBytes: number;
  readonly creditBytes: number;
}

/** Throws FEATURE_NOT_FOUND and MALFORMED_REQUEST. */
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
  return {
    group,
    columns: chooseColumns(group.schema, request.columns ?? undefined),
    layouts: new Map([[group.layout.schemaVersion, group.layout]]),
    partitions: Uint16Array.from(partitions),
    batchRows: request.batchRows,
    // A batch of the size of the credit: the next one is encoded while the client is busy with this one.
    batchBytes: Math.min(SCAN_BATCH_BYTES_MAX, Math.max(SCAN_BATCH_BYTES_MIN, request.creditBytes / 2)),
    creditBytes: request.creditBytes,
  };
}
