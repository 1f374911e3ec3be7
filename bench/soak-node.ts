/**
 * The node of a soak: one data directory, one port, one process after the other on them, and commands run against it.
 *
 * Buffers and triggers are the smallest that a node takes, so that flushes, sweeps and rewrites go on all the time. Every other start
 * limits what compaction may write, so that sweeps last long and are met by kills, scans and backups.
 */
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Millrace } from '../client/index.ts';
import { runCommand } from './child-process.ts';
import { freePorts } from './free-port.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';

const PROGRAM = fileURLToPath(new URL('../server/launch.cjs', import.meta.url));
const MIB = 1024 * 1024;
const FLAGS: readonly string[] = [
  ...['--write-buffer', String(8 * MIB)],
  ...['--cache', String(16 * MIB)],
  ...['--compaction-level-zero', String(4 * MIB)],
];
const SLOW_FLAGS: readonly string[] = [...FLAGS, '--compaction-bandwidth', String(2 * MIB)];

/** Of all shards: since the first start, and as it is. */
export interface CompactionFigures {
  readonly sweeps: number;
  readonly unitsRewritten: number;
  readonly compactedBytes: number;
  readonly levelZeroBytes: number;
  readonly levelOneBytes: number;
}

export class SoakNode {
  readonly directory: string;
  readonly shards: number;
  port = 0;
  kills = 0;
  cleanRestarts = 0;
  /** The slowest start: from the process to its first answer. */
  slowestStartMs = 0;
  private starts = 0;
  private server: MillraceServer | undefined;
  /** Of processes that have ended, as far as they were asked. */
  private ended: { unitsRewritten: number; compactedBytes: number } = {
    unitsRewritten: 0,
    compactedBytes: 0,
  };
  private last: { unitsRewritten: number; compactedBytes: number } = { unitsRewritten: 0, compactedBytes: 0 };

  constructor(directory: string, shards: number) {
    this.directory = directory;
    this.shards = shards;
  }

  get client(): Millrace {
    return this.running.client;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    if (this.port === 0) this.port = await freePorts(2 * this.shards);
    const flags = this.starts % 2 === 0 ? FLAGS : SLOW_FLAGS;
    this.starts += 1;
    this.server = await startMillrace(this.directory, this.shards, flags, {}, this.port);
    this.slowestStartMs = Math.max(this.slowestStartMs, this.server.startedInMs);
  }

  /** SIGKILL, or SIGTERM and an exit status of 0; then a start on the same directory. */
  async restart(isKilled: boolean): Promise<void> {
    if (isKilled) await this.running.kill();
    else await this.running.close();
    this.ended = {
      unitsRewritten: this.ended.unitsRewritten + this.last.unitsRewritten,
      compactedBytes: this.ended.compactedBytes + this.last.compactedBytes,
    };
    this.last = { unitsRewritten: 0, compactedBytes: 0 };
    if (isKilled) this.kills += 1;
    else this.cleanRestarts += 1;
    await this.start();
  }

  async stop(): Promise<void> {
    await this.running.close();
    this.server = undefined;
  }

  /** From STATUS. Rejects when the node is gone; throws when compaction has stopped. */
  async compaction(): Promise<CompactionFigures> {
    const { shards } = await this.client.status();
    const sum = (name: string): number => shards.reduce((all, figures) => all + (figures[name] ?? 0), 0);
    this.last = { unitsRewritten: sum('unitsRewritten'), compactedBytes: sum('compactedBytes') };
    if (sum('compactionStopped') > 0 || sum('damagedBlocks') > 0)
      throw new Error('STATUS tells of damaged blocks');
    return {
      sweeps: sum('sweeps'),
      unitsRewritten: this.ended.unitsRewritten + this.last.unitsRewritten,
      compactedBytes: this.ended.compactedBytes + this.last.compactedBytes,
      levelZeroBytes: sum('levelZeroBytes'),
      levelOneBytes: sum('levelOneBytes'),
    };
  }

  /** Bytes of the process's own memory, without pages of files that it maps; 0 where the system does not say. */
  memoryBytes(): number {
    try {
      const match = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.running.pid}/status`, 'utf8'));
      return match === null ? 0 : Number(match[1]) * 1024;
    } catch {
      return 0;
    }
  }

  /** Bytes on disk of everything in the data directory. */
  diskBytes(): number {
    let bytes = 0;
    for (const path of this.files()) {
      try {
        bytes += statSync(path).blocks * 512;
      } catch {
        // A journal segment that was recycled between the two calls.
      }
    }
    return bytes;
  }

  /** The files that hold this text anywhere. */
  async filesWith(text: string): Promise<string[]> {
    const found: string[] = [];
    for (const path of this.files()) if (await holds(path, Buffer.from(text))) found.push(path);
    return found;
  }

  private files(): string[] {
    return readdirSync(this.directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  }

  private get running(): MillraceServer {
    if (this.server === undefined) throw new Error('the node runs');
    return this.server;
  }
}

/** A file that is gone holds nothing. */
async function holds(path: string, text: Buffer): Promise<boolean> {
  let tail = Buffer.alloc(0);
  try {
    for await (const piece of createReadStream(path, { highWaterMark: MIB })) {
      const bytes = Buffer.concat([tail, piece as Buffer]);
      if (bytes.includes(text)) return true;
      tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - text.length + 1)));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return false;
}

/** Runs a `millrace` command to its end; throws with what it printed when it fails. */
export function millrace(...args: string[]): Promise<string> {
  return runCommand(process.execPath, [PROGRAM, ...args]);
}
