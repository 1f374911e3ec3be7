/**
 * What a block must be to be right where it stands: its bytes, its header against its key and the directory, its records.
 *
 * A lookup checks the checksum alone, because the rest follows from it as long as we write blocks rightly. Here everything is
 * looked at, so a mistake of ours is found too, and not only one of the device.
 */
import type { Arena } from './arena.ts';
import {
  BLOCK_WORD_DIGEST_MAX,
  BLOCK_WORD_DIGEST_MIN,
  blockFault,
  blockGroup,
  blockLevel,
  blockPartitionMax,
  blockPartitionMin,
  blockRecordCount,
  LEVEL_ONE,
  LEVEL_ZERO,
  recordsEnd,
  recordsStart,
} from './block.ts';
import { LEVEL_ZERO_KEY_HI } from './block-key.ts';
import {
  RECORD_MALFORMED,
  readRecordDigestHi,
  readRecordDigestLo,
  readRecordGroup,
  verifyRecord,
} from './record.ts';

const PARTITION_MASK = 4095;

/** Where a block says, or is said, to belong. */
export interface BlockUnits {
  readonly group: number;
  readonly partitionMin: number;
  readonly partitionMax: number;
}

/** What is wrong with the block of this key, or undefined. `listed` is what the level-0 directory says of it. */
export function storedBlockFault(
  arena: Arena,
  length: number,
  keyHi: number,
  listed: BlockUnits | undefined,
  shardIndex: number,
  shardCount: number,
): string | undefined {
  const fault = blockFault(arena, 0, length);
  if (fault !== undefined) return fault;
  const isLevelZero = keyHi === LEVEL_ZERO_KEY_HI;
  if (blockLevel(arena, 0) !== (isLevelZero ? LEVEL_ZERO : LEVEL_ONE)) return 'it is of the other level';
  const partition = (keyHi >>> 8) & PARTITION_MASK;
  const units = isLevelZero
    ? listed
    : { group: keyHi >>> 20, partitionMin: partition, partitionMax: partition };
  if (units !== undefined) {
    const isThere =
      blockGroup(arena, 0) === units.group &&
      blockPartitionMin(arena, 0) === units.partitionMin &&
      blockPartitionMax(arena, 0) === units.partitionMax;
    if (!isThere) {
      return `its header says group ${blockGroup(arena, 0)}, partitions ${blockPartitionMin(arena, 0)} to ${blockPartitionMax(arena, 0)}`;
    }
  }
  return recordsFault(arena, shardIndex, shardCount, isLevelZero);
}

function recordsFault(
  arena: Arena,
  shardIndex: number,
  shardCount: number,
  isLevelZero: boolean,
): string | undefined {
  const { view } = arena;
  const end = recordsEnd(arena, 0);
  const group = blockGroup(arena, 0);
  let count = 0;
  let last = -1;
  for (let at = recordsStart(0); at < end; ) {
    const next = verifyRecord(view, at, end);
    if (next === RECORD_MALFORMED) return `record ${count} is malformed`;
    const digestLo = readRecordDigestLo(view, at);
    const partition = digestLo & PARTITION_MASK;
    if (readRecordGroup(view, at) !== group)
      return `record ${count} is of group ${readRecordGroup(view, at)}`;
    if (partition < blockPartitionMin(arena, 0) || partition > blockPartitionMax(arena, 0)) {
      return `record ${count} is of partition ${partition}`;
    }
    if (partition % shardCount !== shardIndex)
      return `record ${count} is of partition ${partition}, another shard's`;
    // A digest of 64 bits is not a number; its high word and the rest of its low one order a partition's records.
    const order = isLevelZero ? partition : digestOrder(view, at);
    if (order < last) return `record ${count} is out of order`;
    last = order;
    count += 1;
    at = next;
  }
  if (count !== blockRecordCount(arena, 0))
    return `it holds ${count} records, its header says ${blockRecordCount(arena, 0)}`;
  return isLevelZero || count === 0 ? undefined : digestFault(arena);
}

/** Rises with the digest within a partition: 32 bits of the high word and 20 of the low one. */
function digestOrder(view: DataView, at: number): number {
  return readRecordDigestHi(view, at) * 2 ** 20 + (readRecordDigestLo(view, at) >>> 12);
}

function digestFault(arena: Arena): string | undefined {
  const { view, words } = arena;
  const first = recordsStart(0);
  let last = first;
  const end = recordsEnd(arena, 0);
  for (let at = first; at < end; at += words[at >>> 2] as number) last = at;
  const isRight = (word: number, at: number): boolean =>
    words[word] === readRecordDigestLo(view, at) && words[word + 1] === readRecordDigestHi(view, at);
  const isBoth = isRight(BLOCK_WORD_DIGEST_MIN, first) && isRight(BLOCK_WORD_DIGEST_MAX, last);
  return isBoth ? undefined : 'its digest range is not that of its records';
}
