/**
 * Which keys go to which shard, in which requests. Pure.
 *
 * A request names its keys by a `pick`: positions in the operation's key batch, or null for all of them in order, which
 * is what a cluster of one shard always gets and what needs no digests.
 */
import { type KeyBatch, partitionOf } from '../protocol/index.ts';

/** Calls `emit` for each request to be made, at most `keysMax` keys each. The digests are there if shardCount > 1. */
export function splitKeys(
  keys: KeyBatch,
  pick: Uint32Array | null,
  shardOfPartition: Uint16Array,
  shardCount: number,
  keysMax: number,
  emit: (shard: number, pick: Uint32Array | null) => void,
): void {
  if (shardCount === 1) {
    emitSlices(0, pick, pick === null ? keys.count : pick.length, keysMax, emit);
    return;
  }
  const byShard = sortByShard(keys, pick, shardOfPartition, shardCount);
  for (let shard = 0; shard < shardCount; shard++) {
    const from = byShard.starts[shard]!;
    const to = byShard.starts[shard + 1]!;
    if (to > from) emitSlices(shard, byShard.order.subarray(from, to), to - from, keysMax, emit);
  }
}

function emitSlices(
  shard: number,
  pick: Uint32Array | null,
  count: number,
  keysMax: number,
  emit: (shard: number, pick: Uint32Array | null) => void,
): void {
  if (count <= keysMax) {
    emit(shard, pick);
    return;
  }
  const all = pick ?? positions(count);
  for (let from = 0; from < count; from += keysMax) emit(shard, all.subarray(from, from + keysMax));
}

/** A counting sort: the picked positions in shard order, each shard's in their own order, and where each begins. */
function sortByShard(
  keys: KeyBatch,
  pick: Uint32Array | null,
  shardOfPartition: Uint16Array,
  shardCount: number,
): { order: Uint32Array; starts: Uint32Array } {
  const { digests } = keys;
  const count = pick === null ? keys.count : pick.length;
  const starts = new Uint32Array(shardCount + 1);
  const shards = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    const shard = shardOfPartition[partitionOf(digests[2 * (pick === null ? i : pick[i]!)]!)]!;
    shards[i] = shard;
    starts[shard + 1]! += 1;
  }
  for (let shard = 0; shard < shardCount; shard++) starts[shard + 1]! += starts[shard]!;
  const next = starts.slice();
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const place = next[shards[i]!]!++;
    order[place] = pick === null ? i : pick[i]!;
  }
  return { order, starts };
}

function positions(count: number): Uint32Array {
  const all = new Uint32Array(count);
  for (let i = 0; i < count; i++) all[i] = i;
  return all;
}
