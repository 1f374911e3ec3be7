/** The bounds of scans, each with its reason. What exceeds one is refused or waits (limits.ts has the other bounds). */
import { FRAME_BYTES_MAX, RESPONSE_HEADER_BYTES, SCAN_DATA_PREFIX_BYTES } from '../protocol/index.ts';

/** Scans of one connection: a client needs one; more than a few only compete for the same socket. */
export const SCANS_PER_CONNECTION_MAX = 8;

/** Scans of one scan thread: each holds a step and a batch, some 10 MiB, so all of them about 320 MiB. */
export const SCANS_PER_THREAD_MAX = 32;

/** Body bytes of a batch at most: 65,536 flights are 2.5 MiB; larger batches gain nothing and keep others waiting. */
export const SCAN_BATCH_BYTES_MAX: number = 4 << 20;

/** And at least, however small the credit: below this the frame and its metadata would weigh more than rows. */
export const SCAN_BATCH_BYTES_MIN: number = 64 << 10;

/** Arrow bytes of one frame, schema message included. */
export const SCAN_MESSAGE_BYTES_MAX: number =
  FRAME_BYTES_MAX - RESPONSE_HEADER_BYTES - SCAN_DATA_PREFIX_BYTES;

/** A scan without credit for so long gives its memory back; it goes on from its position when credit comes. */
export const SCAN_IDLE_TIMEOUT_MS = 10_000;

/** Between two questions when the shard's answer and the store's checkpoint differ: a flush is about to finish. */
export const SCAN_RETRY_DELAY_MS = 2;

/** Questions in a row that may so fail: some 10 s, in which the shard was to notice that its flush is durable. */
export const SCAN_RETRIES_MAX = 5_000;

/** A page from memory takes a scan 2–4 µs to read and gather, one from a device 50 and more: slower than this is a device. */
export const SCAN_READ_SLOW_MICROS = 15;
/** Pages of one step below which that is not judged: the clock has milliseconds. */
export const SCAN_READ_PAGES_MIN = 128;
/** Fetching a page that was in memory takes other threads a few microseconds: faster than this, and it is not needed. */
export const SCAN_FETCH_FAST_MICROS = 8;
/** Reads of a scan thread on other threads at once; the launcher counts as many for each shard. */
export const SCAN_PREFETCH_SLOTS = 8;

/** Of the write buffer gathered for a scan in one turn of the shard: 0.1 ms for records of 256 bytes that are in no cache. */
export const BUFFERED_SLICE_BYTES: number = 16 << 10;
/** What a partition without a record counts as: it takes as long as that many bytes of records. */
export const BUFFERED_PARTITION_BYTES = 512;
