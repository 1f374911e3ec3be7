/**
 * Takes out of an index that came from a checkpoint what is in no block any more: compaction has dropped those versions since
 * the checkpoint was begun, and with them what they hid. Nobody may look for their blocks.
 *
 * (m) 20 ns an entry: one look into a set of numbers.
 */
import { type CompactionState, isConsumed } from './compaction-state.ts';
import { WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import type { NumberSet } from './number-set.ts';

/** Partitions between two pauses. */
const PARTITIONS_A_TURN = 64;

/** Which blocks there are. */
export interface BlocksThere {
  /** Sequences of level 0. */
  readonly sequences: NumberSet;
  /** Counters of level 1: no two of its blocks have the same. */
  readonly counters: NumberSet;
  readonly compaction: CompactionState;
}

export interface PrunedShard {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly pause: () => Promise<void>;
}

/** Removes the entries whose block is gone, or counts no more. Answers how many. */
export async function pruneIndex(index: IndexTable, there: BlocksThere, shard: PrunedShard): Promise<number> {
  let removed = 0;
  for (let local = 0; local < shard.localPartitionCount; local += 1) {
    const partition = local * shard.shardCount + shard.shardIndex;
    removed += prunePartition(index, there, local, partition);
    if (local % PARTITIONS_A_TURN === PARTITIONS_A_TURN - 1) await shard.pause();
  }
  return removed;
}

function prunePartition(index: IndexTable, there: BlocksThere, local: number, partition: number): number {
  const gone: { digestHi: number; digestLo: number; group: number; hash2: number }[] = [];
  index.visit(local, (handle) => {
    if (!isGone(index, handle, partition, there)) return;
    gone.push({
      digestHi: index.digestHi(handle),
      digestLo: index.digestLo(handle),
      group: index.group(handle),
      hash2: index.hash2(handle),
    });
  });
  // A removal moves others, so each is looked up anew.
  for (const { digestHi, digestLo, group, hash2 } of gone) {
    index.remove(index.findForWrite(local, digestHi, digestLo, group, hash2), local);
  }
  return gone.length;
}

function isGone(index: IndexTable, handle: number, partition: number, there: BlocksThere): boolean {
  const where = index.where(handle);
  const block = index.block(handle);
  if (where === WHERE_LEVEL_ONE) return !there.counters.has(block);
  if (where !== WHERE_LEVEL_ZERO) return false;
  return !there.sequences.has(block) || isConsumed(there.compaction, block, index.group(handle), partition);
}
