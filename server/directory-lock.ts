/**
 * A lock on a directory: one process at a time, by a file named `lock` in it whose text names the process.
 *
 * I1  The lock belongs to the open file, so the kernel drops it when the process dies in whatever way, and a second holder in
 *     the same process is refused too.
 */
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Disk } from '../storage/index.ts';
import { messageOf, ServerError } from './server-error.ts';

/** The package has no types of its own. False when another open file holds the lock. */
const { tryLock } = createRequire(import.meta.url)('fs-native-extensions') as {
  tryLock(fd: number): boolean;
};

export const LOCK_FILE = 'lock';
const FILE_MODE = 0o600;
/** The lock file's text is read back into messages: a pid and a few words, whatever somebody put there. */
const LOCK_TEXT_BYTES_MAX = 200;

/**
 * Makes the directory if need be and locks it; answers the descriptor of the locked file: closing it gives the lock back.
 * Throws DATA_DIRECTORY_LOCKED, and what the system refuses.
 */
export function lockDirectory(disk: Pick<Disk, 'makeDirectory'>, path: string): number {
  disk.makeDirectory(path);
  const lock = fs.openSync(join(path, LOCK_FILE), fs.constants.O_RDWR | fs.constants.O_CREAT, FILE_MODE);
  try {
    if (tryLock(lock)) {
      fs.ftruncateSync(lock);
      fs.writeSync(lock, `process ${process.pid}\n`, 0);
      return lock;
    }
    throw new ServerError('DATA_DIRECTORY_LOCKED', `${path} is in use by ${lockHolder(lock)}`);
  } catch (error) {
    fs.closeSync(lock);
    if (error instanceof ServerError) throw error;
    throw new Error(`it cannot be locked: ${messageOf(error)}`, { cause: error });
  }
}

function lockHolder(lock: number): string {
  const text = Buffer.alloc(LOCK_TEXT_BYTES_MAX);
  const bytes = fs.readSync(lock, text, 0, text.length, 0);
  const holder = text.toString('utf8', 0, bytes).trim();
  return /^process \d+$/.test(holder) ? holder : 'another process';
}
