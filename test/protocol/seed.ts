/**
 * The seed of a random test: SEED or MILLRACE_SEED when given, else one nobody has tried. It is printed, so that a
 * failure can be replayed: SEED=123 node dist/test/….
 */

import { type SeededRandom, testSeed } from '../support/random-source.ts';

/** Prints and answers the seed of the test named. */
export function announcedSeed(name: string): number {
  const given = process.env['SEED'];
  const seed = given === undefined ? testSeed() : Number(given) >>> 0;
  process.stdout.write(`# ${name}: SEED=${seed}\n`);
  return seed;
}

/** One of the items. */
export function pick<T>(random: SeededRandom, items: readonly T[]): T {
  return items[random.below(items.length)]!;
}
