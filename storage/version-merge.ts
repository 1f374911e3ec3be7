/**
 * The newest version of every live row of a few partitions, gathered from blocks and write-buffer records in any order.
 *
 * I1  After `finish`, `places[0, count)` are the records, in (partition, digest, key) order, that are of each key the
 *     newest by (event time, LSN) that the view sees (read-view.ts), not a tombstone, not expired. Adding a version twice
 *     changes nothing.
 * I2  Memory is bounded by the rows that are live, not by the versions read: bytes are copied into one arena, and when
 *     it would pass ARENA_SQUEEZE_BYTES, versions that a newer one already hides are squeezed out of it first. Only when
 *     what remains is more than half of it does the arena grow.
 * I3  Tombstones and expired versions are kept until `finish`: they hide older versions that may still come.
 *
 * How: a range of records is copied as it lies (no copy a record), walked once to note the records wanted, and ordered
 * at the end (version-order.ts). One object serves many steps: `begin` forgets, `release` gives the memory back.
 *
 * Left to others: which blocks to read (snapshot.ts), what the payloads mean (the reader's encoder).
 */
import { type Arena, arenaOf } from './arena.ts';
import { recordsEnd, recordsStart, verifyBlock } from './block.ts';
import { PARTITION_COUNT } from './limits.ts';
import { expirySecond, type HistoryBounds, LATEST, type ReadView } from './read-view.ts';
import { RECORD_BYTES_MIN } from './record.ts';
import { StorageError } from './storage-error.ts';
import {
  comparePlaces,
  copyPrefix,
  dropMortal,
  dropUnseen,
  GROUP_MASK_HISTORY,
  GROUP_MASK_LATEST,
  keepCommittedAfter,
  type NotedRecords,
  noteRecords,
  partitionAt,
  scatter,
  settle,
  TALLY_COUNT,
  TALLY_MORTAL,
} from './version-order.ts';

/** The arena's first size: half of what one step of a scan gathers (snapshot.ts), so that it grows once or not at all. */
const ARENA_FIRST_BYTES: number = 2 << 20;
/** From here on versions are squeezed out: large enough to cost little a record, a small part of a scan thread's memory. */
const ARENA_SQUEEZE_BYTES: number = 16 << 20;
/** Live rows of one step: beyond this, byte numbers would leave 31 bits, and a partition would be far too large. */
const ARENA_BYTES_MAX: number = 1 << 30;
/** Memory that one noted record takes in all the columns here. */
const NOTE_BYTES = 26;
const NOTES_FIRST: number = 1 << 14;

const NO_ARENA: Arena = arenaOf(new Uint8Array(0));

/** Where a reader stands: on the last row that it has used. */
export interface RowCursor {
  readonly partition: number;
  /** A copy of that row's record as far as its key. */
  readonly record: Uint32Array;
}

export class VersionMerge {
  /** The rows, after `finish`: where their records start in the arena, in 8-byte units. */
  places: Uint32Array = new Uint32Array(0);
  count = 0;
  /** Replaced when it grows, so read it after `finish`. */
  arena: Arena = NO_ARENA;

  readonly #slotOf = new Int16Array(PARTITION_COUNT).fill(-1);
  readonly #slotCounts = new Uint32Array(PARTITION_COUNT);
  readonly #slotStarts = new Uint32Array(PARTITION_COUNT);
  readonly #tally = new Uint32Array(2);
  #group = 0;
  #view: ReadView = LATEST;
  #partitions: Uint16Array = new Uint16Array(0);
  #used = 0;
  #noted: NotedRecords = notes(0);
  #order: Uint32Array = new Uint32Array(0);
  #bucketEnds: Uint32Array = new Uint32Array(1);
  #bucketOf: Uint32Array = new Uint32Array(0);

  /** Bytes of memory held. */
  get bytesHeld(): number {
    return this.arena.bytes.length + this.#noted.place.length * NOTE_BYTES;
  }

  /** Forgets everything and gathers `group`'s versions in `partitions`, which ascend, as far as `view` sees them. */
  begin(group: number, partitions: Uint16Array, view: ReadView = LATEST): void {
    this.#view = view;
    for (const partition of this.#partitions) this.#slotOf[partition] = -1;
    this.#group = group;
    this.#partitions = partitions.slice();
    for (let slot = 0; slot < partitions.length; slot++) this.#slotOf[partitions[slot]!] = slot;
    this.#slotCounts.fill(0);
    this.#forget();
  }

  /** Adds records that lie back to back, 8-aligned in themselves. */
  addRecords(records: Uint8Array): void {
    if (records.length === 0) return;
    const start = this.#copyIn(records);
    this.#note(start, start + records.length, 0);
    this.#used = start + records.length;
  }

  /**
   * Adds a block's records from the partition `firstPartition` on, after its checksum; those before it are obsolete.
   * Throws BLOCK_CORRUPT, naming the key.
   */
  addBlock(block: Uint8Array, keyHi: number, keyLo: number, firstPartition = 0): void {
    const start = this.#copyIn(block);
    verifyBlock(this.arena, start, block.length, keyHi, keyLo);
    const end = recordsEnd(this.arena, start);
    this.#note(recordsStart(start), end, firstPartition);
    this.#used = end;
  }

  /**
   * Settles the rows of the first `partitionCount` partitions; what was gathered of later ones is left out.
   * Expiry is decided at `nowSeconds`, or at the view's moment.
   */
  finish(partitionCount: number, nowSeconds: number): void {
    this.count = this.#settle(partitionCount);
    const { words } = this.arena;
    if (this.#tally[TALLY_MORTAL] !== 0) {
      this.count = dropMortal(words, this.places, this.count, expirySecond(this.#view, nowSeconds));
    }
    const { sinceMicros } = this.#view;
    if (sinceMicros === null) return;
    this.count = keepCommittedAfter(words, this.places, this.count, highWord(sinceMicros), sinceMicros >>> 0);
  }

  partitionAt(row: number): number {
    return partitionAt(this.arena.words, this.places[row]! << 1);
  }

  /** A cursor that stands on the row `row`. */
  cursorAt(row: number): RowCursor {
    return { partition: this.partitionAt(row), record: copyPrefix(this.arena.words, this.places[row]! << 1) };
  }

  /** How many of the settled rows lie before or at the cursor, whose partition is the first gathered. */
  rowsThrough(cursor: RowCursor): number {
    let row = 0;
    while (row < this.count && this.partitionAt(row) === cursor.partition) {
      if (comparePlaces(this.arena.words, this.places[row]! << 1, cursor.record, 0) > 0) break;
      row++;
    }
    return row;
  }

  /** Gives the memory back; `begin` may follow. */
  release(): void {
    this.arena = NO_ARENA;
    this.places = new Uint32Array(0);
    this.#noted = notes(0);
    this.#order = new Uint32Array(0);
    this.#bucketEnds = new Uint32Array(1);
    this.#bucketOf = new Uint32Array(0);
    this.#forget();
  }

  #forget(): void {
    this.#tally.fill(0);
    this.#used = 0;
    this.count = 0;
  }

  /** Copies the bytes behind those used, with room to note their records. Answers where they start. */
  #copyIn(source: Uint8Array): number {
    const { length } = source;
    if (this.#used + length > this.arena.bytes.length) this.#makeRoom(length);
    this.#reserveNotes(this.#tally[TALLY_COUNT]! + Math.ceil(length / RECORD_BYTES_MIN));
    this.arena.bytes.set(source, this.#used);
    return this.#used;
  }

  #note(from: number, to: number, firstPartition: number): void {
    const { words } = this.arena;
    const group = this.#group;
    const slotCounts = this.#slotCounts;
    const { bounds } = this.#view;
    const before = this.#tally[TALLY_COUNT]!;
    const isWhole = noteRecords(
      words,
      from >>> 2,
      to >>> 2,
      group,
      firstPartition,
      bounds === null ? GROUP_MASK_LATEST : GROUP_MASK_HISTORY,
      this.#slotOf,
      this.#noted,
      slotCounts,
      this.#tally,
    );
    if (isWhole) {
      if (bounds !== null) this.#dropUnseen(bounds, before);
      return;
    }
    throw new StorageError('BLOCK_CORRUPT', `a range of records of group ${group} holds a broken one`);
  }

  #dropUnseen({ asOfMicros, readPointMicros }: HistoryBounds, from: number): void {
    dropUnseen(
      this.arena.words,
      this.#noted,
      from,
      this.#slotCounts,
      this.#tally,
      highWord(asOfMicros),
      asOfMicros >>> 0,
      highWord(readPointMicros),
      readPointMicros >>> 0,
    );
  }

  #settle(partitionCount: number): number {
    const total = scatter(
      this.#noted,
      this.#tally[TALLY_COUNT]!,
      this.#slotCounts,
      this.#slotStarts,
      Math.min(partitionCount, this.#partitions.length),
      this.#order,
      this.#bucketEnds,
      this.#bucketOf,
    );
    return settle(this.arena.words, this.#noted, this.#order, this.#bucketEnds, total, this.places);
  }

  /** Makes room for `length` more bytes: by growing while the arena is small, else by squeezing it first. */
  #makeRoom(length: number): void {
    const held = this.arena.bytes.length;
    let bytes = Math.max(held, ARENA_FIRST_BYTES);
    if (held < ARENA_SQUEEZE_BYTES) {
      while (bytes < this.#used + length) bytes *= 2;
      const grown = arenaOf(new Uint8Array(bytes));
      grown.bytes.set(this.arena.bytes.subarray(0, this.#used));
      this.arena = grown;
      return;
    }
    const kept = this.#settle(this.#partitions.length);
    const { words } = this.arena;
    let live = 0;
    for (let i = 0; i < kept; i++) live += words[this.places[i]! << 1]!;
    while (live * 2 > bytes || live + length > bytes) bytes *= 2;
    if (bytes > ARENA_BYTES_MAX) {
      throw new StorageError(
        'MEMORY_FULL',
        `the live rows of one partition of group ${this.#group} exceed 1 GiB`,
      );
    }
    this.#squeezeInto(bytes === held ? this.arena : arenaOf(new Uint8Array(bytes)), kept);
  }

  /** Copies the settled versions and forgets all others. Ascending places make it safe to do so within one arena. */
  #squeezeInto(into: Arena, kept: number): void {
    const { bytes, words } = this.arena;
    const places = this.places.subarray(0, kept).sort();
    let at = 0;
    for (const place of places) {
      const start = place << 3;
      const end = start + words[start >>> 2]!;
      if (into === this.arena) bytes.copyWithin(at, start, end);
      else into.bytes.set(bytes.subarray(start, end), at);
      at += end - start;
    }
    this.arena = into;
    this.#used = at;
    this.#tally[TALLY_COUNT] = 0;
    this.#slotCounts.fill(0, 0, this.#partitions.length);
    this.#note(0, at, 0);
  }

  #reserveNotes(count: number): void {
    const held = this.#noted.place.length;
    if (count <= held) return;
    const capacity = Math.max(count, held * 2, NOTES_FIRST);
    const noted = notes(capacity);
    noted.place.set(this.#noted.place);
    noted.high.set(this.#noted.high);
    noted.slot.set(this.#noted.slot);
    this.#noted = noted;
    this.places = new Uint32Array(capacity);
    this.#order = new Uint32Array(capacity);
    this.#bucketOf = new Uint32Array(capacity);
    this.#bucketEnds = new Uint32Array(capacity + 1);
  }
}

function notes(capacity: number): NotedRecords {
  return {
    place: new Uint32Array(capacity),
    high: new Uint32Array(capacity),
    slot: new Uint16Array(capacity),
  };
}

/** Of a safe integer as two words: the signed high one. The low one is `value >>> 0`, also of a negative value. */
function highWord(value: number): number {
  return Math.floor(value / 4294967296);
}
