/**
 * Decodes an LZ4 frame, the default compression of Feather and of pyarrow's Arrow files.
 *
 *   magic u32 0x184d2204 | flags u8 | block size u8 | [content size u64] | [dictionary id u32] | header checksum u8
 *   blocks: u32 bytes (bit 31: stored as they are) | data | [checksum u32] … | u32 0 | [content checksum u32]
 *   a block: token (literals << 4 | match - 4), more literal length, literals, u16 offset back, more match length …
 *
 * Matches may reach back into earlier blocks, so all blocks of a frame decode into one buffer. Checksums are passed over: Arrow
 * checks the lengths. Bounds are checked at every step; a malformed frame throws. Encoding is left out: we never write LZ4.
 */

const MAGIC = 0x184d2204;
const STORED = 0x8000_0000;

export function decodeLz4Frame(input: Uint8Array): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 7 || view.getUint32(0, true) !== MAGIC) throw new Error('not an LZ4 frame');
  const flags = input[4]!;
  const start = 7 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0);
  const checksumBytes = (flags & 0x10) !== 0 ? 4 : 0;
  const output = new Uint8Array(countBlocks(view, start, checksumBytes) * blockBytesMax(input[5]!));
  let length = 0;
  for (let at = start; ; ) {
    const word = view.getUint32(at, true);
    if (word === 0) return output.subarray(0, length);
    const from = at + 4;
    const end = from + (word & 0x7fff_ffff);
    if (word >= STORED) {
      if (length + end - from > output.length)
        throw new Error('an LZ4 block is longer than its frame allows');
      output.set(input.subarray(from, end), length);
      length += end - from;
    } else {
      length = decodeBlock(input, from, end, output, length);
    }
    at = end + checksumBytes;
  }
}

/** The blocks of a frame; their number times the frame's block size bounds what they decode to. */
function countBlocks(view: DataView, start: number, checksumBytes: number): number {
  let blocks = 0;
  for (let at = start; ; blocks++) {
    if (at + 4 > view.byteLength) throw new Error('an LZ4 frame has no end mark');
    const word = view.getUint32(at, true);
    if (word === 0) return blocks;
    at += 4 + (word & 0x7fff_ffff) + checksumBytes;
  }
}

/** 64 KiB, 256 KiB, 1 MiB or 4 MiB. */
function blockBytesMax(descriptor: number): number {
  const code = (descriptor >> 4) & 7;
  if (code < 4) throw new Error('an LZ4 frame names no block size');
  return 1 << (8 + code * 2);
}

/** Decodes input[at, end) to output from `length` on, and returns the new length. */
function decodeBlock(
  input: Uint8Array,
  from: number,
  end: number,
  output: Uint8Array,
  start: number,
): number {
  let at = from;
  let length = start;
  while (at < end) {
    const token = input[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do literals += more = byteAt(input, at++, end);
      while (more === 255);
    }
    if (at + literals > end) throw new Error('LZ4 literals reach past their block');
    if (length + literals > output.length) throw new Error('an LZ4 block is longer than its frame allows');
    for (let i = 0; i < literals; i++) output[length++] = input[at++]!;
    if (at === end) return length;
    const offset = byteAt(input, at, end) | (byteAt(input, at + 1, end) << 8);
    at += 2;
    if (offset === 0 || offset > length) throw new Error('an LZ4 match reaches before the beginning');
    let match = (token & 15) + 4;
    if (match === 19) {
      let more: number;
      do match += more = byteAt(input, at++, end);
      while (more === 255);
    }
    if (length + match > output.length) throw new Error('an LZ4 block is longer than its frame allows');
    for (let i = 0; i < match; i++, length++) output[length] = output[length - offset]!;
  }
  return length;
}

function byteAt(input: Uint8Array, at: number, end: number): number {
  if (at >= end) throw new Error('an LZ4 block ends in the middle of a sequence');
  return input[at]!;
}
