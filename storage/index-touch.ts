/**
 * Brings the index lines of a stretch of records into the processor's cache before the records are applied one by one.
 *
 * An upsert is a chain: load the line, compare, write. One after the other, each record waits for its own cache miss;
 * touched in stretches of INDEX_TOUCH_RECORDS the misses overlap.
 */
import type { Arena } from './arena.ts';
import type { IndexTable } from './index-table.ts';
import { INDEX_TOUCH_RECORDS } from './limits.ts';
import { readRecordDigestHi, readRecordDigestLo, readRecordGroup } from './record.ts';

const PARTITION_MASK = 4095;

export class IndexTouch {
  private readonly index: IndexTable;
  private readonly shardCount: number;
  private readonly homes: Int32Array = new Int32Array(INDEX_TOUCH_RECORDS);

  constructor(index: IndexTable, shardCount: number) {
    this.index = index;
    this.shardCount = shardCount;
  }

  /** Touches the lines of the records from `from` on, `to` at most; answers where the touched records end. */
  touch(arena: Arena, from: number, to: number): number {
    const { view, words } = arena;
    const { index, homes, shardCount } = this;
    let count = 0;
    let at = from;
    for (; at < to && count < INDEX_TOUCH_RECORDS; at += words[at >>> 2] as number) {
      const localPartition = ((readRecordDigestLo(view, at) & PARTITION_MASK) / shardCount) | 0;
      homes[count++] = index.home(
        localPartition,
        readRecordDigestHi(view, at) | 0,
        readRecordGroup(view, at),
      );
    }
    index.touch(homes, 0, count);
    return at;
  }

  /** Touches the lines of keys given as columns, INDEX_TOUCH_RECORDS from `from` on at most; answers where it ended. */
  touchColumns(
    digestLo: Uint32Array,
    digestHi: Uint32Array,
    groups: Uint16Array,
    from: number,
    to: number,
  ): number {
    const { index, homes, shardCount } = this;
    const end = Math.min(to, from + INDEX_TOUCH_RECORDS);
    for (let at = from; at < end; at++) {
      const localPartition = (((digestLo[at] as number) & PARTITION_MASK) / shardCount) | 0;
      homes[at - from] = index.home(localPartition, (digestHi[at] as number) | 0, groups[at] as number);
    }
    index.touch(homes, 0, end - from);
    return end;
  }

  /** Touches the lines of the keys with these digests, INDEX_TOUCH_RECORDS from `from` on at most; answers where it ended. */
  touchDigests(group: number, digests: Uint32Array, from: number, to: number): number {
    const { index, homes, shardCount } = this;
    const end = Math.min(to, from + INDEX_TOUCH_RECORDS);
    for (let row = from; row < end; row++) {
      const localPartition = (((digests[2 * row] as number) & PARTITION_MASK) / shardCount) | 0;
      homes[row - from] = index.home(localPartition, (digests[2 * row + 1] as number) | 0, group);
    }
    index.touch(homes, 0, end - from);
    return end;
  }
}
