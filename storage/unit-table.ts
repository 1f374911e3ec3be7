/**
 * What level 1 holds of each unit (a group's partition), and how much of it is dead: without reading a block.
 *
 *   group → chunks of 64 local partitions → 8 words a unit:
 *   pages | ideal pages, in 1/256 | record bytes / 8 | records | dead bytes / 8 | mortal bytes / 8 | first death | last death
 *
 * A version dies when nothing may read it any more: some time after a newer one has taken its place, or after its expiry.
 * `mortal` are the bytes whose death is known to come, at moments between the first and the last (whole seconds since the
 * epoch). They are taken to die evenly in between, and are moved to `dead` as time passes (`settle`).
 *
 * I1  Pages, bytes and records are those of the unit's blocks; deaths are an estimate, never above the bytes.
 * I2  `isDue` is false for a unit whose rewrite would not save pages: a rewrite sets the ideal to what it wrote, whatever the
 *     sizes of the records, and deaths that it could not carry out are put off by RETRY_SECONDS.
 *
 * `ideal` is what a rewrite of everything would take: an append that leaves its last page almost empty adds a page and a
 * fraction of an ideal one. 32 bytes a unit, and at most 63 units more than there are in each row of 64.
 */
import { strict as assert } from 'node:assert';
import type { GroupPolicies } from './group-policy.ts';
import { BLOCK_BYTES, BLOCK_HEADER_BYTES, PAGE_BYTES, RECORD_GROUP_MAX } from './limits.ts';
import { readRecordBytes } from './record.ts';
import { StorageError } from './storage-error.ts';
import { endMicros } from './sweep-fate.ts';

const CHUNK_SHIFT = 6;
const CHUNK_UNITS: number = 2 ** CHUNK_SHIFT;
const UNIT_WORDS = 8;
const PAGES = 0;
const IDEAL = 1;
const BYTES = 2;
const RECORDS = 3;
const DEAD = 4;
const MORTAL = 5;
const FIRST_DEATH = 6;
const LAST_DEATH = 7;

const IDEAL_UNIT = 256;
/** A block filled to this part counts as a full one: what follows may not have fitted. */
const FULL_PART = 0.5;
/** A unit is rewritten when that saves this part of its pages. */
export const WASTE_DEFAULT = 0.4;
const SECONDS_MAX: number = 2 ** 32 - 1;

const ENCODED_HEADER_BYTES = 8;
const ENCODED_CHUNK_BYTES: number = 8 + CHUNK_UNITS * UNIT_WORDS * 4;

export class UnitTable {
  /** Of all units. */
  pageCount = 0;
  recordBytes = 0;
  private readonly localPartitionCount: number;
  private readonly policies: GroupPolicies;
  private readonly waste: number;
  private readonly chunksOfGroup: (Uint32Array | undefined)[][] = [];
  private unitCount = 0;
  private chunkCount = 0;

  constructor(localPartitionCount: number, policies: GroupPolicies, waste: number = WASTE_DEFAULT) {
    this.localPartitionCount = localPartitionCount;
    this.policies = policies;
    this.waste = waste;
  }

  /** Units that have blocks. */
  get count(): number {
    return this.unitCount;
  }

  /** DRAM held. */
  get heldBytes(): number {
    return this.chunkCount * CHUNK_UNITS * UNIT_WORDS * 4;
  }

  /** A block of the unit was found, or written. */
  addBlock(group: number, localPartition: number, pages: number, usedBytes: number): void {
    const words = this.wordsFor(group, localPartition);
    const at = unitAt(localPartition);
    if (words[at + PAGES] === 0) this.unitCount += 1;
    words[at + PAGES] = (words[at + PAGES] as number) + pages;
    const part = usedBytes / BLOCK_BYTES;
    const ideal = pages > 1 ? pages : part >= FULL_PART ? 1 : part;
    words[at + IDEAL] = (words[at + IDEAL] as number) + Math.ceil(ideal * IDEAL_UNIT);
    this.pageCount += pages;
  }

  /** What was added since `clear` is all there is, and as dense as its records allow (I2). */
  markDense(group: number, localPartition: number): void {
    const words = this.wordsOf(group, localPartition);
    if (words === undefined) return;
    const at = unitAt(localPartition);
    words[at + IDEAL] = (words[at + PAGES] as number) * IDEAL_UNIT;
  }

  /** A record of the unit's blocks; `deathSeconds` is Infinity for one that will not die as things are. */
  addRecord(
    group: number,
    localPartition: number,
    recordBytes: number,
    deathSeconds: number,
    nowSeconds: number,
  ): void {
    const words = this.wordsFor(group, localPartition);
    const at = unitAt(localPartition);
    words[at + BYTES] = (words[at + BYTES] as number) + (recordBytes >>> 3);
    words[at + RECORDS] = (words[at + RECORDS] as number) + 1;
    this.recordBytes += recordBytes;
    if (deathSeconds !== Infinity) this.addDeath(words, at, recordBytes >>> 3, deathSeconds, nowSeconds);
  }

  /** A record of the unit that was added as one that lives on will die at `deathSeconds`. */
  die(
    group: number,
    localPartition: number,
    recordBytes: number,
    deathSeconds: number,
    nowSeconds: number,
  ): void {
    const words = this.wordsOf(group, localPartition);
    if (words === undefined || deathSeconds === Infinity) return;
    this.addDeath(words, unitAt(localPartition), recordBytes >>> 3, deathSeconds, nowSeconds);
  }

  /** A record found in a block of the unit, as `addRecord`: it may end by itself, as a tombstone and a row with an expiry do. */
  addFound(group: number, localPartition: number, view: DataView, offset: number): void {
    const policy = this.policies.policyOf(group);
    const deathSeconds = policy === undefined ? 0 : endMicros(policy, view, offset) / 1e6;
    this.addRecord(group, localPartition, readRecordBytes(view, offset), deathSeconds, 0);
  }

  /**
   * Some record of the unit was superseded by one whose event time and commit time are not above `settledMicros`: it is
   * taken to be of average size.
   */
  supersede(group: number, localPartition: number, settledMicros: number): void {
    const words = this.wordsOf(group, localPartition);
    if (words === undefined) return;
    const retentionMicros = this.policies.policyOf(group)?.retentionMicros ?? 0;
    if (retentionMicros === Infinity) return;
    const deathSeconds = (settledMicros + retentionMicros) / 1e6;
    const nowSeconds = settledMicros / 1e6;
    const at = unitAt(localPartition);
    const records = words[at + RECORDS] as number;
    if (records === 0) return;
    this.addDeath(words, at, Math.round((words[at + BYTES] as number) / records), deathSeconds, nowSeconds);
  }

  pages(group: number, localPartition: number): number {
    return this.wordsOf(group, localPartition)?.[unitAt(localPartition) + PAGES] ?? 0;
  }

  bytes(group: number, localPartition: number): number {
    return (this.wordsOf(group, localPartition)?.[unitAt(localPartition) + BYTES] ?? 0) * 8;
  }

  /** An estimate of the bytes that nothing reads any more. */
  deadBytes(group: number, localPartition: number, nowSeconds: number): number {
    const words = this.wordsOf(group, localPartition);
    return words === undefined ? 0 : deadUnits(words, unitAt(localPartition), nowSeconds) * 8;
  }

  /** The unit's blocks are gone, or are about to be written anew. */
  clear(group: number, localPartition: number): void {
    const words = this.wordsOf(group, localPartition);
    if (words === undefined) return;
    const at = unitAt(localPartition);
    if (words[at + PAGES] !== 0) this.unitCount -= 1;
    this.pageCount -= words[at + PAGES] as number;
    this.recordBytes -= (words[at + BYTES] as number) * 8;
    words.fill(0, at, at + UNIT_WORDS);
  }

  /**
   * Whether a rewrite of the unit would save so many of its pages that it is worth it. `addedBytes` of records are about to
   * be appended, or to be merged.
   */
  isDue(group: number, localPartition: number, addedBytes: number, nowSeconds: number): boolean {
    const words = this.wordsOf(group, localPartition);
    return words !== undefined && this.isDueAt(words, unitAt(localPartition), addedBytes, nowSeconds);
  }

  /**
   * Looks at up to `limit` units from the place `from` on (0 is the first) for one that is due: answers its place, or the
   * place to go on from as `-1 - place`, or -1 at the end. For rounds over all units in bounded turns. Every unit of a
   * dropped group is due.
   */
  findDue(from: number, limit: number, nowSeconds: number, isDropped: (group: number) => boolean): number {
    const count = this.localPartitionCount;
    const end = this.chunksOfGroup.length * count;
    let looked = 0;
    let place = from;
    while (place < end && looked < limit) {
      const localPartition = place % count;
      const words = this.wordsOf((place / count) | 0, localPartition);
      if (words === undefined) {
        // The rest of the chunk is not there either.
        place += Math.min(CHUNK_UNITS - (localPartition & (CHUNK_UNITS - 1)), count - localPartition);
        looked += 1;
        continue;
      }
      const at = unitAt(localPartition);
      if (this.isDueAt(words, at, 0, nowSeconds)) return place;
      if (words[at + PAGES] !== 0 && isDropped((place / count) | 0)) return place;
      place += 1;
      looked += 1;
    }
    return place < end ? -1 - place : -1;
  }

  groupAt(place: number): number {
    return Math.floor(place / this.localPartitionCount);
  }

  localPartitionAt(place: number): number {
    return place % this.localPartitionCount;
  }

  /** The estimate of dead bytes over all units: a walk over them, about 10 ns each. */
  totalDeadBytes(nowSeconds: number): number {
    let dead = 0;
    for (const ofGroup of this.chunksOfGroup) {
      for (const words of ofGroup) {
        if (words === undefined) continue;
        for (let at = 0; at < words.length; at += UNIT_WORDS) dead += deadUnits(words, at, nowSeconds);
      }
    }
    return dead * 8;
  }

  /** Memory held. */
  get memoryBytes(): number {
    let chunks = 0;
    for (const ofGroup of this.chunksOfGroup)
      for (const chunk of ofGroup ?? []) if (chunk !== undefined) chunks += 1;
    return chunks * CHUNK_UNITS * UNIT_WORDS * 4;
  }

  /** u32 chunks | u32 0 | per chunk: u16 group, u16 number of the chunk, u32 0, its words. A copy of 2 KiB a chunk. */
  encode(): Uint8Array {
    let chunks = 0;
    for (const ofGroup of this.chunksOfGroup)
      for (const words of ofGroup) if (words !== undefined) chunks += 1;
    const bytes = new Uint8Array(ENCODED_HEADER_BYTES + chunks * ENCODED_CHUNK_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, chunks, true);
    let to = ENCODED_HEADER_BYTES;
    for (const [group, ofGroup] of this.chunksOfGroup.entries()) {
      for (const [chunk, words] of ofGroup.entries()) {
        if (words === undefined) continue;
        view.setUint16(to, group, true);
        view.setUint16(to + 2, chunk, true);
        bytes.set(new Uint8Array(words.buffer), to + 8);
        to += ENCODED_CHUNK_BYTES;
      }
    }
    return bytes;
  }

  /** Takes over what `encode` gave, into an empty table. The caller has checked a checksum. */
  decode(bytes: Uint8Array): void {
    assert(this.unitCount === 0, 'an empty table');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = bytes.length >= ENCODED_HEADER_BYTES ? view.getUint32(0, true) : -1;
    if (bytes.length !== ENCODED_HEADER_BYTES + count * ENCODED_CHUNK_BYTES) {
      throw new StorageError('BLOCK_CORRUPT', `a table of units of ${bytes.length} bytes is cut`);
    }
    for (let from = ENCODED_HEADER_BYTES; from < bytes.length; from += ENCODED_CHUNK_BYTES) {
      const group = view.getUint16(from, true);
      const localPartition = view.getUint16(from + 2, true) << CHUNK_SHIFT;
      if (group === 0 || group > RECORD_GROUP_MAX || localPartition >= this.localPartitionCount) {
        throw new StorageError('BLOCK_CORRUPT', 'a table of units names one that cannot be');
      }
      const words = this.wordsFor(group, localPartition);
      const copy = bytes.slice(from + 8, from + ENCODED_CHUNK_BYTES);
      words.set(new Uint32Array(copy.buffer));
      for (let at = 0; at < words.length; at += UNIT_WORDS) {
        if (words[at + PAGES] !== 0) this.unitCount += 1;
        this.pageCount += words[at + PAGES] as number;
        this.recordBytes += (words[at + BYTES] as number) * 8;
      }
    }
  }

  private isDueAt(words: Uint32Array, at: number, addedBytes: number, nowSeconds: number): boolean {
    const pages = words[at + PAGES] as number;
    if (pages === 0) return false;
    const bytes = words[at + BYTES] as number;
    const share = bytes === 0 ? 0 : 1 - deadUnits(words, at, nowSeconds) / bytes;
    const addedPages = addedBytes / (BLOCK_BYTES - BLOCK_HEADER_BYTES);
    const expected = Math.ceil(((words[at + IDEAL] as number) / IDEAL_UNIT) * share + addedPages);
    const saved = pages + Math.ceil(addedPages) - expected;
    return saved >= 1 && saved >= this.waste * (pages + Math.ceil(addedPages));
  }

  private addDeath(
    words: Uint32Array,
    at: number,
    units: number,
    deathSeconds: number,
    nowSeconds: number,
  ): void {
    const death = Math.min(Math.max(Math.ceil(deathSeconds), 0), SECONDS_MAX);
    settle(words, at, nowSeconds);
    if (death <= nowSeconds) {
      words[at + DEAD] = (words[at + DEAD] as number) + units;
      return;
    }
    const isFirst = words[at + MORTAL] === 0;
    words[at + MORTAL] = (words[at + MORTAL] as number) + units;
    words[at + FIRST_DEATH] = isFirst ? death : Math.min(words[at + FIRST_DEATH] as number, death);
    words[at + LAST_DEATH] = isFirst ? death : Math.max(words[at + LAST_DEATH] as number, death);
  }

  private wordsOf(group: number, localPartition: number): Uint32Array | undefined {
    return this.chunksOfGroup[group]?.[localPartition >>> CHUNK_SHIFT];
  }

  private wordsFor(group: number, localPartition: number): Uint32Array {
    while (this.chunksOfGroup.length <= group) this.chunksOfGroup.push([]);
    const chunks = this.chunksOfGroup[group] as (Uint32Array | undefined)[];
    const index = localPartition >>> CHUNK_SHIFT;
    while (chunks.length <= index) chunks.push(undefined);
    let words = chunks[index];
    if (words === undefined) {
      words = new Uint32Array(CHUNK_UNITS * UNIT_WORDS);
      chunks[index] = words;
      this.chunkCount += 1;
    }
    return words;
  }
}

/** Bytes of pages, as the blocks file holds them. */
export function pageBytesOf(units: UnitTable): number {
  return units.pageCount * PAGE_BYTES;
}

function unitAt(localPartition: number): number {
  return (localPartition & (CHUNK_UNITS - 1)) * UNIT_WORDS;
}

/** How many of the mortal bytes have died, in units of 8. */
function diedOf(words: Uint32Array, at: number, nowSeconds: number): number {
  const mortal = words[at + MORTAL] as number;
  const first = words[at + FIRST_DEATH] as number;
  const last = words[at + LAST_DEATH] as number;
  if (mortal === 0 || nowSeconds < first) return 0;
  if (nowSeconds >= last) return mortal;
  return Math.floor((mortal * (nowSeconds - first)) / (last - first));
}

function deadUnits(words: Uint32Array, at: number, nowSeconds: number): number {
  const dead = (words[at + DEAD] as number) + diedOf(words, at, nowSeconds);
  return Math.min(dead, words[at + BYTES] as number);
}

function settle(words: Uint32Array, at: number, nowSeconds: number): void {
  const died = diedOf(words, at, nowSeconds);
  if (died === 0) return;
  words[at + DEAD] = (words[at + DEAD] as number) + died;
  words[at + MORTAL] = (words[at + MORTAL] as number) - died;
  words[at + FIRST_DEATH] = Math.max(words[at + FIRST_DEATH] as number, Math.floor(nowSeconds));
}
