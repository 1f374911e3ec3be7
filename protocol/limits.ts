/**
 * The protocol's limits: every size, count and length that a peer may name, with the reason for its value.
 *
 * Both sides check them before they allocate anything. Raising one is a change of the wire (see version.ts).
 */

/** Partitions of the keyspace: a power of two, so that a digest's low 12 bits name one; 4096 keeps a map under 10 KiB. */
export const PARTITION_COUNT = 4096;

/** One whole frame, header included: LMDB's largest value we use, and at 1 GB/s it holds a connection for 16 ms. */
export const FRAME_BYTES_MAX: number = 16 * 1024 * 1024;

/** One encoded entity key. Longer keys belong into a feature; the record header has 16 bits for the length. */
export const ENTITY_KEY_BYTES_MAX = 1024;

/** One encoded row: 16 of the largest rows fit a frame, and a row's block stays below 257 pages. */
export const ROW_BYTES_MAX: number = 1024 * 1024;

/** Keys in one GET, GET_MATRIX or DELETE: 16,384 rows of 1 KiB fill one response frame. */
export const GET_KEYS_MAX = 16384;

/** Rows in one PUT: bounds the time (some 30 ms) for which one request holds a shard. */
export const PUT_ROWS_MAX = 65536;

/** Features of one group: the row's validity bitmap stays within 512 bytes. */
export const FEATURES_MAX = 4096;

/** Features that a group ever had, dropped ones included: their layouts stay known while old rows may be read. */
export const FEATURES_EVER_MAX = 16384;

/** Versions of one group's schema: what the 16 bits count that a row has for it. */
export const SCHEMA_VERSIONS_MAX = 65535;

/** Columns of one entity key: more than any natural key we have met; keeps key code free of large loops. */
export const KEY_COLUMNS_MAX = 16;

/** UTF-8 bytes of a group, column or feature name: what Kafka, Parquet and SQL tools all take. */
export const NAME_BYTES_MAX = 128;

/** Items of one vector: 65,536 float32 are 256 KiB, a quarter of the largest row. */
export const VECTOR_LENGTH_MAX = 65536;

/** Groups of a cluster: ids 1..4095 fit the 12 bits that index entries and block keys have; 0 is Millrace's own. */
export const GROUPS_MAX = 4095;

/** Features that one GET_MATRIX may name: each at most once per group would be 4096; repeats are allowed up to here. */
export const MATRIX_FEATURES_MAX = 4096;

/** TTL: 31 years. Event time plus TTL in seconds must stay inside the u32 that a record has for it until 2106. */
export const TTL_SECONDS_MAX = 1_000_000_000;

/** History retention: 285 years, which is for ever; bounded so that seconds times 1e6 stay a safe integer. */
export const RETENTION_SECONDS_MAX = 9_000_000_000;

/** How late a write may be: as long as the longest retention, for beyond that no history would hold it. */
export const LATENESS_SECONDS_MAX: number = RETENTION_SECONDS_MAX;

/** UTF-8 bytes of a feature's default: it travels with the schema, and a label is what defaults are for. */
export const DEFAULT_TEXT_BYTES_MAX = 1024;

/** Nesting of a MessagePack value: decoders recurse, so depth is bounded before one is called. */
export const MESSAGE_PACK_DEPTH_MAX = 32;

/** Shards of one node: ports are handed out in sequence, twice this many in all. */
export const SHARDS_MAX = 1024;

/** Nodes of one map: the owner table has 16 bits a partition. */
export const NODES_MAX = 4096;

/** The smallest and largest event time: ±(2^53 − 1) µs, year 1684 to 2255, exact in a double. */
export const EVENT_TIME_MICROS_MAX: number = Number.MAX_SAFE_INTEGER;

/** Rows of one Arrow batch of a scan: bounds what a scan holds in memory; columns of 64 Ki values compress time well. */
export const SCAN_BATCH_ROWS_MAX = 65536;

export const SCAN_BATCH_ROWS_DEFAULT = 65536;
