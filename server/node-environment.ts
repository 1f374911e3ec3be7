/**
 * The world as Node gives it: the Clock, Random and Disk that storage/ is handed (storage/environment.ts, D1–D4).
 *
 * Durable writes use files opened with O_DSYNC: one system call writes and syncs, which (m) takes 0.15 ms for 16 KB where
 * a write followed by fdatasync takes 0.25 ms. They run on libuv's threads, and so does whatever else the
 * files of a shard that serves need and may wait for the device; what is synchronous here is for start-up and shutdown, and for control.
 *
 * A short write is continued, not reported: a signal or a nearly full device may cut one.
 */
import { randomFillSync } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Clock, Disk, DiskFile, Random } from '../storage/index.ts';

/** Bytes a step of filling a new file with zeros: 1–2 ms of the device, so that commits get their turn between two. */
const FILL_STEP_BYTES = 1024 * 1024;
/** Random words drawn from the system at once. */
const RANDOM_WORDS = 256;

/** Only this process's user may read a journal: it holds the rows. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** Wall-clock time in steps of a millisecond, which is as far as clocks of different machines agree anyway. */
export const nodeClock: Clock = {
  nowMicros: () => Date.now() * 1000,
};

class NodeRandom implements Random {
  private readonly words = new Uint32Array(RANDOM_WORDS);
  private next = RANDOM_WORDS;

  uint32(): number {
    if (this.next === RANDOM_WORDS) {
      randomFillSync(this.words);
      this.next = 0;
    }
    return this.words[this.next++]!;
  }
}

export const nodeRandom: Random = new NodeRandom();

class NodeDiskFile implements DiskFile {
  private readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  writev(parts: readonly Uint8Array[], position: number, done: (error: Error | null) => void): void {
    let totalBytes = 0;
    for (const part of parts) totalBytes += part.length;
    this.writeRest(parts, position, totalBytes, done);
  }

  readSync(into: Uint8Array, position: number): number {
    let bytes = 0;
    while (bytes < into.length) {
      const read = fs.readSync(this.fd, into, bytes, into.length - bytes, position + bytes);
      if (read === 0) break;
      bytes += read;
    }
    return bytes;
  }

  sizeBytes(): number {
    return fs.fstatSync(this.fd).size;
  }

  extendSync(bytes: number): void {
    if (this.sizeBytes() < bytes) fs.ftruncateSync(this.fd, bytes);
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  private writeRest(
    parts: readonly Uint8Array[],
    position: number,
    totalBytes: number,
    done: (error: Error | null) => void,
  ): void {
    fs.writev(this.fd, parts, position, (error, written) => {
      if (error !== null) done(error);
      else if (written === totalBytes) done(null);
      else if (written === 0) done(new Error(`the device took none of ${totalBytes} bytes at ${position}`));
      else this.writeRest(dropBytes(parts, written), position + written, totalBytes - written, done);
    });
  }
}

/** The parts without their first `bytes` bytes. */
export function dropBytes(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let dropped = 0;
  for (const part of parts) {
    const from = Math.min(bytes - dropped, part.length);
    dropped += from;
    if (from < part.length) rest.push(part.subarray(from));
  }
  return rest;
}

class NodeDisk implements Disk {
  listFiles(directory: string): string[] {
    try {
      return fs.readdirSync(directory).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  makeDirectory(directory: string): void {
    const path = resolve(directory);
    const first = fs.mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
    if (first === undefined) return;
    // Every directory made is an entry in the one above it.
    const top = dirname(first);
    for (let made = dirname(path); made.length >= top.length; made = dirname(made)) {
      this.syncDirectory(made);
      if (made === dirname(made)) break;
    }
  }

  openDurable(path: string): DiskFile {
    return new NodeDiskFile(fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_DSYNC));
  }

  async createDurable(path: string, bytes: number): Promise<DiskFile> {
    const { O_RDWR, O_CREAT, O_TRUNC, O_DSYNC } = fs.constants;
    const fd = fs.openSync(path, O_RDWR | O_CREAT | O_TRUNC | O_DSYNC, FILE_MODE);
    const file = new NodeDiskFile(fd);
    try {
      const zeros = new Uint8Array(Math.min(FILL_STEP_BYTES, bytes));
      for (let at = 0; at < bytes; at += zeros.length) {
        const step = zeros.subarray(0, Math.min(zeros.length, bytes - at));
        await new Promise<void>((resolve, reject) => {
          file.writev([step], at, (error) => (error === null ? resolve() : reject(error)));
        });
      }
      await syncDirectoryLater(dirname(path));
    } catch (error) {
      file.close();
      await this.removeLater(path);
      throw error;
    }
    return file;
  }

  async rename(from: string, to: string): Promise<void> {
    await fs.promises.rename(from, to);
    await syncDirectoryLater(dirname(to));
    if (dirname(from) !== dirname(to)) await syncDirectoryLater(dirname(from));
  }

  remove(path: string): void {
    fs.rmSync(path, { force: true });
  }

  removeLater(path: string): Promise<void> {
    return fs.promises.rm(path, { force: true });
  }

  syncDirectory(directory: string): void {
    const fd = fs.openSync(directory, fs.constants.O_RDONLY);
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  }

  writeFileDurable(path: string, bytes: Uint8Array): void {
    const unfinished = `${path}.unfinished`;
    const fd = fs.openSync(unfinished, 'w', FILE_MODE);
    try {
      let at = 0;
      while (at < bytes.length) at += fs.writeSync(fd, bytes, at, bytes.length - at, at);
      fs.fsyncSync(fd);
    } catch (error) {
      fs.closeSync(fd);
      this.remove(unfinished);
      throw error;
    }
    fs.closeSync(fd);
    fs.renameSync(unfinished, path);
    this.syncDirectory(dirname(path));
  }

  readFile(path: string): Uint8Array | undefined {
    try {
      return fs.readFileSync(path);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  freeBytes(directory: string): number {
    const { bavail, bsize } = fs.statfsSync(directory);
    return bavail * bsize;
  }
}

async function syncDirectoryLater(directory: string): Promise<void> {
  const handle = await fs.promises.open(directory, fs.constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const nodeDisk: Disk = new NodeDisk();

function isMissing(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ENOENT';
}
