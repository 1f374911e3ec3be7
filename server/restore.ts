/**
 * Restores a backup into a fresh data directory, for the same or another number of shards. Offline.
 *
 *   chain of manifests → each shard's keys → every chunk of the chain, read and verified whole → record mover → new shards
 *   → catalog.json → node.json, and only now is it a data directory
 *
 * I1  Nothing is taken on trust: manifest, key lists, chunks and blocks are verified by their checksums, every key of a shard must
 *     be found, and no expired backup is used. What is wrong is BACKUP_INVALID (or BLOCK_CORRUPT), and names the file.
 * I2  The target is new, empty, or what an interrupted restore left (it holds restoring.json and no node.json): then it starts
 *     over. Anything else is refused and not touched.
 * I3  The restored node is another node (it has an id of its own) of the same cluster: keys' digests stay, so the hash seed does.
 *     A backup since one of the old node is therefore refused.
 */
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import {
  BACKUP_MANIFEST_NAME,
  type BackupShard,
  type BlockStore,
  type CompactionState,
  decodeCheckpoint,
  decodeCompactionState,
  findKey,
  loadChecksum,
  openBlockStore,
  RecordMover,
  readChunk,
} from '../storage/index.ts';
import { FinishedBackup } from './backup-directory.ts';
import { adoptDataDirectory } from './data-directory.ts';
import { LOCK_FILE, lockDirectory } from './directory-lock.ts';
import { nodeClock, nodeDisk, nodeRandom } from './node-environment.ts';
import { messageOf, ServerError } from './server-error.ts';
import { foldMeta, type SourceMeta } from './source-meta.ts';

const RESTORING_NAME = 'restoring.json';
const CATALOG_NAME = 'catalog.json';
const NODE_NAME = 'node.json';
const OURS = /^(lock|restoring\.json|catalog\.json|node\.json|shard-\d+)(\.unfinished)?$/;

export interface RestoreOptions {
  readonly backup: string;
  readonly target: string;
  /** Default: as many as the node had. */
  readonly shards?: number | undefined;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export interface RestoreResult {
  readonly path: string;
  readonly shardCount: number;
  readonly records: number;
  readonly bytes: number;
  /** Backups of the chain. */
  readonly backups: number;
}

export async function restoreBackup(options: RestoreOptions): Promise<RestoreResult> {
  await loadChecksum();
  const chain = FinishedBackup.openChain(options.backup);
  const nowMs = nodeClock.nowMicros() / 1000;
  for (const { path, manifest } of chain) {
    if (manifest.expiresAt !== null && Date.parse(manifest.expiresAt) <= nowMs) {
      throw new ServerError('BACKUP_INVALID', `the backup ${path} expired at ${manifest.expiresAt}`);
    }
  }
  const target = resolve(options.target);
  const shardCount = options.shards ?? chain[0]!.manifest.node.shardCount;
  const lock = claimTarget(target, chain[0]!.path);
  try {
    const moved = await new Restore(chain, target, shardCount, options.onProgress).run();
    const { clusterId, hashSeed } = chain[0]!.manifest.node;
    writeCatalog(join(target, CATALOG_NAME), chain[0]!.manifest.catalog, moved.groupMax);
    adoptDataDirectory(nodeDisk, nodeRandom, nodeClock, target, { clusterId, hashSeed, shardCount });
    nodeDisk.remove(join(target, RESTORING_NAME));
    return { path: target, shardCount, records: moved.records, bytes: moved.bytes, backups: chain.length };
  } finally {
    fs.closeSync(lock);
  }
}

class Restore {
  private readonly chain: readonly FinishedBackup[];
  private readonly target: string;
  private readonly shardCount: number;
  private readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  private readonly totalBytes: number;
  private doneBytes = 0;

  constructor(
    chain: readonly FinishedBackup[],
    target: string,
    shardCount: number,
    onProgress: (doneBytes: number, totalBytes: number) => void,
  ) {
    this.chain = chain;
    this.target = target;
    this.shardCount = shardCount;
    this.onProgress = onProgress;
    const shards = chain.flatMap(({ manifest }) => manifest.shards);
    this.totalBytes = shards.flatMap(({ chunks }) => chunks).reduce((bytes, chunk) => bytes + chunk.bytes, 0);
  }

  async run(): Promise<{ records: number; bytes: number; groupMax: number }> {
    const { shards } = this.chain[0]!.manifest;
    const metas = shards.map((shard, index) => metaOf(shard, this.chain[0]!.path, index));
    const stores: BlockStore[] = [];
    try {
      for (let index = 0; index < this.shardCount; index++) stores.push(openTarget(this.target, index));
      const folded = foldMeta(metas);
      const mover = new RecordMover({ targets: stores, flushNumber: folded.flushNumber });
      for (const [index, meta] of metas.entries()) {
        if (meta.clocks !== undefined) mover.observeClocks(meta.clocks, index, shards.length);
        await this.moveShard(mover, index, meta.state);
      }
      await mover.finish(folded.state, folded.values);
      return { records: mover.records, bytes: this.doneBytes, groupMax: mover.groupMax };
    } finally {
      for (const store of stores) await store.close();
    }
  }

  /** Reads every chunk of the chain whole; what this backup's list does not name (it was compacted away since) is skipped. */
  private async moveShard(mover: RecordMover, shard: number, state: CompactionState): Promise<void> {
    const keys = this.chain[0]!.keys(shard);
    const isFound = new Uint8Array(keys.length / 2);
    let missing = isFound.length;
    for (const backup of this.chain) {
      for (const chunk of backup.manifest.shards[shard]!.chunks) {
        const { path, bytes } = backup.chunk(shard, chunk);
        readChunk(path, bytes, (keyHi, keyLo, value) => {
          const at = findKey(keys, keyHi, keyLo);
          if (at < 0 || isFound[at] === 1) return;
          isFound[at] = 1;
          missing -= 1;
          mover.addValue(state, keyHi, keyLo, value);
        });
        await mover.drain();
        this.doneBytes += bytes.length;
        this.onProgress(this.doneBytes, this.totalBytes);
      }
    }
    if (missing > 0) {
      throw new ServerError(
        'BACKUP_INVALID',
        `the backup ${this.chain[0]!.path} lacks ${missing} of the ${isFound.length} values of shard ${shard}`,
      );
    }
  }
}

function metaOf(shard: BackupShard, path: string, index: number): SourceMeta {
  const metaValue = (counter: number): Uint8Array | undefined => {
    const found = shard.meta.find(({ keyHi }) => keyHi === counter << 8);
    return found === undefined ? undefined : Uint8Array.from(Buffer.from(found.base64, 'base64'));
  };
  const checkpoint = metaValue(0);
  try {
    return {
      flushNumber: checkpoint === undefined ? 0 : decodeCheckpoint(checkpoint).flushNumber,
      clocks: metaValue(3),
      state: decodeCompactionState(metaValue(4)),
      readPoint: metaValue(5),
    };
  } catch (error) {
    throw new ServerError('BACKUP_INVALID', `the backup ${path}, shard ${index}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function openTarget(target: string, index: number): BlockStore {
  const directory = join(target, `shard-${index}`, 'blocks');
  nodeDisk.makeDirectory(directory);
  return openBlockStore({ directory });
}

/** I2. The descriptor of the lock. */
function claimTarget(target: string, backup: string): number {
  refuseForeign(target);
  const lock = lockDirectory(nodeDisk, target);
  try {
    refuseForeign(target);
    for (const name of nodeDisk.listFiles(target)) {
      if (name !== LOCK_FILE && name !== RESTORING_NAME) fs.rmSync(join(target, name), { recursive: true });
    }
    const note = { backup, startedAt: new Date().toISOString() };
    nodeDisk.writeFileDurable(join(target, RESTORING_NAME), Buffer.from(`${JSON.stringify(note)}\n`));
    return lock;
  } catch (error) {
    fs.closeSync(lock);
    throw error;
  }
}

function refuseForeign(target: string): void {
  const names = nodeDisk.listFiles(target);
  const isLeft = names.includes(RESTORING_NAME) && !names.includes(NODE_NAME);
  const foreign = names.find(
    (name) => !(isLeft ? OURS.test(name) : name === LOCK_FILE || name === `${RESTORING_NAME}.unfinished`),
  );
  if (foreign === undefined) return;
  const what = names.includes(BACKUP_MANIFEST_NAME) ? 'a backup' : foreign;
  throw new ServerError(
    'DATA_DIRECTORY_INVALID',
    `${target} is not empty, it holds ${what}: name a new directory`,
  );
}

/** Group ids are never used again, those of dropped groups whose rows are still there included. */
function writeCatalog(path: string, text: string, groupMax: number): void {
  const catalog = JSON.parse(text) as { nextGroupId: number };
  catalog.nextGroupId = Math.max(catalog.nextGroupId, groupMax + 1);
  nodeDisk.writeFileDurable(path, Buffer.from(`${JSON.stringify(catalog, null, 2)}\n`));
}
