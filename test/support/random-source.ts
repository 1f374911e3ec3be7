/**
 * Seeded randomness for tests: the same seed gives the same run. The seed is printed by whoever draws one, and
 * MILLRACE_SEED replays it.
 */
import type { Random } from '../../storage/index.ts';

/** A small generator (mulberry32) with a period of 2^32: plenty for a test, and its state is one number. */
export class SeededRandom implements Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  uint32(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * limit);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uint32() < probability * 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at++) bytes[at] = this.uint32();
    return bytes;
  }
}

/** MILLRACE_SEED, or a seed nobody has tried. The caller prints it. */
export function testSeed(): number {
  const given = process.env['MILLRACE_SEED'];
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}
