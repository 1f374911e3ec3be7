/** What a shard's store is opened with, and what it shows of itself. */
import type { CompactionSettings, CompactionStatus } from './compaction.ts';
import type { DamagedBlock } from './damage.ts';
import type { Clock, Disk, Random } from './environment.ts';
import type { GroupPolicies } from './group-policy.ts';
import type { RecoveryProgress } from './recovery.ts';
import type { StorageError } from './storage-error.ts';

export interface ShardStoreOptions {
  /** Holds `journal/` and `blocks/`. */
  readonly directory: string;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** Runs a function after the events at hand: requests of one turn share a group commit. */
  readonly schedule: (run: () => void) => void;
  /** DRAM for records that are not in blocks yet, both generations together. */
  readonly writeBufferBytes: number;
  /** DRAM for blocks. */
  readonly cacheBytes: number;
  readonly policies: GroupPolicies;
  /** DRAM for the index: beyond it new keys are refused with MEMORY_FULL. 0, the default: no limit. */
  readonly indexBytesMax?: number;
  /** A monotonic clock in µs, fine enough to tell a read of memory from one of the device. Without it no read counts as slow. */
  readonly timerMicros?: () => number;
  /** Reads of blocks that may be under way on other threads: PREFETCH_SLOTS_MIN unless given. */
  readonly prefetchSlots?: number;
  /** Resolves after so many milliseconds. */
  readonly delay: (ms: number) => Promise<void>;
  /** What the block store's file may grow to. Default: BLOCK_MAP_BYTES_DEFAULT. */
  readonly mapBytes?: number;
  /** One journal segment, fixed in the files. For tests: 32 MiB take their time to be filled with zeros. */
  readonly journalSegmentBytes?: number;
  /** A block of one page takes no more records from so many bytes on, header included. For tests: smaller blocks, same answers. */
  readonly blockFillBytes?: number;
  readonly compaction?: Partial<CompactionSettings>;
  /** Nothing more will be acknowledged: log it, and end the process. */
  readonly onFatal: (error: StorageError) => void;
  readonly onProgress?: (progress: RecoveryProgress) => void;
  /** Something that an operator may want to know. */
  readonly onNotice?: (text: string) => void;
  /** A block was found damaged: called once a block. What it held is not served and not compacted from then on. */
  readonly onDamage?: (block: DamagedBlock) => void;
  /** Bytes of blocks between two index checkpoints. Default: by the size of the index, and every few minutes. */
  readonly indexCheckpointBytes?: number;
  /** Compares the index of each start with one built from all blocks. For tests, and to find mistakes. */
  readonly verifies?: boolean;
}

/** Plain numbers, as STATUS shows them. */
export interface ShardStatus extends CompactionStatus {
  readonly partitions: number;
  /** Keys in the index: live rows, tombstones and rows that expired. */
  readonly rows: number;
  /** Versions in blocks and in the write buffer. */
  readonly versions: number;
  readonly indexBytes: number;
  /** 0: no limit. */
  readonly indexBytesMax: number;
  readonly writeBufferBytes: number;
  readonly writeBufferRecords: number;
  readonly pendingWriteBytes: number;
  readonly cacheBytes: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  /** Blocks that lookups wait for, now and at most since the start. */
  readonly blockReadsWaiting: number;
  readonly blockReadsWaitingMost: number;
  /** Blocks that other threads fetched for lookups, and the lookups that waited for them. */
  readonly blocksFetched: number;
  /** Calls of other threads for it, and the sum over them of how many were under way: the quotient is what overlaps. */
  readonly fetches: number;
  readonly fetchesBeside: number;
  readonly readsWaited: number;
  /** Lookups that waited for the device themselves, because nobody else was there. */
  readonly readsAlone: number;
  readonly blockFileBytes: number;
  readonly journalBytes: number;
  readonly flushes: number;
  readonly indexCheckpoints: number;
  readonly damagedBlocks: number;
  /** Groups' partitions of which nothing is served, and which compaction leaves to a repair. */
  readonly damagedUnits: number;
  /** The first of them; 0 and 0 when there is none, and group 0 when the block's group is not known. */
  readonly damagedGroup: number;
  readonly damagedPartition: number;
}

/** Resolves in a later turn of the event loop. */
export function pauseOf(options: ShardStoreOptions): () => Promise<void> {
  return () => new Promise((resolve) => options.schedule(resolve));
}
