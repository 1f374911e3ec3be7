/**
 * Where requests meet damage: they are refused what is damaged, and what they find damaged is noted.
 *
 * I1  A request that touches a damaged unit is refused as a whole, before anything of it is done.
 * I2  What another thread found damaged in its snapshot is noted if the shard still has the block: a sweep may have replaced it since.
 * I3  While nothing is damaged, which is nearly always, a request costs one comparison.
 */
import type { KeyBatch } from '../protocol/index.ts';
import { LEVEL_ZERO_KEY_HI } from './block-key.ts';
import type { BlockStore } from './block-store.ts';
import { type Damage, noteBlock } from './damage.ts';
import type { LevelZeroDirectory } from './level-zero-directory.ts';
import { type CorruptBlock, StorageError } from './storage-error.ts';

const PARTITION_MASK = 4095;

export class DamageWatch {
  readonly damage: Damage;
  private readonly directory: LevelZeroDirectory;
  private readonly store: BlockStore;

  constructor(damage: Damage, directory: LevelZeroDirectory, store: BlockStore) {
    this.damage = damage;
    this.directory = directory;
    this.store = store;
  }

  /** Throws BLOCK_CORRUPT if a key, whose digest is filled, is in a damaged unit. */
  admitKeys(group: number, keys: KeyBatch): void {
    if (this.damage.isNone) return;
    for (let index = 0; index < keys.count; index += 1) {
      this.damage.assertServable(group, (keys.digests[2 * index] as number) & PARTITION_MASK);
    }
  }

  /** The same for a scan's partitions. */
  admitPartitions(group: number, partitions: Uint16Array): void {
    if (this.damage.isNone) return;
    for (const partition of partitions) this.damage.assertServable(group, partition);
  }

  /** Notes the block that an error names; answers the error, to be thrown on. */
  noted(error: unknown): unknown {
    if (error instanceof StorageError && error.block !== undefined) {
      const { keyHi, keyLo, fault } = error.block;
      noteBlock(this.damage, this.directory, keyHi, keyLo, fault);
    }
    return error;
  }

  /** Notes what a scan met (I2). */
  report({ keyHi, keyLo, fault }: CorruptBlock): void {
    const isThere =
      keyHi === LEVEL_ZERO_KEY_HI ? this.directory.lists(keyLo) : this.store.read(keyHi, keyLo) !== undefined;
    if (isThere) noteBlock(this.damage, this.directory, keyHi, keyLo, fault);
  }
}
