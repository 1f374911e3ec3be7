/**
 * One request on its way: what a connection needs to know of it, and all that it tells it.
 *
 * I1  `encode` appends one whole request frame to a writer that others wrote to before; a retry calls it again. When it
 *     throws, the call has failed and was not sent.
 * I2  `receive` is called with each OK answer, within the read of its bytes: whoever keeps bytes copies them.
 * I3  After `fail`, or after `receive` of the last answer, the connection never touches the call again.
 */
import type { ByteWriter, Frame, RequestOptions } from '../protocol/index.ts';
import type { MillraceError } from './errors.ts';

export interface Call {
  /** The operation's number on the wire. */
  readonly operation: number;
  /** When the caller stops waiting: ms on the clock of `performance.now()`, Infinity for never. */
  readonly deadlineMs: number;
  /** The idempotency sequence of a write, 0 for none: the same at each attempt. */
  readonly sequence: number;

  encode(writer: ByteWriter, options: RequestOptions): void;
  /**
   * `isLast` is false while further frames of this call will come. `isOwn`: the frame fills a buffer of its own, which
   * the call may keep.
   */
  receive(frame: Frame, isLast: boolean, isOwn: boolean): void;
  fail(error: MillraceError): void;
}
