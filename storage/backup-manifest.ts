/**
 * The manifest of a backup: what it is of, what it is made of, and how long it may be used. It is written last.
 *
 *   { "format": 1, "id", "startedAt", "finishedAt", "expiresAt" | null,
 *     "node": { "nodeId", "clusterId", "hashSeed", "generation", "shardCount" },
 *     "since": { "id", "path" } | null,
 *     "catalog": "the text of catalog.json",
 *     "shards": [ { "keys": { "count" }, "meta": [ { "keyHi", "keyLo", "base64" } ],
 *                   "chunks": [ { "name", "values", "bytes", "checksum" } ] } ],
 *     "checksum" }
 *
 * I1  `checksum` is the XXH64 (seed 0), as 16 hexadecimal digits, of the text with zeros in its place.
 * I2  The store of shard N is exactly: the values of its key list, found in the chunks of this backup and of those it builds
 *     on, and its meta values. That is one committed state of the block store.
 * I3  A backup expires no later than the one that it builds on, whose chunks it needs.
 */

import { BACKUP_FORMAT } from './backup-keys.ts';
import { checksum64 } from './checksum.ts';
import { StorageError } from './storage-error.ts';

export const BACKUP_MANIFEST_NAME = 'backup.json';

export interface BackupNode {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly hashSeed: string;
  readonly generation: number;
  readonly shardCount: number;
}

export interface BackupChunk {
  readonly name: string;
  readonly values: number;
  readonly bytes: number;
  readonly checksum: string;
}

export interface BackupShard {
  readonly keys: { readonly count: number };
  readonly meta: readonly { readonly keyHi: number; readonly keyLo: number; readonly base64: string }[];
  readonly chunks: readonly BackupChunk[];
}

export interface BackupManifest {
  readonly format: number;
  /** 32 hexadecimal digits, random. */
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly expiresAt: string | null;
  readonly node: BackupNode;
  /** The earlier backup that this one builds on; its path as seen from this one's directory. */
  readonly since: { readonly id: string; readonly path: string } | null;
  readonly catalog: string;
  readonly shards: readonly BackupShard[];
}

const NO_CHECKSUM = '0'.repeat(16);
const CHECKSUM_LINE = /"checksum": "([0-9a-f]{16})"\n\}\n$/;

export function encodeManifest(manifest: BackupManifest): string {
  const text = `${JSON.stringify({ ...manifest, checksum: NO_CHECKSUM }, null, 2)}\n`;
  return text.replace(CHECKSUM_LINE, `"checksum": "${checksumText(Buffer.from(text))}"\n}\n`);
}

/** Throws BACKUP_INVALID, naming `path`. */
export function decodeManifest(path: string, bytes: Uint8Array): BackupManifest {
  const text = Buffer.from(bytes).toString('utf8');
  const checksum = CHECKSUM_LINE.exec(text)?.[1];
  if (checksum === undefined) throw invalid(path, 'it does not end with a checksum');
  const plain = text.replace(CHECKSUM_LINE, `"checksum": "${NO_CHECKSUM}"\n}\n`);
  if (checksumText(Buffer.from(plain)) !== checksum) throw invalid(path, 'its checksum differs');
  // What the checksum covers was written by encodeManifest: its shape needs no second look, but its version does.
  const manifest = JSON.parse(text) as BackupManifest;
  if (manifest.format > BACKUP_FORMAT) {
    throw invalid(
      path,
      `it has format ${manifest.format}; this version reads formats up to ${BACKUP_FORMAT}`,
    );
  }
  return manifest;
}

/** XXH64 (seed 0) as 16 hexadecimal digits, high word first. */
export function checksumText(bytes: Uint8Array): string {
  const sum = new Uint32Array(2);
  checksum64(bytes, 0, bytes.length, sum);
  return sum[1]!.toString(16).padStart(8, '0') + sum[0]!.toString(16).padStart(8, '0');
}

function invalid(path: string, fault: string): StorageError {
  return new StorageError('BACKUP_INVALID', `the backup's ${path} cannot be used: ${fault}`);
}
