/**
 * A connection's output: responses are written straight into it, and one turn's responses leave in one write.
 *
 *   chunk 256 KiB   | frame | frame | error |pad| frame |      free      |
 *                   '-------- segment ------'   '-segm.-'
 *
 * I1  Bytes handed to the socket are not written again before the kernel has taken them.
 * I2  A frame lies in one chunk; a reserved frame starts 8-aligned, so rows and matrices are copied by words. Frames
 *     are contiguous on the wire: where alignment leaves a gap, a segment ends, and the gap is never sent.
 * I3  `length` counts the bytes reserved since the last flush, `waitingBytes` those flushed that the socket has not been given.
 * I4  The socket is given at most OUTPUT_PORTION_BYTES at once. What is more waits, in order, for `proceed`, which is to be called in
 *     a later turn when the socket has emptied: a portion after which more waits is followed by the socket's 'drain'.
 *
 * Chunks come from a pool of the thread and go back as soon as the kernel has their bytes: mostly at once, because the
 * socket tries to write synchronously. A frame larger than a chunk gets a buffer of its own.
 *
 * Left to others: what is in a frame (session.ts), when to stop reading from a slow peer (session.ts).
 */
import { strict as assert } from 'node:assert';
import type { Socket } from 'node:net';
import { OUTPUT_CHUNK_BYTES, OUTPUT_CHUNKS_SPARE_MAX, OUTPUT_PORTION_BYTES } from './limits.ts';

export class OutputChunk {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly words: Uint32Array;

  constructor(byteLength: number) {
    const buffer = new ArrayBuffer(byteLength);
    this.bytes = Buffer.from(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
  }
}

/** The spare chunks of one thread, last in first out, so that the one in the CPU's cache is used next. */
export class OutputChunkPool {
  readonly #spare: OutputChunk[] = [];

  acquire(byteLength: number): OutputChunk {
    if (byteLength > OUTPUT_CHUNK_BYTES) return new OutputChunk((byteLength + 7) & ~7);
    return this.#spare.pop() ?? new OutputChunk(OUTPUT_CHUNK_BYTES);
  }

  release(chunk: OutputChunk): void {
    if (chunk.bytes.byteLength !== OUTPUT_CHUNK_BYTES) return;
    if (this.#spare.length < OUTPUT_CHUNKS_SPARE_MAX) this.#spare.push(chunk);
  }
}

/** Bytes that somebody else has written, and the chunk that they lie in and that nobody else uses, if any. */
export interface OutputPiece {
  readonly bytes: Uint8Array;
  readonly chunk: OutputChunk | null;
}

interface Segment {
  readonly bytes: Uint8Array;
  /** Moves on as portions leave. */
  start: number;
  readonly end: number;
  /** The chunk whose last segment this is: it is free once it is written. */
  readonly chunk: OutputChunk | null;
}

interface ChunkInFlight {
  readonly chunk: OutputChunk;
  /** The number of the write that carries its last bytes. */
  readonly write: number;
}

const NO_CHUNK: OutputChunk = new OutputChunk(0);

export class OutputBuffer {
  /** Reserved since the last flush. */
  length = 0;
  waitingBytes = 0;
  readonly #pool: OutputChunkPool;
  readonly #onWritten: (error?: Error | null) => void;
  #chunk: OutputChunk = NO_CHUNK;
  #start = 0;
  #end = 0;
  /** Segments before the open one: mostly none. */
  #closed: Segment[] = [];
  /** Segments flushed and not given to the socket, and how many of the first are done. */
  #waiting: Segment[] = [];
  #waitingDone = 0;
  #inFlight: ChunkInFlight[] = [];
  #writesIssued = 0;
  #writesDone = 0;

  constructor(pool: OutputChunkPool) {
    this.#pool = pool;
    this.#onWritten = (error?: Error | null): void => this.#written(error);
  }

  get bytes(): Uint8Array {
    return this.#chunk.bytes;
  }

  get view(): DataView {
    return this.#chunk.view;
  }

  get words(): Uint32Array {
    return this.#chunk.words;
  }

  /** The offset in `bytes` of `byteLength` bytes that start 8-aligned. */
  reserveAligned(byteLength: number): number {
    if ((this.#end & 7) !== 0) this.#skipToAligned();
    return this.reserve(byteLength);
  }

  /** The offset in `bytes` of the next `byteLength` bytes. */
  reserve(byteLength: number): number {
    if (this.#end + byteLength > this.#chunk.bytes.byteLength) this.#rotate(byteLength);
    const offset = this.#end;
    this.#end = offset + byteLength;
    this.length += byteLength;
    return offset;
  }

  /**
   * Puts bytes that somebody else has written behind what was reserved, without a copy. They are not written again; their chunk is
   * free when they have left.
   */
  adopt(bytes: Uint8Array, chunk: OutputChunk | null): void {
    if (this.#chunk !== NO_CHUNK) this.#closeSegment(false);
    this.#start = this.#end;
    this.#closed.push({ bytes, start: 0, end: bytes.byteLength, chunk });
    this.length += bytes.byteLength;
  }

  /** Takes back the last `byteLength` bytes reserved, all of them from one `reserve`. */
  cancel(byteLength: number): void {
    assert(this.#end - byteLength >= this.#start);
    this.#end -= byteLength;
    this.length -= byteLength;
  }

  /** Hands everything reserved to the socket: one write, or one gathered write when there are several segments. What is much waits. */
  flush(socket: Socket): void {
    const { length } = this;
    if (length === 0) return;
    this.length = 0;
    if (this.#closed.length > 0 || this.waitingBytes > 0 || length > OUTPUT_PORTION_BYTES) {
      this.#flushSegments(socket, length);
      return;
    }
    const chunk = this.#chunk;
    const { bytes } = chunk;
    const isWhole = this.#start === 0 && this.#end === bytes.byteLength;
    this.#write(socket, isWhole ? bytes : bytes.subarray(this.#start, this.#end));
    this.#finishChunk(socket, chunk);
    this.#open(NO_CHUNK);
  }

  /** Forgets everything reserved: the connection is gone. */
  discard(): void {
    this.length = 0;
    this.#closed = [];
    this.#forgetWaiting();
    if (this.#chunk !== NO_CHUNK) this.#pool.release(this.#chunk);
    this.#open(NO_CHUNK);
  }

  /** Gives the socket the next portion of what waits. */
  proceed(socket: Socket): void {
    this.#give(socket, OUTPUT_PORTION_BYTES);
  }

  /** Gives the socket all that waits, however much: the connection ends. */
  finish(socket: Socket): void {
    this.#give(socket, this.waitingBytes);
  }

  #flushSegments(socket: Socket, length: number): void {
    this.#closeSegment(true);
    const isFirst = this.waitingBytes === 0;
    for (const segment of this.#closed) this.#waiting.push(segment);
    this.waitingBytes += length;
    this.#closed = [];
    this.#open(NO_CHUNK);
    // Else the portion before is still with the socket.
    if (isFirst) this.proceed(socket);
  }

  #give(socket: Socket, byteCount: number): void {
    let left = Math.min(byteCount, this.waitingBytes);
    this.waitingBytes -= left;
    socket.cork();
    for (;;) {
      const segment = this.#waiting[this.#waitingDone];
      if (segment === undefined) break;
      const count = Math.min(left, segment.end - segment.start);
      if (count > 0) this.#write(socket, segment.bytes.subarray(segment.start, segment.start + count));
      segment.start += count;
      left -= count;
      if (segment.start < segment.end) break;
      this.#waitingDone += 1;
      if (segment.chunk !== null) this.#inFlight.push({ chunk: segment.chunk, write: this.#writesIssued });
    }
    socket.uncork();
    if (this.#waitingDone === this.#waiting.length) this.#forgetWaiting();
  }

  #forgetWaiting(): void {
    this.#waiting = [];
    this.#waitingDone = 0;
    this.waitingBytes = 0;
  }

  #write(socket: Socket, bytes: Uint8Array): void {
    this.#writesIssued += 1;
    socket.write(bytes, this.#onWritten);
  }

  #finishChunk(socket: Socket, chunk: OutputChunk): void {
    // writableLength is what the kernel has not taken: 0 means that the synchronous attempt took it all.
    if (socket.writableLength === 0 && !socket.destroyed) this.#pool.release(chunk);
    else this.#inFlight.push({ chunk, write: this.#writesIssued });
  }

  /** Called once a write, in their order. After an error the socket may still hold the bytes: they are not reused. */
  #written(error?: Error | null): void {
    this.#writesDone += 1;
    if (error) {
      this.#inFlight = [];
      return;
    }
    while (this.#inFlight.length > 0 && this.#inFlight[0]!.write <= this.#writesDone) {
      this.#pool.release(this.#inFlight.shift()!.chunk);
    }
  }

  #rotate(byteLength: number): void {
    if (this.#chunk !== NO_CHUNK) this.#closeSegment(true);
    this.#open(this.#pool.acquire(byteLength));
  }

  #skipToAligned(): void {
    this.#closeSegment(false);
    this.#start = (this.#end + 7) & ~7;
    this.#end = this.#start;
  }

  #closeSegment(isLast: boolean): void {
    const chunk = this.#chunk;
    const segment = { bytes: chunk.bytes, start: this.#start, end: this.#end, chunk: isLast ? chunk : null };
    this.#closed.push(segment);
  }

  #open(chunk: OutputChunk): void {
    this.#chunk = chunk;
    this.#start = 0;
    this.#end = 0;
  }
}
