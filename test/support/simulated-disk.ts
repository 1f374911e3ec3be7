/**
 * A Disk in memory that fails the way disks do, when a test says so.
 *
 * Writes wait until the test lets them through (`step`), or run by themselves in the next microtask (`isImmediate`).
 * `crash` is a power failure: of each waiting write any set of 512-byte sectors reaches the disk, nobody hears of it,
 * and handles opened before are dead. Renames, removals and new files are durable at once.
 */
import assert from 'node:assert/strict';
import type { Disk, DiskFile } from '../../storage/index.ts';
import type { SeededRandom } from './random-source.ts';

const SECTOR_BYTES = 512;

interface StoredFile {
  bytes: Uint8Array;
  /** Made empty, so that writes make it longer. */
  readonly grows?: boolean;
}

interface WaitingWrite {
  readonly stored: StoredFile;
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly done: (error: Error | null) => void;
}

export class SimulatedDisk implements Disk {
  readonly files: Map<string, StoredFile> = new Map();
  isImmediate = true;
  /** The next writes fail with these errors, one each. */
  readonly writeErrors: Error[] = [];
  /** The next creations of a file fail with these errors, one each. */
  readonly createErrors: Error[] = [];
  /** Writes reported as durable, in order. */
  readonly log: { position: number; bytes: number }[] = [];
  openHandles = 0;
  private readonly waiting: WaitingWrite[] = [];
  private generation = 0;

  get waitingCount(): number {
    return this.waiting.length;
  }

  /** The names in a directory, as `listFiles` says them. */
  listFiles(directory: string): string[] {
    const names: string[] = [];
    for (const path of this.files.keys()) {
      if (path.startsWith(`${directory}/`)) names.push(path.slice(directory.length + 1));
    }
    return names.sort();
  }

  makeDirectory(): void {}

  openDurable(path: string): DiskFile {
    return this.handle(this.stored(path));
  }

  async createDurable(path: string, bytes: number): Promise<DiskFile> {
    const { generation } = this;
    const stored: StoredFile = { bytes: new Uint8Array(Math.floor(bytes / 2)), grows: bytes === 0 };
    this.files.set(path, stored);
    await Promise.resolve();
    // After a crash the process is gone, and its promises with it.
    if (generation !== this.generation) return new Promise(() => undefined);
    const error = this.createErrors.shift();
    if (error !== undefined) {
      this.files.delete(path);
      throw error;
    }
    stored.bytes = new Uint8Array(bytes);
    return this.handle(stored);
  }

  async rename(from: string, to: string): Promise<void> {
    const { generation } = this;
    const stored = this.stored(from);
    this.files.delete(from);
    this.files.set(to, stored);
    await Promise.resolve();
    if (generation !== this.generation) return new Promise(() => undefined);
  }

  remove(path: string): void {
    this.files.delete(path);
  }

  async removeLater(path: string): Promise<void> {
    this.remove(path);
  }

  syncDirectory(): void {}

  writeFileDurable(path: string, bytes: Uint8Array): void {
    this.files.set(path, { bytes: bytes.slice() });
  }

  readFile(path: string): Uint8Array | undefined {
    return this.files.get(path)?.bytes.slice();
  }

  freeBytes(): number {
    return Number.MAX_SAFE_INTEGER;
  }

  /** The bytes of a file, to be looked at or damaged. */
  bytesOf(path: string): Uint8Array {
    return this.stored(path).bytes;
  }

  /** Lets the oldest waiting write through; false when none waits. */
  step(): boolean {
    const write = this.waiting.shift();
    if (write === undefined) return false;
    const error = this.writeErrors.shift();
    if (error === undefined) write.stored.bytes.set(write.bytes, write.position);
    write.done(error ?? null);
    return true;
  }

  /** A power failure. The random source says which sectors of unfinished writes made it; without one, none did. */
  crash(random?: SeededRandom): void {
    if (random !== undefined) for (const write of this.waiting) tear(write, random);
    this.waiting.length = 0;
    this.generation += 1;
    this.openHandles = 0;
  }

  private stored(path: string): StoredFile {
    const stored = this.files.get(path);
    assert.ok(stored !== undefined, `no file ${path}`);
    return stored;
  }

  private handle(stored: StoredFile): DiskFile {
    const { generation } = this;
    this.openHandles += 1;
    return {
      writev: (parts, position, done) => {
        if (generation !== this.generation) return;
        const bytes = Buffer.concat(parts);
        const end = position + bytes.length;
        assert.ok(
          stored.grows === true || end <= stored.bytes.length,
          'a write past the end of a preallocated file',
        );
        if (end > stored.bytes.length) stored.bytes = extended(stored.bytes, end);
        const report = (error: Error | null): void => {
          if (error === null) this.log.push({ position, bytes: bytes.length });
          done(error);
        };
        this.waiting.push({ stored, bytes, position, done: report });
        if (this.isImmediate) queueMicrotask(() => void this.step());
      },
      readSync: (into, position) => {
        const read = stored.bytes.subarray(position, position + into.length);
        into.set(read);
        return read.length;
      },
      sizeBytes: () => stored.bytes.length,
      extendSync: (bytes) => {
        if (stored.bytes.length < bytes) stored.bytes = extended(stored.bytes, bytes);
      },
      close: () => {
        if (generation === this.generation) this.openHandles -= 1;
      },
    };
  }
}

function extended(bytes: Uint8Array, length: number): Uint8Array {
  const longer = new Uint8Array(length);
  longer.set(bytes);
  return longer;
}

/** Any set of the write's sectors reaches the disk: none, a few, most or all. */
function tear({ stored, bytes, position }: WaitingWrite, random: SeededRandom): void {
  const kept = random.uint32() / 2 ** 32;
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    if (random.chance(kept)) stored.bytes.set(bytes.subarray(at, at + SECTOR_BYTES), position + at);
  }
}
