/**
 * Reads everything that a shard has on disk and says what is wrong with it. Nothing is written, and no node may run on it.
 *
 *   meta values ─▶ level-0 directory ─▶ level-0 blocks ─▶ level-1 blocks ─▶ journal ─▶ index checkpoint
 *
 * I1  Every block is read: checksum, header against key and directory, order and fields of its records, their shard.
 * I2  The directory and the level-0 blocks are the same set; what an unfinished flush left is told apart, for a start removes it.
 * I3  A finding names the block and the partitions it covers, as far as anything that can be trusted says so.
 * I4  Memory is bounded by the directory, 26 bytes a level-0 block, and by the index where there is an index checkpoint.
 *
 * What to do about it is repair-shard.ts.
 */
import { type Arena, arenaOf } from './arena.ts';
import { blockFlushNumber, blockRecordCount, recordsStart } from './block.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  KEY_HI_END,
  KEY_LO_END,
  LEVEL_ONE_KEY_HI_FIRST,
  LEVEL_ZERO_DIRECTORY_KEY_HI,
  LEVEL_ZERO_KEY_HI,
  PARTITION_CLOCKS_KEY_HI,
} from './block-key.ts';
import type { BlockStore } from './block-store.ts';
import { CHECKPOINT_EMPTY, type Checkpoint, decodeCheckpoint } from './checkpoint.ts';
import { COMPACTION_STATE_EMPTY, type CompactionState, decodeCompactionState } from './compaction-state.ts';
import { DirectoryValue } from './level-zero-directory.ts';
import { PARTITION_COUNT, VERIFY_STRETCH_BLOCKS } from './limits.ts';
import { PartitionClock } from './partition-clock.ts';
import { observePartitionClocks } from './partition-clocks-value.ts';
import { StorageError } from './storage-error.ts';
import { type BlockUnits, storedBlockFault } from './verify-block.ts';

/** What a finding is about, and so what a repair can do. */
export type FindingKind = 'meta' | 'directory' | 'block' | 'missing' | 'unlisted' | 'journal' | 'index';

export interface Finding {
  readonly kind: FindingKind;
  readonly keyHi: number;
  readonly keyLo: number;
  /** Undefined where nothing that can be trusted names them. */
  readonly units: BlockUnits | undefined;
  /** Of a block, as its header says; 0 where that is not known. */
  readonly records: number;
  readonly reason: string;
}

export interface VerifyShardOptions {
  readonly store: BlockStore;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly pause: () => Promise<void>;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  /** Called in the order in which they are found. */
  readonly onFinding: (finding: Finding) => void;
}

/** What was read. */
export interface VerifiedBlocks {
  blocks: number;
  records: number;
  bytes: number;
  /** Blocks of a flush that did not finish: a start removes them. */
  unfinished: number;
  checkpoint: Checkpoint;
  compaction: CompactionState;
}

/** Level-0 blocks as the directory lists them, by sequence. */
interface Listed {
  readonly units: BlockUnits;
  isFound: boolean;
}

const READ_POINT_KEY = 5;
/** Zeros that an erase writes over free pages. */
const FILLER_KEY = 6;
const SCRATCH_BYTES: number = 64 * 1024;

/** The block store's part. */
export async function verifyBlocks(options: VerifyShardOptions): Promise<VerifiedBlocks> {
  const walk = new BlockWalk(options);
  await walk.run();
  return walk.verified;
}

class BlockWalk {
  readonly verified: VerifiedBlocks = {
    blocks: 0,
    records: 0,
    bytes: 0,
    unfinished: 0,
    checkpoint: CHECKPOINT_EMPTY,
    compaction: COMPACTION_STATE_EMPTY,
  };
  private readonly options: VerifyShardOptions;
  private readonly listed: Map<number, Listed> = new Map();
  /** Sequences that values of unfinished flushes list. */
  private readonly unfinished: Set<number> = new Set();
  private scratch: Arena = arenaOf(new Uint8Array(SCRATCH_BYTES));
  private isDirectoryWhole = true;

  constructor(options: VerifyShardOptions) {
    this.options = options;
  }

  async run(): Promise<void> {
    this.readMeta();
    this.readDirectory();
    await this.walkRange(LEVEL_ZERO_KEY_HI, LEVEL_ZERO_KEY_HI + 1);
    for (const [sequence, { units, isFound }] of this.listed) {
      if (!isFound)
        this.find(
          'missing',
          LEVEL_ZERO_KEY_HI,
          sequence,
          units,
          0,
          'the directory lists it, and it is missing',
        );
    }
    await this.walkRange(LEVEL_ONE_KEY_HI_FIRST, KEY_HI_END);
    this.lookForStrangers();
  }

  private readMeta(): void {
    const { store, shardIndex, shardCount } = this.options;
    const read = (keyHi: number, keyLo: number, decode: (bytes: Uint8Array | undefined) => void): void => {
      try {
        decode(store.read(keyHi, keyLo));
      } catch (error) {
        this.find('meta', keyHi, keyLo, undefined, 0, messageOf(error));
      }
    };
    read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO, (bytes) => {
      if (bytes !== undefined) this.verified.checkpoint = decodeCheckpoint(bytes);
    });
    read(COMPACTION_STATE_KEY_HI, 1, (bytes) => {
      this.verified.compaction = decodeCompactionState(bytes);
    });
    const localPartitions = Math.ceil((PARTITION_COUNT - shardIndex) / shardCount);
    read(PARTITION_CLOCKS_KEY_HI, 1, (bytes) => {
      if (bytes !== undefined) observePartitionClocks(bytes, new PartitionClock(localPartitions));
    });
  }

  private readDirectory(): void {
    const hi = LEVEL_ZERO_DIRECTORY_KEY_HI;
    this.options.store.scan(hi, 0, hi + 1, 0, (keyHi, keyLo, bytes) => {
      try {
        this.addValue(new DirectoryValue(keyLo, bytes));
      } catch (error) {
        this.isDirectoryWhole = false;
        this.find('directory', keyHi, keyLo, undefined, 0, messageOf(error));
      }
      return undefined;
    });
  }

  private addValue(value: DirectoryValue): void {
    const isFinished = value.flushNumber <= this.verified.checkpoint.flushNumber;
    for (const [index, sequence] of value.sequences.entries()) {
      if (!isFinished) {
        this.unfinished.add(sequence);
        continue;
      }
      const lowest = value.lowest[index] as number;
      const highest = value.highest[index] as number;
      const units = {
        group: Math.floor(lowest / PARTITION_COUNT),
        partitionMin: lowest % PARTITION_COUNT,
        partitionMax: highest % PARTITION_COUNT,
      };
      if (this.listed.has(sequence)) {
        this.find(
          'directory',
          LEVEL_ZERO_DIRECTORY_KEY_HI,
          value.number,
          units,
          0,
          `it lists block ${sequence} a second time`,
        );
      }
      this.listed.set(sequence, { units, isFound: false });
    }
  }

  private async walkRange(fromHi: number, toHi: number): Promise<void> {
    const { store, pause, onProgress } = this.options;
    const totalBytes = store.sizeBytes();
    let nextHi = fromHi;
    let nextLo = 0;
    for (let isComplete = false; !isComplete; ) {
      isComplete = true;
      let blocks = 0;
      store.scan(nextHi, nextLo, toHi, 0, (keyHi, keyLo, bytes) => {
        if (blocks === VERIFY_STRETCH_BLOCKS) {
          nextHi = keyHi;
          nextLo = keyLo;
          isComplete = false;
          return false;
        }
        blocks += 1;
        this.check(keyHi, keyLo, bytes);
        return undefined;
      });
      onProgress(this.verified.bytes, totalBytes);
      await pause();
    }
  }

  private check(keyHi: number, keyLo: number, bytes: Uint8Array): void {
    const { shardIndex, shardCount } = this.options;
    if (this.scratch.bytes.length < bytes.length) this.scratch = arenaOf(new Uint8Array(2 * bytes.length));
    const arena = this.scratch;
    arena.bytes.set(bytes, 0);
    this.verified.blocks += 1;
    this.verified.bytes += bytes.length;
    const isLevelZero = keyHi === LEVEL_ZERO_KEY_HI;
    const listed = isLevelZero ? this.listed.get(keyLo) : undefined;
    if (listed !== undefined) listed.isFound = true;
    if (isLevelZero && this.unfinished.has(keyLo)) {
      this.verified.unfinished += 1;
      return;
    }
    const partition = (keyHi >>> 8) & (PARTITION_COUNT - 1);
    const units = isLevelZero
      ? listed?.units
      : { group: keyHi >>> 20, partitionMin: partition, partitionMax: partition };
    const fault =
      storedBlockFault(arena, bytes.length, keyHi, units, shardIndex, shardCount) ??
      this.numberFault(keyHi, keyLo);
    const hasHeader = bytes.length > recordsStart(0);
    if (fault !== undefined) {
      this.find('block', keyHi, keyLo, units, hasHeader ? blockRecordCount(arena, 0) : 0, fault);
      return;
    }
    this.verified.records += blockRecordCount(arena, 0);
    if (isLevelZero && listed === undefined) this.checkUnlisted(arena, keyHi, keyLo);
  }

  private checkUnlisted(arena: Arena, keyHi: number, keyLo: number): void {
    if (blockFlushNumber(arena, 0) > this.verified.checkpoint.flushNumber) {
      this.verified.unfinished += 1;
      return;
    }
    const why = this.isDirectoryWhole ? 'no directory lists it' : 'the directory that listed it is damaged';
    this.find('unlisted', keyHi, keyLo, undefined, blockRecordCount(arena, 0), why);
  }

  /** Numbers at or above the next ones would be given out again. */
  private numberFault(keyHi: number, keyLo: number): string | undefined {
    const { checkpoint, compaction } = this.verified;
    const next =
      keyHi === LEVEL_ZERO_KEY_HI
        ? Math.max(checkpoint.nextSequence, compaction.nextSequence)
        : compaction.nextCounter;
    const isListed = keyHi !== LEVEL_ZERO_KEY_HI || this.listed.has(keyLo);
    return isListed && keyLo >= next ? `its number is not below the next one, ${next}` : undefined;
  }

  /** Keys of ours that no part of the store uses. */
  private lookForStrangers(): void {
    const known = new Set([LEVEL_ZERO_KEY_HI, LEVEL_ZERO_DIRECTORY_KEY_HI, FILLER_KEY << 8]);
    const single = new Set([PARTITION_CLOCKS_KEY_HI, COMPACTION_STATE_KEY_HI, READ_POINT_KEY << 8]);
    for (let keyHi = 0; keyHi < LEVEL_ONE_KEY_HI_FIRST; ) {
      let found = -1;
      this.options.store.keys(keyHi, 0, LEVEL_ONE_KEY_HI_FIRST, 0, (hi, lo) => {
        const isKnown =
          known.has(hi) ||
          (single.has(hi) && lo === 1) ||
          (hi === CHECKPOINT_KEY_HI && lo === CHECKPOINT_KEY_LO);
        if (!isKnown) this.find('meta', hi, lo, undefined, 0, 'no part of this version uses the key');
        found = hi;
        return false;
      });
      // One look a high word: a stretch of blocks is not walked again for it.
      if (found < 0) break;
      keyHi = found + 1;
    }
  }

  private find(
    kind: FindingKind,
    keyHi: number,
    keyLo: number,
    units: BlockUnits | undefined,
    records: number,
    reason: string,
  ): void {
    this.options.onFinding({
      kind,
      keyHi,
      keyLo,
      units,
      records: records < KEY_LO_END ? records : 0,
      reason,
    });
  }
}

function messageOf(error: unknown): string {
  if (error instanceof StorageError || error instanceof Error) return error.message;
  return String(error);
}
