/**
 * Rewrites a data directory for another number of shards. Offline: it takes the directory's lock.
 *
 *   DIR/shard-0 … shard-(N−1)  ──read──▶  record mover  ──▶  DIR/shard-0.1 … shard-(M−1).1      (the next generation)
 *   node.json replaced (shardCount, generation)  ──▶  the old shards are removed
 *
 * I1  The one durable replacement of node.json is the switch. Before it the old shards are what counts and were not changed;
 *     after it the new ones are, complete and on disk. Directories of another generation count for nothing: the next start, or
 *     the next reshard, removes them. So an interrupted reshard is started over, or is over.
 * I2  It begins only when there is room: what the old shards take and a fifth.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { SHARDS_MAX } from '../protocol/index.ts';
import {
  type BlockStore,
  openBlockStore,
  openShardSource,
  RecordMover,
  type ShardSource,
} from '../storage/index.ts';
import { type DataDirectory, openDataDirectory } from './data-directory.ts';
import { nodeClock, nodeDisk, nodeRandom } from './node-environment.ts';
import { ServerError } from './server-error.ts';
import { foldMeta } from './source-meta.ts';

/** Room asked for, over what the old shards take. */
const ROOM_FACTOR = 1.2;
/** What a node needs to start: a journal's first segments. */
const ROOM_BYTES_MIN: number = 64 * 1024 * 1024;

export interface ReshardOptions {
  readonly dataDirectory: string;
  readonly shards: number;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export interface ReshardResult {
  readonly shardsBefore: number;
  readonly records: number;
  readonly bytes: number;
}

/** Throws DATA_DIRECTORY_…, STORAGE_FULL, BLOCK_CORRUPT, JOURNAL_CORRUPT, USAGE. */
export async function reshard(options: ReshardOptions): Promise<ReshardResult> {
  const { dataDirectory, shards } = options;
  if (!Number.isInteger(shards) || shards < 1 || shards > SHARDS_MAX) {
    throw new ServerError('USAGE', `${shards} shards; allowed: 1 to ${SHARDS_MAX}`);
  }
  if (!nodeDisk.listFiles(dataDirectory).includes('node.json')) {
    throw new ServerError(
      'DATA_DIRECTORY_INVALID',
      `${dataDirectory} is no data directory: there is no node.json`,
    );
  }
  const directory = openDataDirectory({
    path: dataDirectory,
    defaultShards: 1,
    disk: nodeDisk,
    random: nodeRandom,
    clock: nodeClock,
  });
  try {
    if (directory.shardCount === shards)
      throw new ServerError('USAGE', `${dataDirectory} has ${shards} shards already`);
    return await rewrite(directory, options);
  } finally {
    directory.close();
  }
}

/** Removes shards of other generations: what an interrupted reshard left. Answers their names. */
export function removeStrayShards(directory: DataDirectory): string[] {
  const strays = directory.strayShards(nodeDisk);
  for (const name of strays) fs.rmSync(join(directory.path, name), { recursive: true });
  if (strays.length > 0) nodeDisk.syncDirectory(directory.path);
  return strays;
}

async function rewrite(directory: DataDirectory, options: ReshardOptions): Promise<ReshardResult> {
  removeStrayShards(directory);
  const sources: ShardSource[] = [];
  const targets: BlockStore[] = [];
  let doneBytes = 0;
  let totalBytes = 0;
  const onProgress = (bytes: number): void => {
    doneBytes += bytes;
    options.onProgress(doneBytes, totalBytes);
  };
  try {
    for (let index = 0; index < directory.shardCount; index++) {
      // A shard whose directory is not there has never been started: it holds nothing.
      const path = directory.shardDirectory(index);
      if (!nodeDisk.listFiles(path).includes('blocks')) continue;
      const source = await openShardSource({ directory: path, index, disk: nodeDisk, onProgress });
      sources.push(source);
      totalBytes += source.bytes;
    }
    requireRoom(directory.path, totalBytes);
    for (let index = 0; index < options.shards; index++) targets.push(openTarget(directory, index));
    const folded = foldMeta(sources.map((source) => source.meta));
    const mover = new RecordMover({ targets, flushNumber: folded.flushNumber });
    for (const source of sources) {
      if (source.meta.clocks !== undefined)
        mover.observeClocks(source.meta.clocks, source.index, directory.shardCount);
      await source.move(mover);
    }
    await mover.finish(folded.state, folded.values);
    await closeAll(targets);
    await closeAll(sources);
    const shardsBefore = directory.shardCount;
    const old = Array.from({ length: shardsBefore }, (_, index) => directory.shardDirectory(index));
    directory.switchGeneration(nodeDisk, options.shards);
    for (const path of old) fs.rmSync(path, { recursive: true, force: true });
    nodeDisk.syncDirectory(directory.path);
    return { shardsBefore, records: mover.records, bytes: doneBytes };
  } finally {
    await closeAll(targets);
    await closeAll(sources);
  }
}

async function closeAll(opened: { close(): Promise<void> }[]): Promise<void> {
  for (const each of opened.splice(0)) await each.close();
}

function openTarget(directory: DataDirectory, index: number): BlockStore {
  const path = join(directory.nextShardDirectory(index), 'blocks');
  nodeDisk.makeDirectory(path);
  return openBlockStore({ directory: path });
}

function requireRoom(path: string, sourceBytes: number): void {
  const { bavail, bsize } = fs.statfsSync(path);
  const needed = Math.ceil(sourceBytes * ROOM_FACTOR) + ROOM_BYTES_MIN;
  if (bavail * bsize >= needed) return;
  throw new ServerError(
    'STORAGE_FULL',
    `rewriting ${path} needs ${needed} bytes beside the old shards; ${bavail * bsize} are free`,
  );
}
