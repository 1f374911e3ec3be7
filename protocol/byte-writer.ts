/**
 * ByteWriter: a growing buffer that all encoders append to.
 *
 * I1  Bytes in [0, length) are written; what `reserve` gives is zero until the caller writes it, also after `reset`.
 * I2  `bytes` and `view` are replaced when the buffer grows: read them again after every call that may append.
 * I3  `finish` hands the buffer over and the writer forgets it, so a frame given to a socket is never overwritten.
 *     A caller that copies the bytes out, or waits for the socket, uses `bytes`, `length` and `reset` instead.
 *
 * Growth doubles, up to maxBytes; beyond it the append is refused (FRAME_TOO_LARGE) and nothing changes.
 */

import { writeInt64 } from './int64.ts';
import { ProtocolError } from './protocol-error.ts';

const INITIAL_BYTES = 1024;
/** The largest buffer a writer grows to when its owner names no bound: 1 GiB, a put of 65,536 large rows. */
const WRITER_BYTES_MAX = 1024 * 1024 * 1024;

const NO_BYTES: Uint8Array = Buffer.alloc(0);
const NO_VIEW: DataView = new DataView(new ArrayBuffer(0));

export class ByteWriter {
  bytes: Uint8Array = NO_BYTES;
  view: DataView = NO_VIEW;
  length = 0;
  readonly maxBytes: number;
  #initialBytes: number;
  /** Bytes at and above this were never written since the buffer was allocated, so they are still zero. */
  #dirtyEnd = 0;

  constructor(initialBytes: number = INITIAL_BYTES, maxBytes: number = WRITER_BYTES_MAX) {
    this.maxBytes = maxBytes;
    this.#initialBytes = Math.max(8, Math.min(initialBytes, maxBytes));
  }

  /** Appends `count` zero bytes and returns the offset of the first. */
  reserve(count: number): number {
    const offset = this.length;
    const end = offset + count;
    if (end > this.bytes.length) this.#grow(end);
    if (offset < this.#dirtyEnd) this.bytes.fill(0, offset, Math.min(end, this.#dirtyEnd));
    this.length = end;
    return offset;
  }

  /** Appends `count` bytes of unspecified content, which the caller overwrites all, and returns the first's offset. */
  reserveUnzeroed(count: number): number {
    const offset = this.length;
    const end = offset + count;
    if (end > this.bytes.length) this.#grow(end);
    this.length = end;
    return offset;
  }

  u8(value: number): void {
    // The buffer may be another after reserving, so its view is taken then.
    const offset = this.reserveUnzeroed(1);
    this.view.setUint8(offset, value);
  }

  u16(value: number): void {
    const offset = this.reserveUnzeroed(2);
    this.view.setUint16(offset, value, true);
  }

  u32(value: number): void {
    const offset = this.reserveUnzeroed(4);
    this.view.setUint32(offset, value, true);
  }

  /** A safe integer as i64. */
  i64(value: number): void {
    const offset = this.reserveUnzeroed(8);
    writeInt64(this.view, offset, value);
  }

  /** A safe integer that is not negative, as u64. */
  u64(value: number): void {
    this.i64(value);
  }

  f32(value: number): void {
    const offset = this.reserveUnzeroed(4);
    this.view.setFloat32(offset, value, true);
  }

  f64(value: number): void {
    const offset = this.reserveUnzeroed(8);
    this.view.setFloat64(offset, value, true);
  }

  raw(source: Uint8Array): void {
    const offset = this.reserveUnzeroed(source.length);
    this.bytes.set(source, offset);
  }

  /** Appends source[from, to). */
  rawRange(source: Uint8Array, from: number, to: number): void {
    const count = to - from;
    const offset = this.reserveUnzeroed(count);
    copyBytes(source, from, this.bytes, offset, count);
  }

  /** Appends zeros until the length is a multiple of 8, counted from `start` (where a frame or row begins). */
  align8(start: number = 0): void {
    const pad = -(this.length - start) & 7;
    if (pad !== 0) this.reserve(pad);
  }

  /** Takes back everything from `length` on. */
  truncate(length: number): void {
    if (this.length > this.#dirtyEnd) this.#dirtyEnd = this.length;
    this.length = length;
  }

  /** Empties the writer and keeps its buffer. */
  reset(): void {
    this.truncate(0);
  }

  /** The bytes written, handed over: the writer is empty afterwards and will use another buffer. */
  finish(): Uint8Array {
    const written = this.bytes.subarray(0, this.length);
    this.bytes = NO_BYTES;
    this.view = NO_VIEW;
    this.length = 0;
    this.#dirtyEnd = 0;
    return written;
  }

  #grow(needed: number): void {
    if (needed > this.maxBytes) {
      throw new ProtocolError(
        'FRAME_TOO_LARGE',
        `writing needs ${needed} bytes in one buffer; at most ${this.maxBytes} are allowed here`,
      );
    }
    const doubled = Math.max(this.#initialBytes, this.bytes.length * 2);
    // alloc gives zero pages straight from the system for large sizes: I1 costs nothing here.
    const grown = Buffer.alloc(Math.min(this.maxBytes, Math.max(needed, doubled)));
    grown.set(this.length === this.bytes.length ? this.bytes : this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer, grown.byteOffset, grown.byteLength);
    this.#dirtyEnd = 0;
  }
}

/** Below this a loop beats the call into the runtime that `set` is, and the `subarray` it needs. */
const LOOP_BYTES_MAX = 64;

/** Copies `count` bytes between two buffers. */
export function copyBytes(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  count: number,
): void {
  if (count <= LOOP_BYTES_MAX) {
    for (let index = 0; index < count; index++) target[to + index] = source[from + index]!;
  } else {
    target.set(source.subarray(from, from + count), to);
  }
}

/** A copy of bytes[from, to) as a plain Uint8Array: `slice` of a Buffer would give a Buffer, over shared memory. */
export function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.subarray(from, to));
}
