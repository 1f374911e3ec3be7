/**
 * Which shard owns which partition, and where it listens: the client's copy of the partition map.
 *
 * I1  A map never changes; a newer one replaces it whole. Its epoch travels in every request.
 * I2  `shardOfPartition` has one small number a partition: routing a key is one array read.
 *
 * Partition p of a node with S shards is on its shard p % S. A node that names no host is the one that was dialled.
 */
import type { PartitionMap } from '../protocol/index.ts';

export interface Shard {
  readonly nodeId: string;
  /** Position among its node's shards. */
  readonly index: number;
  readonly host: string;
  readonly port: number;
  readonly scanPort: number;
}

export class ShardMap {
  readonly epoch: number;
  readonly shards: readonly Shard[];
  /** Index into `shards` of each partition's owner. */
  readonly shardOfPartition: Uint16Array;

  constructor(map: PartitionMap, dialledHost: string) {
    const shards: Shard[] = [];
    const firstShards: number[] = [];
    for (const node of map.nodes) {
      firstShards.push(shards.length);
      const host = node.host === '' ? dialledHost : node.host;
      node.shards.forEach(({ port, scanPort }, index) => {
        shards.push({ nodeId: node.id, index, host, port, scanPort });
      });
    }
    this.epoch = map.epoch;
    this.shards = shards;
    this.shardOfPartition = new Uint16Array(map.partitionCount);
    for (let partition = 0; partition < map.partitionCount; partition++) {
      const owner = map.owners[partition]!;
      this.shardOfPartition[partition] = firstShards[owner]! + (partition % map.nodes[owner]!.shards.length);
    }
  }
}
