/** Runs `millrace` commands as a person does, and a node with a few rows for them to look at. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Millrace } from '../../../client/index.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startTestNode } from '../../support/test-node.ts';

const MAIN = fileURLToPath(new URL('../../../server/launch.cjs', import.meta.url));

export interface Ended {
  readonly status: number | string | null;
  readonly stdout: string;
  readonly bytes: Buffer;
  readonly stderr: string;
}

/** Runs a command to its end. */
export function millrace(args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const parts: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const bytes = Buffer.concat(parts);
      resolve({ status: code ?? signal, stdout: bytes.toString('utf8'), bytes, stderr });
    });
  });
}

export interface CliNode {
  readonly directory: string;
  /** `--connect` and its value. */
  readonly connect: readonly string[];
  readonly client: Millrace;
}

/** An event time with microseconds: 2020-09-13T12:26:40.000001Z. */
export const EVENT_TIME: number = 1_600_000_000_000_001;

/** A node with the group `typed` of three rows (one of nulls) and the group `route` of one. */
export async function startCliNode(context: TestContext): Promise<CliNode> {
  const directory = temporaryDirectory(context);
  const node = await startTestNode(context, `${directory}/data`, { shards: 2 });
  const address = `127.0.0.1:${node.port}`;
  const client = await Millrace.connect(address);
  context.after(() => client.close());
  await client.createGroup({
    name: 'typed',
    key: { id: 'int64' },
    features: {
      flag: 'bool',
      count: 'int64',
      share: 'float32',
      exact: 'float64',
      at: 'timestamp',
      text: 'string',
      raw: 'bytes',
      point: { type: 'vector', length: 2 },
      tags: { type: 'list', item: 'string' },
      times: { type: 'list', item: 'timestamp' },
      any: 'msgpack',
    },
  });
  const value = {
    flag: true,
    count: 2n ** 60n,
    share: 0.1,
    exact: Number.NaN,
    at: EVENT_TIME,
    text: 'a "quoted", line\n',
    raw: Uint8Array.of(1, 2, 255),
    point: [0.5, 0.1],
    tags: ['x', ''],
    times: [0, EVENT_TIME],
    any: { deep: [1, { er: null }] },
  };
  await client.put('typed', [
    { id: 1, event_time: EVENT_TIME, ...value },
    { id: 2, event_time: EVENT_TIME },
    { id: 3, event_time: EVENT_TIME, text: '' },
  ]);
  await client.createGroup({
    name: 'route',
    key: { origin: 'string', destination: 'string' },
    features: { departures: 'int32' },
    eventTimeName: 'date',
    ttlSeconds: 0,
  });
  await client.put('route', [{ origin: 'ORD', destination: 'LAX', date: EVENT_TIME, departures: 7 }]);
  return { directory, connect: ['--connect', address], client };
}
