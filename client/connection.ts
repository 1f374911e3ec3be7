/**
 * One socket to one listener: frames out, frames in, and who waits for which answer.
 *
 *   open ── dial, HELLO ──▶ open ── lost (socket, framing, close) ──▶ gone
 *
 * I1  All requests of a turn leave in one socket write: they are encoded one behind the other into one buffer.
 * I2  At most IN_FLIGHT_MAX requests wait for an answer and UNSENT_BYTES_MAX bytes for the kernel; `hasRoom` says
 *     whether another may come.
 * I3  Answers come in any order. One that nobody waits for (its request timed out) is dropped.
 * I4  When the socket is gone every call in flight has been failed, once, with CONNECTION_LOST or the reason of `close`.
 *
 * Reading goes into one buffer that is reused, so a call must copy what it keeps; a frame that spans two reads comes
 * in a buffer of its own. Left to others: dialling again (link.ts), trying again (request.ts), timers (client.ts).
 */
import net from 'node:net';
import {
  ByteWriter,
  decodeErrorResponse,
  FLAG_MORE,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  newResponseHeader,
  RESPONSE_HEADER_BYTES,
  type RequestOptions,
  type ResponseHeader,
  readResponseHeader,
} from '../protocol/index.ts';
import type { Call } from './call.ts';
import type { ClientContext } from './context.ts';
import { CorrelationTable } from './correlation-table.ts';
import { MillraceError, toMillraceError } from './errors.ts';
import {
  READ_BUFFER_BYTES,
  SILENT_MS_MAX,
  UNSENT_BYTES_MAX,
  WRITE_BUFFER_BYTES,
  WRITE_BUFFER_KEPT_BYTES_MAX,
  WRITE_BUFFERS_KEPT_MAX,
} from './limits.ts';
import type { Address } from './options.ts';
import type { TurnTask } from './turn.ts';

/** What the header's 32 bits hold. */
const TIMEOUT_MS_MAX = 0xffff_ffff;

/** Who is told of a connection's changes. */
export interface ConnectionOwner {
  /** After a read or a write that may have made room. */
  onRoom(): void;
  /** Once, after the calls in flight have been failed. */
  onLost(error: MillraceError): void;
}

export class Connection implements TurnTask {
  isQueued = false;
  isOpen = true;
  owner: ConnectionOwner | null = null;
  private readonly address: Address;
  private readonly context: ClientContext;
  private readonly socket: net.Socket;
  private readonly readBuffer: Uint8Array;
  private readonly decoder: FrameDecoder = new FrameDecoder(FRAME_BYTES_MAX, RESPONSE_HEADER_BYTES);
  private readonly table: CorrelationTable = new CorrelationTable();
  private readonly header: ResponseHeader = newResponseHeader();
  private readonly requestOptions: Required<RequestOptions>;
  private out: ByteWriter = new ByteWriter(WRITE_BUFFER_BYTES);
  private readonly spareWriters: ByteWriter[] = [];
  private unsentBytes = 0;
  /** When the first request since the last byte heard was sent; 0 while none was. */
  private silentSinceMs = 0;

  constructor(address: Address, context: ClientContext) {
    this.address = address;
    this.context = context;
    const { clientIdLo, clientIdHi } = context;
    this.requestOptions = {
      correlationId: 0,
      mapEpoch: 0,
      timeoutMs: 0,
      clientIdLo,
      clientIdHi,
      sequence: 0,
    };
    const buffer = new Uint8Array(READ_BUFFER_BYTES);
    this.readBuffer = buffer;
    this.socket = net.connect({
      host: address.host,
      port: address.port,
      noDelay: true,
      keepAlive: true,
      onread: { buffer, callback: (byteCount) => this.read(byteCount) },
    });
    this.socket.on('error', (error) => this.lose('failed', error));
    this.socket.on('close', () => this.lose('was closed by the server', undefined));
  }

  /** Whether another call may be sent now. */
  get hasRoom(): boolean {
    return this.isOpen && !this.table.isFull && this.unsentBytes + this.out.length < UNSENT_BYTES_MAX;
  }

  get inFlight(): number {
    return this.table.count;
  }

  /**
   * Encodes the call's request now, writes it at the end of the turn and answers its correlation id. The caller has
   * seen `hasRoom`. A request that cannot be encoded fails its call; the answer is then 0.
   */
  send(call: Call): number {
    const correlationId = this.table.add(call);
    const start = this.out.length;
    const nowMs = performance.now();
    if (this.silentSinceMs === 0) this.silentSinceMs = nowMs;
    // At least 1: a budget of 0 would mean that the server may take as long as it likes.
    const leftMs = Math.max(1, Math.ceil(call.deadlineMs - nowMs));
    try {
      call.encode(
        this.out,
        this.optionsOf(correlationId, leftMs > TIMEOUT_MS_MAX ? 0 : leftMs, call.sequence),
      );
    } catch (error) {
      this.out.truncate(start);
      this.table.remove(correlationId);
      call.fail(toMillraceError(error));
      return 0;
    }
    this.context.turn.addWriter(this);
    return correlationId;
  }

  /** Sends what has no answer; `encode` appends the frame. Nothing happens when the connection is gone. */
  sendUnanswered(encode: (writer: ByteWriter, options: RequestOptions) => void): void {
    if (!this.isOpen) return;
    encode(this.out, this.optionsOf(0, 0, 0));
    this.context.turn.addWriter(this);
  }

  /**
   * Fails the calls whose deadline is before `nowMs` with TIMEOUT; their answers will be dropped. When a call expires and
   * nothing was heard for SILENT_MS_MAX either, the peer is taken for gone without a word, and the connection ends.
   */
  expire(nowMs: number): void {
    if (this.table.count === 0) return;
    const expired = this.table.takeExpired(nowMs);
    for (const call of expired) {
      call.fail(new MillraceError('TIMEOUT', `no answer from ${this.name} within the request's time`));
    }
    const isSilent = this.silentSinceMs !== 0 && nowMs - this.silentSinceMs >= SILENT_MS_MAX;
    if (expired.length > 0 && isSilent) this.lose(`was silent for ${SILENT_MS_MAX} ms`, undefined);
  }

  /** Ends the connection; calls in flight are failed with `error`. */
  close(error: MillraceError): void {
    this.end(error);
  }

  /** Writes what was encoded in this turn. */
  endTurn(): void {
    const writer = this.out;
    if (writer.length === 0 || !this.isOpen) return;
    const byteCount = writer.length;
    this.out = this.spareWriters.pop() ?? new ByteWriter(WRITE_BUFFER_BYTES);
    this.unsentBytes += byteCount;
    const bytes = new Uint8Array(writer.bytes.buffer, writer.bytes.byteOffset, byteCount);
    this.socket.write(bytes, () => this.wrote(writer, byteCount));
  }

  private get name(): string {
    return `${this.address.host}:${this.address.port}`;
  }

  private optionsOf(correlationId: number, timeoutMs: number, sequence: number): RequestOptions {
    const options = this.requestOptions;
    options.correlationId = correlationId;
    options.mapEpoch = this.context.mapEpoch;
    options.timeoutMs = timeoutMs;
    options.sequence = sequence;
    // Without a client id the server keeps no record of the request, which most writes do not need.
    options.clientIdLo = sequence === 0 ? 0 : this.context.clientIdLo;
    options.clientIdHi = sequence === 0 ? 0 : this.context.clientIdHi;
    return options;
  }

  private wrote(writer: ByteWriter, byteCount: number): void {
    this.unsentBytes -= byteCount;
    if (
      writer.bytes.length <= WRITE_BUFFER_KEPT_BYTES_MAX &&
      this.spareWriters.length < WRITE_BUFFERS_KEPT_MAX
    ) {
      writer.reset();
      this.spareWriters.push(writer);
    }
    this.owner?.onRoom();
  }

  /** True asks the socket to go on reading. */
  private read(byteCount: number): boolean {
    if (!this.isOpen) return false;
    this.silentSinceMs = 0;
    try {
      this.decoder.push(this.readBuffer.subarray(0, byteCount));
      for (let frame = this.decoder.next(); frame !== null; frame = this.decoder.next()) this.dispatch(frame);
    } catch (error) {
      this.lose('sent what is no frame', error);
      return false;
    }
    this.owner?.onRoom();
    return this.isOpen;
  }

  private dispatch(frame: Frame): void {
    const header = this.header;
    readResponseHeader(frame.view, frame.offset, header);
    const { correlationId, status } = header;
    const call = this.table.find(correlationId);
    if (call === null) {
      // Id 0 is an error of the connection itself, after which the server closes it.
      if (correlationId === 0 && status !== 0) this.lose('was refused', decodeError(frame, status));
      return;
    }
    const isLast = status !== 0 || (header.flags & FLAG_MORE) === 0;
    if (isLast) this.table.remove(correlationId);
    if (status !== 0) {
      call.fail(decodeError(frame, status));
      return;
    }
    try {
      call.receive(frame, isLast, frame.bytes.buffer !== this.readBuffer.buffer);
    } catch (error) {
      if (!isLast) this.table.remove(correlationId);
      call.fail(toMillraceError(error));
    }
  }

  private lose(what: string, cause: unknown): void {
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    this.end(
      new MillraceError('CONNECTION_LOST', `the connection to ${this.name} ${what}${reason}`, { cause }),
    );
  }

  private end(error: MillraceError): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.socket.destroy();
    for (const call of this.table.takeAll()) call.fail(error);
    this.owner?.onLost(error);
  }
}

function decodeError(frame: Frame, status: number): MillraceError {
  const { code, message, ...rest } = decodeErrorResponse(frame, status);
  return new MillraceError(code, message, rest);
}
