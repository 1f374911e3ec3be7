/**
 * The shard's blocks on disk: an ordered map from 8-byte keys to values, in one LMDB environment.
 *
 *   key, 8 bytes big-endian:  group 12 | partition 12 | 0 8 | counter 32
 *
 * This is the only file that knows lmdb, so that another store can take its place.
 *
 * I1  `write` is one transaction. When it resolves the values are on disk; when it rejects, none of them is
 *     visible now, and the store must not be written again (a retry after a failed sync loses data).
 * I2  A read in the writing thread, made after a `write` resolved, sees what was written.
 * I3  A value read is a view into one buffer of this thread, which the next read overwrites.
 * I4  No call blocks on a write transaction: only queued puts and removes are used, after opening.
 * I5  `prefetch` touches the pages of values on libuv's threads, in at most `prefetchSlots` calls at once; a read that
 *     follows finds them in memory. It holds no snapshot and promises nothing: a value may have gone meanwhile.
 *
 * A page that the device cannot read raises SIGBUS and ends the process, as in every reader of a memory map.
 *
 * The environment is opened with `overlappingSync: false`: by default lmdb-js shows a commit to readers before
 * its sync, and keeps it when the sync fails. The map is reserved once, large, so it never moves. Within a
 * process all threads that open a directory share one environment; two processes are kept apart by the data
 * directory's lock.
 */
import { strict as assert } from 'node:assert';
import {
  type Database,
  open,
  type RootDatabase,
  type RootDatabaseOptionsWithPath,
  type Transaction,
} from 'lmdb';
import { checkDataFile } from './data-file.ts';
import type { Disk } from './environment.ts';
import { LMDB_PAGE_HEADER_BYTES, PAGE_BYTES, PREFETCH_SLOTS_MIN } from './limits.ts';
import { PrefetchQueue } from './prefetch-queue.ts';
import type { BlockSpace, SpaceGuard, SpaceSource } from './space-guard.ts';
import { StorageError } from './storage-error.ts';

export interface BlockWrite {
  readonly keyHi: number;
  readonly keyLo: number;
  /** Read by another thread until `write` settles: leave it alone until then. */
  readonly bytes: Uint8Array;
}

export interface BlockKey {
  readonly keyHi: number;
  readonly keyLo: number;
}

/** Return `false` to stop the scan. The bytes hold until the visitor returns or reads. */
export type BlockVisitor = (keyHi: number, keyLo: number, bytes: Uint8Array) => undefined | false;

/** Return `false` to stop. */
export type KeyVisitor = (keyHi: number, keyLo: number) => undefined | false;

export interface BlockReader {
  /** The value, or undefined. The view is valid until the next read of this thread. */
  read(keyHi: number, keyLo: number): Uint8Array | undefined;
  /** Visits the keys from (fromHi, fromLo), inclusive, to (toHi, toLo), exclusive, within one snapshot. */
  scan(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: BlockVisitor): void;
  /** The same without the values, whose pages it does not touch. */
  keys(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: KeyVisitor): void;
}

/** A reader whose state stands still until `renew`: hold it for a partition, not for an hour (it pins pages). */
export interface BlockSnapshot extends BlockReader {
  /** Moves to the newest committed state. */
  renew(): void;
  close(): void;
}

export interface BlockStore extends BlockReader, SpaceSource {
  /** One transaction: removals after writes. Durable when it resolves. */
  write(batch: readonly BlockWrite[], removals?: readonly BlockKey[]): Promise<void>;
  /** Brings these values from the device into memory, on other threads, several at once. Never rejects. */
  prefetch(keys: readonly BlockKey[], spread?: number): Promise<void>;
  /** Calls of other threads so far, and the sum over them of how many were under way with each. */
  readonly prefetches: { readonly begun: number; readonly begunBeside: number };
  openSnapshot(): BlockSnapshot;
  /** Bytes of the file that hold pages, free ones included. */
  sizeBytes(): number;
  close(): Promise<void>;
}

export interface BlockStoreOptions {
  readonly directory: string;
  /** The most that the file grows to: BLOCK_MAP_BYTES_DEFAULT. */
  readonly mapBytes?: number;
  readonly readOnly?: boolean;
  /**
   * The kernel reads ahead of a read that is not in memory, which makes a pass in key order thirty times as fast and a random read
   * of a large store sixty times as slow (m). False unless given; counts for whoever opens the directory first in the process.
   */
  readonly readAhead?: boolean;
  /** Calls of `prefetch` under way at once: PREFETCH_SLOTS_MIN unless given. Each takes a thread of libuv's. */
  readonly prefetchSlots?: number;
  /** When given, the data file is looked at first: lmdb-js ends the process when it opens one that is damaged at its head. */
  readonly disk?: Disk;
  /** When given, a write that finds no room waits for it; else it rejects STORAGE_FULL. */
  readonly guard?: SpaceGuard;
}

/** The most the file grows to, and the address space reserved for it: beyond any disk of one shard. */
export const BLOCK_MAP_BYTES_DEFAULT: number = 2 ** 40;
/** Read transactions at once: one a thread and one a snapshot, of which a shard has a handful. */
const READERS_MAX = 126;
const DATABASE_NAME = 'blocks';
const DATA_FILE = 'data.mdb';
/** In front of all others, never freed. */
const META_PAGES = 2;
const KEY_BYTES = 8;

/** Native error numbers that mean that no room is left: LMDB's MDB_MAP_FULL and the system's ENOSPC. */
const FULL_CODES: ReadonlySet<unknown> = new Set<unknown>([-30792, 28]);

/** Opens the environment, and creates it unless `readOnly`: then a writing thread must have opened it before. */
export function openBlockStore(options: BlockStoreOptions): BlockStore {
  const { directory, mapBytes = BLOCK_MAP_BYTES_DEFAULT, readOnly = false, readAhead = false } = options;
  if (options.disk?.listFiles(directory).includes(DATA_FILE)) {
    checkDataFile(options.disk, `${directory}/${DATA_FILE}`);
  }
  try {
    // lmdb-js knows noReadAhead; its types do not.
    const settings: RootDatabaseOptionsWithPath & { noReadAhead: boolean } = {
      path: directory,
      noSubdir: false,
      pageSize: PAGE_BYTES,
      mapSize: mapBytes,
      maxDbs: 1,
      maxReaders: READERS_MAX,
      overlappingSync: false,
      noReadAhead: !readAhead,
      readOnly,
    };
    const environment = open(settings);
    return new LmdbBlockStore(environment, mapBytes, options);
  } catch (error) {
    throw new StorageError('DATA_DIRECTORY_INVALID', `cannot open the block store ${directory}`, {
      cause: error,
    });
  }
}

class LmdbBlockStore implements BlockStore {
  private readonly environment: RootDatabase;
  private readonly blocks: KeyedDatabase;
  private readonly mapBytes: number;
  private readonly guard: SpaceGuard | undefined;
  readonly prefetches: PrefetchQueue<BlockKey>;
  private failure: StorageError | undefined;

  constructor(environment: RootDatabase, mapBytes: number, options: BlockStoreOptions) {
    this.environment = environment;
    this.blocks = new KeyedDatabase(environment);
    this.mapBytes = mapBytes;
    this.guard = options.guard;
    this.prefetches = new PrefetchQueue({
      slots: options.prefetchSlots ?? PREFETCH_SLOTS_MIN,
      fetch: (keys, done) => this.blocks.prefetch(keys, done),
    });
  }

  read(keyHi: number, keyLo: number): Uint8Array | undefined {
    return this.blocks.read(keyHi, keyLo, {});
  }

  scan(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: BlockVisitor): void {
    this.blocks.scan(fromHi, fromLo, toHi, toLo, visit, {});
  }

  keys(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: KeyVisitor): void {
    this.blocks.keys(fromHi, fromLo, toHi, toLo, visit, {});
  }

  prefetch(keys: readonly BlockKey[], spread?: number): Promise<void> {
    return this.prefetches.prefetch(keys, spread);
  }

  async write(batch: readonly BlockWrite[], removals: readonly BlockKey[] = []): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    if (batch.length + removals.length === 0) return;
    const bytes = pageBytesOf(batch);
    if (this.guard === undefined) this.refuseIfFull(bytes);
    else if (!this.guard.fits(this, bytes)) {
      await this.guard.waitForRoom(this, bytes);
      if (this.failure !== undefined) throw this.failure;
    }
    const { blocks } = this;
    try {
      await blocks.database.batch(() => {
        for (const { keyHi, keyLo, bytes } of batch)
          void blocks.database.put(blocks.key(keyHi, keyLo), bytes);
        for (const { keyHi, keyLo } of removals) void blocks.database.remove(blocks.key(keyHi, keyLo));
      });
    } catch (error) {
      this.failure = await writeFailure(error);
      throw this.failure;
    }
    // A read made while the commit was under way holds the state before it: let go of that (I2).
    blocks.database.resetReadTxn();
  }

  openSnapshot(): BlockSnapshot {
    return new LmdbBlockSnapshot(this.blocks);
  }

  sizeBytes(): number {
    const { lastPageNumber } = this.environment.getStats() as { lastPageNumber: number };
    return (lastPageNumber + 1) * PAGE_BYTES;
  }

  space(): BlockSpace {
    const { lastPageNumber, root, free } = this.environment.getStats() as EnvironmentStats;
    const used =
      META_PAGES + pagesOf(root) + pagesOf(free) + pagesOf(this.blocks.database.getStats() as TreeStats);
    return {
      fileBytes: (lastPageNumber + 1) * PAGE_BYTES,
      reusableBytes: Math.max(0, lastPageNumber + 1 - used) * PAGE_BYTES,
      mapBytes: this.mapBytes,
    };
  }

  async close(): Promise<void> {
    this.prefetches.close();
    // Waits for the prefetches under way.
    await this.environment.close();
  }

  /** lmdb-js would double the map instead, and move it under the readers of other threads. */
  private refuseIfFull(batchBytes: number): void {
    const bytes = this.sizeBytes() + batchBytes;
    if (bytes > this.mapBytes) {
      throw new StorageError(
        'STORAGE_FULL',
        `the block store would grow to ${bytes} bytes; ${this.mapBytes} are allowed`,
      );
    }
  }
}

/** What LMDB says of one of its trees: pages, and the keys' values that have pages of their own. */
interface TreeStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface EnvironmentStats {
  readonly lastPageNumber: number;
  /** The tree that names the databases. */
  readonly root: TreeStats;
  /** The tree of free pages. */
  readonly free: TreeStats;
}

function pagesOf(tree: TreeStats): number {
  return tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
}

/** Pages that a batch's values take, in bytes, at the most. */
function pageBytesOf(batch: readonly BlockWrite[]): number {
  let bytes = 0;
  for (const write of batch) {
    bytes += Math.ceil((write.bytes.length + LMDB_PAGE_HEADER_BYTES) / PAGE_BYTES) * PAGE_BYTES;
  }
  return bytes;
}

class LmdbBlockSnapshot implements BlockSnapshot {
  private readonly blocks: KeyedDatabase;
  private readonly held: { transaction?: Transaction } = {};

  constructor(blocks: KeyedDatabase) {
    this.blocks = blocks;
    this.renew();
  }

  read(keyHi: number, keyLo: number): Uint8Array | undefined {
    assert(this.held.transaction !== undefined, 'the snapshot is open');
    return this.blocks.read(keyHi, keyLo, this.held as HeldTransaction);
  }

  scan(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: BlockVisitor): void {
    assert(this.held.transaction !== undefined, 'the snapshot is open');
    this.blocks.scan(fromHi, fromLo, toHi, toLo, visit, this.held as HeldTransaction);
  }

  keys(fromHi: number, fromLo: number, toHi: number, toLo: number, visit: KeyVisitor): void {
    assert(this.held.transaction !== undefined, 'the snapshot is open');
    this.blocks.keys(fromHi, fromLo, toHi, toLo, visit, this.held as HeldTransaction);
  }

  renew(): void {
    this.close();
    // The thread's current read transaction may be older: without this it would be shared.
    this.blocks.database.resetReadTxn();
    this.held.transaction = this.blocks.database.useReadTransaction();
  }

  close(): void {
    this.held.transaction?.done();
    delete this.held.transaction;
  }
}

/** Options of a read: in the snapshot's transaction, or in the thread's current one. */
type HeldTransaction = { readonly transaction?: Transaction };

/** A database as one thread uses it: keys and values pass without an object or a copy of their own. */
class KeyedDatabase {
  readonly database: Database<Uint8Array, Uint8Array>;
  private readonly keyGiven = { keyHi: 0, keyLo: 0 };
  private readonly keyRead = { keyHi: 0, keyLo: 0 };
  /** The view given out last: almost all values have one size, so they share it. */
  private view: Uint8Array = new Uint8Array(0);

  constructor(environment: RootDatabase) {
    // Options for keys and values count only here, on the named database.
    const options = {
      name: DATABASE_NAME,
      keyEncoder: { writeKey, readKey: (source: Uint8Array, start: number) => this.readKey(source, start) },
      encoder: { encode: (value: Uint8Array) => value, decode: (buffer: Uint8Array) => this.viewOf(buffer) },
    };
    this.database = environment.openDB<Uint8Array, Uint8Array>(options);
  }

  /** The key as `writeKey` takes it, one object for all; lmdb-js encodes it before `put` or `get` returns. */
  key(keyHi: number, keyLo: number): Uint8Array {
    this.keyGiven.keyHi = keyHi;
    this.keyGiven.keyLo = keyLo;
    return asKey(this.keyGiven);
  }

  read(keyHi: number, keyLo: number, options: HeldTransaction): Uint8Array | undefined {
    return this.database.get(this.key(keyHi, keyLo), options);
  }

  scan(
    fromHi: number,
    fromLo: number,
    toHi: number,
    toLo: number,
    visit: BlockVisitor,
    options: HeldTransaction,
  ): void {
    const start = asKey({ keyHi: fromHi, keyLo: fromLo });
    const end = asKey({ keyHi: toHi, keyLo: toLo });
    for (const { value } of this.database.getRange({ start, end, ...options })) {
      // `readKey` has put the key of this value there.
      if (visit(this.keyRead.keyHi, this.keyRead.keyLo, value) === false) return;
    }
  }

  keys(
    fromHi: number,
    fromLo: number,
    toHi: number,
    toLo: number,
    visit: KeyVisitor,
    options: HeldTransaction,
  ): void {
    const start = asKey({ keyHi: fromHi, keyLo: fromLo });
    const end = asKey({ keyHi: toHi, keyLo: toLo });
    for (const _key of this.database.getKeys({ start, end, ...options })) {
      if (visit(this.keyRead.keyHi, this.keyRead.keyLo) === false) return;
    }
  }

  /** The keys are encoded before it returns; lmdb-js holds the buffer that they stand in until `done`. */
  prefetch(keys: readonly BlockKey[], done: () => void): void {
    void this.database.prefetch(keys as unknown as Uint8Array[], done);
  }

  private readKey(source: Uint8Array, start: number): BlockKey {
    this.keyRead.keyHi = readBigEndian(source, start);
    this.keyRead.keyLo = readBigEndian(source, start + 4);
    return this.keyRead;
  }

  /** lmdb-js sets `length`, and nothing else, on its one buffer: a view of that length is a real Uint8Array. */
  private viewOf(buffer: Uint8Array): Uint8Array {
    if (this.view.buffer !== buffer.buffer || this.view.length !== buffer.length) {
      this.view = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
    }
    return this.view;
  }
}

/** lmdb-js takes any key that its `keyEncoder` takes; its types do not say so. */
function asKey(key: BlockKey): Uint8Array {
  return key as unknown as Uint8Array;
}

function writeKey(key: BlockKey, target: Uint8Array, start: number): number {
  writeBigEndian(target, start, key.keyHi);
  writeBigEndian(target, start + 4, key.keyLo);
  return start + KEY_BYTES;
}

function writeBigEndian(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

function readBigEndian(source: Uint8Array, at: number): number {
  const high = ((source[at] as number) << 8) | (source[at + 1] as number);
  return ((high << 16) | ((source[at + 2] as number) << 8) | (source[at + 3] as number)) >>> 0;
}

/** lmdb-js rejects with a wrapper whose `commitError` is a second promise, rejected with the cause: take both. */
async function writeFailure(error: unknown): Promise<StorageError> {
  let cause = error;
  if (error instanceof Error && 'commitError' in error) {
    try {
      await error.commitError;
    } catch (commitError) {
      cause = commitError;
    }
  }
  const code =
    cause instanceof Error && 'code' in cause && FULL_CODES.has(cause.code) ? 'STORAGE_FULL' : 'INTERNAL';
  return new StorageError(code, `writing blocks failed: ${String(cause)}`, { cause });
}
