/** Frames for tests: bytes of one frame as the decoder gives them. */

import { ByteWriter, type Frame, FrameDecoder, type ProtocolError } from '../../protocol/index.ts';

/** What `encode` appends, as one Frame. The frame begins at an odd offset, so that nothing relies on alignment. */
export function frameOf(encode: (writer: ByteWriter) => void): Frame {
  const bytes = bytesOf(encode);
  const shifted = Buffer.alloc(bytes.length + 3);
  shifted.set(bytes, 3);
  const view = new DataView(shifted.buffer, shifted.byteOffset, shifted.length);
  return { bytes: shifted, view, offset: 3, end: shifted.length };
}

/** What `encode` appends. */
export function bytesOf(encode: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  encode(writer);
  return writer.finish();
}

/** Frames as the decoder cuts them from `bytes`, copied. */
export function cutFrames(bytes: Uint8Array, minFrameBytes: number): Uint8Array[] {
  const decoder = new FrameDecoder(16 * 1024 * 1024, minFrameBytes);
  decoder.push(bytes);
  const frames: Uint8Array[] = [];
  for (let frame = decoder.next(); frame !== null; frame = decoder.next()) {
    frames.push(Uint8Array.prototype.slice.call(frame.bytes, frame.offset, frame.end));
  }
  return frames;
}

/** A copy of the frame with `change` applied to its bytes from the frame's start. */
export function damaged(frame: Frame, change: (view: DataView) => void): Frame {
  const bytes = Buffer.from(frame.bytes.subarray(frame.offset, frame.end));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  change(view);
  return { bytes, view, offset: 0, end: bytes.length };
}

/** A copy of the frame's first `length` bytes, with the header's length made to fit. */
export function cutTo(frame: Frame, length: number): Frame {
  const bytes = Buffer.from(frame.bytes.subarray(frame.offset, frame.offset + length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(0, length, true);
  return { bytes, view, offset: 0, end: length };
}

/** For assert.throws: a ProtocolError of this code whose message matches. */
export function refusal(code: string, message: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    const { code: actual, message: text } = error as ProtocolError;
    if (actual !== code || !message.test(text)) {
      throw new Error(`expected ${code} with ${message}, got ${actual}: ${text}`, { cause: error });
    }
    return true;
  };
}
