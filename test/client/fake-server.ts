/**
 * A server that does what a test says: it speaks the wire, and answers when and how the test wants.
 *
 * Greeting, map, ping and schemas are answered at once unless the test takes them over with `on`. Any other request
 * waits until the test takes it with `received`, in the order of arrival, so tests need no sleeps: they decide after a
 * request has come whether it is answered, late, out of order, with an error, or by a broken connection.
 */
import net from 'node:net';
import type { TestContext } from 'node:test';
import {
  ByteWriter,
  decodeCreateGroupRequest,
  decodeGetGroupRequest,
  type ErrorCodeName,
  encodeCreateGroupResponse,
  encodeErrorResponse,
  encodeGetGroupResponse,
  encodeHelloResponse,
  encodeMapResponse,
  encodePingResponse,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  type GroupSchema,
  newRequestHeader,
  OPERATIONS,
  PARTITION_COUNT,
  type PartitionMap,
  REQUEST_HEADER_BYTES,
  type RequestHeader,
  readRequestHeader,
  schemaFromSpec,
} from '../../protocol/index.ts';

export const SEED_LO = 7;
export const SEED_HI = 11;

/** One request as it came, with its connection. */
export class FakeRequest {
  readonly header: RequestHeader;
  /** A copy: it may be decoded at any time. */
  readonly frame: Frame;
  readonly socket: net.Socket;
  readonly shard: number;
  readonly isScan: boolean;

  constructor(frame: Frame, socket: net.Socket, shard: number, isScan: boolean) {
    const bytes = Buffer.from(frame.bytes.subarray(frame.offset, frame.end));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.frame = { bytes, view, offset: 0, end: bytes.length };
    this.header = newRequestHeader();
    readRequestHeader(view, 0, this.header);
    this.socket = socket;
    this.shard = shard;
    this.isScan = isScan;
  }

  get id(): number {
    return this.header.correlationId;
  }

  answer(encode: (writer: ByteWriter, correlationId: number) => void): void {
    this.socket.write(framesOf((writer) => encode(writer, this.id)));
  }

  refuse(code: ErrorCodeName, message: string = code, retryAfterMs: number | null = null): void {
    this.answer((writer, id) =>
      encodeErrorResponse(writer, this.header.operation, id, code, message, retryAfterMs),
    );
  }

  /** Breaks the connection without an answer. */
  drop(): void {
    this.socket.destroy();
  }
}

type Handler = (request: FakeRequest) => void;

export class FakeServer {
  readonly shardCount: number;
  readonly groups: Map<string, GroupSchema> = new Map();
  clusterId = 'fake-cluster';
  epoch = 1;
  /** Connections accepted, over all listeners. */
  connectionCount = 0;
  readonly sockets: Set<net.Socket> = new Set();
  private readonly listeners: net.Server[] = [];
  private readonly handlers: Map<number, Handler> = new Map();
  private readonly arrived: Map<number, FakeRequest[]> = new Map();
  private readonly takers: Map<number, ((request: FakeRequest) => void)[]> = new Map();

  static async start(context: TestContext, shardCount: number = 1): Promise<FakeServer> {
    const server = new FakeServer(shardCount);
    await server.listen();
    context.after(() => server.close());
    return server;
  }

  private constructor(shardCount: number) {
    this.shardCount = shardCount;
    this.on(OPERATIONS.HELLO, (request) => request.answer((writer, id) => this.hello(writer, id, request)));
    this.on(OPERATIONS.MAP, (request) =>
      request.answer((writer, id) => encodeMapResponse(writer, id, this.map())),
    );
    this.on(OPERATIONS.PING, (request) => request.answer(encodePingResponse));
    this.on(OPERATIONS.CREATE_GROUP, (request) => {
      const { spec } = decodeCreateGroupRequest(request.frame);
      const schema = schemaFromSpec(spec, this.groups.size + 1, 0);
      this.groups.set(spec.name, schema);
      request.answer((writer, id) => encodeCreateGroupResponse(writer, id, schema));
    });
    this.on(OPERATIONS.GET_GROUP, (request) => {
      const schema = this.groups.get(decodeGetGroupRequest(request.frame));
      if (schema === undefined) request.refuse('GROUP_NOT_FOUND');
      else request.answer((writer, id) => encodeGetGroupResponse(writer, id, schema));
    });
  }

  get port(): number {
    return this.portOf(0);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Answers requests of this kind at once from now on. */
  on(operation: number, handler: Handler): void {
    this.handlers.set(operation, handler);
  }

  /** What answers requests of this kind now, to be called from another handler. */
  handlerOf(operation: number): Handler {
    return this.handlers.get(operation)!;
  }

  /** The next request of this kind that has no handler and was not taken yet. */
  received(operation: number): Promise<FakeRequest> {
    const waiting = this.arrived.get(operation)?.shift();
    if (waiting !== undefined) return Promise.resolve(waiting);
    return new Promise((resolve) => listOf(this.takers, operation).push(resolve));
  }

  /** Requests of this kind that came and were not taken. */
  untaken(operation: number): number {
    return this.arrived.get(operation)?.length ?? 0;
  }

  map(): PartitionMap {
    const shards = Array.from({ length: this.shardCount }, (_, index) => ({
      port: this.portOf(index),
      scanPort: this.portOf(this.shardCount + index),
    }));
    return {
      epoch: this.epoch,
      partitionCount: PARTITION_COUNT,
      nodes: [{ id: 'node', host: '', shards }],
      owners: new Uint16Array(PARTITION_COUNT),
    };
  }

  /** Stops listening and breaks every connection; `listen` serves the same ports again. */
  async close(): Promise<void> {
    this.dropConnections();
    await Promise.all(
      this.listeners.map((listener) => new Promise((resolve) => listener.close(() => resolve(null)))),
    );
  }

  dropConnections(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async listen(): Promise<void> {
    for (let index = 0; index < 2 * this.shardCount; index++) {
      const known = this.listeners[index];
      const port = known === undefined ? 0 : (known as net.Server & { port?: number }).port;
      const listener = net.createServer((socket) => this.accept(socket, index));
      await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
      Object.assign(listener, { port: (listener.address() as net.AddressInfo).port });
      this.listeners[index] = listener;
    }
  }

  private portOf(index: number): number {
    return (this.listeners[index] as net.Server & { port: number }).port;
  }

  private accept(socket: net.Socket, listener: number): void {
    this.connectionCount += 1;
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
    const decoder = new FrameDecoder(FRAME_BYTES_MAX, REQUEST_HEADER_BYTES);
    const isScan = listener >= this.shardCount;
    socket.on('data', (chunk: Uint8Array) => {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
        this.take(new FakeRequest(frame, socket, listener % this.shardCount, isScan));
      }
    });
  }

  private take(request: FakeRequest): void {
    const { operation } = request.header;
    const handler = this.handlers.get(operation);
    const taker = handler ?? this.takers.get(operation)?.shift();
    if (taker === undefined) listOf(this.arrived, operation).push(request);
    else taker(request);
  }

  private hello(writer: ByteWriter, correlationId: number, request: FakeRequest): void {
    encodeHelloResponse(writer, correlationId, {
      version: 1,
      server: 'fake',
      clusterId: this.clusterId,
      nodeId: 'node',
      seedLo: SEED_LO,
      seedHi: SEED_HI,
      role: request.isScan ? 'scan' : 'shard',
      shardIndex: request.shard,
      shardCount: this.shardCount,
      frameBytesMax: FRAME_BYTES_MAX,
    });
  }
}

/** What `encode` appends: one frame or several. */
export function framesOf(encode: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  encode(writer);
  return writer.finish();
}

function listOf<T>(lists: Map<number, T[]>, operation: number): T[] {
  const known = lists.get(operation);
  if (known !== undefined) return known;
  const made: T[] = [];
  lists.set(operation, made);
  return made;
}
