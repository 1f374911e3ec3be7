/** The client's bounds: every queue, table, buffer and wait has one, with the reason for its value. */

/** How long a request may take, retries included, when the caller names no time: far above any healthy answer. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 10_000;

/** How long dialling and the handshake may take together: a listener on a reachable host answers in milliseconds. */
export const CONNECT_TIMEOUT_MS_DEFAULT = 5_000;

/** How long `close` waits for answers under way before it rejects them. */
export const CLOSE_TIMEOUT_MS_DEFAULT = 5_000;

/** One timer looks at all deadlines this often, so a time-out is at most two of these late; a timer a request costs 10× more. */
export const SWEEP_INTERVAL_MS = 20;

/** A connection that owes answers, lets one time out and is silent for this long is dialled anew: a cut cable says nothing. */
export const SILENT_MS_MAX = 5_000;

/** Requests on one connection without their answer. A power of two: the low bits of a correlation id are the slot. */
export const IN_FLIGHT_MAX = 4096;

/** Requests that wait for a connection or a free slot. Above it they are refused: who waits behind 65,536 others times out. */
export const WAITING_MAX = 65_536;

/** Bytes written and not yet taken by the kernel above which no further request is encoded: half a frame of the largest kind. */
export const UNSENT_BYTES_MAX: number = 8 * 1024 * 1024;

/** The buffer that a connection reads into and reuses: some ten matrices of 100 × 50 float32 a system call. */
export const READ_BUFFER_BYTES: number = 256 * 1024;

/** First size of the buffer that a turn's requests are encoded into; it grows to the largest turn seen. */
export const WRITE_BUFFER_BYTES: number = 64 * 1024;

/** A write buffer above this is given back to the heap after its turn, so that one large put is not paid for for ever. */
export const WRITE_BUFFER_KEPT_BYTES_MAX: number = 4 * 1024 * 1024;

/** Write buffers kept for reuse a connection: one fills while the kernel takes another; more only under back-pressure. */
export const WRITE_BUFFERS_KEPT_MAX = 3;

/** Attempts in all, the first included, of a request that may be retried; the time-out usually ends it sooner. */
export const ATTEMPTS_MAX = 10;

/** First wait before a retry; each further one is twice as long, up to the maximum, and a random half of it is left off. */
export const RETRY_DELAY_MS_MIN = 4;
export const RETRY_DELAY_MS_MAX = 1_000;

/** First and longest wait between two attempts to reach a listener that does not answer. */
export const RECONNECT_DELAY_MS_MIN = 10;
export const RECONNECT_DELAY_MS_MAX = 2_000;

/** Choices of features for which a group keeps a compiled reader of rows: programs have a handful, generated ones any number. */
export const READERS_KEPT_MAX = 64;

/**
 * Rows a put request at most: about a millisecond of encoding for the caller's event loop, and of checking and laying down for the
 * shard's, in one turn each.
 */
export const PUT_CHUNK_ROWS = 1_024;

/** A put request is sent when its rows reach this: as much as one group commit. */
export const PUT_CHUNK_BYTES: number = 256 * 1024;

/** Rows of a patch request at most: four of them are the 1,024 keyed rows that a partition remembers, so a repeat is known whole. */
export const PATCH_CHUNK_ROWS = 256;

/** Pieces of one `put` call under way at a time: one is committed while the next are encoded and sent. */
export const PUT_CHUNKS_IN_FLIGHT = 16;
/** Pieces of one `patch` call: see PATCH_CHUNK_ROWS. */
export const PATCH_CHUNKS_IN_FLIGHT = 4;

/** Bytes of Arrow data a shard may send ahead of the consumer, unless the caller says otherwise. */
export const SCAN_CREDIT_BYTES_DEFAULT: number = 8 * 1024 * 1024;

/** A scan that was given credit and sends nothing for this long is given up: a scan thread yields every few milliseconds. */
export const SCAN_IDLE_TIMEOUT_MS_DEFAULT = 30_000;

/** How long one answer of a backup may take: it may wait for a flush of a full write buffer behind another. */
export const BACKUP_ANSWER_TIMEOUT_MS = 120_000;

/** How long an erasure may take unless the caller says otherwise: a sweep and a reading of some hundred GB. */
export const ERASE_TIMEOUT_MS_DEFAULT = 1_800_000;
