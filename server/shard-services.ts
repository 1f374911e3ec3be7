/** What the data operations of a shard share: its store, its groups, its partitions, and room for one batch. */
import type { PartitionOwnership } from '../cluster/index.ts';
import { shardOfPartition } from '../cluster/index.ts';
import { KeyBatch, PARTITION_COUNT, ProtocolError, partitionOf, xxh64 } from '../protocol/index.ts';
import { ReadBatch, type ShardStore } from '../storage/index.ts';
import type { GroupTable } from './group-table.ts';

/** Room that a shard's batches begin with; they grow to the largest request and stay. */
const BATCH_CAPACITY = 256;

export interface ShardServicesOptions {
  readonly store: ShardStore;
  readonly groups: GroupTable;
  readonly ownership: () => PartitionOwnership;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly hashSeedLo: number;
  readonly hashSeedHi: number;
}

/**
 * I1  `keys` and `batch` belong to the request being handled: no handler keeps them past its turn.
 * I2  After `resolve` every key has its digest, and every key's partition is owned by this node and falls to this shard.
 */
export class ShardServices {
  readonly store: ShardStore;
  readonly groups: GroupTable;
  /** For reads; a request's keys are decoded into it. */
  readonly keys: KeyBatch = new KeyBatch(BATCH_CAPACITY);
  readonly batch: ReadBatch = new ReadBatch(BATCH_CAPACITY);
  readonly #options: ShardServicesOptions;
  /** 1 for the partitions that are this shard's, so that a key costs one load to check. */
  readonly #owned: Uint8Array = new Uint8Array(PARTITION_COUNT);
  #watched: PartitionOwnership | undefined;

  constructor(options: ShardServicesOptions) {
    this.#options = options;
    this.store = options.store;
    this.groups = options.groups;
  }

  /** Digests the keys and checks that they belong here. Throws NOT_OWNER. */
  resolve(keys: KeyBatch): void {
    if (this.#watched === undefined) this.#watch();
    keys.digest(this.#options.hashSeedLo, this.#options.hashSeedHi);
    const owned = this.#owned;
    const { digests, count } = keys;
    for (let index = 0; index < count; index++) {
      const partition = partitionOf(digests[2 * index]!);
      if (owned[partition] === 0) this.#refuse(index, partition);
    }
  }

  /** `resolve` for one key that is not in a batch: its digest goes to `digests[2 * index]` and the word after. */
  resolveOne(bytes: Uint8Array, offset: number, keyBytes: number, digests: Uint32Array, index: number): void {
    if (this.#watched === undefined) this.#watch();
    const { hashSeedLo, hashSeedHi } = this.#options;
    xxh64(bytes, offset, keyBytes, hashSeedLo, hashSeedHi, digests, 2 * index);
    const partition = partitionOf(digests[2 * index]!);
    if (this.#owned[partition] === 0) this.#refuse(0, partition);
  }

  /**
   * Finds the live rows of resolved keys and leaves their places in `batch`: of the first `batch.count` keys, at least one. False:
   * none, because blocks must come from the device (pending-reads.ts goes on from there).
   */
  tryRead(groupId: number, keys: KeyBatch, nowMicros: number, batch: ReadBatch): boolean {
    return this.store.tryRead(groupId, keys, Math.floor(nowMicros / 1e6), batch, null);
  }

  /** The map is known once requests are served, hence not in the constructor. */
  #watch(): void {
    const ownership = this.#options.ownership();
    const update = (): void => {
      const { shardIndex, shardCount } = this.#options;
      for (let partition = 0; partition < PARTITION_COUNT; partition++) {
        const isHere =
          ownership.isOwnedHere(partition) && shardOfPartition(partition, shardCount) === shardIndex;
        this.#owned[partition] = isHere ? 1 : 0;
      }
    };
    ownership.onChange(update);
    update();
    this.#watched = ownership;
  }

  #refuse(index: number, partition: number): never {
    const { shardIndex, shardCount } = this.#options;
    throw new ProtocolError(
      'NOT_OWNER',
      `key ${index} is in partition ${partition}, which is not on shard ${shardIndex} of ${shardCount} here; the map's epoch is ${this.#watched?.epoch}`,
    );
  }
}
