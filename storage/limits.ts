/**
 * The storage engine's limits and sizes, each with the reason for its value.
 *
 * Those that shape what is on disk (marked "format") change only together with a format version, docs/formats/storage.md
 * and the golden bytes.
 */

import { ENTITY_KEY_BYTES_MAX, GROUPS_MAX, ROW_BYTES_MAX } from '../protocol/index.ts';

/** Partitions of the keyspace (format). */
export { PARTITION_COUNT } from '../protocol/index.ts';
/** The bits of a digest's low word that name its partition (format). */
export const PARTITION_MASK = 4095;

/** Unit of the device, of LMDB and of the journal: what a device or a kernel never tears is at most this (format). */
export const PAGE_BYTES = 4096;

// Records

/** Header of a record, a multiple of 8 so that key and payload stay aligned (format). */
export const RECORD_HEADER_BYTES = 48;
/** One encoded entity key: what the protocol admits. */
export const RECORD_KEY_BYTES_MAX: number = ENTITY_KEY_BYTES_MAX;
/** One encoded row: what the protocol admits. */
export const RECORD_PAYLOAD_BYTES_MAX: number = ROW_BYTES_MAX;
/** What a keyed record says of the request that wrote it (format). */
export const REQUEST_KEY_BYTES = 24;
/** The largest record: what a block of its own and a journal frame must be able to hold. */
export const RECORD_BYTES_MAX: number =
  RECORD_HEADER_BYTES + RECORD_KEY_BYTES_MAX + REQUEST_KEY_BYTES + RECORD_PAYLOAD_BYTES_MAX;
/** Group ids that records may carry: 12 bits of a block key and of an index entry, 0 is ours. */
export const RECORD_GROUP_MAX: number = GROUPS_MAX;
/** LSNs of one partition: the index entry has 39 bits; at a million writes a second, six years (format). */
export const LSN_MAX: number = 2 ** 39 - 1;

// Journal

/** One segment file (format): large enough that rolling is rare, small enough that recycling follows a flush closely. */
export const JOURNAL_SEGMENT_BYTES: number = 32 * 1024 * 1024;
/** Header of a frame: one 64-byte cache line (format). */
export const JOURNAL_FRAME_HEADER_BYTES = 64;
/** One frame, header included: eight of the largest rows; a segment's unused tail stays below a quarter of it. */
export const JOURNAL_FRAME_BYTES_MAX: number = 8 * 1024 * 1024;
/** Flushed segments kept for reuse: two cover the 64 MiB that one write buffer's flush gives back at once. */
export const JOURNAL_SPARE_SEGMENTS_MAX = 2;

// Write buffer

/** Records wait in DRAM up to here before they are flushed. */
export const WRITE_BUFFER_BYTES_DEFAULT: number = 64 * 1024 * 1024;
/** One chunk of write-buffer memory: four of the largest records; an offset of 19 bits in units of 8 bytes. */
export const BUFFER_CHUNK_BYTES: number = 4 * 1024 * 1024;
/** Chunks that 13 bits of a place can name: 32 GiB. */
export const BUFFER_CHUNKS_MAX = 8192;
/** First size of a write buffer's columns; they double from there. */
export const WRITE_BUFFER_RECORDS_MIN = 4096;

/** One group commit: half a millisecond of the device, while the group before is applied. */
export const WRITE_GROUP_BYTES_MAX: number = 256 * 1024;
/** Records of one group commit: they are applied in one turn, (m) 1 µs each, and more when tables of the index grow. */
export const WRITE_GROUP_RECORDS_MAX = 1024;
/** Writers are asked to hold back from here on: enough to keep the next few group commits full. */
export const WRITE_PRESSURE_BYTES: number = 8 * 1024 * 1024;
/** Accepted and not yet durable: beyond this writes are refused. Two of the largest requests and what pressure allows. */
export const WRITE_QUEUE_BYTES_MAX: number = 40 * 1024 * 1024;
/** How often a full device is asked whether there is room again: a segment of zeros is written to find out. */
export const SPACE_RETRY_MICROS = 1_000_000;
/** Journal held before a flush begins although the write buffer has room: single small rows take 4 KiB each in it. */
export const JOURNAL_BYTES_MAX: number = 256 * 1024 * 1024;

/** A write may lie this far ahead of the node's clock: more than clocks of one fleet differ by. */
export const EVENT_TIME_FUTURE_MICROS_MAX: number = 5 * 60 * 1_000_000;

/** Requests' rows remembered in each partition, so that a repeat is not applied again. */
export const IDEMPOTENCY_ENTRIES_MAX = 1024;
/** Clients of a partition whose forgotten rows are still known as such: a repeat of one is refused, not applied. */
export const IDEMPOTENCY_CLIENTS_MAX = 64;
/** First size of a partition's window: most partitions see few keyed rows at a time. */
export const IDEMPOTENCY_ENTRIES_MIN = 16;
/** Slots of the table of pending versions at first: 24 KiB, of which half is used. */
export const PENDING_SLOTS_MIN = 1024;
/** A table that has grown beyond this is let go when it is empty: clearing it would be a pause. */
export const PENDING_SLOTS_KEPT_MAX: number = 64 * 1024;

// Flush and recovery

/** Blocks written in one transaction of a flush: (m) half a millisecond of handing them over, in one turn. */
export const FLUSH_STEP_BYTES: number = 512 * 1024;
/** Blocks packed in one turn of a flush: (m) 0.3 ms for records of 256 bytes that are in no cache. */
export const FLUSH_SLICE_BYTES: number = 64 * 1024;
/** Records whose groups are counted in one turn of a flush: 0.1 ms, in the order of memory. */
export const FLUSH_COUNT_RECORDS: number = 64 * 1024;
/** Partitions ordered in one turn of a flush: 32 MiB of 256 bytes a record are 2000 records a turn, 0.2 ms. */
export const FLUSH_ORDER_PARTITIONS = 64;
/** Index entries pointed at their blocks in one turn: (m) 0.4 ms, since each is a miss of the cache or two. */
export const FLUSH_SWAP_RECORDS = 512;
/** Blocks read in one turn of the rebuild: 16 MiB, tens of milliseconds, while nobody is served yet. */
export const RECOVERY_STRETCH_BLOCKS = 4096;
/** Level-1 keys walked in one turn of a start: tens of milliseconds. */
export const RECOVERY_STRETCH_KEYS = 32_768;
/** How much longer a block takes to read from somewhere than in the order of all: (m) 51,000 a second against 410,000. */
export const RECOVERY_STREWN_COST = 8;
/** Blocks prefetched together at a start: enough calls to keep the device's queue full while the batch before is applied. */
export const RECOVERY_BATCH_BLOCKS = 1024;

// Blocks

/** LMDB's header in front of a large value's first page (format). */
export const LMDB_PAGE_HEADER_BYTES = 24;
/** One block (format): with LMDB's page header exactly one overflow page; 8 bytes more and the file doubles. */
export const BLOCK_BYTES: number = PAGE_BYTES - LMDB_PAGE_HEADER_BYTES;
/** Header of a block (format). */
export const BLOCK_HEADER_BYTES = 48;

// Block cache

/** Frames of the block cache are carved out of buffers of this size: 4096 pages each. */
export const CACHE_ARENA_BYTES: number = 16 * 1024 * 1024;
/** Memory for blocks in DRAM unless told otherwise. */
export const CACHE_BYTES_DEFAULT: number = 256 * 1024 * 1024;

/** Prefetches under way at once, one process: as many reads as bring a device near its rate (m: 54 k/s of 75 k). */
export const PREFETCH_SLOTS_MAX = 16;
/** The least a shard has of them, however many shards share: a batch's reads must overlap. */
export const PREFETCH_SLOTS_MIN = 8;
/** Keys of one prefetch call: a millisecond of the device, which is how long a single read may wait for a batch's. */
export const PREFETCH_STRETCH_KEYS = 16;

/** A read of one block takes 1–2 µs from memory and 50 and more from a device: between them. */
export const READ_SLOW_MICROS = 20;
/** What copying a larger value adds, at 1 GB/s. */
export const READ_SLOW_MICROS_PER_KIB = 1;
/** Slow reads among the last 32 that make other threads fetch: more than a busy machine's interruptions are. */
export const READS_SLOW_MIN = 6;
/** Slow reads among the last 32 samples with which lookups read directly again. */
export const READS_SLOW_FEW = 2;
/** While other threads fetch, one block of so many is read directly: 1 µs a block on average, if the device is needed. */
export const READ_SAMPLE_EVERY = 64;
/** A lone read that took so long tells of a device that stalls, not of its usual slow ones: (m) one in 3,000. */
export const LONE_READ_STALL_MICROS = 2000;
/** Blocks that other threads fetch after such a read: no more turns stop for a device that stalls than samples make anyway. */
export const LONE_READS_PAUSED: number = READ_SAMPLE_EVERY;
/** What one lookup may wait for the device itself: the turn is to stay well below a millisecond longer for it. */
export const SLOW_READS_MICROS_MAX = 250;
/** Blocks that one lookup reads itself, however fast: a millisecond; the rest is fetched by other threads. */
export const READS_DIRECT_MAX = 256;
/** Blocks waited for at once, over all lookups: four of the largest batches; a second's work of a device. */
export const COLD_KEYS_WAITING_MAX: number = 65_536;
/** From here on connections whose reads wait are held: the device has work for a quarter of a second. */
export const COLD_PRESSURE_KEYS: number = 16_384;
/** Fetched blocks remembered, in each of two generations: as many as may be waited for. */
export const COLD_KEYS_REMEMBERED: number = 65_536;
/** Bytes of large blocks that one turn of a read in slices copies and checks: two milliseconds. */
export const READ_TURN_TEMPORARY_BYTES: number = 4 * 1024 * 1024;

/** Blocks larger than a page that one lookup may hold outside the cache: what more needs is asked for in smaller batches. */
export const READ_TEMPORARY_BYTES_MAX: number = 64 * 1024 * 1024;

// Index

/** One index entry: half a cache line. */
export const INDEX_ENTRY_BYTES = 32;
/** Unit in which a partition's table grows: 32 entries. */
export const INDEX_PAGE_BYTES = 1024;
/** Index pages are carved out of buffers of this size. */
export const INDEX_SLAB_BYTES: number = 64 * 1024 * 1024;
/** A table grows before more than this share of its entries is used: longer probes cost more than the memory saves. */
export const INDEX_LOAD_MAX = 0.85;
/** A table grows by a quarter: 32 / 0.85 × 1.25 = 47.1 bytes a row at the worst row count. */
export const INDEX_GROWTH = 1.25;
/** Records whose index lines are touched together: their lines fit the first-level cache with room to spare. */
export const INDEX_TOUCH_RECORDS = 64;

// Space

/** How often the device is asked for its free bytes while writes come in. */
export const SPACE_CHECK_MICROS = 100_000;
/** Bytes accepted between two looks at the device, whatever the clock says: a fraction of any reserve. */
export const SPACE_CHECK_BYTES: number = 4 * 1024 * 1024;
/** A transaction without room looks again after this. */
export const SPACE_WAIT_MS = 100;
/**
 * Bytes of blocks a byte of records can take: a record of 2016 bytes leaves no room for a second one in its block
 * (4096 / 2016 = 2.03), one of 4032 needs two pages; the rest is the tree's pages, 16 of 256 a step.
 */
export const FLUSH_GROWTH_MAX = 2.25;
/** Journal segments that may yet be made for what was accepted: the one in preparation, and the one after it. */
export const JOURNAL_RESERVE_SEGMENTS = 2;
/** What one step of compaction writes before it can give anything back, with the tree's pages. */
export const COMPACTION_RESERVE_BYTES: number = 32 * 1024 * 1024;
/** Pages of the tree and of the list of free pages that one transaction may write beside its blocks. */
export const TREE_RESERVE_BYTES: number = 64 * PAGE_BYTES;

/** A row at the worst row count, and what surrounds it: 32 / 0.68 bytes and 9 a KiB (format page, index entry). */
export const INDEX_ROW_BYTES_MAX = 47.5;
/** Kept free of the index's budget: the largest table's new size beside its old one and its copy, and one request's rows. */
export const INDEX_GROWTH_RESERVE_BYTES: number = 2 * 1024 * 1024;

// Index checkpoints

/** Tables copied, summed and written in one turn: (m) 0.6 ms of work. */
export const INDEX_CHECKPOINT_SLICE_BYTES: number = 512 * 1024;
/** The largest body of a section (format): a slice that was nearly full, and one more of the largest tables (436 KiB). */
export const INDEX_CHECKPOINT_SECTION_BYTES: number = 1024 * 1024;
/** Read at once at a start: long enough that the device streams, and a few sections at least. */
export const INDEX_CHECKPOINT_READ_BYTES: number = 8 * 1024 * 1024;

/** A checkpoint of n bytes begins when this many times n bytes of blocks were written since the last: 4 % more written. */
export const INDEX_CHECKPOINT_WRITE_RATIO = 24;
/** And not before this much was written, which a start reads in a blink. */
export const INDEX_CHECKPOINT_WRITE_BYTES_MIN: number = 64 * 1024 * 1024;
/** Or when this much time has passed and anything was written: what a start has to read again stays within minutes of writing. */
export const INDEX_CHECKPOINT_MICROS = 120_000_000;
/** A clean close does not write a larger one: it would take seconds that an operator waits for. */
export const INDEX_CHECKPOINT_CLOSE_BYTES_MAX: number = 2 * 1024 * 1024 * 1024;

// Damage

/** Damaged blocks told by name: a device that loses more than this is replaced, not repaired block by block. */
export const DAMAGED_BLOCKS_LISTED_MAX = 1000;

// Verification

/** Blocks checked in one turn: 8 MiB, so that progress shows and a signal is heard. */
export const VERIFY_STRETCH_BLOCKS = 2048;

// Compaction

/** What carries a request's idempotency key stays in blocks this long after its commit, whatever may replace it. */
export const IDEMPOTENCY_KEEP_MICROS = 600_000_000;
/** Blocks that one transaction of compaction writes, or a little more: (m) a quarter of a millisecond of handing them over. */
export const COMPACTION_STEP_BYTES: number = 256 * 1024;
/** Blocks of a unit that one transaction of compaction removes together: half a millisecond of handing over their keys. */
export const COMPACTION_REMOVALS_MAX = 512;
/** Blocks from which on a transaction of compaction takes no others to remove. */
export const COMPACTION_STEP_REMOVALS = 128;
/**
 * Records gathered, ordered, decided on, packed or pointed anew in one turn: (m) 0.05 ms for all of that, which is what a
 * lookup that comes meanwhile waits longer, as much as it takes by itself.
 */
export const COMPACTION_SLICE_RECORDS = 32;
/** Bytes gathered or packed in one turn: large rows count by their bytes. */
export const COMPACTION_SLICE_BYTES: number = 8 * 1024;
/** Moves of one transaction: records that are dropped take no room in blocks, but time in the index. */
export const COMPACTION_MOVES_MAX = 16_384;
/** What is gathered of a unit at once: a rewrite of more goes by ranges of digests. */
export const COMPACTION_GATHER_BYTES: number = 16 * 1024 * 1024;
/** Source blocks that a run may read before it asks again: looked for together when they must be fetched. */
export const COMPACTION_AHEAD_BLOCKS = 16;
/** So many slow reads between two fetches turn a sweep to having its blocks fetched, for so many fetches (sweep-pace.ts). */
export const SWEEP_SLOW_READS = 2;
export const SWEEP_FETCHES = 64;
/** Level-1 keys that a sweep reads ahead: 0.3 ms. */
export const COMPACTION_KEYS_AHEAD = 1024;
/** Over so many of the shard's prefetch slots they are spread: the others are for lookups. */
export const COMPACTION_PREFETCH_SPREAD = 2;
/** A unit moves to level 1 when it fills this part of a block: less, and its page would be mostly empty. */
export const LEVEL_ONE_FILL = 0.75;
/** A version that a rewrite could not drop although its time had come is looked at again after this: no rewrite without end. */
export const COMPACTION_RETRY_SECONDS = 600;
