/**
 * What the loaded rows take, on disk and in DRAM, from the node's own figures.
 */
import type { NodeStatus } from '../../client/index.ts';

export interface Footprint {
  readonly versions: number;
  readonly rows: number;
  readonly blockBytes: number;
  readonly journalBytes: number;
  readonly indexBytes: number;
  readonly bufferBytes: number;
  readonly cacheBytes: number;
}

export function footprintOf(status: NodeStatus): Footprint {
  const sum = (name: string): number => status.shards.reduce((total, shard) => total + (shard[name] ?? 0), 0);
  return {
    versions: sum('versions'),
    rows: sum('rows'),
    blockBytes: sum('blockFileBytes'),
    journalBytes: sum('journalBytes'),
    indexBytes: sum('indexBytes'),
    bufferBytes: sum('writeBufferBytes'),
    cacheBytes: sum('cacheBytes'),
  };
}
