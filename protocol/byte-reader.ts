/**
 * ByteReader: a cursor over bytes that came from outside. Every step checks its bounds first and throws
 * MALFORMED_REQUEST, so a decoder that only moves through a reader can neither run past the frame nor allocate for
 * a length that the frame does not hold.
 */

import { readInt64, readUint64 } from './int64.ts';
import { ProtocolError } from './protocol-error.ts';

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the frame began: alignment counts from here. */
  readonly start: number;
  readonly end: number;
  offset: number;

  constructor(
    bytes: Uint8Array,
    offset: number = 0,
    end: number = bytes.length,
    view: DataView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    start: number = offset,
  ) {
    this.bytes = bytes;
    this.view = view;
    this.start = start;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  /** Checks that `count` bytes are there, moves past them and returns where they begin. */
  take(count: number): number {
    const offset = this.offset;
    if (count > this.end - offset) this.#refuse(count);
    this.offset = offset + count;
    return offset;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** An i64 that must be a safe integer. */
  i64(): number {
    return this.#safe(readInt64(this.view, this.take(8)));
  }

  /** A u64 that must be a safe integer. */
  u64(): number {
    return this.#safe(readUint64(this.view, this.take(8)));
  }

  f32(): number {
    return this.view.getFloat32(this.take(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    const offset = this.take(count);
    return this.bytes.subarray(offset, offset + count);
  }

  /** Moves to the next multiple of 8 from the start; the bytes between must be zero. */
  align8(): void {
    const pad = -(this.offset - this.start) & 7;
    if (pad === 0) return;
    const offset = this.take(pad);
    for (let index = 0; index < pad; index++) {
      if (this.bytes[offset + index] !== 0) {
        throw new ProtocolError(
          'MALFORMED_REQUEST',
          `padding at byte ${offset - this.start + index} is not zero`,
        );
      }
    }
  }

  expectEnd(): void {
    if (this.offset !== this.end) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `${this.end - this.offset} bytes follow the end of the message at byte ${this.offset - this.start}`,
      );
    }
  }

  #safe(value: number): number {
    if (Number.isNaN(value)) {
      throw new ProtocolError(
        'MALFORMED_REQUEST',
        `the 64-bit integer before byte ${this.offset - this.start} is outside ±(2^53 − 1)`,
      );
    }
    return value;
  }

  #refuse(count: number): never {
    throw new ProtocolError(
      'MALFORMED_REQUEST',
      `message ends early: ${count} bytes needed at byte ${this.offset - this.start}, ${this.remaining} there`,
    );
  }
}
