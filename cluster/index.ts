/** The door of cluster/: the partition map, and who owns a partition. */
export {
  FIRST_EPOCH,
  type NodeAddress,
  type PartitionMap,
  type ShardAddress,
  shardOfPartition,
  singleNodeMap,
  verifyPartitionMap,
} from './partition-map.ts';
export type { PartitionOwnership } from './partition-ownership.ts';
export { SingleNodeOwnership } from './single-node.ts';
