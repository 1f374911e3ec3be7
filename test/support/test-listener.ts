/** A listener with operations of the test's own, for tests of sessions without a node around them. */
import type { TestContext } from 'node:test';
import { type Frame, OPERATIONS } from '../../protocol/index.ts';
import { Listener } from '../../server/listener.ts';
import { createLogger } from '../../server/log.ts';
import type { Operation, SessionContext } from '../../server/operation.ts';
import { helloOperation } from '../../server/operations/hello.ts';
import { pingOperation } from '../../server/operations/ping.ts';
import type { WorkerData } from '../../server/worker-messages.ts';

/** What HELLO reads of it. */
const WORKER: Partial<WorkerData> = {
  role: 'shard',
  shardIndex: 0,
  shardCount: 1,
  identity: { nodeId: 'n', clusterId: 'c', hashSeedLo: 1, hashSeedHi: 2, generation: 0 },
};

export interface TestListener {
  readonly listener: Listener;
  readonly port: number;
}

/** An operation, for a number that the protocol does not use. */
export function operation(
  number: number,
  handle: (context: SessionContext, frame: Frame) => void,
): Operation {
  return { number, handle };
}

/** A listener that serves HELLO, PING and the test's operations; drained when the test has ended. */
export async function startTestListener(
  context: TestContext,
  operations: readonly Operation[],
): Promise<TestListener> {
  const listener = new Listener({
    host: '127.0.0.1',
    port: 0,
    operations: [helloOperation(WORKER as WorkerData), pingOperation(), ...operations],
    log: createLogger('silent', 'test'),
    nowMicros: () => Date.now() * 1000,
  });
  const port = await listener.bind();
  listener.open();
  context.after(() => listener.drain(0));
  return { listener, port };
}

/** A request without a body. */
export function emptyRequest(number: number, correlationId: number, timeoutMs: number = 0): Uint8Array {
  const bytes = new Uint8Array(40);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint8(4, 1);
  view.setUint8(5, number);
  view.setUint32(8, correlationId, true);
  view.setUint32(16, timeoutMs, true);
  return bytes;
}

export const PING: number = OPERATIONS.PING;
