/**
 * The supervisor: the node's worker threads, from their start to their end.
 *
 *   main ---+--- shard 0 (port)  <--peer channel-->  scan 0 (scan port)
 *           +--- shard 1 (port)  <--peer channel-->  scan 1 (scan port)
 *
 * I1  Scan threads start after all shards have opened, for they read what the shards' recovery leaves.
 * I2  Nobody is served before every thread listens and the map, which names all their ports, is everywhere.
 * I3  A thread that fails fails the node: the others are stopped as a crash would stop them, for what they have
 *     acknowledged is in their journals.
 * I4  On close all listeners drain first, then scans close, then shards: nobody asks a closed store.
 */

import { MessageChannel } from 'node:worker_threads';
import { type PartitionMap, singleNodeMap } from '../cluster/index.ts';
import type { GroupSchema } from '../protocol/index.ts';
import type { CompactionSettings } from '../storage/index.ts';
import type { LogLevel } from './config.ts';
import { WORKER_CLOSE_TIMEOUT_MS } from './limits.ts';
import type { Logger } from './log.ts';
import { messageOf, ServerError } from './server-error.ts';
import { WorkerHandle } from './worker-handle.ts';
import type {
  ControlRequest,
  MainMessage,
  NodeIdentity,
  WorkerData,
  WorkerRole,
  WorkerStatus,
} from './worker-messages.ts';

export interface WorkerProgress {
  /** 'shard 0', 'scan 1'. */
  readonly worker: string;
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

export interface SupervisorOptions {
  readonly identity: NodeIdentity;
  readonly shardCount: number;
  /** Of each shard, in order. */
  readonly shardDirectories: readonly string[];
  readonly catalogPath: string;
  readonly host: string;
  readonly port: number;
  readonly groups: readonly GroupSchema[];
  readonly writeBufferBytes: number;
  readonly cacheBytes: number;
  /** Of each shard; 0: no limit. */
  readonly indexBytesMax: number;
  /** Of each shard. */
  readonly compaction: Partial<CompactionSettings>;
  readonly logLevel: LogLevel;
  readonly log: Logger;
  readonly onProgress: (progress: WorkerProgress) => void;
  /** Answers a request frame with a response frame; never rejects. */
  readonly onControl: (frame: Uint8Array) => Promise<Uint8Array>;
  /** Called once, for the first thread that fails after `start` has settled. */
  readonly onFailure: (error: ServerError) => void;
}

/** This file is .ts when run from source and .js when compiled; so are the workers' entries beside it. */
const EXTENSION: string = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #shards: WorkerHandle[] = [];
  readonly #scans: WorkerHandle[] = [];
  #map: PartitionMap | undefined;
  #isClosing = false;
  #hasStarted = false;
  #hasFailed = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Throws what the first failing thread said; no thread is left behind then. */
  async start(): Promise<PartitionMap> {
    try {
      const channels = this.#options.shardDirectories.map(() => new MessageChannel());
      channels.forEach((channel, index) => {
        this.#shards.push(this.#spawn('shard', index, channel.port1));
      });
      await Promise.all(this.#shards.map((shard) => shard.opened()));
      channels.forEach((channel, index) => {
        this.#scans.push(this.#spawn('scan', index, channel.port2));
      });
      const map = await this.#collectPorts();
      this.#map = map;
      for (const worker of this.#workers()) worker.post({ type: 'open', map });
      this.#hasStarted = true;
      return map;
    } catch (error) {
      await this.#terminate();
      throw error;
    }
  }

  get map(): PartitionMap | undefined {
    return this.#map;
  }

  /**
   * Settles when every thread has done as the message says: scans before shards, so that a scan knows of a shorter
   * retention before its shard's compaction goes by it, and of a new schema version before rows of it are there.
   */
  async broadcast(message: (requestId: number) => MainMessage): Promise<void> {
    await Promise.all(this.#scans.map((worker) => worker.acknowledged(message)));
    await Promise.all(this.#shards.map((worker) => worker.acknowledged(message)));
  }

  async status(): Promise<{ shards: WorkerStatus[]; scans: WorkerStatus[] }> {
    const [shards, scans] = await Promise.all([
      Promise.all(this.#shards.map((worker) => worker.status())),
      Promise.all(this.#scans.map((worker) => worker.status())),
    ]);
    return { shards, scans };
  }

  async close(drainTimeoutMs: number): Promise<void> {
    this.#isClosing = true;
    const watchdog = new Promise<never>((_resolve, reject) => {
      const late = new ServerError('INTERNAL', `threads did not close within ${WORKER_CLOSE_TIMEOUT_MS} ms`);
      setTimeout(() => reject(late), drainTimeoutMs + WORKER_CLOSE_TIMEOUT_MS).unref();
    });
    try {
      await Promise.race([this.#closeInOrder(drainTimeoutMs), watchdog]);
    } catch (error) {
      await this.#terminate();
      throw error;
    }
  }

  async #closeInOrder(drainTimeoutMs: number): Promise<void> {
    await Promise.all(this.#workers().map((worker) => worker.drain(drainTimeoutMs)));
    await Promise.all(this.#scans.map((worker) => worker.close()));
    await Promise.all(this.#shards.map((worker) => worker.close()));
  }

  #workers(): WorkerHandle[] {
    return [...this.#shards, ...this.#scans];
  }

  #spawn(role: WorkerRole, shardIndex: number, peer: WorkerData['peer']): WorkerHandle {
    const {
      shardCount,
      identity,
      host,
      port,
      writeBufferBytes,
      cacheBytes,
      indexBytesMax,
      compaction,
      logLevel,
      groups,
    } = this.#options;
    const portOffset = role === 'shard' ? shardIndex : shardCount + shardIndex;
    const data: WorkerData = {
      role,
      shardIndex,
      shardCount,
      directory: this.#options.shardDirectories[shardIndex]!,
      catalogPath: this.#options.catalogPath,
      identity,
      host,
      port: port === 0 ? 0 : port + portOffset,
      groups,
      writeBufferBytes,
      cacheBytes: Math.floor(cacheBytes / shardCount),
      indexBytesMax,
      compaction,
      logLevel,
      peer,
    };
    return new WorkerHandle(new URL(`./${role}-worker${EXTENSION}`, import.meta.url), data, [peer], {
      onProgress: (worker, phase, done, total) => {
        this.#options.onProgress({ worker: worker.name, phase, done, total });
      },
      onControl: (worker, request) => this.#answerControl(worker, request),
      onFailure: (_worker, error) => this.#failed(error),
    });
  }

  async #collectPorts(): Promise<PartitionMap> {
    const ports = await Promise.all(this.#shards.map((worker) => worker.listening()));
    const scanPorts = await Promise.all(this.#scans.map((worker) => worker.listening()));
    const shards = ports.map((port, index) => ({ port, scanPort: scanPorts[index]! }));
    return singleNodeMap({ id: this.#options.identity.nodeId, host: '', shards });
  }

  #answerControl(worker: WorkerHandle, request: ControlRequest): void {
    const { requestId } = request;
    this.#options.onControl(request.frame).then(
      (frame) => worker.post({ type: 'control-answer', requestId, frame }),
      (error: unknown) => this.#failed(new ServerError('INTERNAL', messageOf(error), { cause: error })),
    );
  }

  #failed(error: ServerError): void {
    if (this.#hasFailed || !this.#hasStarted || this.#isClosing) return;
    this.#hasFailed = true;
    this.#terminate().then(
      () => this.#options.onFailure(error),
      () => this.#options.onFailure(error),
    );
  }

  async #terminate(): Promise<void> {
    await Promise.all(this.#workers().map((worker) => worker.terminate()));
  }
}
