/**
 * The life of a worker thread, the same for shards and scans: open, listen, serve, drain, close.
 *
 *   runWorker(open)   open(thread) → { operations, status, close }
 *
 * I1  The port is taken only when the role's `open` has settled, and connections are served only when the map is known.
 * I2  HELLO, MAP and PING are answered here; the other control operations are the main thread's, and are forwarded.
 * I3  What fails is said once, as `failed`, with its code; the main thread then ends the process. Uncaught errors and
 *     failed assertions reach it as the worker's 'error' event.
 *
 * Left to others: what a role does (shard-worker.ts, scan-worker.ts), the other end (supervisor.ts).
 */
import { strict as assert } from 'node:assert';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type PartitionOwnership, SingleNodeOwnership } from '../cluster/index.ts';
import { ControlLink } from './control-link.ts';
import { Deadlines } from './deadlines.ts';
import { GroupTable } from './group-table.ts';
import { Listener } from './listener.ts';
import { createLogger, type Logger } from './log.ts';
import type { Operation } from './operation.ts';
import { everyPortOperations } from './operations/every-port.ts';
import { errorCodeOf, messageOf } from './server-error.ts';
import type {
  MainMessage,
  WorkerData,
  WorkerFailure,
  WorkerMessage,
  WorkerStatus,
} from './worker-messages.ts';

/** What a thread lends its role. */
export interface WorkerThread {
  readonly data: WorkerData;
  readonly log: Logger;
  readonly groups: GroupTable;
  readonly deadlines: Deadlines;
  /** Known from the first request on; asking before is our mistake. */
  ownership(): PartitionOwnership;
  /** Tells the main thread how far opening is. */
  progress(phase: string, done: number, total: number): void;
  /** Ends the process: for errors after which the store must not go on. */
  fail(error: unknown): void;
}

/** What a role gives its thread. */
export interface WorkerRoleParts {
  /** The operations beside the common ones. */
  readonly operations: readonly Operation[];
  status(): WorkerStatus;
  /** Called when no request is in flight any more. */
  close(): Promise<void>;
}

/** Runs this worker to its end. Called once, by the role's entry file. */
export async function runWorker(open: (thread: WorkerThread) => Promise<WorkerRoleParts>): Promise<void> {
  const port = parentPort;
  assert(port !== null, 'a worker entry runs in a worker');
  const runner = new WorkerRunner(port, workerData as WorkerData);
  try {
    await runner.run(open);
  } catch (error) {
    runner.fail(error);
  }
}

class WorkerRunner implements WorkerThread {
  readonly data: WorkerData;
  readonly log: Logger;
  readonly groups: GroupTable;
  readonly deadlines: Deadlines = new Deadlines(() => performance.now());
  readonly #port: MessagePort;
  readonly #control: ControlLink;
  #ownership: PartitionOwnership | undefined;
  #parts: WorkerRoleParts | undefined;
  #listener: Listener | undefined;
  #hasFailed = false;

  constructor(port: MessagePort, data: WorkerData) {
    this.data = data;
    this.log = createLogger(data.logLevel, `${data.role}-${data.shardIndex}`);
    this.groups = new GroupTable(data.groups);
    this.#port = port;
    this.#control = new ControlLink(this.deadlines, (request) => this.#post(request));
  }

  async run(open: (thread: WorkerThread) => Promise<WorkerRoleParts>): Promise<void> {
    this.#port.on('message', (message: MainMessage) => this.#receive(message));
    const parts = await open(this);
    this.#parts = parts;
    this.#post({ type: 'opened' });
    const listener = new Listener({
      host: this.data.host,
      port: this.data.port,
      operations: [...everyPortOperations(this, this.#control), ...parts.operations],
      log: this.log,
      nowMicros: () => Date.now() * 1000,
    });
    const port = await listener.bind();
    this.#listener = listener;
    this.#post({ type: 'listening', port });
  }

  ownership(): PartitionOwnership {
    assert(this.#ownership !== undefined, 'the map is known before requests are served');
    return this.#ownership;
  }

  progress(phase: string, done: number, total: number): void {
    this.#post({ type: 'progress', phase, done, total });
  }

  fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const failure: WorkerFailure = {
      code: errorCodeOf(error) ?? 'INTERNAL',
      message: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    };
    this.#post({ type: 'failed', failure });
  }

  #receive(message: MainMessage): void {
    switch (message.type) {
      case 'open':
        this.#ownership = new SingleNodeOwnership(message.map);
        assert(this.#listener !== undefined, 'a worker listens before it opens');
        this.#listener.open();
        return;
      case 'group-added':
        this.groups.add(message.group);
        this.#post({ type: 'acknowledged', requestId: message.requestId });
        return;
      case 'group-changed':
        this.groups.change(message.group);
        this.#post({ type: 'acknowledged', requestId: message.requestId });
        return;
      case 'group-dropped':
        this.groups.remove(message.groupId);
        this.#post({ type: 'acknowledged', requestId: message.requestId });
        return;
      case 'status':
        this.#answerStatus(message.requestId);
        return;
      case 'control-answer':
        this.#control.answer(message.requestId, message.frame);
        return;
      case 'drain':
        this.#drain(message.timeoutMs).catch((error: unknown) => this.fail(error));
        return;
      case 'close':
        this.#close().catch((error: unknown) => this.fail(error));
        return;
    }
  }

  #answerStatus(requestId: number): void {
    const connections = this.#listener?.sessionCount ?? 0;
    const status: WorkerStatus = { ...this.#parts?.status(), connections };
    this.#post({ type: 'status-answer', requestId, status });
  }

  async #drain(timeoutMs: number): Promise<void> {
    await this.#listener?.drain(timeoutMs);
    this.#post({ type: 'drained' });
  }

  async #close(): Promise<void> {
    await this.#parts?.close();
    this.#post({ type: 'closed' });
    // The last handle: with it the event loop ends, and the thread with that.
    this.#port.close();
    this.data.peer.close();
  }

  #post(message: WorkerMessage): void {
    this.#port.postMessage(message);
  }
}
