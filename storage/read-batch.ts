/**
 * Where the rows of one lookup were found: a place in memory for each key asked for, as columns.
 *
 * I1  A place is (arena, byte offset of the record's header); RECORD_MISSING where there is no live row.
 * I2  Places hold until the next call into the store: copy what is needed in the same turn.
 */

/** No arena is that large, so no record starts there. */
export const RECORD_MISSING: number = 0xffffffff;

export class ReadBatch {
  count = 0;
  /** Index into the store's arena table. */
  arena: Uint16Array;
  /** Offset of the record in its arena, in bytes, 8-aligned; or RECORD_MISSING. */
  offset: Uint32Array;
  /** The index entry that led to the record: the read path's own. */
  handle: Int32Array;

  constructor(capacity: number) {
    this.arena = new Uint16Array(capacity);
    this.offset = new Uint32Array(capacity);
    this.handle = new Int32Array(capacity);
  }

  /** Makes room for `count` keys; what was there is lost. */
  ensure(count: number): void {
    if (this.arena.length >= count) return;
    const capacity = Math.max(count, 2 * this.arena.length);
    this.arena = new Uint16Array(capacity);
    this.offset = new Uint32Array(capacity);
    this.handle = new Int32Array(capacity);
  }
}
