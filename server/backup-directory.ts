/**
 * The files of a backup, and what may be done to them.
 *
 *   DIR/lock               held while the backup is taken
 *   DIR/unfinished.json    { "format", "id", "startedAt", "node", "since" }: there from the beginning until backup.json is
 *   DIR/shard-N/keys       the keys of shard N's store
 *   DIR/shard-N/000001.chunk, …    values
 *   DIR/backup.json        the manifest: with it the backup is finished, and nothing in the directory changes any more
 *
 * I1  A directory that holds anything else before the backup began is never written to. A finished backup neither.
 * I2  A file has its name only when it is whole and on disk. So whatever ends the process, what was written is used again by
 *     the next attempt, if it is of the same node and builds on the same earlier backup.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join, relative, resolve } from 'node:path';
import {
  BACKUP_FORMAT,
  BACKUP_MANIFEST_NAME,
  type BackupChunk,
  type BackupManifest,
  type BackupNode,
  decodeKeyList,
  decodeManifest,
  encodeKeyList,
  encodeManifest,
  type KeyWords,
  readChunkTable,
} from '../storage/index.ts';
import { LOCK_FILE, lockDirectory } from './directory-lock.ts';
import { nodeDisk } from './node-environment.ts';
import { messageOf, ServerError } from './server-error.ts';

const UNFINISHED_NAME = 'unfinished.json';
const KEYS_NAME = 'keys';
const CHUNK_NAME = /^\d{6}\.chunk$/;

interface Unfinished {
  readonly format: number;
  readonly id: string;
  readonly startedAt: string;
  readonly node: BackupNode;
  readonly since: { readonly id: string; readonly path: string } | null;
}

/** A backup that is finished. */
export class FinishedBackup {
  /** Absolute. */
  readonly path: string;
  readonly manifest: BackupManifest;
  readonly idBytes: Uint8Array;

  private constructor(path: string, manifest: BackupManifest) {
    this.path = path;
    this.manifest = manifest;
    this.idBytes = Buffer.from(manifest.id, 'hex');
  }

  /** Throws BACKUP_INVALID. */
  static open(path: string): FinishedBackup {
    const full = resolve(path);
    const bytes = nodeDisk.readFile(join(full, BACKUP_MANIFEST_NAME));
    if (bytes === undefined) {
      const isUnfinished = nodeDisk.listFiles(full).includes(UNFINISHED_NAME);
      throw invalid(full, isUnfinished ? 'it was not finished' : `there is no ${BACKUP_MANIFEST_NAME}`);
    }
    return new FinishedBackup(full, decodeManifest(join(full, BACKUP_MANIFEST_NAME), bytes));
  }

  /** This backup and those that it builds on, the newest first. Throws BACKUP_INVALID. */
  static openChain(path: string): FinishedBackup[] {
    const chain = [FinishedBackup.open(path)];
    for (let newest = chain[0]!; newest.manifest.since !== null; newest = chain.at(-1)!) {
      const { since } = newest.manifest;
      const earlier = FinishedBackup.open(resolve(newest.path, since.path));
      if (earlier.manifest.id !== since.id) {
        throw invalid(
          newest.path,
          `it builds on backup ${since.id}, and ${earlier.path} is ${earlier.manifest.id}`,
        );
      }
      assertSameNode(newest.path, newest.manifest.node, earlier.manifest.node);
      chain.push(earlier);
    }
    return chain;
  }

  keys(shard: number): KeyWords {
    const path = shardFile(this.path, shard, KEYS_NAME);
    const bytes = readWhole(path);
    const keys = decodeKeyList(path, shard, bytes);
    const { count } = this.manifest.shards[shard]!.keys;
    if (keys.length !== 2 * count)
      throw invalid(path, `it lists ${keys.length / 2} keys; there were ${count}`);
    return keys;
  }

  /** A chunk's whole file, whose table is that of the manifest's entry. Throws BACKUP_INVALID. */
  chunk(shard: number, chunk: BackupChunk): { path: string; bytes: Uint8Array } {
    const path = shardFile(this.path, shard, chunk.name);
    const bytes = readWhole(path);
    if (bytes.length !== chunk.bytes)
      throw invalid(path, `it has ${bytes.length} bytes; there were ${chunk.bytes}`);
    const table = readChunkTable(path, bytes, this.idBytes);
    if (table.shard !== shard || table.checksum !== chunk.checksum)
      throw invalid(path, 'it is another chunk');
    return { path, bytes };
  }
}

/** A backup being taken. */
export class BackupDirectory {
  readonly path: string;
  readonly startedAt: string;
  readonly id: string;
  readonly idBytes: Uint8Array;
  /** True when an earlier attempt has left something to build on. */
  readonly isResumed: boolean;
  private readonly unfinished: Unfinished;
  private readonly lock: number;

  private constructor(path: string, lock: number, unfinished: Unfinished, isResumed: boolean) {
    this.path = path;
    this.lock = lock;
    this.unfinished = unfinished;
    this.startedAt = unfinished.startedAt;
    this.id = unfinished.id;
    this.idBytes = Buffer.from(unfinished.id, 'hex');
    this.isResumed = isResumed;
  }

  /** Takes an empty or a new directory, or one with an unfinished backup of the same node. Throws BACKUP_INVALID. */
  static claim(path: string, node: BackupNode, since: FinishedBackup | null): BackupDirectory {
    const full = resolve(path);
    refuseForeign(full);
    if (since !== null) assertSameNode(full, node, since.manifest.node);
    const lock = lockBackup(full);
    try {
      refuseForeign(full);
      const base = since === null ? null : { id: since.manifest.id, path: relative(full, since.path) };
      const bytes = nodeDisk.readFile(join(full, UNFINISHED_NAME));
      if (bytes !== undefined) {
        const found = parseUnfinished(full, bytes);
        assertSameNode(full, node, found.node);
        if (found.since?.id !== base?.id) {
          throw invalid(
            full,
            'the backup begun in it builds on another earlier backup: go on with that, or name another directory',
          );
        }
        return new BackupDirectory(full, lock, { ...found, since: base }, true);
      }
      const unfinished: Unfinished = {
        format: BACKUP_FORMAT,
        id: randomBytes(16).toString('hex'),
        startedAt: new Date().toISOString(),
        node,
        since: base,
      };
      nodeDisk.writeFileDurable(
        join(full, UNFINISHED_NAME),
        Buffer.from(`${JSON.stringify(unfinished, null, 2)}\n`),
      );
      return new BackupDirectory(full, lock, unfinished, false);
    } catch (error) {
      fs.closeSync(lock);
      throw error;
    }
  }

  /** What is there of a shard: its chunks, in order, and their keys (not in order). */
  chunks(shard: number): { chunks: BackupChunk[]; keys: KeyWords[] } {
    nodeDisk.makeDirectory(join(this.path, shardName(shard)));
    const chunks: BackupChunk[] = [];
    const keys: KeyWords[] = [];
    for (const name of nodeDisk.listFiles(join(this.path, shardName(shard)))) {
      if (!CHUNK_NAME.test(name)) continue;
      const path = shardFile(this.path, shard, name);
      const added = describeChunk(path, name, readWhole(path), this.idBytes);
      chunks.push(added.chunk);
      keys.push(added.keys);
    }
    return { chunks, keys };
  }

  /** Writes a chunk, durable when it returns. */
  writeChunk(shard: number, number: number, bytes: Uint8Array): { chunk: BackupChunk; keys: KeyWords } {
    const name = `${String(number).padStart(6, '0')}.chunk`;
    const path = shardFile(this.path, shard, name);
    nodeDisk.writeFileDurable(path, bytes);
    return describeChunk(path, name, bytes, this.idBytes);
  }

  writeKeys(shard: number, keys: KeyWords): void {
    nodeDisk.writeFileDurable(shardFile(this.path, shard, KEYS_NAME), encodeKeyList(shard, keys));
  }

  /** Makes it a finished backup. */
  finish(rest: Pick<BackupManifest, 'expiresAt' | 'catalog' | 'shards'>): FinishedBackup {
    const { format, id, startedAt, node, since } = this.unfinished;
    const manifest = { format, id, startedAt, finishedAt: new Date().toISOString(), node, since, ...rest };
    nodeDisk.writeFileDurable(join(this.path, BACKUP_MANIFEST_NAME), Buffer.from(encodeManifest(manifest)));
    nodeDisk.remove(join(this.path, UNFINISHED_NAME));
    return FinishedBackup.open(this.path);
  }

  close(): void {
    fs.closeSync(this.lock);
  }
}

function describeChunk(
  path: string,
  name: string,
  bytes: Uint8Array,
  id: Uint8Array,
): { chunk: BackupChunk; keys: KeyWords } {
  const { keys, checksum } = readChunkTable(path, bytes, id);
  return { chunk: { name, values: keys.length / 2, bytes: bytes.length, checksum }, keys };
}

function lockBackup(path: string): number {
  try {
    return lockDirectory(nodeDisk, path);
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw invalid(path, messageOf(error), error);
  }
}

/** I1. */
function refuseForeign(path: string): void {
  let names: string[];
  try {
    names = nodeDisk.listFiles(path);
  } catch (error) {
    throw invalid(path, messageOf(error), error);
  }
  if (names.includes(BACKUP_MANIFEST_NAME))
    throw invalid(path, 'it holds a finished backup: name a new directory');
  if (names.includes(UNFINISHED_NAME)) return;
  const foreign = names.find((name) => name !== LOCK_FILE && name !== `${UNFINISHED_NAME}.unfinished`);
  if (foreign !== undefined) {
    throw invalid(path, `it holds ${foreign} and no backup: name an empty or a new directory`);
  }
}

function parseUnfinished(path: string, bytes: Uint8Array): Unfinished {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as Unfinished;
  } catch (error) {
    throw invalid(path, `${UNFINISHED_NAME} is no JSON`, error);
  }
}

function assertSameNode(path: string, node: BackupNode, other: BackupNode): void {
  const differs = (['nodeId', 'generation', 'shardCount'] as const).find(
    (name) => node[name] !== other[name],
  );
  if (differs === undefined) return;
  throw invalid(
    path,
    `it would build on a backup of another store: ${differs} was ${other[differs]}, and is ${node[differs]} now; take a full backup`,
  );
}

function readWhole(path: string): Uint8Array {
  try {
    const bytes = nodeDisk.readFile(path);
    if (bytes !== undefined) return bytes;
  } catch (error) {
    throw invalid(path, messageOf(error), error);
  }
  throw invalid(path, 'it is missing');
}

function shardName(shard: number): string {
  return `shard-${shard}`;
}

function shardFile(path: string, shard: number, name: string): string {
  return join(path, shardName(shard), name);
}

function invalid(path: string, fault: string, cause?: unknown): ServerError {
  return new ServerError('BACKUP_INVALID', `the backup ${path} cannot be used: ${fault}`, { cause });
}
