/**
 * The index: for every row of the shard, where its newest version lies. One open-addressing table a
 * partition, all groups together, in pages of 32 entries of 32 bytes (index-entry.ts has the bits).
 *
 * I1  Ordered linear probing: entries stand in the order of their spread digests, each in the first free slot from
 *     its home on. index-probe.ts has the exact form.
 * I2  A table holds a range of spread digests, and home slots rise with them: so a table grows or splits in
 *     one walk, in sequence.
 * I3  A table grows before its load would exceed 0.85, and from four pages on by a quarter at most. Its load is then
 *     never below 0.68, and an entry costs at most 32 / 0.68 = 47.06 bytes; what surrounds it costs 36 bytes
 *     a table and 9 bytes a KiB. Tables do not shrink: what is removed makes room for what comes.
 * I4  A table that would exceed 512 KiB is split in two instead. So no insert moves more than 14 k entries, however
 *     many rows a partition has.
 * I5  No call allocates, except for the pages and lists that an insert may add.
 * I6  A handle (entry number) is valid until the next `insert` or `remove`.
 *
 * What `block` means beyond its 32 bits, and comparing full keys, is the reader's and writer's business.
 */
import { strict as assert } from 'node:assert';
import {
  digestHiOf,
  ENTRY_WORDS,
  GROUP_MASK,
  readEventTimeMicros,
  readExpiryHours,
  readIsGone,
  readIsTombstone,
  readLsn,
  readOffset,
  readWhere,
  spreadOf,
  tagOf,
  writePlace,
  writeVersion,
} from './index-entry.ts';
import { IndexGrowth, ROWS_PER_PAGE } from './index-growth.ts';
import { IndexMemory } from './index-memory.ts';
import {
  closeSlot,
  entrySlab,
  entryWord,
  handleAt,
  homeHandle,
  homeSlot,
  NONE,
  openSlot,
  probe,
  probeChunk,
  touchHomes,
  UNDECIDED,
} from './index-probe.ts';
import { copyRun, loadRun } from './index-runs.ts';
import { IndexSegments, shapeDepth, shapePages, shapeSlots } from './index-segments.ts';
import { verifyIndex } from './index-verify.ts';
import { PARTITION_COUNT } from './limits.ts';

/** Lookups of a batch that are touched together: their 256 lines fill half a first-level cache. */
const TOUCH_WINDOW = 64;

export class IndexTable {
  private readonly memory: IndexMemory = new IndexMemory();
  private readonly segments: IndexSegments;
  private readonly growth: IndexGrowth;
  private rows = 0;
  /** Where touching leaves what it loaded, so that no compiler drops the loads. */
  private touched = 0;
  /** What a window of a batch has worked out: each row's spread digest and table. */
  private readonly windowSpreads: Int32Array = new Int32Array(TOUCH_WINDOW);
  private readonly windowTables: Int32Array = new Int32Array(TOUCH_WINDOW);

  constructor(options: { partitionCount: number }) {
    this.segments = new IndexSegments(options.partitionCount);
    this.growth = new IndexGrowth(this.memory, this.segments);
  }

  get rowCount(): number {
    return this.rows;
  }

  /** All DRAM held: pages, free ones included, and page lists. */
  get bytes(): number {
    return this.memory.bytes + this.segments.bytes + this.growth.bytes;
  }

  /**
   * The first entry with this digest and group, or -1. It compares 52 bits of the digest beside the group
   * and what the partition implies, so the reader compares the key and calls `next` if it differs.
   * Digest halves may be given signed (`| 0`), which spares a boxed number where the call is not inlined.
   */
  find(localPartition: number, digestHi: number, digestLo: number, group: number): number {
    return this.lookUp(localPartition, digestHi, digestLo, group, 0, false);
  }

  /**
   * `find` for a batch of digests (low and high word each): handles to `handles`. Four times as fast as one
   * by one when the index is not in the processor's cache, since the cache misses overlap.
   */
  findBatch(
    group: number,
    digests: Uint32Array,
    count: number,
    shardCount: number,
    handles: Int32Array,
  ): void {
    const { segments, memory, windowSpreads, windowTables } = this;
    for (let from = 0; from < count; from += TOUCH_WINDOW) {
      const to = Math.min(from + TOUCH_WINDOW, count);
      for (let index = from; index < to; index += 1) {
        const localPartition = (((digests[2 * index] as number) & (PARTITION_COUNT - 1)) / shardCount) | 0;
        const spread = spreadOf((digests[2 * index + 1] as number) | 0, group);
        const table = segments.tableOf(localPartition, spread);
        windowSpreads[index - from] = spread;
        windowTables[index - from] = table;
        handles[index] = homeHandle(segments.tables, table, spread);
      }
      this.touched ^= touchHomes(memory.slabs, handles, from, to);
      for (let index = from; index < to; index += 1) {
        const tag = tagOf(digests[2 * index] as number, group);
        const spread = windowSpreads[index - from] as number;
        handles[index] = this.lookIn(windowTables[index - from] as number, spread, tag, 0, false);
      }
    }
  }

  /**
   * Where a row's probe will begin, to be collected for `touch`: or -1. Valid as long as a handle is.
   */
  home(localPartition: number, digestHi: number, group: number): number {
    const spread = spreadOf(digestHi, group);
    return homeHandle(this.segments.tables, this.segments.tableOf(localPartition, spread), spread);
  }

  /** Brings what lookups from these homes will see into the processor's cache, their misses overlapping. */
  touch(homes: Int32Array, from: number, to: number): void {
    this.touched ^= touchHomes(this.memory.slabs, homes, from, to);
  }

  /** The next such entry after `handle`, or -1. Walks from the home slot again: digests rarely collide. */
  next(handle: number, localPartition: number, digestHi: number, digestLo: number, group: number): number {
    const spread = spreadOf(digestHi, group);
    const { tables } = this.segments;
    const table = this.segments.tableOf(localPartition, spread);
    return probe(this.memory.slabs, tables, table, spread, tagOf(digestLo, group), 0, false, handle);
  }

  /** The entry with this digest, group and second hash, 96 hash bits in all, or -1. */
  findForWrite(
    localPartition: number,
    digestHi: number,
    digestLo: number,
    group: number,
    hash2: number,
  ): number {
    return this.lookUp(localPartition, digestHi, digestLo, group, hash2, true);
  }

  /** The entry that still points at this place, or -1: what a flush or a compaction moves. */
  findPlace(
    localPartition: number,
    digestHi: number,
    digestLo: number,
    group: number,
    where: number,
    block: number,
    offset: number,
  ): number {
    let handle = this.find(localPartition, digestHi, digestLo, group);
    while (handle !== NONE) {
      if (
        this.where(handle) === where &&
        this.block(handle) === block >>> 0 &&
        this.offset(handle) === offset
      ) {
        return handle;
      }
      handle = this.next(handle, localPartition, digestHi, digestLo, group);
    }
    return NONE;
  }

  /**
   * Adds an entry that `findForWrite` did not find, of no version yet; the caller then calls `set`. May grow the table: a pause of
   * about 30 ns an entry of it.
   */
  insert(localPartition: number, digestHi: number, digestLo: number, group: number, hash2: number): number {
    assert(group > 0 && group <= GROUP_MASK, 'group 0 marks an empty slot');
    const { segments } = this;
    const spread = spreadOf(digestHi, group);
    let table = segments.tableOf(localPartition, spread);
    const rows = segments.rowsOf(table);
    if (rows + 1 > shapePages(segments.tables[table] as number) * ROWS_PER_PAGE) {
      this.growth.enlarge(localPartition, table, spread);
      table = segments.tableOf(localPartition, spread);
    }
    segments.setRows(table, segments.rowsOf(table) + 1);
    this.rows += 1;
    const handle = openSlot(this.memory.slabs, segments.tables, table, spread);
    const slab = this.slab(handle);
    const word = this.word(handle);
    slab[word] = spread;
    slab[word + 1] = tagOf(digestLo, group);
    slab[word + 2] = hash2;
    for (let rest = word + 3; rest < word + ENTRY_WORDS; rest += 1) slab[rest] = 0;
    return handle;
  }

  /** Writes everything that `find` does not compare: which version is the newest, and where it lies. */
  set(
    handle: number,
    where: number,
    block: number,
    offset: number,
    eventTimeMicros: number,
    lsn: number,
    isTombstone: boolean,
    expiryHours: number,
  ): void {
    const slab = this.slab(handle);
    writeVersion(
      slab,
      this.word(handle),
      where,
      block,
      offset,
      eventTimeMicros,
      lsn,
      isTombstone,
      expiryHours,
    );
  }

  /** Moves the version to another place. */
  setPlace(handle: number, where: number, block: number, offset: number): void {
    writePlace(this.slab(handle), this.word(handle), where, block, offset);
  }

  /**
   * Takes an entry out and closes the gap, so that no tombstones lengthen probes: entries behind it move
   * up as far as their homes allow. Bounded by the run of filled slots behind it.
   */
  remove(handle: number, localPartition: number): void {
    assert(this.group(handle) !== 0, 'an entry in use');
    const { tables } = this.segments;
    const spread = this.spread(handle);
    const table = this.segments.tableOf(localPartition, spread);
    const shape = tables[table] as number;
    const slots = shapeSlots(shape);
    // An entry knows its chunk, but not where that stands in the table: walk to it as a lookup would.
    let slot = homeSlot(spread, shape);
    while (handleAt(tables, table, slot) !== handle) slot = slot + 1 === slots ? 0 : slot + 1;
    closeSlot(this.memory.slabs, tables, table, slot);
    this.segments.setRows(table, this.segments.rowsOf(table) - 1);
    this.rows -= 1;
  }

  /** Calls `visit` with each entry of a partition. It must not insert or remove. */
  visit(localPartition: number, visit: (handle: number) => void): void {
    this.segments.visitTables(localPartition, (table) => {
      const { tables } = this.segments;
      const slots = shapeSlots(tables[table] as number);
      for (let slot = 0; slot < slots; slot += 1) {
        const handle = handleAt(tables, table, slot);
        if (this.group(handle) !== 0) visit(handle);
      }
    });
  }

  /** Rows of the table that a partition's rows with this spread digest belong to: `copyTable` copies so many entries. */
  tableRows(localPartition: number, spread: number): number {
    return this.segments.rowsOf(this.segments.tableOf(localPartition, spread | 0));
  }

  tableDepth(localPartition: number, spread: number): number {
    return shapeDepth(this.segments.tables[this.segments.tableOf(localPartition, spread | 0)] as number);
  }

  /** Copies that table's entries, in the order of their spread digests; answers where they end in `into`. */
  copyTable(localPartition: number, spread: number, into: Uint32Array, at: number): number {
    const table = this.segments.tableOf(localPartition, spread | 0);
    return copyRun(this.memory, this.segments, table, into, at);
  }

  /** Puts a copied table back, into an index that has no rows in its range; false if it is no such table. */
  loadTable(
    localPartition: number,
    firstSpread: number,
    depth: number,
    words: Uint32Array,
    at: number,
    rows: number,
  ): boolean {
    const { growth, segments } = this;
    if (!loadRun(growth, segments, localPartition, firstSpread, depth, words, at, rows)) return false;
    this.rows += rows;
    return true;
  }

  slab(handle: number): Uint32Array {
    return entrySlab(this.memory.slabs, handle);
  }

  /** Where the entry's first word stands in its slab. */
  word(handle: number): number {
    return entryWord(handle);
  }

  digestHi(handle: number): number {
    return digestHiOf(this.spread(handle), this.group(handle));
  }

  /** The low half of the digest, its 12 partition bits zero. */
  digestLo(handle: number): number {
    return ((this.slab(handle)[this.word(handle) + 1] as number) & ~GROUP_MASK) >>> 0;
  }

  group(handle: number): number {
    return (this.slab(handle)[this.word(handle) + 1] as number) & GROUP_MASK;
  }

  hash2(handle: number): number {
    return this.slab(handle)[this.word(handle) + 2] as number;
  }

  block(handle: number): number {
    return this.slab(handle)[this.word(handle) + 3] as number;
  }

  /** Byte offset of the record in its block. */
  offset(handle: number): number {
    return readOffset(this.slab(handle), this.word(handle));
  }

  where(handle: number): number {
    return readWhere(this.slab(handle), this.word(handle));
  }

  eventTimeMicros(handle: number): number {
    return readEventTimeMicros(this.slab(handle), this.word(handle));
  }

  lsn(handle: number): number {
    return readLsn(this.slab(handle), this.word(handle));
  }

  isTombstone(handle: number): boolean {
    return readIsTombstone(this.slab(handle), this.word(handle));
  }

  /**
   * True for a tombstone, and for a row that has expired by the hour `hours` (`hoursNow`): known without its block. A row that
   * expires within this hour is not known here.
   */
  isGone(handle: number, hours: number): boolean {
    return readIsGone(this.slab(handle), this.word(handle), hours);
  }

  expiryHours(handle: number): number {
    return readExpiryHours(this.slab(handle), this.word(handle));
  }

  /** Checks I1–I3, that no entry stands twice, and that each page has one owner. */
  verify(): void {
    verifyIndex(this, this.memory, this.segments);
  }

  private lookUp(
    localPartition: number,
    digestHi: number,
    digestLo: number,
    group: number,
    hash2: number,
    comparesHash2: boolean,
  ): number {
    const spread = spreadOf(digestHi, group);
    const table = this.segments.tableOf(localPartition, spread);
    return this.lookIn(table, spread, tagOf(digestLo, group), hash2 | 0, comparesHash2);
  }

  private lookIn(table: number, spread: number, tag: number, hash2: number, comparesHash2: boolean): number {
    const { slabs } = this.memory;
    const { tables } = this.segments;
    const handle = probeChunk(slabs, tables, table, spread, tag, hash2, comparesHash2);
    if (handle !== UNDECIDED) return handle;
    return probe(slabs, tables, table, spread, tag, hash2, comparesHash2, NONE);
  }

  private spread(handle: number): number {
    return (this.slab(handle)[this.word(handle)] as number) | 0;
  }
}
