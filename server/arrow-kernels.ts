/**
 * The loops of Arrow encoding: from rows scattered in an arena to one column's dense buffers.
 *
 * Every kernel takes the arena as 32-bit words, `rows` (where each row starts, in words) and a word offset within the
 * row, and appends `count` values from row number `at` of the output on. Rows are 8-aligned and slots naturally aligned
 * (row-layout.ts), so no value crosses a word but the 8-byte ones, which are copied as two: nothing is interpreted, a
 * NaN keeps its bits. (m) 1.3 ns a value of 1 to 8 bytes once its row is in the cache, 2.7 ns before; 11 ns a string of
 * three letters. Making such a string a JavaScript one takes 64 ns, before it is encoded again.
 *
 * Callers go through at most a thousand rows column by column, so that those rows stay in the core's cache.
 */

/** Above these the copy that V8 brings is faster than a loop: (m) it takes 43 ns from 32 bytes to 512. */
const LOOP_BYTES_MAX = 32;
const LOOP_WORDS_MAX = 32;

export function gather1(
  words: Uint32Array,
  rows: Uint32Array,
  offset: number,
  count: number,
  out: Uint8Array,
  at: number,
): void {
  const word = offset >>> 2;
  const shift = (offset & 3) << 3;
  for (let i = 0; i < count; i++) out[at + i] = words[rows[i]! + word]! >>> shift;
}

export function gather2(
  words: Uint32Array,
  rows: Uint32Array,
  offset: number,
  count: number,
  out: Uint16Array,
  at: number,
): void {
  const word = offset >>> 2;
  const shift = (offset & 3) << 3;
  for (let i = 0; i < count; i++) out[at + i] = words[rows[i]! + word]! >>> shift;
}

export function gather4(
  words: Uint32Array,
  rows: Uint32Array,
  offset: number,
  count: number,
  out: Uint32Array,
  at: number,
): void {
  const word = offset >>> 2;
  for (let i = 0; i < count; i++) out[at + i] = words[rows[i]! + word]!;
}

export function gather8(
  words: Uint32Array,
  rows: Uint32Array,
  offset: number,
  count: number,
  out: Uint32Array,
  at: number,
): void {
  const word = offset >>> 2;
  for (let i = 0, to = at * 2; i < count; i++, to += 2) {
    const from = rows[i]! + word;
    out[to] = words[from]!;
    out[to + 1] = words[from + 1]!;
  }
}

/** `length` words a row: vectors. */
export function gatherWords(
  words: Uint32Array,
  rows: Uint32Array,
  offset: number,
  length: number,
  count: number,
  out: Uint32Array,
  at: number,
): void {
  const word = offset >>> 2;
  let to = at * length;
  for (let i = 0; i < count; i++, to += length) {
    const from = rows[i]! + word;
    if (length > LOOP_WORDS_MAX) out.set(words.subarray(from, from + length), to);
    else for (let k = 0; k < length; k++) out[to + k] = words[from + k]!;
  }
}

/** One bit a row, number `bit` of the word at `word`, into a bitmap whose bits from `at` on are 0. Answers the ones. */
export function gatherBits(
  words: Uint32Array,
  rows: Uint32Array,
  word: number,
  bit: number,
  count: number,
  out: Uint8Array,
  at: number,
): number {
  let ones = 0;
  for (let i = 0; i < count; i++) {
    const value = (words[rows[i]! + word]! >>> bit) & 1;
    ones += value;
    const position = at + i;
    out[position >>> 3] = out[position >>> 3]! | (value << (position & 7));
  }
  return ones;
}

/** The bits that are set in the word at `word` of every row. */
export function commonBits(words: Uint32Array, rows: Uint32Array, word: number, count: number): number {
  let common = 0xffffffff;
  for (let i = 0; i < count; i++) common &= words[rows[i]! + word]!;
  return common;
}

/** Ends of a variable feature's values, from its slots {u32 offset, u32 bytes}; `ends[at]` stands. Answers the last. */
export function gatherEnds(
  words: Uint32Array,
  rows: Uint32Array,
  offset: number,
  count: number,
  ends: Uint32Array,
  at: number,
): number {
  const word = (offset >>> 2) + 1;
  let end = ends[at]!;
  for (let i = 0; i < count; i++) {
    end += words[rows[i]! + word]!;
    ends[at + 1 + i] = end;
  }
  return end;
}

/** The values' bytes, after `gatherEnds`. */
export function gatherBytes(
  words: Uint32Array,
  bytes: Uint8Array,
  rows: Uint32Array,
  offset: number,
  count: number,
  ends: Uint32Array,
  at: number,
  out: Uint8Array,
): void {
  const word = offset >>> 2;
  let to = ends[at]!;
  for (let i = 0; i < count; i++) {
    const row = rows[i]!;
    const length = ends[at + 1 + i]! - to;
    let from = (row << 2) + words[row + word]!;
    if (length > LOOP_BYTES_MAX) {
      out.set(bytes.subarray(from, from + length), to);
      to += length;
    } else {
      const end = to + length;
      while (to < end) out[to++] = bytes[from++]!;
    }
  }
}

/** Ends of lists, counted in items: a list begins with its count, and a null one has no bytes. Answers the last. */
export function gatherListEnds(
  words: Uint32Array,
  rows: Uint32Array,
  offset: number,
  count: number,
  ends: Uint32Array,
  at: number,
): number {
  const word = offset >>> 2;
  let end = ends[at]!;
  for (let i = 0; i < count; i++) {
    const slot = rows[i]! + word;
    if (words[slot + 1]! !== 0) end += words[rows[i]! + (words[slot]! >>> 2)]!;
    ends[at + 1 + i] = end;
  }
  return end;
}

/** Copies `length` bytes; ranges of two buffers. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  length: number,
  out: Uint8Array,
  at: number,
): void {
  if (length > LOOP_BYTES_MAX) out.set(from.subarray(start, start + length), at);
  else for (let i = 0; i < length; i++) out[at + i] = from[start + i]!;
}

/** Sets the bits [from, to) of a bitmap. */
export function setBits(out: Uint8Array, from: number, to: number): void {
  let at = from;
  for (; at < to && (at & 7) !== 0; at++) out[at >>> 3] = out[at >>> 3]! | (1 << (at & 7));
  const wholeBytes = (to - at) >>> 3;
  if (wholeBytes > 0) out.fill(255, at >>> 3, (at >>> 3) + wholeBytes);
  at += wholeBytes > 0 ? wholeBytes << 3 : 0;
  for (; at < to; at++) out[at >>> 3] = out[at >>> 3]! | (1 << (at & 7));
}

/** Keys have no alignment: each value of `width` bytes (8 or 16) at byte `positions[i]`. */
export function gatherKeyFixed(
  words: Uint32Array,
  bytes: Uint8Array,
  positions: Uint32Array,
  width: number,
  count: number,
  out: Uint8Array,
  outWords: Uint32Array,
  at: number,
): void {
  const wordCount = width >>> 2;
  for (let i = 0; i < count; i++) {
    const from = positions[i]!;
    const to = (at + i) * width;
    if ((from & 3) === 0) {
      const fromWord = from >>> 2;
      const toWord = to >>> 2;
      for (let k = 0; k < wordCount; k++) outWords[toWord + k] = words[fromWord + k]!;
    } else for (let k = 0; k < width; k++) out[to + k] = bytes[from + k]!;
  }
}

/** Moves the positions past a fixed key column. */
export function skipKeyFixed(positions: Uint32Array, width: number, count: number): void {
  for (let i = 0; i < count; i++) positions[i] = positions[i]! + width;
}

/** Moves the positions past a variable key column: u16 length, bytes. */
export function skipKeyVariable(bytes: Uint8Array, positions: Uint32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const from = positions[i]!;
    positions[i] = from + 2 + (bytes[from]! | (bytes[from + 1]! << 8));
  }
}

/** Ends of a variable key column's values; `ends[at]` stands. Answers the last. */
export function gatherKeyEnds(
  bytes: Uint8Array,
  positions: Uint32Array,
  count: number,
  ends: Uint32Array,
  at: number,
): number {
  let end = ends[at]!;
  for (let i = 0; i < count; i++) {
    const from = positions[i]!;
    end += bytes[from]! | (bytes[from + 1]! << 8);
    ends[at + 1 + i] = end;
  }
  return end;
}

/** The values' bytes, after `gatherKeyEnds`. */
export function gatherKeyBytes(
  bytes: Uint8Array,
  positions: Uint32Array,
  count: number,
  ends: Uint32Array,
  at: number,
  out: Uint8Array,
): void {
  for (let i = 0; i < count; i++) {
    const to = ends[at + i]!;
    copyBytes(bytes, positions[i]! + 2, ends[at + i + 1]! - to, out, to);
  }
}
