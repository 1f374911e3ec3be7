/**
 * A shard's files as a kill leaves them, to flip bits in: blocks of two flushes, a journal that a start has replayed and noted.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ShardStoreOptions } from '../../storage/index.ts';
import { TestShard } from '../support/shard.ts';

export const FLIP_GROUPS: readonly number[] = [1, 5];
export const FLIP_KEYS: readonly string[] = Array.from({ length: 400 }, (_, index) => `key-${index}`);
export const FLIP_OPTIONS: Pick<ShardStoreOptions, 'writeBufferBytes' | 'cacheBytes'> & {
  journalSegmentBytes: number;
} = {
  writeBufferBytes: 8 * 1024 * 1024,
  journalSegmentBytes: 256 * 1024,
  cacheBytes: 1024 * 1024,
};

async function write(shard: TestShard, round: number, count: number): Promise<void> {
  for (const group of FLIP_GROUPS) {
    for (let from = 0; from < count; from += 40) {
      const keys = FLIP_KEYS.slice(from, from + 40);
      await shard.put(
        group,
        keys.map((key) => ({
          key,
          value: `${group} ${key} ${round} ${'v'.repeat((from * 7) % 200)}`,
          eventTimeMicros: shard.nowMicros + round,
        })),
      );
    }
  }
}

/** Makes the files below `directory`; answers where they are, and what lookups of the undamaged shard answer. */
export async function makeFlipImage(
  directory: string,
): Promise<{ image: string; answers: (string | null)[] }> {
  const first = join(directory, 'first');
  const shard = await new TestShard(first, FLIP_OPTIONS).open();
  await write(shard, 1, FLIP_KEYS.length);
  await shard.store.flush();
  await write(shard, 2, 200);
  await shard.delete(FLIP_GROUPS[0] as number, [{ key: 'key-3', eventTimeMicros: shard.nowMicros + 3 }]);
  await shard.store.flush();
  await write(shard, 4, 100);
  const killed = copyOf(first, join(directory, 'killed'));
  await shard.store.close();
  // A start notes how far the journal reached: from then on a damaged last frame is no torn tail.
  const again = await new TestShard(killed, FLIP_OPTIONS).open();
  const image = copyOf(killed, join(directory, 'image'));
  const answers = FLIP_GROUPS.flatMap((group) => again.get(group, FLIP_KEYS));
  await again.store.close();
  return { image, answers };
}

/** A copy of the files while nothing is being written: what a kill at this moment leaves. */
export function copyOf(from: string, to: string): string {
  mkdirSync(to, { recursive: true });
  cpSync(from, to, { recursive: true });
  return to;
}
