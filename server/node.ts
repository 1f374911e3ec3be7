/**
 * A node inside this process: its data directory, its catalog, its worker threads.
 *
 *   startNode -> lock directory -> catalog -> shard threads -> scan threads -> ports -> map -> served
 *   close     -> drain all listeners -> close scans -> flush and close shards -> unlock
 *
 * I1  When `startNode` has settled every port is served; when it rejects nothing of the node is left running, and the
 *     directory is unlocked.
 * I2  `closed` settles once: it resolves when the node was closed and everything acknowledged is in blocks or in the
 *     journal; it rejects when a thread failed. Whoever starts a node must handle it: unhandled, it ends the process
 *     with a non-zero code, which is what a failed node should do.
 *
 * Left to others: flags and signals (cli/serve.ts), an API over it (millrace.ts).
 */

import { availableParallelism, totalmem } from 'node:os';
import type { PartitionMap } from '../cluster/index.ts';
import { type NodeStatus, SHARDS_MAX } from '../protocol/index.ts';
import { COMPACTION_SETTINGS_DEFAULT } from '../storage/index.ts';
import { Catalog } from './catalog.ts';
import type { LogLevel } from './config.ts';
import { ControlService } from './control-service.ts';
import { type DataDirectory, openDataDirectory } from './data-directory.ts';
import { createLogger, type Logger } from './log.ts';
import { planMemory } from './memory-plan.ts';
import { nodeClock, nodeDisk, nodeRandom } from './node-environment.ts';
import { removeStrayShards } from './reshard.ts';
import { ServerError } from './server-error.ts';
import { SERVER_VERSION } from './server-version.ts';
import { Supervisor, type WorkerProgress } from './supervisor.ts';

export interface NodeOptions {
  readonly dataDirectory: string;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Of shard 0; 0, the default, takes any free ports. */
  readonly port?: number;
  /** Default: what the directory says; one a core in a new one. */
  readonly shards?: number | undefined;
  /** Of each shard. */
  readonly writeBufferBytes?: number;
  /** Of all shards together; default: a quarter of the memory of the machine. */
  readonly cacheBytes?: number | undefined;
  /** Of the whole node, mapped files apart; 0, the default, is none. */
  readonly memoryLimitBytes?: number;
  /** Blocks that compaction may write a second, each shard; 0, the default, is no limit. */
  readonly compactionBytesPerSecond?: number;
  /** Flushed blocks of each shard that are compacted at the latest. */
  readonly compactionLevelZeroBytes?: number;
  readonly logLevel?: LogLevel;
  readonly drainTimeoutMs?: number;
  readonly onProgress?: (progress: WorkerProgress) => void;
}

export interface RunningNode {
  readonly host: string;
  /** Of shard 0. */
  readonly port: number;
  /** Of each shard. */
  readonly ports: readonly number[];
  readonly map: PartitionMap;
  readonly shardCount: number;
  /** See I2. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

const PORT_MAX = 65535;
const WRITE_BUFFER_BYTES_DEFAULT: number = 64 * 1024 * 1024;
const DRAIN_TIMEOUT_MS_DEFAULT = 10_000;

/** Throws DATA_DIRECTORY_…, SHARD_COUNT_MISMATCH, PORT_IN_USE, JOURNAL_CORRUPT, CONFIG_INVALID. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const log = createLogger(options.logLevel ?? 'warn', 'main');
  let created: Catalog | undefined;
  const directory = openDataDirectory({
    path: options.dataDirectory,
    shards: options.shards,
    defaultShards: Math.min(availableParallelism(), SHARDS_MAX),
    disk: nodeDisk,
    random: nodeRandom,
    clock: nodeClock,
    onCreate: (made) => {
      created = Catalog.create(nodeDisk, made.catalogPath);
    },
  });
  try {
    const catalog = created ?? Catalog.open(nodeDisk, directory.catalogPath);
    const strays = removeStrayShards(directory);
    if (strays.length > 0) log.warn({ strays }, 'an interrupted reshard left these: removed');
    const node = new Node(options, directory, catalog, log);
    await node.start();
    return node;
  } catch (error) {
    directory.close();
    throw error;
  }
}

class Node implements RunningNode {
  readonly host: string;
  readonly shardCount: number;
  readonly closed: Promise<void>;
  readonly #options: NodeOptions;
  readonly #directory: DataDirectory;
  readonly #catalog: Catalog;
  readonly #log: Logger;
  readonly #supervisor: Supervisor;
  readonly #startedAtMs: number = performance.now();
  #settleClosed: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #map: PartitionMap | undefined;
  #closing: Promise<void> | undefined;
  #hasFailed = false;

  constructor(options: NodeOptions, directory: DataDirectory, catalog: Catalog, log: Logger) {
    this.host = options.host ?? '127.0.0.1';
    this.shardCount = directory.shardCount;
    this.#options = options;
    this.#directory = directory;
    this.#catalog = catalog;
    this.#log = log;
    this.closed = new Promise((resolve, reject) => {
      this.#settleClosed = { resolve, reject };
    });
    const control = new ControlService(
      {
        catalog,
        nowMicros: () => nodeClock.nowMicros(),
        broadcast: (message) => this.#supervisor.broadcast(message),
        status: () => this.#status(),
      },
      log,
    );
    this.#supervisor = this.#createSupervisor((frame) => control.answer(frame));
  }

  async start(): Promise<void> {
    this.#map = await this.#supervisor.start();
    const { host, ports, shardCount } = this;
    this.#log.info({ host, ports, shardCount, directory: this.#directory.path }, 'node started');
  }

  get map(): PartitionMap {
    if (this.#map === undefined)
      throw new ServerError('INTERNAL', 'the node has no map before it has started');
    return this.#map;
  }

  get ports(): number[] {
    return this.map.nodes[0]!.shards.map((shard) => shard.port);
  }

  get port(): number {
    return this.ports[0]!;
  }

  /** Closing twice is closing once; closing a node that has failed rejects with why it did. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#log.info('node closing');
    try {
      await this.#supervisor.close(this.#options.drainTimeoutMs ?? DRAIN_TIMEOUT_MS_DEFAULT);
    } catch (error) {
      this.#fail(error as Error);
      throw error;
    }
    this.#directory.close();
    this.#log.info('node closed');
    this.#settleClosed?.resolve();
  }

  #fail(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.fatal({ err: error }, 'node failed');
    this.#directory.close();
    this.#settleClosed?.reject(error);
  }

  #createSupervisor(onControl: (frame: Uint8Array) => Promise<Uint8Array>): Supervisor {
    const { shardCount } = this;
    const options = this.#options;
    const directory = this.#directory;
    const port = options.port ?? 0;
    const lastPort = port + 2 * shardCount - 1;
    if (port !== 0 && lastPort > PORT_MAX) {
      throw new ServerError(
        'CONFIG_INVALID',
        `port ${port} leaves no room for ${shardCount} shards and their scans: the last would be ${lastPort}`,
      );
    }
    const shardDirectories = Array.from({ length: shardCount }, (_, index) =>
      directory.shardDirectory(index),
    );
    const writeBufferBytes = options.writeBufferBytes ?? WRITE_BUFFER_BYTES_DEFAULT;
    const memory = planMemory({
      memoryLimitBytes: options.memoryLimitBytes ?? 0,
      machineBytes: totalmem(),
      shardCount,
      writeBufferBytes,
      cacheBytes: options.cacheBytes,
    });
    return new Supervisor({
      identity: directory.identity,
      shardCount,
      shardDirectories,
      catalogPath: directory.catalogPath,
      host: this.host,
      port,
      groups: this.#catalog.groups(),
      writeBufferBytes,
      ...memory,
      compaction: {
        bytesPerSecond: options.compactionBytesPerSecond ?? COMPACTION_SETTINGS_DEFAULT.bytesPerSecond,
        levelZeroBytesMax: options.compactionLevelZeroBytes ?? COMPACTION_SETTINGS_DEFAULT.levelZeroBytesMax,
      },
      logLevel: options.logLevel ?? 'warn',
      log: this.#log,
      onProgress: options.onProgress ?? ((): void => undefined),
      onControl,
      onFailure: (error) => this.#fail(error),
    });
  }

  async #status(): Promise<NodeStatus> {
    const { shards, scans } = await this.#supervisor.status();
    return {
      nodeId: this.#directory.identity.nodeId,
      clusterId: this.#directory.identity.clusterId,
      version: SERVER_VERSION,
      uptimeSeconds: Math.floor((performance.now() - this.#startedAtMs) / 1000),
      epoch: this.map.epoch,
      groups: this.#catalog.groups().length,
      shards: shards as NodeStatus['shards'],
      scans,
      memoryBytes: process.memoryUsage.rss(),
      memoryLimitBytes: this.#options.memoryLimitBytes ?? 0,
    };
  }
}
