/**
 * The partition map: which node owns which partition, and at which addresses its shards listen.
 *
 *   partition p --owners[p]--> node --p % shards.length--> shard --> port (requests), scanPort (scans)
 *
 * I1  A map is immutable: a change is a new map with a higher epoch.
 * I2  Every owner is an index into `nodes`, every node has at least one shard, and ports are 1..65535.
 *
 * Its type and its bytes are the protocol's (requests/map.ts), because clients read it too; `decodeMapResponse` refuses
 * what breaks I2. Here is what a node does with one.
 */
import { strict as assert } from 'node:assert';
import { type NodeAddress, PARTITION_COUNT, type PartitionMap, SHARDS_MAX } from '../protocol/index.ts';

export type { NodeAddress, PartitionMap, ShardAddress } from '../protocol/index.ts';

/** 0 means "unknown" in request headers, so the first map has epoch 1. */
export const FIRST_EPOCH = 1;

const PORT_MAX = 65535;

/** The shard of a partition on its node: fixed arithmetic, because S is fixed in a node's data directory. */
export function shardOfPartition(partition: number, shardCount: number): number {
  return partition % shardCount;
}

/** The map of a node that is alone: every partition its own. */
export function singleNodeMap(node: NodeAddress): PartitionMap {
  const map: PartitionMap = {
    epoch: FIRST_EPOCH,
    partitionCount: PARTITION_COUNT,
    nodes: [node],
    owners: new Uint16Array(PARTITION_COUNT),
  };
  verifyPartitionMap(map);
  return map;
}

/** Asserts I2: for maps that we made, not for those that come from outside. */
export function verifyPartitionMap(map: PartitionMap): void {
  assert(Number.isSafeInteger(map.epoch) && map.epoch >= FIRST_EPOCH, 'epochs count from 1');
  assert(map.partitionCount === PARTITION_COUNT && map.owners.length === PARTITION_COUNT, 'a map is whole');
  for (const node of map.nodes) {
    assert(node.shards.length >= 1 && node.shards.length <= SHARDS_MAX, 'a node has shards');
    for (const { port, scanPort } of node.shards)
      assert(isPort(port) && isPort(scanPort), 'a shard has ports');
  }
  for (const owner of map.owners) assert(owner < map.nodes.length, 'an owner is a node of the map');
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= PORT_MAX;
}
