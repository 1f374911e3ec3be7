/**
 * Two indexes of one shard held against each other: one that came from an index checkpoint, and one built from all blocks.
 *
 * I1  They may name two places of one version, if it lies at both: a row that was acknowledged from memory and flushed before it was
 *     in the journal is in blocks twice after a crash, until compaction drops one of them.
 * Everything else is a mistake, and named.
 */
import { LEVEL_ZERO_KEY_HI, levelOneKeyHi } from './block-key.ts';
import type { BlockStore } from './block-store.ts';
import { type CompactionState, isConsumed } from './compaction-state.ts';
import { ENTRY_WORDS, WHERE_BUFFER, WHERE_LEVEL_ZERO, WHERE_UNKNOWN } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { readRecordDigestHi, readRecordEventTime, readRecordLsn } from './record.ts';

/** Whether some entry has no place. (m) 25 ns an entry. */
export function hasUnplaced(index: IndexTable, localPartitionCount: number): boolean {
  let isFound = false;
  for (let partition = 0; partition < localPartitionCount && !isFound; partition += 1) {
    index.visit(partition, (handle) => {
      if (index.where(handle) === WHERE_UNKNOWN) isFound = true;
    });
  }
  return isFound;
}

export interface ComparedShard {
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly localPartitionCount: number;
  readonly store: BlockStore;
  readonly compaction: CompactionState;
}

/** What differs first, or undefined: both have the same entries. */
export function compareIndexes(
  index: IndexTable,
  reference: IndexTable,
  shard: ComparedShard,
): string | undefined {
  for (let local = 0; local < shard.localPartitionCount; local += 1) {
    const partition = local * shard.shardCount + shard.shardIndex;
    let difference: string | undefined;
    reference.visit(local, (handle) => {
      const twin = twinOf(index, reference, local, handle);
      if (twin < 0) difference ??= `${nameOf(reference, partition, handle)} is missing`;
      else if (
        !isSame(index, twin, reference, handle) &&
        !isCopy(index, twin, reference, handle, partition, shard)
      ) {
        difference ??= `${nameOf(index, partition, twin)} should be ${nameOf(reference, partition, handle)}`;
      }
    });
    index.visit(local, (handle) => {
      if (difference !== undefined || twinOf(reference, index, local, handle) >= 0) return;
      difference = `${nameOf(index, partition, handle)} is in no block that counts`;
    });
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** The entry of the same key in the other index. */
function twinOf(index: IndexTable, other: IndexTable, local: number, handle: number): number {
  const digestHi = other.digestHi(handle);
  const digestLo = other.digestLo(handle);
  return index.findForWrite(local, digestHi, digestLo, other.group(handle), other.hash2(handle));
}

function isSame(index: IndexTable, handle: number, other: IndexTable, twin: number): boolean {
  const [slab, word] = [index.slab(handle), index.word(handle)];
  const [otherSlab, otherWord] = [other.slab(twin), other.word(twin)];
  for (let at = 0; at < ENTRY_WORDS; at += 1) if (slab[word + at] !== otherSlab[otherWord + at]) return false;
  return true;
}

/** Whether the entries are of one version, and the first one's place holds it, too (I1). */
function isCopy(
  index: IndexTable,
  handle: number,
  other: IndexTable,
  twin: number,
  partition: number,
  shard: ComparedShard,
): boolean {
  const isOneVersion =
    index.eventTimeMicros(handle) === other.eventTimeMicros(twin) &&
    index.lsn(handle) === other.lsn(twin) &&
    index.isTombstone(handle) === other.isTombstone(twin) &&
    index.expiryHours(handle) === other.expiryHours(twin);
  const where = index.where(handle);
  if (!isOneVersion || where === WHERE_BUFFER || where === WHERE_UNKNOWN) return false;
  if (!isPlaced(index, partition, handle, shard)) return false;
  const keyHi =
    where === WHERE_LEVEL_ZERO ? LEVEL_ZERO_KEY_HI : levelOneKeyHi(index.group(handle), partition);
  const bytes = shard.store.read(keyHi, index.block(handle)) as Uint8Array;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = index.offset(handle);
  return (
    readRecordLsn(view, at) === index.lsn(handle) &&
    readRecordEventTime(view, at) === index.eventTimeMicros(handle) &&
    readRecordDigestHi(view, at) === index.digestHi(handle)
  );
}

/** Whether what the entry points at is there and counts. */
function isPlaced(index: IndexTable, partition: number, handle: number, shard: ComparedShard): boolean {
  const where = index.where(handle);
  if (where === WHERE_BUFFER || where === WHERE_UNKNOWN) return true;
  const group = index.group(handle);
  const block = index.block(handle);
  const isLevelZero = where === WHERE_LEVEL_ZERO;
  if (isLevelZero && isConsumed(shard.compaction, block, group, partition)) return false;
  return (
    shard.store.read(isLevelZero ? LEVEL_ZERO_KEY_HI : levelOneKeyHi(group, partition), block) !== undefined
  );
}

function nameOf(index: IndexTable, partition: number, handle: number): string {
  const version = `(${index.eventTimeMicros(handle)}, ${index.lsn(handle)})`;
  const place = `${index.where(handle)}/${index.block(handle)}/${index.offset(handle)}`;
  const key = `${index.digestHi(handle).toString(16)}/${index.hash2(handle).toString(16)}`;
  return `group ${index.group(handle)}, partition ${partition}, key ${key}: version ${version} at ${place}`;
}
