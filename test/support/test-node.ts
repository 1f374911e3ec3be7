/**
 * A node for tests, in this process or in one of its own, and the few requests that most tests make of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  ByteWriter,
  compileLayout,
  decodeCreateGroupResponse,
  decodeGetResponse,
  decodePutResponse,
  decodeRow,
  encodeCreateGroupRequest,
  encodeGetRequest,
  encodeKeys,
  encodePingRequest,
  encodePutRequest,
  encodeRow,
  type FeatureSpec,
  type FeatureValue,
  type GroupSchema,
} from '../../protocol/index.ts';
import { type NodeOptions, type RunningNode, startNode } from '../../server/index.ts';
import { errorOf, RawConnection, type RawResponse } from './raw-connection.ts';

const MAIN = fileURLToPath(new URL('../../server/launch.cjs', import.meta.url));

/** An event time well in the past. */
export const EVENT_TIME: number = 1_600_000_000_000_000;

/** A node of one shard on free ports, closed when the test has ended. */
export async function startTestNode(
  context: TestContext,
  dataDirectory: string,
  options: Partial<NodeOptions> = {},
): Promise<RunningNode> {
  const node = await startNode({
    dataDirectory,
    shards: 1,
    writeBufferBytes: 8 * 1024 * 1024,
    cacheBytes: 16 * 1024 * 1024,
    logLevel: 'silent',
    drainTimeoutMs: 2000,
    ...options,
  });
  context.after(() => node.close());
  return node;
}

export interface ServeProcess {
  readonly process: ChildProcess;
  /** Settles with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** Of shard 0, once it serves. */
  readonly port: Promise<number>;
  readonly errorOutput: () => string;
}

/** `millrace serve` in a process of its own, killed when the test has ended. */
export function serve(context: TestContext, args: readonly string[]): ServeProcess {
  const child = spawn(process.execPath, [MAIN, 'serve', '--log-level', 'warn', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errorOutput = '';
  child.stderr.on('data', (text: Buffer) => {
    errorOutput += text.toString();
  });
  const ended = new Promise<number | string>((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  const port = new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      const match = /:(\d+) \(/.exec(output);
      if (match !== null) resolve(Number(match[1]));
    });
    ended.then((how) => reject(new Error(`serve ended with ${how}: ${errorOutput}`)), reject);
  });
  // Tests of starts that fail wait for `ended` only.
  port.catch(() => undefined);
  context.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { process: child, ended, port, errorOutput: () => errorOutput };
}

/** Throws when the server does not answer a PING on a fresh connection. */
export async function assertAlive(port: number): Promise<void> {
  const connection = await RawConnection.greeted(port);
  const response = await connection.exchange(7, (writer) => encodePingRequest(writer, { correlationId: 7 }));
  connection.destroy();
  if (response.status !== 0) throw new Error(`PING was refused: ${errorOf(response).message}`);
}

export async function createGroup(
  connection: RawConnection,
  name: string,
  features: FeatureSpec[],
): Promise<GroupSchema> {
  const spec = { name, key: [{ name: 'id', type: 'int64' as const }], features };
  const response = await connection.exchange(10, (writer) =>
    encodeCreateGroupRequest(writer, { correlationId: 10 }, { spec, ifNotExists: false }),
  );
  if (response.status !== 0) throw new Error(errorOf(response).message);
  return decodeCreateGroupResponse(response.frame);
}

/** Features by name, of the row with key `id`. */
export interface TestRow {
  readonly id: number;
  readonly values: Record<string, unknown>;
  readonly eventTime?: number;
}

export function encodePut(
  writer: ByteWriter,
  correlationId: number,
  group: GroupSchema,
  rows: readonly TestRow[],
): void {
  const layout = compileLayout(group);
  const rowWriter = new ByteWriter();
  const rowOffsets = new Uint32Array(rows.length + 1);
  rows.forEach((row, index) => {
    encodeRow(layout, row.values, rowWriter);
    rowOffsets[index + 1] = rowWriter.length;
  });
  encodePutRequest(
    writer,
    { correlationId },
    {
      groupId: group.id,
      schemaVersion: group.version,
      eventTimes: Float64Array.from(rows, (row) => row.eventTime ?? EVENT_TIME),
      keys: encodeKeys(
        group.key,
        rows.map((row) => row.id),
      ),
      rows: rowWriter.bytes,
      rowOffsets,
    },
  );
}

/** Writes rows and waits until they are durable. */
export async function put(
  connection: RawConnection,
  group: GroupSchema,
  rows: readonly TestRow[],
): Promise<ReturnType<typeof decodePutResponse>> {
  const response = await connection.exchange(11, (writer) => encodePut(writer, 11, group, rows));
  if (response.status !== 0) throw new Error(errorOf(response).message);
  return decodePutResponse(response.frame);
}

export function encodeGet(
  writer: ByteWriter,
  correlationId: number,
  group: GroupSchema,
  ids: readonly number[],
): void {
  encodeGetRequest(writer, { correlationId }, group.id, encodeKeys(group.key, ids));
}

export function decodeRows(
  response: RawResponse,
  group: GroupSchema,
): (Record<string, FeatureValue> | null)[] {
  if (response.status !== 0) throw new Error(errorOf(response).message);
  const layout = compileLayout(group);
  const found = decodeGetResponse(response.frame);
  return Array.from({ length: found.count }, (_, index) =>
    found.isMissing(index) ? null : decodeRow(layout, found.view, found.rowAt(index)),
  );
}

export async function get(
  connection: RawConnection,
  group: GroupSchema,
  ids: readonly number[],
): Promise<(Record<string, FeatureValue> | null)[]> {
  const response = await connection.exchange(12, (writer) => encodeGet(writer, 12, group, ids));
  return decodeRows(response, group);
}
