/**
 * What storage/ needs from the world: time, randomness and files, each passed in.
 *
 * Storage names no clock, no randomness and no file system, so a test hands it a simulated disk and a seed and replays a
 * run exactly. server/ implements these over Node (node-environment.ts).
 *
 * What a Disk promises, and storage relies on:
 * D1  When `writev` reports success the bytes survive a power failure. When it reports an error, or never reports,
 *     any part of them may be on disk, in units of at least a sector; bytes outside the range are untouched.
 * D2  After `rename`, `syncDirectory` or `createDurable` the directory entry survives a power failure.
 * D3  `writeFileDurable` replaces a file as a whole: after a crash it is the old one or the new one.
 * D4  What is read after a process crash (not a power failure) is what was written, durable or not.
 */

/** Wall-clock time. May step backwards; whoever needs strictly rising times makes them so. */
export interface Clock {
  nowMicros(): number;
}

/** Random numbers good enough to tell one incarnation from another. */
export interface Random {
  uint32(): number;
}

export interface DiskFile {
  /**
   * Writes the parts one after the other from `position` on, in one call, and reports when they are durable. The parts
   * are not copied: the caller leaves them alone until then. Never calls `done` before it returns.
   */
  writev(parts: readonly Uint8Array[], position: number, done: (error: Error | null) => void): void;
  /** Reads from `position` until `into` is full or the file ends; returns the bytes read. */
  readSync(into: Uint8Array, position: number): number;
  sizeBytes(): number;
  /** Makes a shorter file so long; what is added reads as zeros and may take no room. */
  extendSync(bytes: number): void;
  close(): void;
}

export interface Disk {
  /** Names (no paths) of the entries of a directory, sorted; empty when there is no such directory. */
  listFiles(directory: string): string[];
  /** Makes a directory and those above it that are missing; durable when it returns. */
  makeDirectory(directory: string): void;
  /** Opens an existing file for reading and for writes that are durable when they report (O_RDWR | O_DSYNC). */
  openDurable(path: string): DiskFile;
  /** Creates a file of `bytes` zeros that are really allocated, in bounded asynchronous steps, and opens it as above. */
  createDurable(path: string, bytes: number): Promise<DiskFile>;
  /** Renames a file, replacing what has the new name, and syncs the directory: on another thread, for both may wait for the device. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, if it is there. A crash may bring it back until the directory is synced. */
  remove(path: string): void;
  /** The same on another thread: giving back the blocks of a large file takes milliseconds. */
  removeLater(path: string): Promise<void>;
  syncDirectory(directory: string): void;
  writeFileDurable(path: string, bytes: Uint8Array): void;
  /** The whole file, or undefined when there is none. For small files only. */
  readFile(path: string): Uint8Array | undefined;
  /** Bytes that this user may still write on the device that holds the directory, which is there. */
  freeBytes(directory: string): number;
}
