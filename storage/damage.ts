/**
 * What of a shard is known to be damaged: blocks that failed their checksum, and the units (a group's partition) that they held.
 *
 * I1  Nothing of a damaged unit is served or written: a block that cannot be read may have held the newest version of any of its
 *     rows, so an answer from the rest could be a stale one. Every other unit is served. Compaction drops nothing of it.
 * I2  A block is noted once, and told once.
 * I3  As long as nothing is damaged a check costs one comparison.
 *
 * Finding damage is the business of who reads; getting rid of it is `millrace repair`, on the node when it does not run.
 */
import { LEVEL_ZERO_KEY_HI } from './block-key.ts';
import type { LevelZeroDirectory } from './level-zero-directory.ts';
import { DAMAGED_BLOCKS_LISTED_MAX, PARTITION_COUNT } from './limits.ts';
import { StorageError } from './storage-error.ts';

export interface DamagedBlock {
  readonly keyHi: number;
  readonly keyLo: number;
  /** 0: any group. */
  readonly group: number;
  readonly partitionMin: number;
  readonly partitionMax: number;
  readonly reason: string;
}

/** Where a damage is asked for on a hot path. */
export interface DamageCheck {
  isDamaged(group: number, partition: number): boolean;
}

export class Damage implements DamageCheck {
  private readonly onNoted: (block: DamagedBlock) => void;
  private readonly blocks: DamagedBlock[] = [];
  private readonly noted: Set<string> = new Set();
  /** One bit a unit, by group, made when the group has damage. */
  private readonly units: Map<number, Uint8Array> = new Map();
  private unitCount = 0;

  constructor(onNoted: (block: DamagedBlock) => void = (): void => {}) {
    this.onNoted = onNoted;
  }

  get isNone(): boolean {
    return this.noted.size === 0;
  }

  get blockCount(): number {
    return this.noted.size;
  }

  /** Units of which nothing is served; a block of unknown group counts its partitions once. */
  get damagedUnits(): number {
    return this.unitCount;
  }

  note(
    keyHi: number,
    keyLo: number,
    group: number,
    partitionMin: number,
    partitionMax: number,
    reason: string,
  ): void {
    const key = `${keyHi} ${keyLo}`;
    if (this.noted.has(key)) return;
    this.noted.add(key);
    let units = this.units.get(group);
    if (units === undefined) {
      units = new Uint8Array(PARTITION_COUNT);
      this.units.set(group, units);
    }
    for (let partition = partitionMin; partition <= partitionMax; partition += 1) {
      if (units[partition] === 0) this.unitCount += 1;
      units[partition] = 1;
    }
    const block = { keyHi, keyLo, group, partitionMin, partitionMax, reason };
    if (this.blocks.length < DAMAGED_BLOCKS_LISTED_MAX) this.blocks.push(block);
    this.onNoted(block);
  }

  /** A damaged level-0 block that was noted is under another number now: it is the same damage, and not told again. */
  renumber(fromSequence: number, toSequence: number): void {
    if (!this.noted.delete(`${LEVEL_ZERO_KEY_HI} ${fromSequence}`)) return;
    this.noted.add(`${LEVEL_ZERO_KEY_HI} ${toSequence}`);
    const at = this.blocks.findIndex(
      ({ keyHi, keyLo }) => keyHi === LEVEL_ZERO_KEY_HI && keyLo === fromSequence,
    );
    const block = this.blocks[at];
    if (block !== undefined) this.blocks[at] = { ...block, keyLo: toSequence };
  }

  isDamaged(group: number, partition: number): boolean {
    if (this.noted.size === 0) return false;
    return this.units.get(group)?.[partition] === 1 || this.units.get(0)?.[partition] === 1;
  }

  /** Throws BLOCK_CORRUPT, naming group, partition, block and what to run, if the unit is damaged. */
  assertServable(group: number, partition: number): void {
    if (!this.isDamaged(group, partition)) return;
    const block = this.blocks.find(
      (candidate) =>
        (candidate.group === group || candidate.group === 0) &&
        candidate.partitionMin <= partition &&
        partition <= candidate.partitionMax,
    );
    const named = block === undefined ? 'a block of it' : `${blockName(block)} (${block.reason})`;
    throw new StorageError(
      'BLOCK_CORRUPT',
      `group ${group}, partition ${partition} is not served: ${named} is damaged; stop the node and run \`millrace repair\``,
    );
  }

  /** The first DAMAGED_BLOCKS_LISTED_MAX damaged blocks. */
  list(): readonly DamagedBlock[] {
    return this.blocks;
  }
}

/** Notes a block of which only the key can be trusted: level 1 names its unit there, and the directory has those of level 0. */
export function noteBlock(
  damage: Damage,
  directory: LevelZeroDirectory,
  keyHi: number,
  keyLo: number,
  reason: string,
): void {
  if (keyHi !== LEVEL_ZERO_KEY_HI) {
    const partition = (keyHi >>> 8) & 0xfff;
    damage.note(keyHi, keyLo, keyHi >>> 20, partition, partition, reason);
    return;
  }
  for (const run of directory.runs()) {
    for (const value of run) {
      const at = value.sequences.indexOf(keyLo);
      if (at < 0) continue;
      const lowest = value.lowest[at] as number;
      const highest = value.highest[at] as number;
      const group = Math.floor(lowest / PARTITION_COUNT);
      damage.note(keyHi, keyLo, group, lowest % PARTITION_COUNT, highest % PARTITION_COUNT, reason);
      return;
    }
  }
  damage.note(keyHi, keyLo, 0, 0, PARTITION_COUNT - 1, reason);
}

/** The block as people are told of it: its level and its number. */
export function blockName({ keyHi, keyLo }: { readonly keyHi: number; readonly keyLo: number }): string {
  if (keyHi === LEVEL_ZERO_KEY_HI) return `level-0 block ${keyLo}`;
  return `level-1 block ${keyHi >>> 20}/${(keyHi >>> 8) & 0xfff}/${keyLo}`;
}
