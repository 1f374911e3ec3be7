/**
 * The package's door: the client, and `Millrace.open` for a node inside the caller's own process.
 *
 *   const db = await Millrace.connect('features.internal:7400');   // a served node
 *   const db = await Millrace.open('./features');                  // no server: the node's shards are worker threads here
 *
 * Both give the same API. Importing this loads neither the engine nor its native parts: the first `open` does.
 */
import {
  type Address,
  Millrace as Client,
  type ConnectOptions,
  type ErrorCodeName,
  MillraceError,
} from '../client/index.ts';
import { ERROR_CODES } from '../protocol/index.ts';
import type { NodeOptions, RunningNode } from './node.ts';

export * from '../client/index.ts';

/** How the node inside is run, and how the client talks to it. */
export interface OpenOptions extends ConnectOptions {
  /** Threads that each own a part of the keys. Fixed when the directory is created. Default: one a core. */
  readonly shards?: number;
  /** Memory of each shard for versions not flushed yet. Default 64 MiB. */
  readonly writeBufferBytes?: number;
  /** Memory of all shards for blocks. Default: a quarter of the machine's. */
  readonly cacheBytes?: number;
  /** Memory of the whole node: beyond it new keys are refused with MEMORY_FULL. Default: no limit. */
  readonly memoryLimitBytes?: number;
  /** Default `silent`: a library has no log of its own. */
  readonly logLevel?: NonNullable<NodeOptions['logLevel']>;
  /** Called while a large directory is read at the start. */
  readonly onProgress?: NonNullable<NodeOptions['onProgress']>;
  /**
   * Called once when the node inside fails by itself: a full disk, a thread that ended. It serves nothing any more, and
   * what it acknowledged is in its journal. Without it, the calls that fail and `close` tell.
   */
  readonly onFailure?: (error: MillraceError) => void;
}

export class Millrace extends Client {
  private node: RunningNode | null = null;
  private failure: MillraceError | null = null;

  static override async connect(address: string | Address, options: ConnectOptions = {}): Promise<Millrace> {
    // biome-ignore lint/complexity/noThisInStatic: not Client.connect, which would make a Client.
    return (await super.connect(address, options)) as Millrace;
  }

  /**
   * Opens a data directory, which is created when it is not there, in this process. It listens on free ports of the
   * loopback address; `close` stops it. Rejects with DATA_DIRECTORY_LOCKED (another process has it),
   * DATA_DIRECTORY_NEWER, DATA_DIRECTORY_INVALID, SHARD_COUNT_MISMATCH, JOURNAL_CORRUPT.
   */
  static async open(dataDirectory: string, options: OpenOptions = {}): Promise<Millrace> {
    const node = await startInside(dataDirectory, options);
    let opened: Millrace | undefined;
    // A node that fails must not end the host's process by a rejection that nobody handles.
    node.closed.catch((error: unknown) => opened?.fail(asMillraceError(error), options.onFailure));
    try {
      opened = await Millrace.connect({ host: node.host, port: node.port }, options);
      opened.node = node;
      return opened;
    } catch (error) {
      await node.close();
      throw error;
    }
  }

  /** The port of this process on which an opened node serves shard 0, for other clients; 0 when connected elsewhere. */
  get port(): number {
    return this.node?.port ?? 0;
  }

  /**
   * Closes the client, and then the node if this is an opened one: everything acknowledged is on disk afterwards. Of a
   * node that has failed, the first close rejects with why it did; further ones have nothing to do and resolve.
   */
  override async close(): Promise<void> {
    await super.close();
    const { node, failure } = this;
    this.node = null;
    this.failure = null;
    if (failure !== null) throw failure;
    try {
      await node?.close();
    } catch (error) {
      throw asMillraceError(error);
    }
  }

  /** A node that fails while it is closed is told by `close` alone. */
  private fail(error: MillraceError, onFailure: OpenOptions['onFailure']): void {
    if (this.node === null) return;
    this.failure = error;
    onFailure?.(error);
  }
}

async function startInside(dataDirectory: string, options: OpenOptions): Promise<RunningNode> {
  const { startNode } = await import('./node.ts');
  const { shards, writeBufferBytes, cacheBytes, memoryLimitBytes, logLevel, onProgress } = options;
  try {
    return await startNode({
      dataDirectory,
      logLevel: logLevel ?? 'silent',
      ...(shards === undefined ? {} : { shards }),
      ...(writeBufferBytes === undefined ? {} : { writeBufferBytes }),
      ...(cacheBytes === undefined ? {} : { cacheBytes }),
      ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  } catch (error) {
    throw asMillraceError(error);
  }
}

/** What the node's parts throw has a code of the closed set; callers of this package know one error class. */
function asMillraceError(error: unknown): MillraceError {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const name = typeof code === 'string' && code in ERROR_CODES ? (code as ErrorCodeName) : 'INTERNAL';
  return new MillraceError(name, String(message ?? error), { cause: error });
}
