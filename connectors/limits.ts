/**
 * The bounds of the connectors, each with its reason. What would pass one is refused or split, never buffered.
 */

/**
 * Rows a put. The client sends a put of at most this many rows, and about this many bytes, as one request a shard and in
 * the order of the calls: so of two rows with one key and one event time the later in the file stays the one that is read.
 */
export const IMPORT_BATCH_ROWS = 4096;
export const IMPORT_BATCH_BYTES: number = 1024 * 1024;

/** Puts in flight during an import: keeps two shards' group commits full while bounding what may be unacknowledged. */
export const IMPORT_PUTS_IN_FLIGHT = 16;

/** Rows a text file's types are inferred from: a column wrong in the first ten thousand rows is found before any put. */
export const INFERENCE_ROWS = 10_000;

/** Bytes of text the inference may read, so that a file of huge rows does not fill the memory before the first put. */
export const INFERENCE_BYTES_MAX: number = 16 * 1024 * 1024;

/** Bytes read from a text file at once: one read call per ~25,000 short rows. */
export const TEXT_CHUNK_BYTES: number = 1024 * 1024;

/** One CSV record or JSON line: a larger one is an unclosed quote or a missing newline (a stored row is at most 1 MiB). */
export const TEXT_RECORD_BYTES_MAX: number = 16 * 1024 * 1024;

/** Cells of a Parquet row group decoded at once (rows × columns): 128 MiB when every cell is a double. */
export const PARQUET_CELLS_MAX: number = 16 * 1024 * 1024;

/** Bytes hashed at each end of a file for its fingerprint: the head holds the header, the tail what was appended. */
export const FINGERPRINT_BYTES: number = 64 * 1024;

/** Time between two writings of the progress file: an import killed outright repeats at most this much work. */
export const PROGRESS_FILE_INTERVAL_MS = 500;

/** Time between two plain progress lines: a log of a ten-minute import stays at 120 lines. */
export const PLAIN_PROGRESS_INTERVAL_MS = 5000;
