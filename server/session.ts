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
 * Left to others: what a request means (dispatch.ts, operations/), memory of input and output (session-input.ts,
 * output-buffer.ts), who may connect (listener.ts).
 */
import { strict as assert } from 'node:assert';
import type { Socket } from 'node:net';
import {
  type ByteWriter,
  type ErrorCodeName,
  encodeErrorResponse,
  type Frame,
  RESPONSE_HEADER_BYTES,
  writeResponseHeader,
} from '../protocol/index.ts';
import type { Dispatch } from './dispatch.ts';
import { InFlight } from './in-flight.ts';
import {
  CLOSE_LINGER_MS,
  HALF_OPEN_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  OUTPUT_HIGH_WATER_BYTES,
  OUTPUT_STALL_TIMEOUT_MS,
  PRESSURE_POLL_MS,
} from './limits.ts';
import type { Logger } from './log.ts';
import type { SessionContext } from './operation.ts';
import { OutputBuffer, type OutputChunkPool, type OutputPiece } from './output-buffer.ts';
import { correlationIdOf, operationOf } from './request-fields.ts';
import { errorCodeOf, messageOf } from './server-error.ts';
import { type PartialFramesBudget, SessionInput } from './session-input.ts';
import { readInto } from './socket-reader.ts';

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
  /** All connections are read into it (socket-reader.ts). */
  readonly readBuffer: Uint8Array;
  readonly log: Logger;
  /** Error responses are encoded here. */
  readonly errorWriter: ByteWriter;
  readonly partialFrames: PartialFramesBudget;
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
  readonly #input: SessionInput;
  readonly #inFlight: InFlight = new InFlight();
  readonly #flushLater: () => void;
  readonly #proceed: () => void;
  #state: SessionState = 'greeting';
  #holds = 0;
  #isPumping = false;
  #isFlushScheduled = false;
  /** The peer ended its side, or the node drains: end ours when nothing is in flight. */
  #isFinishing = false;
  /** Bytes of the last frame reserved since the current handler began; taken back when it throws. */
  #reservedBytes = 0;
  #drainListeners: (() => void)[] = [];
  readonly #closeListeners: Set<() => void> = new Set();
  #timer: NodeJS.Timeout | undefined;

  /** `accepted` is paused. */
  constructor(id: number, accepted: Socket, services: SessionServices) {
    this.id = id;
    this.#services = services;
    this.#dispatch = services.dispatch;
    this.#input = new SessionInput(services.partialFrames);
    this.output = new OutputBuffer(services.pool);
    this.#socket = readInto(accepted, services.readBuffer, (bytes) => this.#receive(bytes));
    this.#flushLater = (): void => {
      this.#isFlushScheduled = false;
      this.#flush();
    };
    this.#proceed = (): void => {
      // The connection may have ended meanwhile.
      if (this.output.waitingBytes === 0) return;
      this.#socket.setTimeout(OUTPUT_STALL_TIMEOUT_MS);
      this.output.proceed(this.#socket);
      // A last portion below the socket's own high-water mark is followed by no 'drain'.
      if (!this.#socket.writableNeedDrain) this.#drained();
    };
  }

  /** Begins to read; `onClosed` is called once, when the connection is gone. */
  start(onClosed: (session: Session) => void): void {
    const socket = this.#socket;
    socket.on('end', () => this.#inputEnded());
    socket.on('drain', () => this.#drained());
    // 'close' follows; a peer that resets its connection is no news.
    socket.on('error', (error) =>
      this.#services.log.debug({ err: error, session: this.id }, 'connection error'),
    );
    socket.on('timeout', () => this.#outputTimedOut());
    socket.on('close', () => {
      this.#closed();
      onClosed(this);
    });
    this.#after(HELLO_TIMEOUT_MS, () => this.#destroy('it did not greet in time'));
    socket.resume();
  }

  get isOpen(): boolean {
    return this.#state !== 'ending' && this.#state !== 'closed';
  }

  get outputBytes(): number {
    return this.output.length + this.output.waitingBytes + this.#socket.writableLength;
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

  get chunks(): OutputChunkPool {
    return this.#services.pool;
  }

  adopt(pieces: readonly OutputPiece[]): void {
    if (!this.isOpen) return;
    for (const { bytes, chunk } of pieces) this.output.adopt(bytes, chunk);
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
    this.#inFlight.acquire(bytes);
    if (this.#inFlight.isFull) this.#hold(HOLD_REQUESTS);
  }

  release(bytes: number): void {
    this.#inFlight.release(bytes);
    if (this.#inFlight.hasRoom) this.#unhold(HOLD_REQUESTS);
    if (this.#isFinishing && this.#inFlight.requests === 0) queueMicrotask(() => this.#endWhenIdle());
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
    if (
      this.#state === 'closed' ||
      (this.output.length + this.output.waitingBytes === 0 && !this.#socket.writableNeedDrain)
    ) {
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

  get #takesRequests(): boolean {
    return this.#state === 'greeting' || this.#state === 'open';
  }

  #receive(chunk: Uint8Array): void {
    if (!this.#takesRequests) return;
    this.receivedAtMicros = this.#services.nowMicros();
    this.receivedAtMs = this.#services.nowMs();
    this.#input.push(chunk);
    this.#pump(0);
    if (this.#holds !== 0) this.#input.keep();
  }

  /** Handles whole frames until there is none, or a hold. Bound: one chunk of input, or one frame. */
  #pump(waitedMs: number): void {
    assert(!this.#isPumping, 'requests are handled one after the other');
    this.#isPumping = true;
    try {
      while (this.#holds === 0 && this.#takesRequests) {
        const frame = this.#input.next();
        if (frame === null) break;
        this.#handle(frame, waitedMs);
        if (this.output.length >= OUTPUT_HIGH_WATER_BYTES) this.#flush();
      }
      this.#input.checkBudget(this.#state === 'greeting');
    } catch (error) {
      this.#fail(error, 0, 0);
    }
    this.#dispatch.finishChunk(this);
    this.#isPumping = false;
    this.#flush();
    if (this.#isFinishing) this.#endWhenIdle();
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

  /** Answers a fatal error, and ends the connection when nothing is in flight; rethrows what nobody expected. */
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
    const socket = this.#socket;
    output.flush(socket);
    const waiting = output.waitingBytes + socket.writableLength;
    if (waiting === 0) return;
    // Only now, since an armed timer costs something for every read and write.
    socket.setTimeout(OUTPUT_STALL_TIMEOUT_MS);
    if (this.#takesRequests && waiting >= OUTPUT_HIGH_WATER_BYTES) this.#hold(HOLD_OUTPUT);
  }

  #drained(): void {
    if (this.output.waitingBytes > 0) {
      setImmediate(this.#proceed);
      return;
    }
    this.#socket.setTimeout(0);
    this.#unhold(HOLD_OUTPUT);
    const listeners = this.#drainListeners;
    this.#drainListeners = [];
    for (const listener of listeners) listener();
  }

  /** Node counts progress of a write as activity: with output waiting, this is a reader that takes nothing. */
  #outputTimedOut(): void {
    if (this.#socket.writableLength > 0) this.#destroy('its output did not move');
    else this.#socket.setTimeout(0);
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
    if (this.#takesRequests && this.#input.pendingBytes > 0) {
      this.respondError(0, 0, 'MALFORMED_FRAME', 'the connection ended inside a frame');
    }
    this.finish();
    if (this.isOpen) this.#watchHalfOpen(this.#socket.bytesWritten);
  }

  /** A peer that ended its side may want its answers, or may be gone: it is gone when nothing moved for so long. */
  #watchHalfOpen(bytesWritten: number): void {
    this.#after(HALF_OPEN_TIMEOUT_MS, () => {
      if (this.#socket.bytesWritten === bytesWritten) this.#destroy('its peer has gone');
      else this.#watchHalfOpen(this.#socket.bytesWritten);
    });
  }

  #endWhenIdle(): void {
    if (this.#inFlight.requests === 0 && this.#holds === 0 && this.isOpen) this.#end();
  }

  /** Sends what is there and ends our side; then the peer has CLOSE_LINGER_MS to end its own. */
  #end(): void {
    this.#flush();
    this.output.finish(this.#socket);
    this.#state = 'ending';
    clearTimeout(this.#timer);
    this.#socket.end(() => this.#after(CLOSE_LINGER_MS, () => this.#socket.destroy()));
    // Input is read on, and thrown away.
    this.#socket.resume();
  }

  #destroy(reason: string): void {
    this.#services.log.debug({ session: this.id, reason }, 'connection closed');
    this.#socket.destroy();
  }

  #closed(): void {
    clearTimeout(this.#timer);
    this.#state = 'closed';
    this.#input.close();
    this.output.discard();
    for (const listener of this.#closeListeners) listener();
    this.#closeListeners.clear();
    this.#drained();
  }

  /** A session has one timer: each of its states waits for one thing. */
  #after(delayMs: number, run: () => void): void {
    clearTimeout(this.#timer);
    if (this.#state === 'closed') return;
    this.#timer = setTimeout(run, delayMs);
    this.#timer.unref();
  }
}
