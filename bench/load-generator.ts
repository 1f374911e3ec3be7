/**
 * The C load generator (loadgen/loadgen.c): compiled when it is needed, run for one measurement, its answer parsed.
 *
 * In C because a JavaScript client takes longer for a request than either server, and would measure itself.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './child-process.ts';

const SOURCE = fileURLToPath(new URL('../../bench/loadgen/loadgen.c', import.meta.url));

export interface LoadTarget {
  protocol: 'redis' | 'millrace';
  host: string;
  port: number;
  pid: number;
  /** Millrace: the group's id on the wire. */
  groupId: number;
}

export interface LoadShape {
  connections: number;
  /** Requests in flight on each connection. */
  depth: number;
  seconds: number;
  keyCount: number;
  valueBytes: number;
  /** Other keys for another seed: reads that are to find nothing cached. */
  seed?: number;
  /** Requests made ahead (`writeRequests`), instead of gets. */
  requestFile?: string;
}

export interface LoadResult {
  /** Rows that were answered: a prepared request may hold many. */
  answers: number;
  errors: number;
  seconds: number;
  opsPerSecond: number;
  p50Micros: number;
  p99Micros: number;
  p999Micros: number;
  serverCpuSeconds: number;
  generatorCpuSeconds: number;
}

/** Keeps requests, as they go to a socket, in a file for the generator. */
export function writeRequests(path: string, rowsPerRequest: number, requests: readonly Uint8Array[]): void {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(requests.length, 0);
  head.writeUInt32LE(rowsPerRequest, 4);
  const parts: Uint8Array[] = [head];
  for (const request of requests) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(request.length, 0);
    parts.push(length, request);
  }
  writeFileSync(path, Buffer.concat(parts));
}

/** Compiles the generator into `directory`; the program's path. */
export async function compileLoadGenerator(directory: string): Promise<string> {
  const program = join(directory, 'loadgen');
  try {
    await runCommand('gcc', ['-O2', '-o', program, SOURCE]);
  } catch (error) {
    throw new Error('the load generator needs a C compiler; on Debian: apt-get install gcc libc6-dev', {
      cause: error,
    });
  }
  return program;
}

export async function generateLoad(
  program: string,
  target: LoadTarget,
  shape: LoadShape,
): Promise<LoadResult> {
  const args = [
    target.protocol,
    target.host,
    target.port,
    shape.keyCount,
    shape.connections,
    shape.depth,
    shape.seconds,
    shape.valueBytes,
    target.pid,
    target.groupId,
    shape.seed ?? 0,
    ...(shape.requestFile === undefined ? [] : [shape.requestFile]),
  ];
  const result = JSON.parse(await runCommand(program, args.map(String))) as LoadResult;
  if (result.errors > 0 || result.answers === 0) {
    throw new Error(`${result.errors} of ${result.answers} answers of ${target.protocol} were wrong`);
  }
  return result;
}
