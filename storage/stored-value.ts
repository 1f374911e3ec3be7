/**
 * Values of the block store as they are copied between stores and backups: which kind a key names, and whether the bytes are
 * whole. Copied values are verified where they enter and where they leave.
 */
import { type Arena, arenaOf } from './arena.ts';
import { corruptBlock, verifyBlock } from './block.ts';
import { LEVEL_ONE_KEY_HI_FIRST, LEVEL_ZERO_DIRECTORY_KEY_HI, LEVEL_ZERO_KEY_HI } from './block-key.ts';
import { DirectoryValue } from './level-zero-directory.ts';

export type StoredKind = 'level-0 block' | 'level-0 directory' | 'level-1 block' | 'other';

export function storedKind(keyHi: number): StoredKind {
  if (keyHi === LEVEL_ZERO_KEY_HI) return 'level-0 block';
  if (keyHi === LEVEL_ZERO_DIRECTORY_KEY_HI) return 'level-0 directory';
  return keyHi >= LEVEL_ONE_KEY_HI_FIRST ? 'level-1 block' : 'other';
}

/** Verifies values in a buffer of its own, since blocks are looked at as words. */
export class ValueVerifier {
  private scratch: Arena = arenaOf(new Uint8Array(64 * 1024));

  /** The value of a block's key, copied and verified: it starts at offset 0 of the arena, until the next call. Throws BLOCK_CORRUPT. */
  block(keyHi: number, keyLo: number, bytes: Uint8Array): Arena {
    if (bytes.length % 4 !== 0) throw corruptBlock(keyHi, keyLo, 'it is no whole number of words');
    if (this.scratch.bytes.length < bytes.length) {
      this.scratch = arenaOf(new Uint8Array(2 * bytes.length));
    }
    const arena = this.scratch;
    arena.bytes.set(bytes, 0);
    verifyBlock(arena, 0, bytes.length, keyHi, keyLo);
    return arena;
  }

  /** Throws BLOCK_CORRUPT unless the value is what its key says. */
  verify(keyHi: number, keyLo: number, bytes: Uint8Array): void {
    const kind = storedKind(keyHi);
    if (kind === 'level-0 directory') new DirectoryValue(keyLo, bytes);
    else if (kind === 'other') throw corruptBlock(keyHi, keyLo, 'its key names no block');
    else this.block(keyHi, keyLo, bytes);
  }
}
