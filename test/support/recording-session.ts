/** A session that keeps the frames it is given, for handlers tested without a socket. */
import {
  ByteWriter,
  type ErrorCodeName,
  encodeErrorResponse,
  type Frame,
  RESPONSE_HEADER_BYTES,
  writeResponseHeader,
} from '../../protocol/index.ts';
import type { ResponseBytes, SessionContext } from '../../server/operation.ts';
import { OutputChunkPool, type OutputPiece } from '../../server/output-buffer.ts';

export interface RecordedFrame {
  readonly frame: Frame;
  readonly status: number;
  readonly correlationId: number;
  readonly flags: number;
}

export class RecordingSession implements SessionContext {
  readonly id: number;
  isOpen = true;
  output: ResponseBytes = responseBytes(0);
  readonly receivedAtMicros = 0;
  readonly receivedAtMs = 0;
  /** Set by the test: what the kernel has not taken. */
  outputBytes = 0;
  requestsInFlight = 0;
  readonly chunks: OutputChunkPool = new OutputChunkPool();
  readonly #frames: Uint8Array[] = [];
  #drainListeners: (() => void)[] = [];
  readonly #closeListeners: Set<() => void> = new Set();

  constructor(id: number) {
    this.id = id;
  }

  reserve(operation: number, correlationId: number, bodyBytes: number, flags: number): number {
    const frameBytes = RESPONSE_HEADER_BYTES + bodyBytes;
    // Filled with rubbish, as reused output is: whoever reserves writes every byte.
    this.output = responseBytes(frameBytes);
    this.output.bytes.fill(0xee);
    writeResponseHeader(this.output.view, 0, frameBytes, operation, 0, correlationId, flags);
    this.#frames.push(this.output.bytes);
    return RESPONSE_HEADER_BYTES;
  }

  send(frames: Uint8Array): void {
    this.#frames.push(frames.slice());
  }

  adopt(pieces: readonly OutputPiece[]): void {
    this.#frames.push(Buffer.concat(pieces.map(({ bytes }) => bytes)));
    for (const { chunk } of pieces) {
      chunk?.bytes.fill(0xee);
      if (chunk !== null) this.chunks.release(chunk);
    }
  }

  respondError(operation: number, correlationId: number, code: ErrorCodeName, message: string): void {
    const writer = new ByteWriter();
    encodeErrorResponse(writer, operation, correlationId, code, message);
    this.#frames.push(writer.finish());
  }

  acquire(): void {
    this.requestsInFlight += 1;
  }

  release(): void {
    this.requestsInFlight -= 1;
  }

  holdWhile(): void {}

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  onClose(listener: () => void): () => void {
    this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  drain(): void {
    this.outputBytes = 0;
    for (const listener of this.#drainListeners.splice(0)) listener();
  }

  close(): void {
    this.isOpen = false;
    for (const listener of [...this.#closeListeners]) listener();
  }

  /** The frames since the last call. */
  taken(): RecordedFrame[] {
    return this.#frames.splice(0).map((bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return {
        frame: { bytes, view, offset: 0, end: bytes.length },
        status: view.getUint16(6, true),
        correlationId: view.getUint32(8, true),
        flags: view.getUint16(12, true),
      };
    });
  }
}

function responseBytes(byteLength: number): ResponseBytes {
  const bytes = new Uint8Array((byteLength + 7) & ~7);
  return {
    bytes: bytes.subarray(0, byteLength),
    view: new DataView(bytes.buffer),
    words: new Uint32Array(bytes.buffer),
  };
}
