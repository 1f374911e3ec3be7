/** What the kernel says about the block device that a file lies on: reads, and how many were under way. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './child-process.ts';

const RAW_READ_SOURCE = fileURLToPath(new URL('../../bench/loadgen/rawread.c', import.meta.url));

export interface DeviceCounters {
  reads: number;
  readBytes: number;
  /** Milliseconds with at least one request under way. */
  busyMs: number;
  /** Milliseconds times requests under way. */
  weightedMs: number;
}

const MINOR_BITS = 8;
const SECTOR_BYTES = 512;

/** Undefined where the kernel does not say (other systems, file systems without a device). */
export function deviceCounters(path: string): DeviceCounters | undefined {
  const { dev } = statSync(path);
  const [major, minor] = [(dev >> MINOR_BITS) & 0xfff, (dev & 0xff) | ((dev >> 12) & ~0xff)];
  try {
    for (const line of readFileSync('/proc/diskstats', 'utf8').split('\n')) {
      const fields = line.trim().split(/\s+/).map(Number);
      if (fields[0] !== major || fields[1] !== minor) continue;
      return {
        reads: fields[3]!,
        readBytes: fields[5]! * SECTOR_BYTES,
        busyMs: fields[12]!,
        weightedMs: fields[13]!,
      };
    }
  } catch {
    return undefined;
  }
  return undefined;
}

/** Requests under way on average, while there was any. */
export function meanInFlight(before: DeviceCounters | undefined, after: DeviceCounters | undefined): number {
  if (before === undefined || after === undefined) return Number.NaN;
  return (after.weightedMs - before.weightedMs) / Math.max(1, after.busyMs - before.busyMs);
}

export interface RawReads {
  reads: number;
  readsPerSecond: number;
  p50Micros: number;
  p99Micros: number;
}

/** Compiles the raw reader into `directory`; the program's path. */
export async function compileRawReader(directory: string): Promise<string> {
  const program = join(directory, 'rawread');
  await runCommand('gcc', ['-O2', '-pthread', '-o', program, RAW_READ_SOURCE]);
  return program;
}

export async function readRaw(
  program: string,
  file: string,
  threads: number,
  seconds: number,
  seed: number,
): Promise<RawReads> {
  return JSON.parse(await runCommand(program, [file, threads, seconds, seed].map(String))) as RawReads;
}

/** The block store's file of shard 0. */
export function blockFile(dataDirectory: string): string {
  const shard = readdirSync(dataDirectory).find((name) => name.startsWith('shard-0'));
  if (shard === undefined) throw new Error(`${dataDirectory} holds no shard`);
  return join(dataDirectory, shard, 'blocks', 'data.mdb');
}
