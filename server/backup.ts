/**
 * Takes a backup of a live node into a directory.
 *
 *   for each shard:  open a state → list its keys → fetch those that neither the earlier backup nor an earlier attempt has
 *                    some are gone meanwhile? → open another state, and so on; the last time a pinned one
 *   then: the manifest
 *
 * I1  What the manifest says of a shard is one committed state of its store, behind a flush that began after the backup did:
 *     everything that was acknowledged before is in it, and of each partition all versions up to some LSN.
 * I2  A key, once listed, names the same bytes for ever (of one node and generation). So values fetched by other attempts,
 *     from other states, or for the earlier backup, are those of this state if it lists their keys; others are not used.
 * I3  Every value is verified before it is written; a damaged one stops the backup with BLOCK_CORRUPT.
 * I4  Memory: one chunk, one answer, 16 bytes a key. Rate: `bytesPerSecond`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupFeed, Millrace } from '../client/index.ts';
import { BACKUP_BLOCKS_MAX, type BackupOpened } from '../protocol/index.ts';
import {
  type BackupChunk,
  type BackupNode,
  type BackupShard,
  ChunkWriter,
  type KeyWords,
  loadChecksum,
  NO_KEYS,
  sortedKeys,
  unitedKeys,
  ValueVerifier,
  withoutKeys,
} from '../storage/index.ts';
import { BackupDirectory, FinishedBackup } from './backup-directory.ts';
import { ServerError } from './server-error.ts';

/** States taken before a pinned one: compaction rarely removes anything twice while one shard is read. */
const FREE_STATES_MAX = 2;

export interface BackupProgress {
  readonly shard: number;
  readonly shardCount: number;
  /** Values of the shard fetched so far, and wanted. */
  readonly values: number;
  readonly valuesWanted: number;
  /** Bytes fetched in all. */
  readonly bytes: number;
}

export interface BackupOptions {
  readonly client: Millrace;
  readonly path: string;
  /** An earlier backup's directory. */
  readonly since?: string | undefined;
  readonly expiresAt?: Date | undefined;
  readonly bytesPerSecond: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: BackupProgress) => void;
}

export interface BackupResult {
  readonly backup: FinishedBackup;
  readonly isResumed: boolean;
  /** Values and bytes fetched by this attempt. */
  readonly values: number;
  readonly bytes: number;
}

export async function takeBackup(options: BackupOptions): Promise<BackupResult> {
  await loadChecksum();
  const since = options.since === undefined ? null : FinishedBackup.openChain(options.since)[0]!;
  return new BackupTaker(options, since).run();
}

class BackupTaker {
  private readonly options: BackupOptions;
  private readonly since: FinishedBackup | null;
  private readonly pace: Pace;
  private readonly verifier = new ValueVerifier();
  private readonly writer = new ChunkWriter();
  private directory: BackupDirectory | undefined;
  private catalog = '';
  private values = 0;
  private bytes = 0;

  constructor(options: BackupOptions, since: FinishedBackup | null) {
    this.options = options;
    this.since = since;
    this.pace = new Pace(options.bytesPerSecond);
  }

  async run(): Promise<BackupResult> {
    const shards: BackupShard[] = [];
    try {
      for (let shard = 0; shard < this.options.client.shardCount; shard++) {
        const feed = await this.options.client.openBackup(shard);
        try {
          shards.push(await this.takeShard(feed, shard));
        } finally {
          feed.close();
        }
      }
      const directory = this.directory!;
      const backup = directory.finish({ expiresAt: this.expiry(), catalog: this.catalog, shards });
      return { backup, isResumed: directory.isResumed, values: this.values, bytes: this.bytes };
    } finally {
      this.directory?.close();
    }
  }

  /** The earlier of what was asked for and what the earlier backup has. */
  private expiry(): string | null {
    const asked = this.options.expiresAt?.toISOString() ?? null;
    const earlier = this.since?.manifest.expiresAt ?? null;
    if (asked === null || earlier === null) return asked ?? earlier;
    return asked < earlier ? asked : earlier;
  }

  private async takeShard(feed: BackupFeed, shard: number): Promise<BackupShard> {
    let opened = await feed.open(false);
    const directory = this.claim(opened, shard);
    const found = directory.chunks(shard);
    const chunks = found.chunks;
    const earlier = this.since === null ? NO_KEYS : this.since.keys(shard);
    let have = found.keys.reduce((all, keys) => unitedKeys(all, sortedKeys(keys)), earlier);
    for (let states = 1; ; states++) {
      const keys = await listKeys(feed);
      const wanted = withoutKeys(keys, have);
      const fetched = await this.fetch(feed, shard, wanted, chunks);
      if (fetched.length === wanted.length) {
        directory.writeKeys(shard, keys);
        return describeShard(opened, keys, chunks);
      }
      if (states > FREE_STATES_MAX) {
        throw new ServerError(
          'BLOCK_CORRUPT',
          `shard ${shard}: values that a pinned state lists are missing`,
        );
      }
      have = unitedKeys(have, sortedKeys(fetched));
      opened = await feed.open(states === FREE_STATES_MAX);
      this.catalog = opened.catalog;
    }
  }

  /** The first shard's answer says whose backup this is. */
  private claim(opened: BackupOpened, shard: number): BackupDirectory {
    const { nodeId, clusterId, hashSeed, generation, shardCount } = opened;
    const node: BackupNode = { nodeId, clusterId, hashSeed, generation, shardCount };
    this.directory ??= BackupDirectory.claim(this.options.path, node, this.since);
    if (opened.shardIndex !== shard || shardCount !== this.options.client.shardCount) {
      throw new ServerError('BACKUP_INVALID', `shard ${opened.shardIndex} answers where shard ${shard} was`);
    }
    // The last shard's catalog is the youngest: it has every group that any shard's state has, or it was dropped since.
    this.catalog = opened.catalog;
    return this.directory;
  }

  /** Fetches values and writes chunks; answers the keys of those that were still there. */
  private async fetch(
    feed: BackupFeed,
    shard: number,
    wanted: KeyWords,
    chunks: BackupChunk[],
  ): Promise<KeyWords> {
    const fetched: number[] = [];
    for (let at = 0; at < wanted.length; ) {
      this.options.signal.throwIfAborted();
      const words = wanted.subarray(at, at + 2 * BACKUP_BLOCKS_MAX);
      const before = this.bytes;
      let told = 0;
      let fault: unknown;
      await feed.blocks(words, (index, value) => {
        if (value === null) return;
        told += 2;
        if (value === undefined) return;
        const [keyHi, keyLo] = [words[2 * index]!, words[2 * index + 1]!];
        fault ??= this.verified(keyHi, keyLo, value);
        this.writer.add(keyHi, keyLo, value);
        fetched.push(keyHi, keyLo);
        this.values += 1;
        this.bytes += value.length;
      });
      if (fault !== undefined) throw fault;
      at += told;
      if (this.writer.isFull) this.writeChunk(shard, chunks);
      this.options.onProgress({
        shard,
        shardCount: this.options.client.shardCount,
        values: at / 2,
        valuesWanted: wanted.length / 2,
        bytes: this.bytes,
      });
      await this.pace.take(this.bytes - before);
    }
    if (this.writer.count > 0) this.writeChunk(shard, chunks);
    this.options.signal.throwIfAborted();
    return Uint32Array.from(fetched);
  }

  /** What is wrong with the value, or undefined: thrown later, for a connection takes what is thrown as its own. */
  private verified(keyHi: number, keyLo: number, value: Uint8Array): unknown {
    try {
      this.verifier.verify(keyHi, keyLo, value);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  private writeChunk(shard: number, chunks: BackupChunk[]): void {
    const directory = this.directory!;
    const last = chunks.at(-1);
    const number = last === undefined ? 1 : Number(last.name.slice(0, 6)) + 1;
    const bytes = this.writer.finish(directory.idBytes, shard, number);
    chunks.push(directory.writeChunk(shard, number, bytes).chunk);
  }
}

async function listKeys(feed: BackupFeed): Promise<KeyWords> {
  const parts: Uint32Array[] = [];
  for (let isLast = false; !isLast; ) {
    const answer = await feed.keys();
    parts.push(answer.words);
    isLast = answer.isLast;
  }
  const words = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    words.set(part, at);
    at += part.length;
  }
  return words;
}

function describeShard(opened: BackupOpened, keys: KeyWords, chunks: readonly BackupChunk[]): BackupShard {
  const meta = opened.meta.map(({ keyHi, keyLo, bytes }) => {
    return { keyHi, keyLo, base64: Buffer.from(bytes).toString('base64') };
  });
  return { keys: { count: keys.length / 2 }, meta, chunks };
}

/** Holds a sender to a rate, averaged over what was taken since it began. */
class Pace {
  private readonly bytesPerSecond: number;
  private readonly startedMs: number = performance.now();
  private bytes = 0;

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
  }

  async take(bytes: number): Promise<void> {
    this.bytes += bytes;
    const dueMs = this.startedMs + (this.bytes / this.bytesPerSecond) * 1000;
    const leftMs = dueMs - performance.now();
    if (leftMs > 1) await sleep(leftMs);
  }
}
