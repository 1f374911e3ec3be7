/**
 * The main thread's end of one worker: its life, its requests, and its failure.
 *
 * I1  A worker fails once: by its word (`failed`), by an uncaught error, or by exiting before it said `closed`. Then
 *     everything that waits for it is rejected with that failure, and `onFailure` is called.
 * I2  Every request is settled: by its answer, or by the failure.
 */
import { type MessagePort, Worker } from 'node:worker_threads';
import { ServerError } from './server-error.ts';
import type {
  ControlRequest,
  MainMessage,
  WorkerData,
  WorkerMessage,
  WorkerStatus,
} from './worker-messages.ts';

/** Each is said once in a worker's life. */
type LifeMessageType = 'opened' | 'listening' | 'drained' | 'closed';

export interface WorkerEvents {
  onProgress(worker: WorkerHandle, phase: string, done: number, total: number): void;
  onControl(worker: WorkerHandle, request: ControlRequest): void;
  onFailure(worker: WorkerHandle, error: ServerError): void;
}

/** A worker takes over only what measures or explains it: flags such as --input-type and -e are about the caller's own program. */
const INHERITED_FLAGS = /^--(enable-source-maps|cpu-prof|heap-prof)/;

interface Waiter {
  readonly resolve: (message: WorkerMessage) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerHandle {
  readonly name: string;
  readonly data: WorkerData;
  readonly #worker: Worker;
  readonly #events: WorkerEvents;
  readonly #said: Map<LifeMessageType, WorkerMessage> = new Map();
  readonly #awaited: Map<LifeMessageType, Waiter> = new Map();
  readonly #requests: Map<number, Waiter> = new Map();
  #nextRequestId = 1;
  #failure: ServerError | undefined;
  #isClosed = false;
  readonly #exited: Promise<void>;

  constructor(entry: URL, data: WorkerData, transfer: readonly MessagePort[], events: WorkerEvents) {
    this.name = `${data.role} ${data.shardIndex}`;
    this.data = data;
    this.#events = events;
    this.#worker = new Worker(entry, {
      workerData: data,
      transferList: [...transfer],
      name: this.name,
      execArgv: process.execArgv.filter((flag) => INHERITED_FLAGS.test(flag)),
    });
    this.#worker.on('message', (message: WorkerMessage) => this.#receive(message));
    this.#worker.on('error', (error: unknown) => this.#fail(uncaught(this.name, error)));
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        if (!this.#isClosed) this.#fail(new ServerError('INTERNAL', `${this.name} exited with code ${code}`));
        resolve();
      });
    });
  }

  /** Settles when the worker says it, or has already. */
  async opened(): Promise<void> {
    await this.#whenSaid('opened');
  }

  async listening(): Promise<number> {
    const message = await this.#whenSaid('listening');
    return message.type === 'listening' ? message.port : 0;
  }

  async drain(timeoutMs: number): Promise<void> {
    this.#post({ type: 'drain', timeoutMs });
    await this.#whenSaid('drained');
  }

  /** Settles when the thread has ended. */
  async close(): Promise<void> {
    this.#post({ type: 'close' });
    await this.#whenSaid('closed');
    await this.#exited;
  }

  async terminate(): Promise<void> {
    this.#isClosed = true;
    await this.#worker.terminate();
  }

  post(message: MainMessage): void {
    this.#post(message);
  }

  /** Settles when the worker has done as the message says. */
  async acknowledged(message: (requestId: number) => MainMessage): Promise<void> {
    await this.#request(message);
  }

  async status(): Promise<WorkerStatus> {
    const answer = await this.#request((requestId) => ({ type: 'status', requestId }));
    return answer.type === 'status-answer' ? answer.status : {};
  }

  #request(message: (requestId: number) => MainMessage): Promise<WorkerMessage> {
    const requestId = this.#nextRequestId++;
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#requests.set(requestId, { resolve, reject });
      this.#post(message(requestId));
    });
  }

  #whenSaid(type: LifeMessageType): Promise<WorkerMessage> {
    const said = this.#said.get(type);
    if (said !== undefined) return Promise.resolve(said);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#awaited.set(type, { resolve, reject });
    });
  }

  #receive(message: WorkerMessage): void {
    switch (message.type) {
      case 'progress':
        this.#events.onProgress(this, message.phase, message.done, message.total);
        return;
      case 'control':
        this.#events.onControl(this, message);
        return;
      case 'acknowledged':
      case 'status-answer':
        this.#requests.get(message.requestId)?.resolve(message);
        this.#requests.delete(message.requestId);
        return;
      case 'failed': {
        const { code, message: text, stack } = message.failure;
        const error = new ServerError(code, `${this.name}: ${text}`);
        if (stack !== undefined) error.stack = stack;
        this.#fail(error);
        return;
      }
      case 'opened':
      case 'listening':
      case 'drained':
      case 'closed':
        if (message.type === 'closed') this.#isClosed = true;
        this.#said.set(message.type, message);
        this.#awaited.get(message.type)?.resolve(message);
        this.#awaited.delete(message.type);
        return;
    }
  }

  #fail(error: ServerError): void {
    if (this.#failure !== undefined || this.#isClosed) return;
    this.#failure = error;
    for (const waiter of this.#requests.values()) waiter.reject(error);
    this.#requests.clear();
    for (const waiter of this.#awaited.values()) waiter.reject(error);
    this.#awaited.clear();
    this.#events.onFailure(this, error);
  }

  #post(message: MainMessage): void {
    this.#worker.postMessage(message);
  }
}

function uncaught(name: string, error: unknown): ServerError {
  const message = error instanceof Error ? error.message : String(error);
  const failure = new ServerError('INTERNAL', `${name} failed: ${message}`, { cause: error });
  if (error instanceof Error && error.stack !== undefined) failure.stack = error.stack;
  return failure;
}
