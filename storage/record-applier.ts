/**
 * Makes records of the write buffer visible: each is added to the active generation and put into the index.
 *
 * A group commit is applied as a whole, when it is durable; an immediate record as soon as it is laid down. Index lines are
 * touched ahead in stretches, so that their cache misses overlap.
 */
import { strict as assert } from 'node:assert';
import type { Arena } from './arena.ts';
import { placeOf } from './buffer-chunks.ts';
import { WHERE_BUFFER } from './index-entry.ts';
import type { IndexTable } from './index-table.ts';
import { IndexTouch } from './index-touch.ts';
import { PARTITION_MASK } from './limits.ts';
import { readRecordDigestLo, readRecordGroup } from './record.ts';
import { applyRecord } from './row-index.ts';
import type { UnitTable } from './unit-table.ts';
import type { WriteBuffer } from './write-buffer.ts';
import type { WriteGroup } from './write-group.ts';

export class RecordApplier {
  readonly touch: IndexTouch;
  private readonly index: IndexTable;
  private readonly units: UnitTable;
  private readonly shardCount: number;
  private readonly activeBuffer: () => WriteBuffer;

  constructor(index: IndexTable, units: UnitTable, shardCount: number, activeBuffer: () => WriteBuffer) {
    this.index = index;
    this.units = units;
    this.shardCount = shardCount;
    this.activeBuffer = activeBuffer;
    this.touch = new IndexTouch(index, shardCount);
  }

  /** Applies what was not applied before, in the order of the group, and fills in the rows' results. */
  applyGroup(group: WriteGroup): void {
    if (group.immediateCount === group.recordCount) return;
    const buffer = this.activeBuffer();
    let sliceIndex = 0;
    let slice = group.slices[0];
    let row = slice?.fromRow ?? 0;
    for (const range of group.ranges) {
      const { arena, slot } = range.chunk;
      let touchedTo = range.from;
      for (let at = range.from; at < range.to; at += arena.words[at >>> 2] as number) {
        assert(slice !== undefined);
        if (at === touchedTo) touchedTo = this.touch.touch(arena, at, range.to);
        const { write } = slice;
        if (!write.isImmediate) write.request.results[row] = this.applyTo(buffer, arena, slot, at);
        row += 1;
        if (row === slice.toRow) {
          sliceIndex += 1;
          slice = group.slices[sliceIndex];
          row = slice?.fromRow ?? 0;
        }
      }
    }
    assert(slice === undefined);
  }

  /** Applies one record; answers its row's result. */
  apply(arena: Arena, slot: number, offset: number): number {
    return this.applyTo(this.activeBuffer(), arena, slot, offset);
  }

  private applyTo(buffer: WriteBuffer, arena: Arena, slot: number, offset: number): number {
    const partition = readRecordDigestLo(arena.view, offset) & PARTITION_MASK;
    const localPartition = (partition / this.shardCount) | 0;
    const place = placeOf(slot, offset);
    buffer.add(
      localPartition,
      readRecordGroup(arena.view, offset),
      place,
      arena.words[offset >>> 2] as number,
    );
    return applyRecord(this.index, localPartition, arena, offset, WHERE_BUFFER, place, 0, this.units);
  }
}
