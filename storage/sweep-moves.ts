/**
 * What one step of compaction has moved and dropped: for each record its index key, its old place and its new one. Once the
 * step's transaction is durable, `apply` points the index entries that still name the old places at the new ones.
 *
 * I1  An entry is changed only while it names the old place: a newer version that came meanwhile keeps its entry.
 * I2  After `apply` no entry names an old place, so the old blocks may go.
 */
import type { IndexTable } from './index-table.ts';
import { IndexTouch } from './index-touch.ts';

const COLUMNS_FIRST = 4096;
const PARTITION_MASK = 4095;

/** The record is gone: its entry goes too. */
export const TO_NOWHERE = 0;

export class SweepMoves {
  count = 0;
  private digestLo: Uint32Array = new Uint32Array(COLUMNS_FIRST);
  private digestHi: Uint32Array = new Uint32Array(COLUMNS_FIRST);
  private groups: Uint16Array = new Uint16Array(COLUMNS_FIRST);
  private fromWheres: Uint8Array = new Uint8Array(COLUMNS_FIRST);
  private fromBlocks: Uint32Array = new Uint32Array(COLUMNS_FIRST);
  private fromOffsets: Uint16Array = new Uint16Array(COLUMNS_FIRST);
  /** WHERE_LEVEL_ZERO, WHERE_LEVEL_ONE or TO_NOWHERE. */
  private toWheres: Uint8Array = new Uint8Array(COLUMNS_FIRST);
  /** Number of the block among those that the step wrote to that level. */
  private toBlocks: Uint32Array = new Uint32Array(COLUMNS_FIRST);
  private toOffsets: Uint16Array = new Uint16Array(COLUMNS_FIRST);
  /** Bytes to count as superseded when no entry names the old place; 0: they are counted already. */
  private uncounted: Uint32Array = new Uint32Array(COLUMNS_FIRST);

  reset(): void {
    this.count = 0;
  }

  add(
    digestLo: number,
    digestHi: number,
    group: number,
    fromWhere: number,
    fromBlock: number,
    fromOffset: number,
    toWhere: number,
    toBlock: number,
    toOffset: number,
    uncountedBytes: number,
  ): void {
    const at = this.count;
    if (at === this.groups.length) this.grow();
    this.digestLo[at] = digestLo;
    this.digestHi[at] = digestHi;
    this.groups[at] = group;
    this.fromWheres[at] = fromWhere;
    this.fromBlocks[at] = fromBlock;
    this.fromOffsets[at] = fromOffset;
    this.toWheres[at] = toWhere;
    this.toBlocks[at] = toBlock;
    this.toOffsets[at] = toOffset;
    this.uncounted[at] = uncountedBytes;
    this.count = at + 1;
  }

  /** Where the record that was added last goes. */
  last(): { toWhere: number; toBlock: number; toOffset: number } {
    const at = this.count - 1;
    return {
      toWhere: this.toWheres[at] as number,
      toBlock: this.toBlocks[at] as number,
      toOffset: this.toOffsets[at] as number,
    };
  }

  /**
   * Applies the moves [from, to); the step's blocks of a level count from `firstOf[level]` on. Calls `onSuperseded` for each
   * record that was written although something newer has its entry.
   */
  apply(
    index: IndexTable,
    shardCount: number,
    from: number,
    to: number,
    firstOf: Readonly<Record<number, number>>,
    onSuperseded: (group: number, localPartition: number, recordBytes: number) => void,
  ): void {
    const touch = new IndexTouch(index, shardCount);
    let touchedTo = from;
    for (let at = from; at < to; at += 1) {
      if (at === touchedTo) {
        touchedTo = touch.touchColumns(this.digestLo, this.digestHi, this.groups, at, to);
      }
      const digestLo = this.digestLo[at] as number;
      const group = this.groups[at] as number;
      const localPartition = ((digestLo & PARTITION_MASK) / shardCount) | 0;
      const handle = index.findPlace(
        localPartition,
        this.digestHi[at] as number,
        digestLo,
        group,
        this.fromWheres[at] as number,
        this.fromBlocks[at] as number,
        this.fromOffsets[at] as number,
      );
      const toWhere = this.toWheres[at] as number;
      if (handle < 0) {
        const recordBytes = this.uncounted[at] as number;
        if (recordBytes > 0) onSuperseded(group, localPartition, recordBytes);
      } else if (toWhere === TO_NOWHERE) {
        index.remove(handle, localPartition);
      } else {
        const block = (firstOf[toWhere] as number) + (this.toBlocks[at] as number);
        index.setPlace(handle, toWhere, block, this.toOffsets[at] as number);
      }
    }
  }

  private grow(): void {
    const size = 2 * this.groups.length;
    const grow = <Column extends Uint32Array | Uint16Array | Uint8Array>(
      grown: Column,
      from: Column,
    ): Column => {
      grown.set(from);
      return grown;
    };
    this.digestLo = grow(new Uint32Array(size), this.digestLo);
    this.digestHi = grow(new Uint32Array(size), this.digestHi);
    this.groups = grow(new Uint16Array(size), this.groups);
    this.fromWheres = grow(new Uint8Array(size), this.fromWheres);
    this.fromBlocks = grow(new Uint32Array(size), this.fromBlocks);
    this.fromOffsets = grow(new Uint16Array(size), this.fromOffsets);
    this.toWheres = grow(new Uint8Array(size), this.toWheres);
    this.toBlocks = grow(new Uint32Array(size), this.toBlocks);
    this.toOffsets = grow(new Uint16Array(size), this.toOffsets);
    this.uncounted = grow(new Uint32Array(size), this.uncounted);
  }
}
