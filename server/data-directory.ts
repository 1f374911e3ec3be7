/**
 * A node's data directory: who it belongs to, what made it, and that one process at a time uses it.
 *
 *   DIR/lock           held while a node runs; its text names the process
 *   DIR/node.json      { "format": 1, "nodeId", "clusterId", "hashSeed", "shardCount", "createdAt" }
 *   DIR/catalog.json   the feature groups (catalog.ts)
 *   DIR/shard-N/       journal/ and blocks/ of shard N
 *
 * I1  Nothing but the lock file is written before the lock is held. The lock belongs to the open file, so the kernel drops
 *     it when the process dies in whatever way, and a second node in the same process is refused too.
 * I2  node.json is the last file written when a directory is made: where it is, the directory is complete; where it is
 *     not, a crash came first and making it starts over. It never changes afterwards.
 * I3  A directory that is not empty and not ours is never written to.
 * I4  The shard count is fixed: partition p lives in shard p mod count. Another count is refused, never guessed at.
 *
 * The hash seed is random per cluster, so that nobody outside can choose keys which share a partition or a slot.
 * Left to others: what the catalog and the shards hold.
 */
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { SHARDS_MAX } from '../protocol/index.ts';
import type { Clock, Disk, Random } from '../storage/index.ts';
import { messageOf, ServerError } from './server-error.ts';
import type { NodeIdentity } from './worker-messages.ts';

/** The package has no types of its own. False when another open file holds the lock. */
const { tryLock } = createRequire(import.meta.url)('fs-native-extensions') as {
  tryLock(fd: number): boolean;
};

const DIRECTORY_FORMAT = 1;
const NODE_FILE = 'node.json';
const LOCK_FILE = 'lock';
const CATALOG_FILE = 'catalog.json';
const FILE_MODE = 0o600;
/** The lock file's text is read back into messages: a pid and a few words, whatever somebody put there. */
const LOCK_TEXT_BYTES_MAX = 200;

/** What may be there before node.json is: the lock, what `onCreate` makes, the root of a fresh file system. */
const BEFORE_NODE_FILE = new Set([
  LOCK_FILE,
  CATALOG_FILE,
  `${CATALOG_FILE}.unfinished`,
  `${NODE_FILE}.unfinished`,
  'lost+found',
]);

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const HASH_SEED = /^[0-9a-f]{16}$/;

export interface DataDirectoryOptions {
  readonly path: string;
  /** What the user asked for; undefined takes what the directory has, or `defaultShards` for a new one. */
  readonly shards?: number | undefined;
  readonly defaultShards: number;
  readonly disk: Disk;
  readonly random: Random;
  readonly clock: Clock;
  /** Makes what else a new directory needs before it counts as complete. May run again after a crash. */
  readonly onCreate?: (directory: DataDirectory) => void;
}

interface NodeFile {
  readonly format: number;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly hashSeed: string;
  readonly shardCount: number;
  readonly createdAt: string;
}

export class DataDirectory {
  /** Absolute. */
  readonly path: string;
  readonly identity: NodeIdentity;
  readonly shardCount: number;
  readonly createdAt: string;
  #lock: number | undefined;

  constructor(path: string, lock: number, file: NodeFile) {
    this.path = path;
    this.#lock = lock;
    this.identity = {
      nodeId: file.nodeId,
      clusterId: file.clusterId,
      hashSeedLo: Number.parseInt(file.hashSeed.slice(8), 16),
      hashSeedHi: Number.parseInt(file.hashSeed.slice(0, 8), 16),
    };
    this.shardCount = file.shardCount;
    this.createdAt = file.createdAt;
  }

  get catalogPath(): string {
    return join(this.path, CATALOG_FILE);
  }

  shardDirectory(shardIndex: number): string {
    return join(this.path, `shard-${shardIndex}`);
  }

  /** Gives the lock back. Everything that uses the directory has stopped before. */
  close(): void {
    if (this.#lock === undefined) return;
    fs.closeSync(this.#lock);
    this.#lock = undefined;
  }
}

/**
 * Opens a data directory or makes a new one, and locks it.
 * Throws DATA_DIRECTORY_LOCKED, _NEWER, _INVALID and SHARD_COUNT_MISMATCH.
 */
export function openDataDirectory(options: DataDirectoryOptions): DataDirectory {
  const { disk } = options;
  const path = resolve(options.path);
  refuseForeign(disk, path);
  const lock = acquireLock(disk, path);
  try {
    // Looked at again under the lock: another process may have made the directory in between.
    refuseForeign(disk, path);
    const bytes = disk.readFile(join(path, NODE_FILE));
    if (bytes === undefined) return create(options, path, lock);
    const file = parseNodeFile(path, bytes);
    if (options.shards !== undefined && options.shards !== file.shardCount) {
      throw new ServerError(
        'SHARD_COUNT_MISMATCH',
        `${path} was made with ${file.shardCount} shards and cannot be opened with ${options.shards}: ` +
          `ask for ${file.shardCount}, or leave the number out`,
      );
    }
    return new DataDirectory(path, lock, file);
  } catch (error) {
    fs.closeSync(lock);
    throw error instanceof ServerError ? error : invalid(path, messageOf(error), error);
  }
}

function create(options: DataDirectoryOptions, path: string, lock: number): DataDirectory {
  const { disk, random, clock } = options;
  const file: NodeFile = {
    format: DIRECTORY_FORMAT,
    nodeId: randomUuid(random),
    clusterId: randomUuid(random),
    hashSeed: hex32(random.uint32()) + hex32(random.uint32()),
    shardCount: options.shards ?? options.defaultShards,
    createdAt: new Date(clock.nowMicros() / 1000).toISOString(),
  };
  const directory = new DataDirectory(path, lock, file);
  options.onCreate?.(directory);
  const text = `${JSON.stringify(file, null, 2)}\n`;
  disk.writeFileDurable(join(path, NODE_FILE), Buffer.from(text));
  return directory;
}

/** I3: takes a missing directory, an empty one, one whose making a crash cut short, and a complete one. */
function refuseForeign(disk: Disk, path: string): void {
  let names: string[];
  try {
    names = disk.listFiles(path);
  } catch (error) {
    throw invalid(path, messageOf(error), error);
  }
  if (names.includes(NODE_FILE)) return;
  const foreign = names.find((name) => !BEFORE_NODE_FILE.has(name));
  if (foreign === undefined) return;
  const reason = foreign.startsWith('shard-')
    ? `${NODE_FILE} is missing, though ${foreign} is there: put the file back from a copy`
    : `it holds ${foreign} and no ${NODE_FILE}: name an empty or a new directory`;
  throw invalid(path, reason);
}

/** The descriptor of the locked file; closing it gives the lock back. */
function acquireLock(disk: Disk, path: string): number {
  let lock: number;
  try {
    disk.makeDirectory(path);
    lock = fs.openSync(join(path, LOCK_FILE), fs.constants.O_RDWR | fs.constants.O_CREAT, FILE_MODE);
  } catch (error) {
    throw invalid(path, messageOf(error), error);
  }
  try {
    if (tryLock(lock)) {
      fs.ftruncateSync(lock);
      fs.writeSync(lock, `process ${process.pid}\n`, 0);
      return lock;
    }
    throw new ServerError('DATA_DIRECTORY_LOCKED', `${path} is in use by ${lockHolder(lock)}`);
  } catch (error) {
    fs.closeSync(lock);
    throw error instanceof ServerError
      ? error
      : invalid(path, `it cannot be locked: ${messageOf(error)}`, error);
  }
}

function lockHolder(lock: number): string {
  const text = Buffer.alloc(LOCK_TEXT_BYTES_MAX);
  const bytes = fs.readSync(lock, text, 0, text.length, 0);
  const holder = text.toString('utf8', 0, bytes).trim();
  return /^process \d+$/.test(holder) ? holder : 'another process';
}

function parseNodeFile(path: string, bytes: Uint8Array): NodeFile {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw invalid(path, `${NODE_FILE} is not JSON: ${messageOf(error)}`, error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(path, `${NODE_FILE} is not a JSON object`);
  }
  const file = value as Record<keyof NodeFile, unknown>;
  if (typeof file.format === 'number' && file.format > DIRECTORY_FORMAT) {
    throw new ServerError(
      'DATA_DIRECTORY_NEWER',
      `${path} has format ${file.format}; this version reads formats up to ${DIRECTORY_FORMAT}`,
    );
  }
  const isText = (field: unknown, pattern: RegExp): boolean =>
    typeof field === 'string' && pattern.test(field);
  const shards = file.shardCount;
  const wrong = [
    file.format === DIRECTORY_FORMAT || 'format',
    isText(file.nodeId, UUID) || 'nodeId',
    isText(file.clusterId, UUID) || 'clusterId',
    isText(file.hashSeed, HASH_SEED) || 'hashSeed',
    (Number.isInteger(shards) && (shards as number) >= 1 && (shards as number) <= SHARDS_MAX) || 'shardCount',
    typeof file.createdAt === 'string' || 'createdAt',
  ].find((verdict) => verdict !== true);
  if (wrong !== undefined) throw invalid(path, `${NODE_FILE} has no valid ${wrong}`);
  return file as NodeFile;
}

function invalid(path: string, reason: string, cause?: unknown): ServerError {
  return new ServerError('DATA_DIRECTORY_INVALID', `${path} cannot be used as a data directory: ${reason}`, {
    cause,
  });
}

function hex32(word: number): string {
  return word.toString(16).padStart(8, '0');
}

/** A version 4 UUID. */
function randomUuid(random: Random): string {
  const version = (random.uint32() & 0xffff0fff) | 0x4000;
  const variant = (random.uint32() & 0x3fffffff) | 0x80000000;
  const second = hex32(version >>> 0);
  const third = hex32(variant >>> 0);
  return [
    hex32(random.uint32()),
    second.slice(0, 4),
    second.slice(4),
    third.slice(0, 4),
    third.slice(4) + hex32(random.uint32()),
  ].join('-');
}
