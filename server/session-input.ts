/**
 * A session's input: frames out of chunks that live in a buffer shared by all sessions of the thread.
 *
 * I1  Between two turns nothing here refers to the shared buffer: the decoder copies the part of an unfinished frame,
 *     and `keep` copies the whole frames that a hold left unhandled.
 * I2  What sessions of a listener hold of unfinished frames is counted in one budget; over it a session is refused.
 */
import {
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  ProtocolError,
  REQUEST_HEADER_BYTES,
} from '../protocol/index.ts';
import { HELLO_FRAME_BYTES_MAX, PARTIAL_FRAMES_BYTES_MAX } from './limits.ts';

/** Bytes held of unfinished frames, over all sessions of a listener. */
export interface PartialFramesBudget {
  bytes: number;
}

const NO_CHUNK: Uint8Array = new Uint8Array(0);

export class SessionInput {
  readonly #budget: PartialFramesBudget;
  #decoder: FrameDecoder = newDecoder();
  #chunk: Uint8Array = NO_CHUNK;
  #isKept = false;
  /** Bytes of an unfinished frame that were there before the chunk. */
  #pendingBefore = 0;
  /** The last frame cut from the chunk. */
  #last: Frame | null = null;
  #counted = 0;

  constructor(budget: PartialFramesBudget) {
    this.#budget = budget;
  }

  /** Bytes of an unfinished frame. */
  get pendingBytes(): number {
    return this.#decoder.pendingBytes;
  }

  /** The chunk before must have been cut to its end. */
  push(chunk: Uint8Array): void {
    this.#pendingBefore = this.#decoder.pendingBytes;
    this.#chunk = chunk;
    this.#isKept = false;
    this.#last = null;
    this.#decoder.push(chunk);
  }

  /** The next whole frame, or null when the chunk has no more. Throws what cannot be framed. */
  next(): Frame | null {
    const frame = this.#decoder.next();
    if (frame === null) this.#chunk = NO_CHUNK;
    this.#last = frame;
    return frame;
  }

  /** Copies what is left of the chunk: the shared buffer is about to be used again. */
  keep(): void {
    if (this.#isKept || this.#chunk === NO_CHUNK) return;
    const rest = new Uint8Array(this.#chunk.subarray(this.#consumedBytes()));
    this.#decoder = newDecoder();
    this.push(rest);
    this.#isKept = true;
  }

  /** Throws when this session, or all together, hold too much of unfinished frames. */
  checkBudget(isGreeting: boolean): void {
    const bytes = this.#decoder.pendingBytes;
    if (bytes === this.#counted) return;
    this.#budget.bytes += bytes - this.#counted;
    this.#counted = bytes;
    if (isGreeting && bytes > HELLO_FRAME_BYTES_MAX) {
      throw new ProtocolError(
        'FRAME_TOO_LARGE',
        `a first request has at most ${HELLO_FRAME_BYTES_MAX} bytes`,
      );
    }
    if (this.#budget.bytes > PARTIAL_FRAMES_BYTES_MAX) {
      throw new ProtocolError('OVERLOADED', 'unfinished requests of all connections take too much memory');
    }
  }

  /** Lets go of everything. */
  close(): void {
    this.#budget.bytes -= this.#counted;
    this.#counted = 0;
    this.#decoder = newDecoder();
    this.#chunk = NO_CHUNK;
  }

  #consumedBytes(): number {
    const last = this.#last;
    if (last === null) return 0;
    // A frame that spanned chunks was assembled elsewhere: what it took of this one is what was missing before.
    return last.bytes === this.#chunk ? last.end : last.end - this.#pendingBefore;
  }
}

function newDecoder(): FrameDecoder {
  return new FrameDecoder(FRAME_BYTES_MAX, REQUEST_HEADER_BYTES);
}
