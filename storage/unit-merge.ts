/**
 * What compaction does with one unit (a group's partition): gathers versions, orders them, drops what may go, packs the rest.
 *
 *   level-0 records of the sweep's sources ─┬─ little, or the unit is small ─▶ the new level-0 run
 *                                           ├─ enough for a block ──────────▶ more level-1 blocks of the unit (append)
 *   level-1 blocks, when much of them is ───┴─ merged with them ────────────▶ new level-1 blocks instead of the old (rewrite)
 *   dead
 *
 * I1  Memory is bounded: more than COMPACTION_GATHER_BYTES of level-0 records of a unit are appended in parts; a level 1 that is
 *     larger than that is rewritten by ranges of digests, each of which holds all versions of its keys.
 * I2  A turn of the event loop handles about COMPACTION_SLICE_RECORDS records or COMPACTION_SLICE_BYTES.
 * I3  What V4 may drop (sweep-fate.ts) depends on what is known of the unit's other versions; `newestMayGo` below says why.
 *
 * I4  Of a unit known to be damaged nothing is merged and nothing dropped, but that its group or its key was: what can be read
 *     is appended, and the damaged block stays. Its versions and those that the block holds are all there for a repair.
 *
 * A unit with blocks in level 1 keeps a few new records in level 0, too, as one without does: appending them would take a page
 * of 4 KiB for each unit and sweep. (With 100 groups a sweep brings 1.3 KiB a unit.)
 */
import { type Arena, arenaOf } from './arena.ts';
import {
  BLOCK_WORD_DIGEST_MAX,
  BLOCK_WORD_DIGEST_MIN,
  blockFault,
  nextRecord,
  recordsEnd,
  recordsStart,
} from './block.ts';
import { levelOneKeyHi } from './block-key.ts';
import type { BlockKey, BlockStore } from './block-store.ts';
import { type Damage, noteBlock } from './damage.ts';
import type { GroupPolicies } from './group-policy.ts';
import { WHERE_LEVEL_ONE, WHERE_LEVEL_ZERO } from './index-entry.ts';
import { LevelOneKeys } from './level-one-keys.ts';
import type { LevelZeroDirectory } from './level-zero-directory.ts';
import {
  BLOCK_BYTES,
  BLOCK_HEADER_BYTES,
  COMPACTION_GATHER_BYTES,
  COMPACTION_REMOVALS_MAX,
  COMPACTION_RETRY_SECONDS,
  COMPACTION_SLICE_BYTES,
  COMPACTION_SLICE_RECORDS,
  LEVEL_ONE_FILL,
  PAGE_BYTES,
} from './limits.ts';
import {
  FLAG_HISTORY_ONLY,
  readRecordBytes,
  readRecordDigestHi,
  readRecordFlags,
  readRecordLsn,
} from './record.ts';
import {
  FATE_DROP,
  FATE_DUPLICATE,
  FATE_KEEP,
  type FateRules,
  NEWEST_ALONE_GO,
  NEWEST_GO,
  NEWEST_OF_LEVEL_ONE_GO,
  NEWEST_STAY,
  type RecordFilter,
} from './sweep-fate.ts';
import type { SweepSources } from './sweep-sources.ts';
import type { SweepStep } from './sweep-step.ts';
import { SweepUnit } from './sweep-unit.ts';
import type { UnitTable } from './unit-table.ts';

/** Bytes of records from which on a unit's new records make a block of their own. */
const APPEND_BYTES_MIN: number = LEVEL_ONE_FILL * (BLOCK_BYTES - BLOCK_HEADER_BYTES);
/** Level-1 blocks fetched together. */
const READ_BLOCKS = 32;
const KEY_RANGE = 1 << 8;
const TWO_32: number = 2 ** 32;

export interface UnitMergeOptions {
  readonly shardCount: number;
  readonly store: BlockStore;
  readonly units: UnitTable;
  readonly policies: GroupPolicies;
  readonly damage: Damage;
  /** Says which units a damaged level-0 block held. */
  readonly directory: LevelZeroDirectory;
  readonly step: SweepStep;
  readonly pause: () => Promise<void>;
  readonly nowMicros: () => number;
  /** Versions of this unit that are to go whatever their time. */
  readonly filterOf: (group: number, partition: number) => RecordFilter | undefined;
}

/** Writes what is packed before the unit is complete. */
type CommitPart = () => Promise<void>;

export class UnitMerge {
  /** Versions dropped since the start, copies not counted. */
  versionsDropped = 0;
  /** Whose level-1 blocks were written anew. */
  unitsRewritten = 0;
  private readonly options: UnitMergeOptions;
  private readonly unit: SweepUnit = new SweepUnit();
  private readonly keysAhead: LevelOneKeys;
  private scratch: Arena = arenaOf(new Uint8Array(PAGE_BYTES));
  private sliceRecords = 0;
  private sliceBytes = 0;

  constructor(options: UnitMergeOptions) {
    this.options = options;
    this.keysAhead = new LevelOneKeys(options.store);
  }

  /** A sweep begins or goes on: units come in ascending order from here. */
  beginSweep(): void {
    this.keysAhead.reset();
  }

  /** Consumes the unit's records of the sweep's sources. */
  async consume(
    sources: SweepSources,
    unitNumber: number,
    group: number,
    partition: number,
    sealedMicros: number,
    commitPart: CommitPart,
  ): Promise<void> {
    const { unit } = this;
    unit.reset();
    let isPart = false;
    while (!sources.take(unitNumber, unit, COMPACTION_SLICE_RECORDS, COMPACTION_SLICE_BYTES)) {
      if (unit.bytes >= COMPACTION_GATHER_BYTES) {
        isPart = true;
        await this.append(group, partition, NEWEST_STAY, -Infinity, commitPart);
        unit.reset();
      }
      if (sources.isHungry) await sources.fetch();
      else await this.options.pause();
    }
    if (isPart) return this.append(group, partition, NEWEST_STAY, -Infinity, commitPart);
    await this.settleWhole(group, partition, sealedMicros, commitPart);
  }

  /** Writes the unit's level-1 blocks anew, if all can be read; its level-0 records are left alone. */
  async rewrite(
    group: number,
    partition: number,
    sealedMicros: number,
    commitPart: CommitPart,
  ): Promise<void> {
    const { units } = this.options;
    const localPartition = this.localPartition(partition);
    const keys = this.levelOneKeys(group, partition);
    const ranges = Math.ceil((2 * units.bytes(group, localPartition)) / COMPACTION_GATHER_BYTES);
    const newestMayGo =
      sealedMicros === -Infinity
        ? NEWEST_STAY
        : keys.length <= COMPACTION_REMOVALS_MAX
          ? NEWEST_OF_LEVEL_ONE_GO
          : NEWEST_ALONE_GO;
    for (let range = 0; range < Math.max(ranges, 1); range += 1) {
      this.unit.reset();
      const from = ranges > 1 ? Math.floor((TWO_32 * range) / ranges) : 0;
      const to = ranges > 1 ? Math.floor((TWO_32 * (range + 1)) / ranges) : TWO_32;
      // Each range reads all blocks. Should one be damaged only after the first range, what was written are copies.
      if (!(await this.gatherLevelOne(keys, from, to))) return;
      if (range === 0) {
        this.unitsRewritten += 1;
        units.clear(group, localPartition);
      }
      await this.decide(group, partition, newestMayGo, sealedMicros);
      await this.emit(group, localPartition, WHERE_LEVEL_ONE, commitPart);
    }
    this.retire(keys, group, localPartition);
  }

  private async settleWhole(
    group: number,
    partition: number,
    sealedMicros: number,
    commitPart: CommitPart,
  ): Promise<void> {
    const { units, policies, damage, filterOf } = this.options;
    const localPartition = this.localPartition(partition);
    const keys = this.keysAhead.of(group, partition);
    const { count, bytes } = this.unit;
    const isMerged =
      keys.length > 0 &&
      !damage.isDamaged(group, partition) &&
      units.bytes(group, localPartition) + this.unit.bytes <= COMPACTION_GATHER_BYTES &&
      (policies.policyOf(group) === undefined ||
        filterOf(group, partition) !== undefined ||
        units.isDue(group, localPartition, this.unit.bytes, this.nowSeconds()));
    if (!isMerged || !(await this.gatherLevelOne(keys, 0, TWO_32))) {
      this.unit.cut(count, bytes);
      const isAll = keys.length === 0 && !damage.isDamaged(group, partition);
      return this.append(group, partition, isAll ? NEWEST_GO : NEWEST_STAY, sealedMicros, commitPart);
    }
    const newestMayGo = keys.length <= COMPACTION_REMOVALS_MAX ? NEWEST_OF_LEVEL_ONE_GO : NEWEST_ALONE_GO;
    await this.decide(group, partition, newestMayGo, sealedMicros);
    this.unitsRewritten += 1;
    units.clear(group, localPartition);
    await this.emit(group, localPartition, WHERE_LEVEL_ONE, commitPart);
    this.retire(keys, group, localPartition);
  }

  /** To level 1 if they make a block, else to the new run of level 0. */
  private async append(
    group: number,
    partition: number,
    newestMayGo: number,
    sealedMicros: number,
    commitPart: CommitPart,
  ): Promise<void> {
    const deciding = this.decide(group, partition, newestMayGo, sealedMicros);
    if (deciding !== null) await deciding;
    const isLarge = this.keptBytes() >= APPEND_BYTES_MIN;
    const toWhere = isLarge ? WHERE_LEVEL_ONE : WHERE_LEVEL_ZERO;
    if (!isLarge) this.orderByLsn();
    await this.emit(group, this.localPartition(partition), toWhere, commitPart);
  }

  /** Null: done (sweep-unit.ts). */
  private decide(
    group: number,
    partition: number,
    newestMayGo: number,
    sealedMicros: number,
  ): Promise<void> | null {
    const { policies, damage, filterOf, pause, nowMicros } = this.options;
    const rules: FateRules = {
      policy: policies.policyOf(group),
      // I4: nobody's time has come.
      nowMicros: damage.isDamaged(group, partition) ? -Infinity : nowMicros(),
      sealedMicros,
      isErased: filterOf(group, partition),
    };
    const { unit } = this;
    const sorting = unit.sort(pause);
    if (sorting === null) return unit.decide(rules, newestMayGo, pause);
    return sorting.then(() => unit.decide(rules, newestMayGo, pause) ?? undefined);
  }

  /** Packs what stays, and notes where everything went. */
  private async emit(
    group: number,
    localPartition: number,
    toWhere: number,
    commitPart: CommitPart,
  ): Promise<void> {
    const { unit } = this;
    const { step, units } = this.options;
    const { view } = unit.arena;
    const nowSeconds = this.nowSeconds();
    let lastFate = FATE_DROP;
    for (let at = 0; at < unit.count; at += 1) {
      const record = unit.order[at] as number;
      const fate = unit.fates[record] as number;
      if (fate === FATE_DUPLICATE) {
        if (lastFate !== FATE_DROP) step.follow(unit, record);
        continue;
      }
      if (step.isFull) await commitPart();
      lastFate = fate;
      const start = unit.starts[record] as number;
      const recordBytes = readRecordBytes(view, start);
      if (fate === FATE_KEEP) {
        let uncountedBytes = 0;
        if (toWhere === WHERE_LEVEL_ONE) {
          const deathSeconds = deathSecondsOf(unit.deaths[record] as number, nowSeconds);
          units.addRecord(group, localPartition, recordBytes, deathSeconds, nowSeconds);
          const isOnline = (readRecordFlags(view, start) & FLAG_HISTORY_ONLY) === 0;
          if (deathSeconds === Infinity && isOnline) uncountedBytes = recordBytes;
        }
        step.keep(unit, record, toWhere, uncountedBytes);
      } else {
        this.versionsDropped += 1;
        if (fate !== FATE_DROP) step.drop(unit, record);
      }
      if (this.isSliceOver(recordBytes)) await this.options.pause();
    }
  }

  /** Few records, so by insertion; copies stay behind the one that they follow, since they are equal in LSN. */
  private orderByLsn(): void {
    const { unit } = this;
    const { order, starts } = unit;
    const { view } = unit.arena;
    let kept = 0;
    for (let at = 0; at < unit.count; at += 1) {
      const record = order[at] as number;
      if (unit.fates[record] === FATE_KEEP) kept += 1;
    }
    if (kept < 2) return;
    for (let at = 1; at < unit.count; at += 1) {
      const record = order[at] as number;
      const lsn = readRecordLsn(view, starts[record] as number);
      let hole = at;
      while (hole > 0 && readRecordLsn(view, starts[order[hole - 1] as number] as number) > lsn) {
        order[hole] = order[hole - 1] as number;
        hole -= 1;
      }
      order[hole] = record;
    }
  }

  private keptBytes(): number {
    const { unit } = this;
    let bytes = 0;
    for (let record = 0; record < unit.count; record += 1) {
      if (unit.fates[record] === FATE_KEEP) {
        bytes += readRecordBytes(unit.arena.view, unit.starts[record] as number);
      }
    }
    return bytes;
  }

  /** Adds the blocks' records whose digests' high halves lie in [fromHi, toHi). False: a block is damaged, and noted. */
  private async gatherLevelOne(keys: readonly BlockKey[], fromHi: number, toHi: number): Promise<boolean> {
    const { store, pause } = this.options;
    for (let from = 0; from < keys.length; from += READ_BLOCKS) {
      const some = keys.slice(from, from + READ_BLOCKS);
      await store.prefetch(some);
      for (const key of some) {
        if (!this.gatherBlock(key, fromHi, toHi)) return false;
        if (this.isSliceOver(0)) await pause();
      }
    }
    return true;
  }

  private gatherBlock(key: BlockKey, fromHi: number, toHi: number): boolean {
    const { store, damage, directory } = this.options;
    const bytes = store.read(key.keyHi, key.keyLo);
    // Nothing but compaction removes blocks, and that one step at a time.
    if (bytes === undefined) return true;
    this.sliceBytes += bytes.length;
    if (bytes.length > this.scratch.bytes.length) this.scratch = arenaOf(new Uint8Array(bytes.length));
    const { scratch } = this;
    scratch.bytes.set(bytes);
    const fault = blockFault(scratch, 0, bytes.length);
    if (fault !== undefined) {
      noteBlock(damage, directory, key.keyHi, key.keyLo, fault);
      return false;
    }
    const lowest = scratch.words[BLOCK_WORD_DIGEST_MIN + 1] as number;
    const highest = scratch.words[BLOCK_WORD_DIGEST_MAX + 1] as number;
    if (highest < fromHi || lowest >= toHi) return true;
    const end = recordsEnd(scratch, 0);
    for (let at = recordsStart(0); at < end; at = nextRecord(scratch, at)) {
      const digestHi = readRecordDigestHi(scratch.view, at);
      if (digestHi >= fromHi && digestHi < toHi) this.unit.add(scratch, at, WHERE_LEVEL_ONE, key.keyLo, at);
    }
    return true;
  }

  /** In the order of their counters. */
  private levelOneKeys(group: number, partition: number): BlockKey[] {
    const keys: BlockKey[] = [];
    const hi = levelOneKeyHi(group, partition);
    this.options.store.keys(hi, 0, hi + KEY_RANGE, 0, (keyHi, keyLo) => {
      keys.push({ keyHi, keyLo });
      return undefined;
    });
    return keys;
  }

  /** In one piece if one transaction can take them (C3). */
  private retire(keys: readonly BlockKey[], group: number, localPartition: number): void {
    const { step } = this.options;
    for (let from = 0; from < keys.length; from += COMPACTION_REMOVALS_MAX) {
      step.retire(keys.slice(from, from + COMPACTION_REMOVALS_MAX));
    }
    step.markDense(group, localPartition);
  }

  private isSliceOver(bytes: number): boolean {
    this.sliceRecords += 1;
    this.sliceBytes += bytes;
    if (this.sliceRecords < COMPACTION_SLICE_RECORDS && this.sliceBytes < COMPACTION_SLICE_BYTES)
      return false;
    this.sliceRecords = 0;
    this.sliceBytes = 0;
    return true;
  }

  private localPartition(partition: number): number {
    return (partition / this.options.shardCount) | 0;
  }

  private nowSeconds(): number {
    return this.options.nowMicros() / 1e6;
  }
}

/** A version whose time had come and that stays all the same is not looked at again at once. */
function deathSecondsOf(deathMicros: number, nowSeconds: number): number {
  const deathSeconds = deathMicros / 1e6;
  return deathSeconds > nowSeconds ? deathSeconds : nowSeconds + COMPACTION_RETRY_SECONDS;
}
