/**
 * What a request handler is, and what a session lends it.
 *
 * One operation is one number on the wire and one function. A listener is handed a table of operations, so shard
 * threads and scan threads share sessions, framing, limits and errors and differ only in that table.
 *
 * I1  `handle` runs on the session's event loop, for one whole and well-framed request. It answers in the same turn
 *     (reads of what is in memory), or later by the correlation id that it read from the frame.
 * I2  The frame's bytes are the session's: they may be read only until `handle` returns.
 * I3  A handler that refuses throws a `ProtocolError` (or a storage error); the dispatch answers it. Anything else
 *     that is thrown is our own fault and is answered INTERNAL.
 * I4  A handler that answers in a later turn calls `acquire` before it returns and `release` once, whatever happens,
 *     so that the session's bounds on requests and bytes in flight hold, and a draining node waits for it.
 * I5  `reserve` gives bytes that hold anything: the handler writes every one of them before it returns or reserves
 *     again.
 *
 * Left to others: framing and bounds (session.ts), the choice of a handler (dispatch.ts), the handlers (operations/).
 */
import type { ErrorCodeName, Frame } from '../protocol/index.ts';
import type { OutputChunkPool, OutputPiece } from './output-buffer.ts';

/** The response being written: `reserve` may replace all three, so read them after it. */
export interface ResponseBytes {
  /** Starts on an 8-byte boundary of its ArrayBuffer. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same bytes as 32-bit words; every reserved body begins on an 8-byte boundary, so word copies are legal. */
  readonly words: Uint32Array;
}

export interface SessionContext {
  /** Unique within the listener. */
  readonly id: number;
  /** False once the connection is gone: responses are then dropped, `onClose` listeners have been called. */
  readonly isOpen: boolean;
  readonly output: ResponseBytes;
  /** Wall clock at the receipt of the bytes being handled, µs since the epoch; read once for a chunk of requests. */
  readonly receivedAtMicros: number;
  /** Monotonic clock at the same moment, in ms: deadlines count from here. */
  readonly receivedAtMs: number;
  /** Bytes answered that the kernel has not taken yet. */
  readonly outputBytes: number;

  /**
   * Starts an OK response frame with a body of exactly `bodyBytes`, writes its header, and answers the body's offset in
   * `output.bytes` (a multiple of 8). `flags` are the response header's (bit 0: more frames follow).
   */
  reserve(operation: number, correlationId: number, bodyBytes: number, flags: number): number;
  /** Sends whole response frames, as an encoder of the protocol wrote them; the bytes are copied. */
  send(frames: Uint8Array): void;
  /** Sends one whole response frame, in pieces, without a copy: they and their chunks belong to the connection now. */
  adopt(pieces: readonly OutputPiece[]): void;
  /** Where the chunks of pieces come from, and go back to when they were sent. */
  readonly chunks: OutputChunkPool;
  /** `flags` are 0: an error ends its request. */
  respondError(
    operation: number,
    correlationId: number,
    code: ErrorCodeName,
    message: string,
    retryAfterMs?: number,
  ): void;

  /** Counts a request answered in a later turn, and the bytes that it keeps in memory, against the session's bounds. */
  acquire(bytes: number): void;
  release(bytes: number): void;

  /**
   * Handles no further request of this connection while `isBusy` says so; it is asked again every few milliseconds.
   * For a store under pressure: the sender then waits in its own socket.
   */
  holdWhile(isBusy: () => boolean): void;
  /** Calls `listener` once, when the kernel has taken enough output to write more (or the connection is gone). */
  onDrain(listener: () => void): void;
  /** Calls `listener` once, when the connection is gone; the answer unsubscribes. */
  onClose(listener: () => void): () => void;
}

export interface Operation {
  /** The operation's number on the wire. */
  readonly number: number;
  /** It goes on with a request in flight (credits, a cancellation), so a draining node takes it too. */
  readonly isContinuation?: boolean;
  handle(context: SessionContext, frame: Frame): void;
  /**
   * Called when the requests of a chunk of input have been handled, before their answers leave: a handler that gathers
   * neighbouring requests answers them here at the latest.
   */
  finishChunk?(context: SessionContext): void;
}
