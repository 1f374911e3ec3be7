/**
 * Where requests go: the shard map, a link to every listener it names, and the requests that wait for another attempt.
 *
 * I1  There is one link an address for the client's life, whatever maps come and go.
 * I2  The map is asked for again when a shard says NOT_OWNER and when a listener is reached anew; at most one such
 *     question is under way, and an older epoch never replaces a newer one.
 * I3  All listeners belong to the cluster that the first one named, since the hash seed is the cluster's: another
 *     cluster's answer on a known address is refused.
 * I4  One timer sweeps all deadlines. A sweep that comes late, because the event loop was held, first lets the sockets
 *     be read: answers that are there already do not time out.
 */
import {
  decodeMapResponse,
  decodeReadPointResponse,
  encodeMapRequest,
  encodeReadPointRequest,
  type HelloResponse,
  OPERATIONS,
  type PartitionMap,
} from '../protocol/index.ts';
import type { ClientContext } from './context.ts';
import { MillraceError } from './errors.ts';
import { type Greeted, openConnection } from './handshake.ts';
import { SWEEP_INTERVAL_MS } from './limits.ts';
import { Link } from './link.ts';
import type { Address } from './options.ts';
import { ControlRequest, type Request } from './request.ts';
import type { RequestKind } from './retry.ts';
import { type Shard, ShardMap } from './shard-map.ts';

export class Dispatcher {
  readonly context: ClientContext;
  /** Who answered the first greeting: the cluster and its hash seed. */
  readonly hello: HelloResponse;
  isClosed = false;
  /** Requests begun and not ended. */
  openRequests = 0;
  /** Told when the client begins to close, for what is no request: scans end at once. */
  readonly closeListeners: Set<(error: MillraceError) => void> = new Set();
  private readonly seed: Address;
  private readonly links: Map<string, Link> = new Map();
  private readonly seedLink: Link;
  private shardMap: ShardMap | null = null;
  /** Link of each shard of the map, once used. */
  private shardLinks: (Link | undefined)[] = [];
  private refreshing: Promise<void> | null = null;
  private closing: Promise<void> | null = null;
  private readonly waits: Map<NodeJS.Timeout, () => void> = new Map();
  private readonly sweepTimer: NodeJS.Timeout;
  private lastSweepMs: number = performance.now();
  private wasLate = false;
  private idleListener: (() => void) | null = null;

  /** Dials the seed and learns the map. */
  static async open(seed: Address, context: ClientContext): Promise<Dispatcher> {
    const greeted = await openConnection(seed, context);
    const dispatcher = new Dispatcher(seed, context, greeted);
    try {
      await dispatcher.refreshMap();
    } catch (error) {
      dispatcher.abort(new MillraceError('CLIENT_CLOSED', 'the client could not learn the partition map'));
      throw error;
    }
    dispatcher.adoptSeed();
    return dispatcher;
  }

  private constructor(seed: Address, context: ClientContext, greeted: Greeted) {
    this.seed = seed;
    this.context = context;
    this.hello = greeted.hello;
    this.seedLink = this.linkTo(seed);
    this.seedLink.adopt(greeted.connection);
    this.sweepTimer = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS);
    this.sweepTimer.unref();
  }

  get map(): ShardMap {
    if (this.shardMap === null) throw new MillraceError('INTERNAL', 'the partition map is not known yet');
    return this.shardMap;
  }

  /** The link to shard `shard` of the map. */
  shardLink(shard: number): Link {
    const known = this.shardLinks[shard];
    if (known !== undefined) return known;
    const link = this.linkTo(this.map.shards[shard]!);
    this.shardLinks[shard] = link;
    return link;
  }

  /** A link for requests that any node answers: one that is connected, by preference the first dialled. */
  controlLink(): Link {
    if (this.seedLink.isReady) return this.seedLink;
    for (const link of this.links.values()) if (link.isReady) return link;
    return this.seedLink;
  }

  /** When a request begun now must end, in ms of `performance.now()`. */
  deadline(timeoutMs: number | undefined): number {
    return performance.now() + (timeoutMs ?? this.context.options.timeoutMs);
  }

  /** Sends a request that any node answers, or the shard that is named. */
  control<T>(
    kind: RequestKind,
    operation: number,
    encode: ConstructorParameters<typeof ControlRequest>[4],
    decode: ConstructorParameters<typeof ControlRequest<T>>[5],
    timeoutMs?: number,
    shard: number | null = null,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      this.assertOpen();
      const deadlineMs = this.deadline(timeoutMs);
      new ControlRequest<T>(
        this,
        kind,
        deadlineMs,
        operation,
        encode,
        decode,
        resolve,
        reject,
        shard,
      ).start();
    });
  }

  /**
   * A read point that every shard has closed: the highest that one of them closes by itself, for what was acknowledged
   * before is then below it on all of them.
   */
  async readPoint(timeoutMs?: number): Promise<number> {
    const close = (shard: number, atLeastMicros: number): Promise<number> =>
      this.control(
        'read',
        OPERATIONS.READ_POINT,
        (writer, header) => encodeReadPointRequest(writer, header, atLeastMicros),
        decodeReadPointResponse,
        timeoutMs,
        shard,
      );
    const closed = await Promise.all(this.map.shards.map((_, shard) => close(shard, 0)));
    const highest = Math.max(...closed);
    await Promise.all(closed.map((micros, shard) => (micros < highest ? close(shard, highest) : micros)));
    return highest;
  }

  assertOpen(): void {
    if (this.isClosed) throw closedError();
  }

  /** Asks for the map, unless somebody is asking. */
  refreshMap(): Promise<void> {
    this.refreshing ??= this.control('read', OPERATIONS.MAP, encodeMapRequest, decodeMapResponse)
      .then((map) => this.useMap(map))
      .finally(() => {
        this.refreshing = null;
      });
    return this.refreshing;
  }

  /** Calls `request.retry` after the wait, and after a new map when the old one was wrong. */
  retryLater(delayMs: number, error: MillraceError, request: Request): void {
    const retry = (): void => request.retry(error);
    const timer = setTimeout(() => {
      this.waits.delete(timer);
      if (error.code !== 'NOT_OWNER') retry();
      // Without a new map the old one is tried again: attempts are counted, so this ends.
      else this.refreshMap().then(retry, retry);
    }, delayMs);
    this.waits.set(timer, () => request.fail(error));
  }

  onIdle(): void {
    this.idleListener?.();
  }

  /** Refuses new requests, waits for open ones, then ends every connection. */
  close(): Promise<void> {
    this.closing ??= this.drain();
    return this.closing;
  }

  private async drain(): Promise<void> {
    // What was asked for in this turn still goes out.
    this.context.turn.flush();
    this.isClosed = true;
    for (const listener of [...this.closeListeners]) listener(closedError());
    for (const [timer, giveUp] of [...this.waits]) {
      clearTimeout(timer);
      giveUp();
    }
    this.waits.clear();
    if (this.openRequests > 0) await this.idle();
    this.abort(closedError());
  }

  private idle(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.context.options.closeTimeoutMs);
      this.idleListener = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private abort(error: MillraceError): void {
    this.isClosed = true;
    clearInterval(this.sweepTimer);
    for (const link of this.links.values()) link.close(error);
  }

  private linkTo(address: Address): Link {
    const name = `${address.host}:${address.port}`;
    const known = this.links.get(name);
    if (known !== undefined) return known;
    const link = new Link({ host: address.host, port: address.port }, this.context, (greeted, isFirst) =>
      this.checkConnection(greeted, isFirst),
    );
    this.links.set(name, link);
    return link;
  }

  /** Throws when a listener belongs to another cluster than the first one. */
  assertSameCluster(hello: HelloResponse): void {
    if (hello.clusterId === this.hello.clusterId) return;
    const message = `cluster ${hello.clusterId} answers where ${this.hello.clusterId} did`;
    throw new MillraceError('CONNECT_FAILED', message, { retryable: false });
  }

  private checkConnection(greeted: Greeted, isFirst: boolean): void {
    this.assertSameCluster(greeted.hello);
    if (!isFirst) this.refreshMap().catch(() => undefined);
  }

  /** The connection to the seed serves its shard too, under whatever name the map has for it. */
  private adoptSeed(): void {
    const { nodeId, shardIndex, role } = this.hello;
    if (role !== 'shard') return;
    const isSeed = (shard: Shard): boolean => shard.nodeId === nodeId && shard.index === shardIndex;
    const shard = this.map.shards.findIndex(isSeed);
    if (shard < 0) return;
    const { host, port } = this.map.shards[shard]!;
    this.links.set(`${host}:${port}`, this.seedLink);
    this.shardLinks[shard] = this.seedLink;
  }

  private useMap(map: PartitionMap): void {
    if (this.shardMap !== null && map.epoch <= this.shardMap.epoch) return;
    this.shardMap = new ShardMap(map, this.seed.host);
    this.shardLinks = [];
    this.context.mapEpoch = map.epoch;
  }

  private sweep(): void {
    const nowMs = performance.now();
    const isLate = nowMs - this.lastSweepMs > 2 * SWEEP_INTERVAL_MS;
    this.lastSweepMs = nowMs;
    // Once: under a loop that is held all the time, requests still end.
    this.wasLate = isLate && !this.wasLate;
    if (this.wasLate) return;
    for (const link of this.links.values()) link.expire(nowMs);
  }
}

function closedError(): MillraceError {
  return new MillraceError('CLIENT_CLOSED', 'the client was closed');
}
