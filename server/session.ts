/**
 * A session: one TCP connection, from bytes to requests and from responses to bytes.
 *
 *   greeting --HELLO answered--> open --peer ended, or drain: nothing in flight--> ending --> closed
 *       '-------- fatal error -----> broken ------ nothing in flight -----------------^
 *
 * I1  All requests of one chunk of input are handled in one loop, and what they answer leaves in one write; answers of
 *     later turns are gathered until the end of their turn.
 * I2  While any hold is set no request is handled and the socket is not read. Holds: output above its high-water mark,
 *     requests or request bytes in flight above their bound, a busy store. So a session's memory is bounded: one frame,
 *     one chunk of input, SESSION_REQUEST_BYTES_MAX, and the high-water mark plus one response.
 * I3  A request that cannot be framed, or anything before HELLO, is answered once and ends the connection. Its input is
 *     read on and thrown away for a while, since closing with unread input makes the kernel throw the answer away.
 * I4  Whatever ends a connection, what was asked before is answered first. What is answered after the end is dropped.
 *
 * Left to others: what a request means (dispatch.ts, operations/), output memory (output-buffer.ts), who may connect
 * (listener.ts).
 */
import { strict as assert } from 'node:assert';
import type { Socket } from 'node:net';
import {
  type ByteWriter,
  type ErrorCodeName,
  encodeErrorResponse,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  ProtocolError,
  REQUEST_HEADER_BYTES,
  RESPONSE_HEADER_BYTES,
  writeResponseHeader,
} from '../protocol/index.ts';
import type { Dispatch } from './dispatch.ts';
import {
  CLOSE_LINGER_MS,
  HALF_OPEN_TIMEOUT_MS,
  HELLO_FRAME_BYTES_MAX,
  HELLO_TIMEOUT_MS,
  OUTPUT_HIGH_WATER_BYTES,
  OUTPUT_STALL_TIMEOUT_MS,
  PARTIAL_FRAMES_BYTES_MAX,
  PRESSURE_POLL_MS,
  SESSION_REQUEST_BYTES_MAX,
  SESSION_REQUESTS_MAX,
} from './limits.ts';
import type { Logger } from './log.ts';
import type { SessionContext } from './operation.ts';
import { OutputBuffer, type OutputChunkPool } from './output-buffer.ts';
import { correlationIdOf, operationOf } from './request-fields.ts';
import { errorCodeOf, messageOf } from './server-error.ts';

const STATUS_OK = 0;

/** Reasons not to read, as bits. */
const HOLD_OUTPUT = 1;
const HOLD_REQUESTS = 2;
const HOLD_BUSY = 4;

type SessionState = 'greeting' | 'open' | 'broken' | 'ending' | 'closed';

/** What the sessions of one listener share. */
export interface SessionServices {
  readonly dispatch: Dispatch;
  readonly pool: OutputChunkPool;
  readonly log: Logger;
  /** Error responses are encoded here. */
  readonly errorWriter: ByteWriter;
  /** Bytes held of unfinished frames, over all connections. */
  readonly partial: { bytes: number };
  readonly nowMicros: () => number;
  /** Monotonic. */
  readonly nowMs: () => number;
}

export class Session implements SessionContext {
  readonly id: number;
  readonly output: OutputBuffer;
  receivedAtMicros = 0;
  receivedAtMs = 0;
  readonly #socket: Socket;
  readonly #services: SessionServices;
  readonly #dispatch: Dispatch;
  readonly #decoder: FrameDecoder;
  readonly #flushLater: () => void;
  #state: SessionState = 'greeting';
  #holds = 0;
  #isPumping = false;
  #isFlushScheduled = false;
  /** The peer ended its side, or the node drains: end ours when nothing is in flight. */
  #isFinishing = false;
  #requests = 0;
  #requestBytes = 0;
  #partialBytes = 0;
  /** Bytes of the last frame reserved since the current handler began; taken back when it throws. */
  #reservedBytes = 0;
  #drainListeners: (() => void)[] = [];
  readonly #closeListeners: Set<() => void> = new Set();
  #timer: NodeJS.Timeout | undefined;

  constructor(id: number, socket: Socket, services: SessionServices) {
    this.id = id;
    this.#socket = socket;
    this.#services = services;
    this.#dispatch = services.dispatch;
    this.output = new OutputBuffer(services.pool);
    this.#decoder = new FrameDecoder(FRAME_BYTES_MAX, REQUEST_HEADER_BYTES);
    this.#flushLater = (): void => {
      this.#isFlushScheduled = false;
      this.#flush();
    };
  }

  /** Begins to read; `onClosed` is called once, when the connection is gone. */
  start(onClosed: (session: Session) => void): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#inputEnded());
    socket.on('drain', () => this.#drained());
    // 'close' follows; a peer that resets its connection is no news.
    socket.on('error', (error) =>
      this.#services.log.debug({ err: error, session: this.id }, 'connection error'),
    );
    socket.on('close', () => {
      this.#closed();
      onClosed(this);
    });
    socket.setTimeout(OUTPUT_STALL_TIMEOUT_MS, () => {
      // Node counts progress of a write as activity, so this is a reader that takes nothing.
      if (socket.writableLength > 0) this.#destroy('its output did not move');
    });
    this.#timer = setTimeout(() => this.#destroy('it did not greet in time'), HELLO_TIMEOUT_MS);
    this.#timer.unref();
  }

  get isOpen(): boolean {
    return this.#state !== 'ending' && this.#state !== 'closed';
  }

  get #takesRequests(): boolean {
    return this.#state === 'greeting' || this.#state === 'open';
  }

  get outputBytes(): number {
    return this.output.length + this.#socket.writableLength;
  }

  /** Requests that await their answer. */
  get requestsInFlight(): number {
    return this.#requests;
  }

  /** Ends the connection as soon as nothing is in flight. */
  finish(): void {
    this.#isFinishing = true;
    // In a pump, which ends with the same question, requests of the chunk may still be to come.
    if (!this.#isPumping) this.#endWhenIdle();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reserve(operation: number, correlationId: number, bodyBytes: number, flags: number): number {
    const frameBytes = RESPONSE_HEADER_BYTES + bodyBytes;
    const { output } = this;
    const offset = output.reserveAligned(frameBytes);
    this.#reservedBytes = frameBytes;
    writeResponseHeader(output.view, offset, frameBytes, operation, STATUS_OK, correlationId, flags);
    this.#scheduleFlush();
    return offset + RESPONSE_HEADER_BYTES;
  }

  send(frames: Uint8Array): void {
    if (!this.isOpen) return;
    const { output } = this;
    const offset = output.reserve(frames.byteLength);
    output.bytes.set(frames, offset);
    this.#scheduleFlush();
  }

  respondError(
    operation: number,
    correlationId: number,
    code: ErrorCodeName,
    message: string,
    retryAfterMs?: number,
  ): void {
    const writer = this.#services.errorWriter;
    writer.reset();
    encodeErrorResponse(writer, operation, correlationId, code, message, retryAfterMs ?? null);
    this.send(writer.bytes.subarray(0, writer.length));
  }

  acquire(bytes: number): void {
    this.#requests += 1;
    this.#requestBytes += bytes;
    if (this.#requests >= SESSION_REQUESTS_MAX || this.#requestBytes >= SESSION_REQUEST_BYTES_MAX) {
      this.#hold(HOLD_REQUESTS);
    }
  }

  release(bytes: number): void {
    this.#requests -= 1;
    this.#requestBytes -= bytes;
    assert(this.#requests >= 0 && this.#requestBytes >= 0, 'a request is released once');
    if (
      (this.#holds & HOLD_REQUESTS) !== 0 &&
      this.#requests <= SESSION_REQUESTS_MAX / 2 &&
      this.#requestBytes <= SESSION_REQUEST_BYTES_MAX / 2
    ) {
      this.#unhold(HOLD_REQUESTS);
    }
    if (this.#isFinishing && this.#requests === 0) queueMicrotask(() => this.#endWhenIdle());
  }

  holdWhile(isBusy: () => boolean): void {
    if ((this.#holds & HOLD_BUSY) !== 0) return;
    this.#hold(HOLD_BUSY);
    const poll = (): void => {
      if (this.#state === 'closed') return;
      if (isBusy()) setTimeout(poll, PRESSURE_POLL_MS);
      else this.#unhold(HOLD_BUSY);
    };
    setTimeout(poll, PRESSURE_POLL_MS);
  }

  onDrain(listener: () => void): void {
    if (this.#state === 'closed' || (this.output.length === 0 && !this.#socket.writableNeedDrain)) {
      queueMicrotask(listener);
    } else {
      this.#drainListeners.push(listener);
    }
  }

  onClose(listener: () => void): () => void {
    if (this.#state === 'closed') queueMicrotask(listener);
    else this.#closeListeners.add(listener);
    return () => {
      this.#closeListeners.delete(listener);
    };
  }

  #receive(chunk: Buffer): void {
    if (!this.#takesRequests) return;
    this.receivedAtMicros = this.#services.nowMicros();
    this.receivedAtMs = this.#services.nowMs();
    this.#decoder.push(chunk);
    this.#pump(0);
  }

  /** Handles whole frames until there is none, or a hold. Bound: one chunk of input, or one frame. */
  #pump(waitedMs: number): void {
    assert(!this.#isPumping, 'requests are handled one after the other');
    this.#isPumping = true;
    try {
      while (this.#holds === 0 && this.#takesRequests) {
        const frame = this.#decoder.next();
        if (frame === null) break;
        this.#handle(frame, waitedMs);
        if (this.output.length >= OUTPUT_HIGH_WATER_BYTES) this.#flush();
      }
      this.#checkPartial();
    } catch (error) {
      this.#fail(error, 0, 0);
    } finally {
      this.#isPumping = false;
    }
    this.#flush();
    if (this.#isFinishing) this.#endWhenIdle();
  }

  /** Counts what is held of an unfinished frame against the listener's budget; over it the connection is refused. */
  #checkPartial(): void {
    const bytes = this.#decoder.pendingBytes;
    const { partial } = this.#services;
    partial.bytes += bytes - this.#partialBytes;
    this.#partialBytes = bytes;
    if (this.#state === 'greeting' && bytes > HELLO_FRAME_BYTES_MAX) {
      throw new ProtocolError(
        'FRAME_TOO_LARGE',
        `a first request has at most ${HELLO_FRAME_BYTES_MAX} bytes`,
      );
    }
    if (partial.bytes > PARTIAL_FRAMES_BYTES_MAX) {
      throw new ProtocolError('OVERLOADED', 'unfinished requests of all connections take too much memory');
    }
  }

  #handle(frame: Frame, waitedMs: number): void {
    if (this.#state === 'greeting') {
      this.#greet(frame);
      return;
    }
    this.#reservedBytes = 0;
    try {
      this.#dispatch.handle(this, frame, waitedMs);
    } catch (error) {
      // The frame that the handler had begun would be sent half written.
      if (this.#reservedBytes > 0) this.output.cancel(this.#reservedBytes);
      this.#dispatch.answerThrown(this, frame, error);
    }
  }

  #greet(frame: Frame): void {
    try {
      this.#dispatch.greet(this, frame);
    } catch (error) {
      this.#fail(error, operationOf(frame), correlationIdOf(frame));
      return;
    }
    clearTimeout(this.#timer);
    this.#state = 'open';
  }

  /** Answers a fatal error, and ends the connection when nothing is in flight. What nobody expected is rethrown: it ends the process. */
  #fail(error: unknown, operation: number, correlationId: number): void {
    const code = errorCodeOf(error);
    if (code === undefined) throw error;
    this.#services.log.debug({ err: error, session: this.id }, 'connection refused');
    this.respondError(operation, correlationId, code, messageOf(error));
    this.#state = 'broken';
    this.#holds = 0;
    this.#socket.resume();
    this.finish();
  }

  #scheduleFlush(): void {
    if (this.#isPumping || this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    queueMicrotask(this.#flushLater);
  }

  #flush(): void {
    const { output } = this;
    if (output.length === 0) return;
    if (!this.isOpen) {
      output.discard();
      return;
    }
    output.flush(this.#socket);
    if (this.#takesRequests && this.#socket.writableLength >= OUTPUT_HIGH_WATER_BYTES)
      this.#hold(HOLD_OUTPUT);
  }

  #drained(): void {
    this.#unhold(HOLD_OUTPUT);
    const listeners = this.#drainListeners;
    this.#drainListeners = [];
    for (const listener of listeners) listener();
  }

  #hold(reason: number): void {
    if (this.#holds === 0) this.#socket.pause();
    this.#holds |= reason;
  }

  /** What was read before the hold is handled first; the socket is read again when that set no new hold. */
  #unhold(reason: number): void {
    if ((this.#holds & reason) === 0) return;
    this.#holds &= ~reason;
    // Not in the caller's turn: it may be in the middle of a handler, or of another session's answers.
    if (this.#holds === 0) setImmediate(() => this.#resume());
  }

  #resume(): void {
    if (this.#holds !== 0 || this.#state === 'closed') return;
    if (this.#takesRequests) this.#pump(Math.floor(this.#services.nowMs() - this.receivedAtMs));
    if (this.#holds === 0) this.#socket.resume();
  }

  #inputEnded(): void {
    if (this.#takesRequests && this.#decoder.pendingBytes > 0) {
      this.respondError(0, 0, 'MALFORMED_FRAME', 'the connection ended inside a frame');
    }
    this.finish();
    if (this.isOpen) this.#watchHalfOpen(this.#socket.bytesWritten);
  }

  /** A peer that ended its side may want its answers, or may be gone: it is gone when nothing moved for so long. */
  #watchHalfOpen(bytesWritten: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#socket.bytesWritten === bytesWritten) this.#destroy('its peer has gone');
      else this.#watchHalfOpen(this.#socket.bytesWritten);
    }, HALF_OPEN_TIMEOUT_MS);
    this.#timer.unref();
  }

  #endWhenIdle(): void {
    if (this.#requests === 0 && this.#holds === 0 && this.isOpen) this.#end();
  }

  /** Sends what is there and ends our side; the peer has CLOSE_LINGER_MS to end its own. */
  #end(): void {
    this.#flush();
    this.#state = 'ending';
    this.#socket.end();
    // Held or not, input is read on, and thrown away.
    this.#socket.resume();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.destroy(), CLOSE_LINGER_MS);
    this.#timer.unref();
  }

  #destroy(reason: string): void {
    this.#services.log.debug({ session: this.id, reason }, 'connection closed');
    this.#socket.destroy();
  }

  #closed(): void {
    clearTimeout(this.#timer);
    this.#services.partial.bytes -= this.#partialBytes;
    this.#partialBytes = 0;
    this.#state = 'closed';
    for (const listener of this.#closeListeners) listener();
    this.#closeListeners.clear();
    this.#drained();
  }
}
