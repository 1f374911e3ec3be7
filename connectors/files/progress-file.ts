/**
 * How far an import has come, in a small file beside the imported one, so that the same command can go on.
 *
 * Promises: every row below `position` was acknowledged by the node, so it is durable there. The file is replaced
 * whole (written aside, then renamed), so it is either the old or the new one. It belongs to one content of one file, one group and
 * one set of options: anything else begins again, which is safe too, since a put repeated at the same event time changes
 * nothing that is read.
 *
 * It is a convenience of this machine and is not synced: after a power cut it may be some seconds old, never ahead.
 */
import { createHash } from 'node:crypto';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { ConnectorError, messageOf } from '../connector-error.ts';
import { FINGERPRINT_BYTES, PROGRESS_FILE_INTERVAL_MS } from '../limits.ts';
import type { SourcePosition } from './source.ts';

const FORMAT = 1;

/** What tells one content of a file from another without reading all of it. */
export interface Fingerprint {
  readonly size: number;
  readonly modifiedMs: number;
  /** SHA-256 of the first and of the last FINGERPRINT_BYTES, in hex. */
  readonly head: string;
  readonly tail: string;
}

/** Everything that must be the same for rows to mean the same. */
export interface ImportIdentity {
  readonly file: Fingerprint;
  readonly group: string;
  /** When the group was created: one dropped and created again has none of the rows. */
  readonly groupCreatedAtMicros: number;
  /** Columns with their types and roles, and what else decides how a cell becomes a value. */
  readonly plan: string;
}

export interface ImportProgress {
  readonly identity: ImportIdentity;
  readonly position: SourcePosition;
  /** The event time of rows when the file has none: the same in every attempt, so that a repeated row is the same row. */
  readonly startedAtMicros: number;
}

export async function fingerprintOf(path: string): Promise<Fingerprint> {
  const file = await open(path, 'r');
  try {
    const { size, mtimeMs } = await file.stat();
    const bytes = Buffer.alloc(Math.min(size, FINGERPRINT_BYTES));
    await file.read(bytes, 0, bytes.length, 0);
    const head = sha256(bytes);
    await file.read(bytes, 0, bytes.length, size - bytes.length);
    return { size, modifiedMs: Math.floor(mtimeMs), head, tail: sha256(bytes) };
  } finally {
    await file.close();
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export class ProgressFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** What an earlier attempt left, or undefined when there is none that can be read. */
  async read(): Promise<ImportProgress | undefined> {
    try {
      const parsed = JSON.parse(await readFile(this.path, 'utf8')) as { format?: number } & ImportProgress;
      return parsed.format === FORMAT && Number.isSafeInteger(parsed.position?.row) ? parsed : undefined;
    } catch (error) {
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT')
        return undefined;
      throw this.unusable(error);
    }
  }

  async write(progress: ImportProgress): Promise<void> {
    const aside = `${this.path}.tmp`;
    try {
      await writeFile(aside, `${JSON.stringify({ format: FORMAT, ...progress }, null, 2)}\n`);
      await rename(aside, this.path);
    } catch (error) {
      throw this.unusable(error);
    }
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private unusable(error: unknown): ConnectorError {
    return new ConnectorError(
      'FILE_UNREADABLE',
      `the progress file ${this.path} cannot be used (${messageOf(error)}): choose another place with --progress-file`,
      { cause: error },
    );
  }
}

/** Writes the newest position now and then, one writing at a time. */
export class NoteWriter {
  private readonly note: (position: SourcePosition) => Promise<void>;
  private readonly nowMs: () => number;
  private lastMs: number;
  private writing: Promise<void> = Promise.resolve();
  private failure: unknown;

  constructor(
    note: (position: SourcePosition) => Promise<void>,
    nowMs: () => number = () => performance.now(),
  ) {
    this.note = note;
    this.nowMs = nowMs;
    this.lastMs = nowMs();
  }

  offer(position: SourcePosition): void {
    const now = this.nowMs();
    if (now - this.lastMs < PROGRESS_FILE_INTERVAL_MS || this.failure !== undefined) return;
    this.lastMs = now;
    this.writing = this.writing
      .then(() => this.note(position))
      .catch((error: unknown) => {
        this.failure = error;
      });
  }

  /** Waits for the last writing; throws the first failure, since an import that cannot be resumed should say so. */
  async finish(): Promise<void> {
    await this.writing;
    if (this.failure !== undefined) throw this.failure;
  }
}

/** Why an earlier attempt cannot be gone on with, in words, or undefined when it can. */
export function differenceOf(earlier: ImportIdentity, now: ImportIdentity): string | undefined {
  if (earlier.group !== now.group) return `it was for the group ${earlier.group}`;
  if (earlier.groupCreatedAtMicros !== now.groupCreatedAtMicros) {
    return `the group ${now.group} has been dropped and created again, or is on another node`;
  }
  const { file } = earlier;
  const isSameFile =
    file.size === now.file.size &&
    file.modifiedMs === now.file.modifiedMs &&
    file.head === now.file.head &&
    file.tail === now.file.tail;
  if (!isSameFile) return 'the file has changed since';
  return earlier.plan === now.plan ? undefined : 'the columns or their types are not the same';
}
