/**
 * MAP: which node owns each partition, and on which ports its shards listen.
 *
 *   request   {}
 *   response  {epoch, partitionCount, nodes: [{id, host, shards: [{port, scanPort}]}],
 *              owners: bin of partitionCount × u16 LE node index}
 *
 * Partition p of a node with S shards is on its shard p % S. An empty host means the host that was dialled.
 */

import type { ByteWriter } from '../byte-writer.ts';
import type { Frame } from '../frame-decoder.ts';
import type { RequestOptions } from '../frame-header.ts';
import { NODES_MAX, PARTITION_COUNT, SHARDS_MAX } from '../limits.ts';
import type { MessagePackMap } from '../message-pack.ts';
import { OPERATIONS } from '../operation.ts';
import { ProtocolError } from '../protocol-error.ts';
import {
  appendControlRequest,
  appendControlResponse,
  arrayField,
  asMap,
  binaryField,
  integerField,
  readControlRequest,
  readControlResponse,
  textField,
} from './control.ts';

const HOST_LENGTH_MAX = 255;
const NODE_ID_LENGTH_MAX = 128;
const PORT_MAX = 65535;

export interface ShardAddress {
  port: number;
  scanPort: number;
}

export interface NodeAddress {
  id: string;
  /** Empty: the host that was dialled. */
  host: string;
  shards: ShardAddress[];
}

export interface PartitionMap {
  /** From 1; rises with every change. */
  epoch: number;
  partitionCount: number;
  nodes: NodeAddress[];
  /** Index into nodes, by partition. */
  owners: Uint16Array;
}

export function encodeMapRequest(writer: ByteWriter, options: RequestOptions): void {
  appendControlRequest(writer, OPERATIONS.MAP, options, {});
}

export function decodeMapRequest(frame: Frame): void {
  readControlRequest(frame);
}

export function encodeMapResponse(writer: ByteWriter, correlationId: number, map: PartitionMap): void {
  const owners = Buffer.alloc(2 * map.owners.length);
  for (let partition = 0; partition < map.owners.length; partition++) {
    owners.writeUInt16LE(map.owners[partition]!, 2 * partition);
  }
  appendControlResponse(writer, OPERATIONS.MAP, correlationId, {
    epoch: map.epoch,
    partitionCount: map.partitionCount,
    nodes: map.nodes.map((node) => ({
      id: node.id,
      host: node.host,
      shards: node.shards.map((shard) => ({ port: shard.port, scanPort: shard.scanPort })),
    })),
    owners,
  });
}

export function decodeMapResponse(frame: Frame): PartitionMap {
  const map = readControlResponse(frame);
  const partitionCount = integerField(map, 'partitionCount', PARTITION_COUNT, PARTITION_COUNT);
  const nodes = arrayField(map, 'nodes', NODES_MAX).map(decodeNode);
  return {
    epoch: integerField(map, 'epoch', 1, 0xffffffff),
    partitionCount,
    nodes,
    owners: decodeOwners(map, partitionCount, nodes.length),
  };
}

function decodeNode(value: unknown): NodeAddress {
  const map = asMap(value, 'nodes');
  const shards = arrayField(map, 'shards', SHARDS_MAX).map((shard) => {
    const fields = asMap(shard, 'shards');
    return {
      port: integerField(fields, 'port', 1, PORT_MAX),
      scanPort: integerField(fields, 'scanPort', 1, PORT_MAX),
    };
  });
  if (shards.length === 0) throw new ProtocolError('MALFORMED_REQUEST', 'the map has a node without shards');
  return {
    id: textField(map, 'id', NODE_ID_LENGTH_MAX),
    host: textField(map, 'host', HOST_LENGTH_MAX),
    shards,
  };
}

function decodeOwners(map: MessagePackMap, partitionCount: number, nodeCount: number): Uint16Array {
  const bytes = binaryField(map, 'owners', 2 * partitionCount);
  const owners = new Uint16Array(partitionCount);
  for (let partition = 0; partition < partitionCount; partition++) {
    const owner = bytes[2 * partition]! | (bytes[2 * partition + 1]! << 8);
    if (owner >= nodeCount) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `the map gives partition ${partition} to node ${owner} of ${nodeCount}`,
      );
    }
    owners[partition] = owner;
  }
  return owners;
}
