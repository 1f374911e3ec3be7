/**
 * The node of a soak: one data directory, one process after the other on it, and commands run against it.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Millrace } from '../client/index.ts';
import { runCommand } from './child-process.ts';
import { type MillraceServer, startMillrace } from './millrace-server.ts';

const PROGRAM = fileURLToPath(new URL('../server/launch.cjs', import.meta.url));
/** Small buffers, so that flushes, and what follows from them, come often. */
const FLAGS: readonly string[] = [
  '--write-buffer',
  String(8 * 1024 * 1024),
  '--cache',
  String(16 * 1024 * 1024),
];

export class SoakNode {
  readonly directory: string;
  readonly shards: number;
  kills = 0;
  cleanRestarts = 0;
  /** The slowest start: from the process to its first answer. */
  slowestStartMs = 0;
  private server: MillraceServer | undefined;

  constructor(directory: string, shards: number) {
    this.directory = directory;
    this.shards = shards;
  }

  get client(): Millrace {
    return this.running.client;
  }

  get address(): string {
    return `127.0.0.1:${this.running.port}`;
  }

  async start(): Promise<void> {
    this.server = await startMillrace(this.directory, this.shards, FLAGS);
    this.slowestStartMs = Math.max(this.slowestStartMs, this.server.startedInMs);
  }

  /** SIGKILL, or SIGTERM and an exit status of 0; then a start on the same directory. */
  async restart(isKilled: boolean): Promise<void> {
    if (isKilled) await this.running.kill();
    else await this.running.close();
    if (isKilled) this.kills += 1;
    else this.cleanRestarts += 1;
    await this.start();
  }

  async stop(): Promise<void> {
    await this.running.close();
    this.server = undefined;
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
    for (const name of readdirSync(this.directory, { recursive: true })) {
      try {
        bytes += statSync(join(this.directory, String(name))).blocks * 512;
      } catch {
        // A journal segment that was recycled between the two calls.
      }
    }
    return bytes;
  }

  private get running(): MillraceServer {
    if (this.server === undefined) throw new Error('the node runs');
    return this.server;
  }
}

/** Runs a `millrace` command to its end; throws with what it printed when it fails. */
export function millrace(...args: string[]): Promise<string> {
  return runCommand(process.execPath, [PROGRAM, ...args]);
}
