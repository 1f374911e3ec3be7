/**
 * STATUS: how a node is.
 *
 *   request   {}
 *   response  {nodeId, version, uptimeSeconds, shards: [one map of numbers a shard], …}
 *
 * For people and dashboards: fields may be added at any time, so nothing beyond the four named ones is checked.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { SHARDS_MAX } from '../limits.ts';
import { OPERATIONS } from '../operation.ts';
import {
  appendControlRequest,
  appendControlResponse,
  arrayField,
  asMap,
  readControlRequest,
  readControlResponse,
  textField,
} from './control.ts';

const TEXT_LENGTH_MAX = 256;

/** One shard's figures by name: rows, versions, indexBytes, journalBytes, … */
export type ShardFigures = Record<string, number>;

export interface NodeStatus {
  nodeId: string;
  /** The server's version. */
  version: string;
  uptimeSeconds: number;
  shards: ShardFigures[];
  [field: string]: unknown;
}

export function encodeStatusRequest(writer: ByteWriter, options: RequestOptions): void {
  appendControlRequest(writer, OPERATIONS.STATUS, options, {});
}

export function decodeStatusRequest(frame: Frame): void {
  readControlRequest(frame);
}

export function encodeStatusResponse(writer: ByteWriter, correlationId: number, status: NodeStatus): void {
  appendControlResponse(writer, OPERATIONS.STATUS, correlationId, status);
}

export function decodeStatusResponse(frame: Frame): NodeStatus {
  const map = readControlResponse(frame);
  const uptime = map['uptimeSeconds'];
  return {
    ...map,
    nodeId: textField(map, 'nodeId', TEXT_LENGTH_MAX),
    version: textField(map, 'version', TEXT_LENGTH_MAX),
    uptimeSeconds: typeof uptime === 'number' ? uptime : 0,
    shards: arrayField(map, 'shards', SHARDS_MAX).map((shard) => asMap(shard, 'shards') as ShardFigures),
  };
}
