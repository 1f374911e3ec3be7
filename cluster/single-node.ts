/**
 * Ownership of a node that is alone: it owns every partition, under one epoch, for as long as the process runs.
 *
 * It needs no consensus, hence no etcd. Its map never changes, so listeners are kept (the caller must not care which
 * implementation it holds) and never called.
 */
import { strict as assert } from 'node:assert';
import { MAP_LISTENERS_MAX } from './limits.ts';
import { type PartitionMap, verifyPartitionMap } from './partition-map.ts';
import type { PartitionOwnership } from './partition-ownership.ts';

export class SingleNodeOwnership implements PartitionOwnership {
  readonly epoch: number;
  private readonly partitionMap: PartitionMap;
  private readonly listeners: Set<(map: PartitionMap) => void> = new Set();

  constructor(map: PartitionMap) {
    assert(map.nodes.length === 1, 'a node alone is the only one of its map');
    verifyPartitionMap(map);
    this.partitionMap = map;
    this.epoch = map.epoch;
  }

  map(): PartitionMap {
    return this.partitionMap;
  }

  ownerOf(partition: number): number {
    return this.partitionMap.owners[partition]!;
  }

  isOwnedHere(partition: number): boolean {
    return this.partitionMap.owners[partition] === 0;
  }

  onChange(listener: (map: PartitionMap) => void): () => void {
    assert(this.listeners.size < MAP_LISTENERS_MAX, 'listeners are few and unsubscribe');
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }
}
