/**
 * A connection that sends frames made ahead and counts their answers: what a shard can take when its client costs
 * nothing.
 *
 * At most `window` frames are in flight. An answer that is not OK ends the run with its message.
 */

import { connect, type Socket } from 'node:net';
import {
  ByteWriter,
  decodeErrorResponse,
  encodeHelloRequest,
  errorName,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  newResponseHeader,
  RESPONSE_HEADER_BYTES,
  readResponseHeader,
} from '../protocol/index.ts';

function helloFrame(): Uint8Array {
  const writer = new ByteWriter();
  encodeHelloRequest(writer, { correlationId: 0xffffffff }, { client: 'millrace-bench' });
  return writer.finish();
}

function refusalOf(frame: Frame, status: number): Error {
  const { message } = decodeErrorResponse(frame, status);
  return new Error(`the server answered ${errorName(status)}: ${message}`);
}

/** Sends all frames, a HELLO before them, and resolves when each is answered. */
export function sendFrames(
  host: string,
  port: number,
  frames: readonly Uint8Array[],
  window: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const decoder = new FrameDecoder(FRAME_BYTES_MAX, RESPONSE_HEADER_BYTES);
    const header = newResponseHeader();
    const socket: Socket = connect({ host, port, noDelay: true });
    let sent = 0;
    /** The HELLO's answer is one too. */
    let answered = -1;
    const sendMore = (): void => {
      while (sent < frames.length && sent - answered < window) socket.write(frames[sent++]!);
    };
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`the server closed the connection after ${answered} answers`)));
    socket.on('connect', () => socket.write(helloFrame()));
    socket.on('data', (chunk) => {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
        readResponseHeader(frame.view, frame.offset, header);
        if (header.status !== 0) reject(refusalOf(frame, header.status));
        answered++;
      }
      if (answered === frames.length) {
        resolve();
        socket.destroy();
      } else sendMore();
    });
  });
}
