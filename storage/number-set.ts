/** A set of unsigned 32-bit numbers that mostly lie close together: bits, in pieces of 8 KiB that are there when something is in them. */

const PIECE_SHIFT = 16;
const PIECE_WORDS: number = 2 ** (PIECE_SHIFT - 5);
const PIECE_MASK: number = 2 ** PIECE_SHIFT - 1;

export class NumberSet {
  private readonly pieces: (Uint32Array | undefined)[] = [];

  add(number: number): void {
    const at = number >>> PIECE_SHIFT;
    let piece = this.pieces[at];
    if (piece === undefined) {
      piece = new Uint32Array(PIECE_WORDS);
      this.pieces[at] = piece;
    }
    const bit = number & PIECE_MASK;
    piece[bit >>> 5] = (piece[bit >>> 5] as number) | (1 << (bit & 31));
  }

  has(number: number): boolean {
    const piece = this.pieces[number >>> PIECE_SHIFT];
    if (piece === undefined) return false;
    const bit = number & PIECE_MASK;
    return ((piece[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
  }
}
