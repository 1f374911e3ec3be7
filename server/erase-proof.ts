/**
 * Looks through every file of a data directory for records of one key: the proof of an erasure.
 *
 * I1  Every byte of every file is read, whatever the file is. A record is told by its group, digest and whole key, at the places
 *     that they have in a record; one with an LSN above the erasure's is a row written since.
 * I2  Reading is in pieces, asynchronous, and one file at a time: the thread goes on with its work in between.
 *
 * Files come and go meanwhile (journal segments are recycled): one that is gone holds nothing.
 */
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ErasedKey,
  isRecordOf,
  RECORD_DIGEST_LO_AT,
  RECORD_HEADER_BYTES,
  readRecordLsn,
} from '../storage/index.ts';

const PIECE_BYTES = 1024 * 1024;

export interface ErasureProof {
  readonly files: number;
  readonly bytes: number;
  /** Records of the key with an LSN that was erased: none, when it is proven. */
  readonly copies: number;
  /** Records of the key that were written since. */
  readonly newer: number;
  /** The first file with a copy. */
  readonly where: string;
}

export async function proveErasure(
  directory: string,
  erased: ErasedKey,
  lsnMax: number,
): Promise<ErasureProof> {
  const proof = { files: 0, bytes: 0, copies: 0, newer: 0, where: '' };
  const digest = Buffer.alloc(8);
  digest.writeUInt32LE(erased.digestLo, 0);
  digest.writeUInt32LE(erased.digestHi, 4);
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    try {
      const before = proof.copies;
      proof.bytes += await searchFile(file, erased, digest, (lsn) => {
        if (lsn <= lsnMax) proof.copies += 1;
        else proof.newer += 1;
      });
      proof.files += 1;
      if (proof.copies > before && proof.where === '') proof.where = path;
    } finally {
      await file.close();
    }
  }
  return proof;
}

/** Calls `found` with the LSN of each record of the key; answers the bytes read. */
async function searchFile(
  file: FileHandle,
  erased: ErasedKey,
  digest: Uint8Array,
  found: (lsn: number) => void,
): Promise<number> {
  const recordHead = RECORD_HEADER_BYTES + erased.key.length;
  const piece = Buffer.alloc(PIECE_BYTES + recordHead);
  const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
  let held = 0;
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(piece, held, PIECE_BYTES, null);
    if (bytesRead === 0) return bytes;
    bytes += bytesRead;
    const end = held + bytesRead;
    // Heads that begin so late that they may go on in the next piece are looked at with that.
    const heads = end - recordHead;
    for (let at = piece.indexOf(digest); at >= 0 && at < end; at = piece.indexOf(digest, at + 1)) {
      const head = at - RECORD_DIGEST_LO_AT;
      if (head >= 0 && head <= heads && isRecordOf(erased, view, head)) found(readRecordLsn(view, head));
    }
    const rest = Math.min(end, recordHead - 1);
    piece.copy(piece, 0, end - rest, end);
    // What lies behind is of an older piece.
    held = rest;
    piece.fill(0, held);
  }
}
