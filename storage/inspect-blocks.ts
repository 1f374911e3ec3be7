/**
 * What a shard's blocks hold, by group and partition: versions and bytes, which of them lookups see, how old the oldest is.
 *
 * I1  Every block is read once or twice, nothing is written. Memory is an index of the shard: 32 bytes a row, as in a node.
 * I2  A version is live when it is the newest of its key, not a tombstone, and not expired; what a sweep has consumed and not yet
 *     removed is dead. Bytes are those of records: what blocks add in headers and padding is told for the whole shard.
 * I3  The journal's tail is not looked at: a node that was closed has none.
 */
import { type Arena, arenaOf } from './arena.ts';
import { blockFault, blockFlushNumber, blockGroup, nextRecord, recordsEnd, recordsStart } from './block.ts';
import {
  CHECKPOINT_KEY_HI,
  CHECKPOINT_KEY_LO,
  COMPACTION_STATE_KEY_HI,
  KEY_HI_END,
  LEVEL_ONE_KEY_HI_FIRST,
  LEVEL_ZERO_KEY_HI,
} from './block-key.ts';
import type { BlockStore } from './block-store.ts';
import { CHECKPOINT_EMPTY, decodeCheckpoint } from './checkpoint.ts';
import { decodeCompactionState, isConsumed } from './compaction-state.ts';
import { WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from './index-entry.ts';
import { IndexTable } from './index-table.ts';
import { PARTITION_COUNT, VERIFY_STRETCH_BLOCKS } from './limits.ts';
import {
  KIND_DELETE,
  readRecordBytes,
  readRecordDigestHi,
  readRecordDigestLo,
  readRecordEventTime,
  readRecordExpirySeconds,
  readRecordKind,
} from './record.ts';
import { applyRecord } from './row-index.ts';

/** One group's partition. */
export interface UnitFigures {
  readonly group: number;
  readonly partition: number;
  rows: number;
  versions: number;
  liveBytes: number;
  deadBytes: number;
  /** µs; of a version of any age. */
  oldestEventMicros: number;
  /** Blocks that hold records of it; a level-0 block may hold some of several. */
  levelZeroBlocks: number;
  levelOneBlocks: number;
}

export interface InspectedShard {
  readonly units: readonly UnitFigures[];
  /** Of the file, and of its pages that hold nothing. */
  readonly fileBytes: number;
  readonly freeBytes: number;
  /** What the index of these rows takes in a node. */
  readonly indexBytes: number;
  /** Blocks that fail their checksum, and are left out: `verify` names them. */
  readonly damagedBlocks: number;
}

export interface InspectOptions {
  readonly store: BlockStore;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly nowSeconds: number;
  readonly pause: () => Promise<void>;
  /** Over both passes. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

const SCRATCH_BYTES: number = 64 * 1024;
const PASSES = 2;

export async function inspectBlocks(options: InspectOptions): Promise<InspectedShard> {
  const inspection = new Inspection(options);
  await inspection.run();
  return inspection.result();
}

class Inspection {
  private readonly options: InspectOptions;
  private readonly index: IndexTable;
  private readonly units: Map<number, UnitFigures> = new Map();
  private readonly flushNumber: number;
  private readonly compaction: ReturnType<typeof decodeCompactionState>;
  private scratch: Arena = arenaOf(new Uint8Array(SCRATCH_BYTES));
  private doneBytes = 0;
  private damagedBlocks = 0;

  constructor(options: InspectOptions) {
    const { store, shardIndex, shardCount } = options;
    this.options = options;
    this.index = new IndexTable({ partitionCount: Math.ceil((PARTITION_COUNT - shardIndex) / shardCount) });
    const checkpoint = store.read(CHECKPOINT_KEY_HI, CHECKPOINT_KEY_LO);
    const { flushNumber } = checkpoint === undefined ? CHECKPOINT_EMPTY : decodeCheckpoint(checkpoint);
    this.flushNumber = flushNumber;
    this.compaction = decodeCompactionState(store.read(COMPACTION_STATE_KEY_HI, 1));
  }

  async run(): Promise<void> {
    await this.pass((where, keyLo, arena, at) => this.apply(where, keyLo, arena, at));
    this.damagedBlocks = 0;
    await this.pass(
      (where, keyLo, arena, at) => this.count(where, keyLo, arena, at),
      (where, arena) => this.countBlock(where, arena),
    );
  }

  result(): InspectedShard {
    const units = [...this.units.values()].sort((a, b) => a.group - b.group || a.partition - b.partition);
    const { fileBytes, reusableBytes } = this.options.store.space();
    const { damagedBlocks } = this;
    return { units, fileBytes, freeBytes: reusableBytes, indexBytes: this.index.bytes, damagedBlocks };
  }

  private async pass(
    onRecord: (where: number, keyLo: number, arena: Arena, at: number) => void,
    onBlock: (where: number, arena: Arena) => void = () => undefined,
  ): Promise<void> {
    await this.range(LEVEL_ZERO_KEY_HI, LEVEL_ZERO_KEY_HI + 1, onRecord, onBlock);
    await this.range(LEVEL_ONE_KEY_HI_FIRST, KEY_HI_END, onRecord, onBlock);
  }

  private async range(
    fromHi: number,
    toHi: number,
    onRecord: (where: number, keyLo: number, arena: Arena, at: number) => void,
    onBlock: (where: number, arena: Arena) => void,
  ): Promise<void> {
    const { store, pause, onProgress } = this.options;
    const totalBytes = PASSES * store.sizeBytes();
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
        this.doneBytes += bytes.length;
        const where = keyHi === LEVEL_ZERO_KEY_HI ? WHERE_LEVEL_ZERO : WHERE_LEVEL_ONE;
        const arena = this.checked(bytes);
        if (arena === undefined) return undefined;
        onBlock(where, arena);
        const end = recordsEnd(arena, 0);
        for (let at = recordsStart(0); at < end; at = nextRecord(arena, at))
          onRecord(where, keyLo, arena, at);
        return undefined;
      });
      onProgress(this.doneBytes, totalBytes);
      await pause();
    }
  }

  /** The block's bytes; undefined for a damaged one and one of a flush that did not finish. */
  private checked(bytes: Uint8Array): Arena | undefined {
    if (this.scratch.bytes.length < bytes.length) this.scratch = arenaOf(new Uint8Array(2 * bytes.length));
    this.scratch.bytes.set(bytes, 0);
    if (blockFault(this.scratch, 0, bytes.length) !== undefined) {
      this.damagedBlocks += 1;
      return undefined;
    }
    return blockFlushNumber(this.scratch, 0) > this.flushNumber ? undefined : this.scratch;
  }

  private apply(where: number, keyLo: number, arena: Arena, at: number): void {
    const partition = readRecordDigestLo(arena.view, at) & (PARTITION_COUNT - 1);
    if (this.isObsolete(where, keyLo, arena, partition)) return;
    applyRecord(this.index, this.local(partition), arena, at, where, keyLo, at);
  }

  private count(where: number, keyLo: number, arena: Arena, at: number): void {
    const { view } = arena;
    const digestLo = readRecordDigestLo(view, at);
    const partition = digestLo & (PARTITION_COUNT - 1);
    const group = blockGroup(arena, 0);
    const unit = this.unit(group, partition);
    const bytes = readRecordBytes(view, at);
    if (this.isObsolete(where, keyLo, arena, partition)) {
      unit.deadBytes += bytes;
      return;
    }
    unit.versions += 1;
    unit.oldestEventMicros = Math.min(unit.oldestEventMicros, readRecordEventTime(view, at));
    const expirySeconds = readRecordExpirySeconds(view, at);
    const isSeen =
      readRecordKind(view, at) !== KIND_DELETE &&
      (expirySeconds === 0 || expirySeconds > this.options.nowSeconds) &&
      this.index.findPlace(
        this.local(partition),
        readRecordDigestHi(view, at),
        digestLo,
        group,
        where,
        keyLo,
        at,
      ) >= 0;
    if (isSeen) {
      unit.rows += 1;
      unit.liveBytes += bytes;
    } else unit.deadBytes += bytes;
  }

  private countBlock(where: number, arena: Arena): void {
    const end = recordsEnd(arena, 0);
    let last = -1;
    for (let at = recordsStart(0); at < end; at = nextRecord(arena, at)) {
      const partition = readRecordDigestLo(arena.view, at) & (PARTITION_COUNT - 1);
      if (partition === last) continue;
      last = partition;
      const unit = this.unit(blockGroup(arena, 0), partition);
      if (where === WHERE_LEVEL_ZERO) unit.levelZeroBlocks += 1;
      else unit.levelOneBlocks += 1;
    }
  }

  private isObsolete(where: number, keyLo: number, arena: Arena, partition: number): boolean {
    return where === WHERE_LEVEL_ZERO && isConsumed(this.compaction, keyLo, blockGroup(arena, 0), partition);
  }

  private local(partition: number): number {
    return Math.floor(partition / this.options.shardCount);
  }

  private unit(group: number, partition: number): UnitFigures {
    const key = group * PARTITION_COUNT + partition;
    const found = this.units.get(key);
    if (found !== undefined) return found;
    const unit: UnitFigures = {
      group,
      partition,
      rows: 0,
      versions: 0,
      liveBytes: 0,
      deadBytes: 0,
      oldestEventMicros: Number.POSITIVE_INFINITY,
      levelZeroBlocks: 0,
      levelOneBlocks: 0,
    };
    this.units.set(key, unit);
    return unit;
  }
}
