/**
 * A node's data directory: who it belongs to, what made it, and that one process at a time uses it.
 *
 *   DIR/lock           held while a node runs; its text names the process
 *   DIR/node.json      { "format", "nodeId", "clusterId", "hashSeed", "shardCount", "createdAt", "generation"? }
 *   DIR/catalog.json   the feature groups (catalog.ts)
 *   DIR/shard-N/       journal/ and blocks/ of shard N; shard-N.G/ in generation G > 0
 *
 * I1  Nothing but the lock file is written before the lock is held. The lock belongs to the open file, so the kernel drops
 *     it when the process dies in whatever way, and a second node in the same process is refused too.
 * I2  node.json is the last file written when a directory is made: where it is, the directory is complete; where it is
 *     not, a crash came first and making it starts over. It changes when the directory is rewritten for another shard count
 *     (reshard.ts): the one replacement of it switches from the old shards to the new.
 * I3  A directory that is not empty and not ours is never written to.
 * I4  The shard count is fixed: partition p lives in shard p mod count. Another count is refused, never guessed at.
 *
 * The hash seed is random per cluster, so that nobody outside can choose keys which share a partition or a slot.
 * Left to others: what the catalog and the shards hold.
 */
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { SHARDS_MAX } from '../protocol/index.ts';
import type { Clock, Disk, Random } from '../storage/index.ts';
import { LOCK_FILE, lockDirectory } from './directory-lock.ts';
import { messageOf, ServerError } from './server-error.ts';
import type { NodeIdentity } from './worker-messages.ts';

/** Format 2 is format 1 with a generation above 0. */
const DIRECTORY_FORMAT = 2;
const DIRECTORY_FORMAT_FIRST = 1;
const NODE_FILE = 'node.json';
const CATALOG_FILE = 'catalog.json';

/** What may be there before node.json is: the lock, what `onCreate` makes, the root of a fresh file system. */
const BEFORE_NODE_FILE = new Set([
  LOCK_FILE,
  CATALOG_FILE,
  `${CATALOG_FILE}.unfinished`,
  `${NODE_FILE}.unfinished`,
  'lost+found',
]);

const SHARD_NAME = /^shard-\d+(\.\d+)?$/;
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
  /** Absent in format 1: 0. */
  readonly generation?: number;
}

export class DataDirectory {
  /** Absolute. */
  readonly path: string;
  readonly identity: NodeIdentity;
  readonly shardCount: number;
  readonly createdAt: string;
  readonly #file: NodeFile;
  #lock: number | undefined;

  constructor(path: string, lock: number, file: NodeFile) {
    this.path = path;
    this.#lock = lock;
    this.#file = file;
    this.identity = {
      nodeId: file.nodeId,
      clusterId: file.clusterId,
      hashSeedLo: Number.parseInt(file.hashSeed.slice(8), 16),
      hashSeedHi: Number.parseInt(file.hashSeed.slice(0, 8), 16),
      generation: file.generation ?? 0,
    };
    this.shardCount = file.shardCount;
    this.createdAt = file.createdAt;
  }

  get catalogPath(): string {
    return join(this.path, CATALOG_FILE);
  }

  shardDirectory(shardIndex: number): string {
    return join(this.path, shardName(shardIndex, this.identity.generation));
  }

  /** Directories of shards that no node uses: those of other generations, and of numbers beyond the shard count. */
  strayShards(disk: Disk): string[] {
    const { generation } = this.identity;
    const used = new Set(Array.from({ length: this.shardCount }, (_, index) => shardName(index, generation)));
    return disk.listFiles(this.path).filter((name) => SHARD_NAME.test(name) && !used.has(name));
  }

  /** Where the shard of the generation that comes next will lie. */
  nextShardDirectory(shardIndex: number): string {
    return join(this.path, shardName(shardIndex, this.identity.generation + 1));
  }

  /** Makes the next generation, of `shardCount` shards, the one that counts: one durable replacement of node.json. */
  switchGeneration(disk: Disk, shardCount: number): void {
    const generation = this.identity.generation + 1;
    writeNodeFile(disk, this.path, { ...this.#file, format: DIRECTORY_FORMAT, shardCount, generation });
  }

  /** Gives the lock back. Everything that uses the directory has stopped before. */
  close(): void {
    if (this.#lock === undefined) return;
    fs.closeSync(this.#lock);
    this.#lock = undefined;
  }
}

function shardName(shardIndex: number, generation: number): string {
  return generation === 0 ? `shard-${shardIndex}` : `shard-${shardIndex}.${generation}`;
}

/**
 * Opens a data directory or makes a new one, and locks it.
 * Throws DATA_DIRECTORY_LOCKED, _NEWER, _INVALID and SHARD_COUNT_MISMATCH.
 */
export function openDataDirectory(options: DataDirectoryOptions): DataDirectory {
  const { disk } = options;
  const path = resolve(options.path);
  refuseForeign(disk, path);
  const lock = lockDataDirectory(disk, path);
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
    format: DIRECTORY_FORMAT_FIRST,
    nodeId: randomUuid(random),
    clusterId: randomUuid(random),
    hashSeed: hex32(random.uint32()) + hex32(random.uint32()),
    shardCount: options.shards ?? options.defaultShards,
    createdAt: new Date(clock.nowMicros() / 1000).toISOString(),
  };
  const directory = new DataDirectory(path, lock, file);
  options.onCreate?.(directory);
  writeNodeFile(disk, path, file);
  return directory;
}

/** Makes node.json of a directory that was filled otherwise (restore.ts): a new node of a known cluster. */
export function adoptDataDirectory(
  disk: Disk,
  random: Random,
  clock: Clock,
  path: string,
  made: { readonly clusterId: string; readonly hashSeed: string; readonly shardCount: number },
): void {
  const createdAt = new Date(clock.nowMicros() / 1000).toISOString();
  const file = { format: DIRECTORY_FORMAT_FIRST, nodeId: randomUuid(random), ...made, createdAt };
  writeNodeFile(disk, path, file);
}

function writeNodeFile(disk: Disk, path: string, file: NodeFile): void {
  disk.writeFileDurable(join(path, NODE_FILE), Buffer.from(`${JSON.stringify(file, null, 2)}\n`));
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

function lockDataDirectory(disk: Disk, path: string): number {
  try {
    return lockDirectory(disk, path);
  } catch (error) {
    throw error instanceof ServerError ? error : invalid(path, messageOf(error), error);
  }
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
    (isCount(file.format) && (file.format as number) >= DIRECTORY_FORMAT_FIRST) || 'format',
    isText(file.nodeId, UUID) || 'nodeId',
    isText(file.clusterId, UUID) || 'clusterId',
    isText(file.hashSeed, HASH_SEED) || 'hashSeed',
    (Number.isInteger(shards) && (shards as number) >= 1 && (shards as number) <= SHARDS_MAX) || 'shardCount',
    typeof file.createdAt === 'string' || 'createdAt',
    file.generation === undefined || isCount(file.generation) || 'generation',
  ].find((verdict) => verdict !== true);
  if (wrong !== undefined) throw invalid(path, `${NODE_FILE} has no valid ${wrong}`);
  return file as NodeFile;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
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
