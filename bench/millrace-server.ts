/**
 * The node under measurement: `millrace serve` as a process of its own, exactly as a user starts it.
 *
 * One shard unless told otherwise, because the comparisons are about one core.
 */

import { fileURLToPath } from 'node:url';
import { Millrace } from '../client/index.ts';
import { start } from './child-process.ts';
import { freePorts } from './free-port.ts';

const PROGRAM = fileURLToPath(new URL('../server/launch.cjs', import.meta.url));
const START_TIMEOUT_MS = 120_000;
const DIAL_PAUSE_MS = 5;

export interface MillraceServer {
  host: string;
  /** Of shard 0. */
  port: number;
  pid: number;
  client: Millrace;
  /** From the start of the process to the first answer. */
  startedInMs: number;
  /** SIGTERM: drains, flushes and ends. */
  close(): Promise<void>;
  kill(): Promise<void>;
}

export async function startMillrace(
  directory: string,
  shards = 1,
  flags: readonly string[] = [],
  env: Record<string, string> = {},
  onPort = 0,
): Promise<MillraceServer> {
  const port = onPort === 0 ? await freePorts(2 * shards) : onPort;
  const startedMs = performance.now();
  const args = [
    ...[PROGRAM, 'serve', '--data', directory, '--port', String(port), '--shards', String(shards)],
    ...['--log-level', 'warn', ...flags],
  ];
  const server = start(process.execPath, args, env);
  const client = await connectWhenReady(port, () => {
    if (server.hasExited()) throw new Error(`millrace serve ended at once:\n${server.output()}`);
  });
  await client.ping();
  return {
    host: '127.0.0.1',
    port,
    pid: server.pid,
    client,
    startedInMs: performance.now() - startedMs,
    close: async () => {
      await client.close();
      const status = await server.stop();
      if (status !== 0) throw new Error(`millrace serve ended with ${status}:\n${server.output()}`);
    },
    kill: async () => {
      const ended = server.stop('SIGKILL');
      await client.close().catch(() => {});
      await ended;
    },
  };
}

/** Dials until the node answers. */
async function connectWhenReady(port: number, assertAlive: () => void): Promise<Millrace> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    assertAlive();
    try {
      return await Millrace.connect({ host: '127.0.0.1', port });
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, DIAL_PAUSE_MS));
    }
  }
}
