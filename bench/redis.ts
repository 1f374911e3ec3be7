/**
 * The peer: a real redis-server, Debian's package, on a free port of the loopback, with nothing saved unless asked for.
 *
 * Saving is off (`--save ''`, `--appendonly no`) where gets are compared, and a fork or a log would only cost
 * Redis; where durable writes are, it logs them (`--appendonly yes`) and never rewrites its log. Everything else is its default. When it is not installed and we are root it is installed; otherwise the error
 * says what to type.
 */

import { existsSync } from 'node:fs';
import { Redis } from 'ioredis';
import { type RunningProcess, runCommand, start } from './child-process.ts';
import { freePorts } from './free-port.ts';

const SERVER_PATHS = ['/usr/bin/redis-server', '/usr/local/bin/redis-server'];

export interface RedisPeer {
  host: string;
  port: number;
  pid: number;
  version: string;
  /** A connection of the ordinary client; closed with the peer. */
  client: Redis;
  stop(): Promise<void>;
}

/** How Redis logs writes: never, or into a directory, synced before each answer or every second. */
export type RedisLog = 'none' | { readonly directory: string; readonly sync: 'always' | 'everysec' };

function logFlags(log: RedisLog): string[] {
  if (log === 'none') return ['--appendonly', 'no'];
  const flags = ['--appendonly', 'yes', '--appendfsync', log.sync, '--auto-aof-rewrite-percentage', '0'];
  return [...flags, '--dir', log.directory];
}

export async function startRedis(say: (text: string) => void, log: RedisLog = 'none'): Promise<RedisPeer> {
  const program = await findOrInstall(say);
  const port = await freePorts(1);
  const server = start(program, [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    ...logFlags(log),
  ]);
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => 20 });
  // Dialling is repeated until the server listens; an error event of a try means nothing.
  client.on('error', () => {});
  await client.connect().catch(() => {});
  await client.ping();
  const version = (await client.info('server')).match(/redis_version:(\S+)/)?.[1] ?? 'unknown';
  return { host: '127.0.0.1', port, pid: server.pid, version, client, stop: () => stopRedis(client, server) };
}

async function stopRedis(client: Redis, server: RunningProcess): Promise<void> {
  client.disconnect();
  await server.stop('SIGKILL');
}

async function findOrInstall(say: (text: string) => void): Promise<string> {
  const found = SERVER_PATHS.find((path) => existsSync(path));
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0) {
    throw new Error('redis-server is not installed; on Debian: sudo apt-get install redis-server');
  }
  say('installs redis-server with apt-get');
  await runCommand('apt-get', ['update', '--quiet']);
  await runCommand('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', 'redis-server']);
  return SERVER_PATHS[0]!;
}
