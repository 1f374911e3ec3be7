/** The bounds of server/, each with its reason. What exceeds one is refused with a code or waits; nothing grows. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Connections of one listener: every client process needs one a shard; an idle one costs 9 KiB here (m). */
export const CONNECTIONS_MAX = 4096;

/** Before HELLO was answered nobody may make us buffer more than a greeting. */
export const HELLO_FRAME_BYTES_MAX: number = 64 * KIB;

/** Unfinished requests of all connections of a listener: thirty-two of the largest; beyond it the memory is at risk. */
export const PARTIAL_FRAMES_BYTES_MAX: number = 512 * MIB;

/** A connection that has not greeted by then is closed, so that idle strangers do not use up CONNECTIONS_MAX. */
export const HELLO_TIMEOUT_MS = 10_000;

/** A peer that ended its side with requests in flight, and takes no answer for so long, has gone: scans end with it. */
export const HALF_OPEN_TIMEOUT_MS = 30_000;

/** A peer that vanished without a word (power, network) is found by TCP's own probes, the first after so long. */
export const KEEP_ALIVE_DELAY_MS = 60_000;

/** After a fatal error the peer gets this long to read why; input is discarded meanwhile. */
export const CLOSE_LINGER_MS = 1_000;

/** Requests of one connection that await their answer (writes, scans, control): 16 times our bench's deepest pipeline. */
export const SESSION_REQUESTS_MAX = 1024;

/** Bytes those requests keep: two of the largest frames, so that one can be read while one is committed. */
export const SESSION_REQUEST_BYTES_MAX: number = 32 * MIB;

/** Output that waits for a slow reader: above this its requests are not read; one response may overdraw it once. */
export const OUTPUT_HIGH_WATER_BYTES: number = 1 * MIB;

/**
 * Bytes handed to the kernel at once: (m) half a millisecond. A response of 16 MiB at once is 20 ms of the thread, because the kernel
 * copies as fast as a near reader takes, and over loopback does the reader's side as well.
 */
export const OUTPUT_PORTION_BYTES: number = 512 * KIB;

/** A reader that takes nothing of its waiting output for so long is gone, or as good as gone. */
export const OUTPUT_STALL_TIMEOUT_MS = 60_000;

/** One output buffer: a dozen responses of 100 rows × 50 float32, and small enough to stay in a core's L2 cache. */
export const OUTPUT_CHUNK_BYTES: number = 256 * KIB;

/** Spare output buffers of one thread: 16 MiB, enough for 64 readers that are behind at once. */
export const OUTPUT_CHUNKS_SPARE_MAX = 64;

/** Control requests of one thread that await the main thread's answer; each is small and rare. */
export const CONTROL_REQUESTS_MAX = 256;

/**
 * Neighbouring single gets looked up together, so that their cache misses overlap: one deep pipeline. Their answers may
 * overdraw a connection's output by so many rows, where one response alone may take a whole frame anyway.
 */
export const GATHERED_GETS_MAX = 32;

/** Deadlines are kept to this precision; finer timers would cost more than they tell. */
export const DEADLINE_TICK_MS = 5;

/** A connection paused because the write buffer is full looks again this often. */
export const PRESSURE_POLL_MS = 2;

/** Spare bookkeeping of answered writes, kept for reuse: as many as one deep pipeline has in flight. */
export const WRITE_SPARES_MAX = 1024;

/** Result room of a spare write: larger ones are left to the collector. */
export const WRITE_SPARE_ROWS_MAX = 1024;

/** Writes of one shard that await their commit, over all its connections. */
export const SHARD_WRITES_MAX = 65_536;

/** Compiled projections of one group: a model's feature list each; the cache is emptied when it is full. */
export const PROJECTIONS_PER_GROUP_MAX = 64;

/** After the drain, a worker gets so long to flush and close its store before the process gives up on it. */
export const WORKER_CLOSE_TIMEOUT_MS = 120_000;

/** How often a shard looks for what is due by time: an index checkpoint comes at most so much late. */
export const SHARD_TICK_MS = 1000;

/** Of the machine's memory, or of the memory limit, for cached blocks: the rest is for the index, buffers, and the system. */
export const CACHE_PART = 4;
/** Node itself, the main thread and the libraries: (m) 84 MB idle. */
export const MEMORY_NODE_BYTES: number = 96 * 1024 * 1024;
/** The heaps of a shard's two threads, its connections' buffers, requests under way, and one step of a flush and of a scan. */
export const MEMORY_SHARD_BYTES: number = 96 * 1024 * 1024;
/** Half of a write buffer is being flushed while the other may grow to the whole of it (storage/flush-cycle.ts). */
export const WRITE_BUFFER_OVERRUN = 1.5;
/** An index of 150,000 rows: a shard with less serves nobody. */
export const INDEX_BYTES_LEAST: number = 8 * 1024 * 1024;

/** Keys looked up in one step when their blocks are cached: half a millisecond. */
export const READ_KEYS_MAX = 1024;

/** Keys of one step of a read in slices: a millisecond when each block comes from the page cache and is checked. */
export const READ_SLICE_KEYS = 256;

/** Bytes of rows copied in one step of a read: half a millisecond. */
export const READ_TURN_BYTES: number = 2 * MIB;

/** Reads go on in another turn after so long: less than half of what a turn may take, for the last step comes on top. */
export const READ_TURN_MS = 2;

/** Reads of one shard that await their rows, over all its connections: as many single gets as devices take in 0.2 s. */
export const SHARD_READS_MAX = 16_384;

/** Bytes that those reads keep, responses of large ones included: twelve of the largest. */
export const SHARD_READ_BYTES_MAX: number = 256 * MIB;

/** From here on connections with reads that wait are held: half of what may be kept. */
export const READ_PRESSURE_BYTES: number = 128 * MIB;

/** Spare bookkeeping of answered reads, kept for use again: one deep pipeline of gets, with room for a usual batch each. */
export const READ_SPARES_MAX = 1024;
export const READ_SPARE_KEYS_MAX = 128;
// Backups

/** Backups of one shard at a time: one, and one that was begun anew before the other was found dead; two to spare. */
export const BACKUPS_PER_THREAD_MAX = 4;

/** A backup that asks for nothing for so long gives its snapshot back: twice a client's slowest write of a chunk. */
export const BACKUP_IDLE_TIMEOUT_MS = 60_000;

// Erasures

/** How often free pages are written over until nothing is found: a read that holds old pages longer than this is told of. */
export const ERASE_ROUNDS_MAX = 20;

/** Between two of those: steps of scans end within it, and read transactions of idle threads are given back. */
export const ERASE_PAUSE_MS = 500;
