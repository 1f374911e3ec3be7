/**
 * Packs records into blocks, in memory: what a flush step or a compaction step then writes.
 *
 *   append → | open block, 4072 of 4096 bytes | sealed | sealed | …   in buffers of 1 MiB, used again
 *
 * I1  Records keep the order of their `append`s. A block is closed when the next record does not fit, is of
 *     another group or, in level 1, of another partition.
 * I2  `append` answers the record's byte offset in its block, and `blockIndex` (from 0, rising by one a
 *     block) names the block. Both are final at once, so an index entry can be pointed at them.
 * I3  The blocks that `finish` gives stay as they are until `reset`.
 *
 * A record that needs more than a page closes the open block, so a mix of small and such large rows wastes
 * at most one page a large row. Numbering blocks in the store is the caller's business.
 */
import { strict as assert } from 'node:assert';
import { type Arena, arenaOf } from './arena.ts';
import {
  BLOCK_MAGIC,
  BLOCK_WORD_CHECKSUM,
  BLOCK_WORD_DIGEST_MAX,
  BLOCK_WORD_DIGEST_MIN,
  BLOCK_WORD_FLUSH,
  BLOCK_WORD_LEVEL_GROUP,
  BLOCK_WORD_PARTITIONS,
  BLOCK_WORD_RECORDS,
  BLOCK_WORD_USED,
  blockBytesFor,
  LEVEL_ONE,
} from './block.ts';
import { checksum64 } from './checksum.ts';
import {
  BLOCK_BYTES,
  BLOCK_HEADER_BYTES,
  LMDB_PAGE_HEADER_BYTES,
  PAGE_BYTES,
  PARTITION_COUNT,
} from './limits.ts';
import { RECORD_DIGEST_HI_AT, RECORD_DIGEST_LO_AT, RECORD_GROUP_AT } from './record.ts';

/** Blocks of one page are built in buffers of this size: one bounded step's worth. */
const BUILD_BUFFER_BYTES = 2 ** 20;

export interface BuiltBlock {
  readonly bytes: Uint8Array;
  readonly group: number;
  readonly partitionMin: number;
  readonly partitionMax: number;
  readonly recordCount: number;
  /** Header and records. */
  readonly usedBytes: number;
  readonly pages: number;
}

export class BlockBuilder {
  private readonly level: number;
  private readonly fillBytes: number;
  private flushNumber = 0;
  private readonly blocks: BuiltBlock[] = [];
  private readonly buffers: Arena[] = [];
  private buffersUsed = 0;
  /** First free page of the last buffer in use. */
  private nextPage = BUILD_BUFFER_BYTES;
  private pageCount = 0;

  private arena: Arena | undefined;
  private start = 0;
  private used = 0;
  private length = 0;
  private records = 0;
  private group = 0;
  private partitionMin = 0;
  private partitionMax = 0;
  private readonly digests: Uint32Array = new Uint32Array(4);
  private readonly checksum: Uint32Array = new Uint32Array(2);

  /** `reset` comes before the first record: it gives the flush number. `fillBytes`: a block takes no more records from here on. */
  constructor(level: number, fillBytes: number = BLOCK_BYTES) {
    this.level = level;
    this.fillBytes = fillBytes;
  }

  /** The block that the last appended record went into. */
  get blockIndex(): number {
    return this.blocks.length - (this.arena === undefined ? 1 : 0);
  }

  /** Bytes that the blocks so far take on disk, the open one included: what a step is bounded by. */
  get bytes(): number {
    return this.pageCount * PAGE_BYTES;
  }

  /** Copies one record in; returns its byte offset in the block `blockIndex`. */
  append(source: Arena, offset: number): number {
    const words = source.words;
    const word = offset >>> 2;
    const recordBytes = words[word] as number;
    const group = (words[word + RECORD_GROUP_AT / 4] as number) & 0xffff;
    const digestLo = words[word + RECORD_DIGEST_LO_AT / 4] as number;
    const partition = digestLo & (PARTITION_COUNT - 1);
    if (group === this.group)
      assert(partition >= this.partitionMax, 'records come in ascending partition order');
    // Against a page, not the block's length: a record larger than a page has its block to itself.
    const fits = this.arena !== undefined && this.used + recordBytes <= this.fillBytes;
    if (!fits || group !== this.group || (this.level === LEVEL_ONE && partition !== this.partitionMax)) {
      this.seal();
      this.open(recordBytes, group, partition);
    }
    this.partitionMax = partition;
    if (this.level === LEVEL_ONE) this.noteDigest(digestLo, words[word + RECORD_DIGEST_HI_AT / 4] as number);
    const at = this.used;
    copyWords(words, word, (this.arena as Arena).words, (this.start + at) >>> 2, recordBytes >>> 2);
    this.used = at + recordBytes;
    this.records += 1;
    return at;
  }

  /** Closes the open block; returns all blocks since the last `reset`, in the order of their index. */
  finish(): readonly BuiltBlock[] {
    this.seal();
    return this.blocks;
  }

  /** Forgets the blocks and uses their memory again. */
  reset(flushNumber: number): void {
    this.flushNumber = flushNumber;
    this.blocks.length = 0;
    this.arena = undefined;
    this.group = 0;
    this.buffersUsed = 0;
    this.nextPage = BUILD_BUFFER_BYTES;
    this.pageCount = 0;
  }

  private open(recordBytes: number, group: number, partition: number): void {
    this.length = blockBytesFor(recordBytes);
    this.pageCount += (this.length + LMDB_PAGE_HEADER_BYTES) / PAGE_BYTES;
    if (this.length === BLOCK_BYTES) {
      this.arena = this.takePage();
    } else {
      // A block of its own is rare and may be a mebibyte: not worth keeping.
      this.arena = arenaOf(new Uint8Array(this.length));
      this.start = 0;
    }
    this.used = BLOCK_HEADER_BYTES;
    this.records = 0;
    this.group = group;
    this.partitionMin = partition;
    this.partitionMax = partition;
    this.digests.fill(0);
  }

  private takePage(): Arena {
    if (this.nextPage === BUILD_BUFFER_BYTES) {
      if (this.buffersUsed === this.buffers.length) {
        this.buffers.push(arenaOf(new Uint8Array(BUILD_BUFFER_BYTES)));
      }
      this.buffersUsed += 1;
      this.nextPage = 0;
    }
    this.start = this.nextPage;
    this.nextPage += PAGE_BYTES;
    return this.buffers[this.buffersUsed - 1] as Arena;
  }

  /** Digests rise: the first is the lowest, the last so far the highest. */
  private noteDigest(digestLo: number, digestHi: number): void {
    const { digests } = this;
    if (this.records === 0) {
      digests[0] = digestLo;
      digests[1] = digestHi;
    } else {
      const lastLo = digests[2] as number;
      const lastHi = digests[3] as number;
      assert(
        digestHi > lastHi || (digestHi === lastHi && digestLo >= lastLo),
        'records of level 1 come in ascending digest order',
      );
    }
    digests[2] = digestLo;
    digests[3] = digestHi;
  }

  private seal(): void {
    const { arena, start, used, digests, checksum } = this;
    if (arena === undefined) return;
    const { words } = arena;
    const word = start >>> 2;
    words.fill(0, (start + used) >>> 2, (start + this.length) >>> 2);
    words[word] = BLOCK_MAGIC;
    words[word + BLOCK_WORD_LEVEL_GROUP] = this.level | (this.group << 16);
    words[word + BLOCK_WORD_PARTITIONS] = this.partitionMin | (this.partitionMax << 16);
    words[word + BLOCK_WORD_RECORDS] = this.records;
    words[word + BLOCK_WORD_USED] = used;
    words[word + BLOCK_WORD_FLUSH] = this.flushNumber;
    words[word + BLOCK_WORD_CHECKSUM] = 0;
    words[word + BLOCK_WORD_CHECKSUM + 1] = 0;
    words[word + BLOCK_WORD_DIGEST_MIN] = digests[0] as number;
    words[word + BLOCK_WORD_DIGEST_MIN + 1] = digests[1] as number;
    words[word + BLOCK_WORD_DIGEST_MAX] = digests[2] as number;
    words[word + BLOCK_WORD_DIGEST_MAX + 1] = digests[3] as number;
    checksum64(arena.bytes, start, used, checksum);
    words[word + BLOCK_WORD_CHECKSUM] = checksum[0] as number;
    words[word + BLOCK_WORD_CHECKSUM + 1] = checksum[1] as number;
    this.blocks.push({
      bytes: arena.bytes.subarray(start, start + this.length),
      group: this.group,
      partitionMin: this.partitionMin,
      partitionMax: this.partitionMax,
      recordCount: this.records,
      usedBytes: used,
      pages: (this.length + LMDB_PAGE_HEADER_BYTES) / PAGE_BYTES,
    });
    this.arena = undefined;
  }
}

/** By words: for records of a few hundred bytes half the cost of `set` with a `subarray`. */
function copyWords(
  from: Uint32Array,
  fromWord: number,
  to: Uint32Array,
  toWord: number,
  count: number,
): void {
  for (let index = 0; index < count; index += 1) to[toWord + index] = from[fromWord + index] as number;
}
