/**
 * FrameDecoder: cuts a stream of chunks into frames.
 *
 *   push(chunk), then next() until it gives null; again with the next chunk.
 *
 * I1  A length is checked against [minFrameBytes, maxFrameBytes] and the version byte against this build's range
 *     before anything is allocated; a stream that breaks them throws and stays broken: the connection must end.
 * I2  A frame inside one chunk is given in place. One that spans chunks is assembled once, into a buffer of exactly
 *     its size; no byte is copied twice.
 * I3  When next() has given null the decoder keeps no reference to the chunk: its memory may be used again.
 * I4  There is one Frame object: what next() gave is valid until the following next() or push(). The memory under it
 *     stays as long as the chunk's does.
 */

import { ProtocolError } from './protocol-error.ts';
import { PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from './version.ts';

/** The bytes that a frame's length and version need: what is waited for before anything is decided. */
const PREFIX_BYTES = 5;

const NO_BYTES: Uint8Array = Buffer.alloc(0);
const NO_VIEW: DataView = new DataView(new ArrayBuffer(0));

export interface Frame {
  bytes: Uint8Array;
  /** Over all of `bytes`. */
  view: DataView;
  /** Where the frame begins in `bytes`. */
  offset: number;
  /** Where it ends. */
  end: number;
}

export class FrameDecoder {
  readonly #maxFrameBytes: number;
  readonly #minFrameBytes: number;
  readonly #frame: Frame = { bytes: NO_BYTES, view: NO_VIEW, offset: 0, end: 0 };
  /** The chunk under work, and how far it has been cut. */
  #chunk: Uint8Array = NO_BYTES;
  #view: DataView = NO_VIEW;
  #at = 0;
  /** A frame that spans chunks: its buffer once its length is known, else its first bytes. */
  #partial: Uint8Array | null = null;
  readonly #prefix: Uint8Array = Buffer.alloc(PREFIX_BYTES);
  readonly #prefixView: DataView = new DataView(this.#prefix.buffer, this.#prefix.byteOffset, PREFIX_BYTES);
  /** Bytes of the spanning frame that are there. */
  #filled = 0;
  #failure: ProtocolError | null = null;

  constructor(maxFrameBytes: number, minFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#minFrameBytes = minFrameBytes;
  }

  /** Bytes held of a frame that is not complete. */
  get pendingBytes(): number {
    return this.#filled;
  }

  /** Gives the decoder a chunk; the one before must have been cut to its end. */
  push(chunk: Uint8Array): void {
    if (this.#at !== this.#chunk.length) throw new Error('FrameDecoder.push before next() gave null');
    this.#chunk = chunk;
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#at = 0;
  }

  /** The next whole frame, or null when the chunk has no more. Throws MALFORMED_FRAME, FRAME_TOO_LARGE, UNSUPPORTED_VERSION. */
  next(): Frame | null {
    if (this.#failure !== null) throw this.#failure;
    if (this.#filled > 0) return this.#continue();
    const at = this.#at;
    const left = this.#chunk.length - at;
    if (left < PREFIX_BYTES) return this.#keepPrefix(left);
    const frameBytes = this.#checkPrefix(this.#view, at);
    if (frameBytes > left) return this.#keepPartial(frameBytes, left);
    this.#at = at + frameBytes;
    const frame = this.#frame;
    frame.bytes = this.#chunk;
    frame.view = this.#view;
    frame.offset = at;
    frame.end = at + frameBytes;
    return frame;
  }

  /** Goes on with the frame that began in an earlier chunk. */
  #continue(): Frame | null {
    if (this.#partial === null) {
      this.#fill(this.#prefix, PREFIX_BYTES);
      if (this.#filled < PREFIX_BYTES) return this.#release();
      const frameBytes = this.#checkPrefix(this.#prefixView, 0);
      this.#partial = Buffer.allocUnsafeSlow(frameBytes);
      this.#partial.set(this.#prefix);
    }
    const partial = this.#partial;
    this.#fill(partial, partial.length);
    if (this.#filled < partial.length) return this.#release();
    this.#filled = 0;
    this.#partial = null;
    const frame = this.#frame;
    frame.bytes = partial;
    frame.view = new DataView(partial.buffer, partial.byteOffset, partial.byteLength);
    frame.offset = 0;
    frame.end = partial.length;
    return frame;
  }

  /** Copies from the chunk until `target` has `count` bytes or the chunk ends. */
  #fill(target: Uint8Array, count: number): void {
    const take = Math.min(count - this.#filled, this.#chunk.length - this.#at);
    target.set(this.#chunk.subarray(this.#at, this.#at + take), this.#filled);
    this.#filled += take;
    this.#at += take;
  }

  #keepPrefix(left: number): null {
    if (left > 0) this.#fill(this.#prefix, PREFIX_BYTES);
    return this.#release();
  }

  /** A frame that the chunk does not hold whole: large ones are not touched before their bytes come, so an announced
   * length costs address space, not memory. */
  #keepPartial(frameBytes: number, left: number): null {
    this.#partial = Buffer.allocUnsafeSlow(frameBytes);
    this.#partial.set(this.#chunk.subarray(this.#at, this.#at + left));
    this.#filled = left;
    this.#at += left;
    return this.#release();
  }

  #release(): null {
    this.#chunk = NO_BYTES;
    this.#view = NO_VIEW;
    this.#at = 0;
    return null;
  }

  #checkPrefix(view: DataView, at: number): number {
    const frameBytes = view.getUint32(at, true);
    if (frameBytes > this.#maxFrameBytes || frameBytes < this.#minFrameBytes)
      return this.#refuseLength(view, at, frameBytes);
    const version = view.getUint8(at + 4);
    if (version > PROTOCOL_VERSION || version < PROTOCOL_VERSION_MIN) return this.#refuseVersion(version);
    return frameBytes;
  }

  #refuseLength(view: DataView, at: number, frameBytes: number): never {
    const tooLarge = frameBytes > this.#maxFrameBytes;
    const text = asciiText(view, at);
    return this.#fail(
      new ProtocolError(
        tooLarge ? 'FRAME_TOO_LARGE' : 'MALFORMED_FRAME',
        `a frame of ${frameBytes} bytes was announced; allowed are ${this.#minFrameBytes} to ${this.#maxFrameBytes}${
          text === '' ? '' : `. The bytes read "${text}": the peer may speak another protocol`
        }`,
      ),
    );
  }

  #refuseVersion(version: number): never {
    return this.#fail(
      new ProtocolError(
        'UNSUPPORTED_VERSION',
        `the frame is of protocol version ${version}; spoken here are ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION}`,
      ),
    );
  }

  #fail(error: ProtocolError): never {
    this.#failure = error;
    throw error;
  }
}

/** The four length bytes as text when they are printable, as those of "GET " are. */
function asciiText(view: DataView, at: number): string {
  let text = '';
  for (let index = 0; index < 4; index++) {
    const code = view.getUint8(at + index);
    if (code < 0x20 || code > 0x7e) return '';
    text += String.fromCharCode(code);
  }
  return text;
}
