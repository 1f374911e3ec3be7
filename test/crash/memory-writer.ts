/**
 * The process that memory-kill.test.ts kills: puts rows of a group with durability 'memory' without end, and says each that is
 * acknowledged.
 *
 *   node memory-writer.js DIRECTORY SEED FIRST-NUMBER
 *
 * Says, a line each on standard output: `acknowledged NUMBER` in the turn of the answer; `settled NUMBER` when nothing up to that
 * number waits for the journal any more; `durable NUMBER` for rows of a group with durability 'journal', of the same numbers.
 * Small segments and a small write buffer, so that a kill often meets a roll or a flush.
 */
import { writeSync } from 'node:fs';
import type { GroupPolicies } from '../../storage/index.ts';
import { SeededRandom } from '../support/random-source.ts';
import { KEEP_ALL, TestShard } from '../support/shard.ts';

export const MEMORY_GROUP = 2;
export const JOURNAL_GROUP = 1;
const STANDARD_OUTPUT = 1;

export const MEMORY_POLICIES: GroupPolicies = {
  policyOf: (group) => {
    const policy = KEEP_ALL.policyOf(group);
    return policy && group === MEMORY_GROUP ? { ...policy, durability: 'memory' } : policy;
  },
};

export function openMemoryShard(directory: string): Promise<TestShard> {
  return new TestShard(directory, {
    policies: MEMORY_POLICIES,
    journalSegmentBytes: 1024 * 1024,
    writeBufferBytes: 2 * 1024 * 1024,
    indexCheckpointBytes: 1,
  }).open();
}

/** What row n holds: its length and its text follow from the number alone. */
export function memoryValue(number: number): string {
  return `${number} `.repeat(1 + ((Math.imul(number, 7919) >>> 0) % 200));
}

function say(line: string): void {
  writeSync(STANDARD_OUTPUT, `${line}\n`);
}

async function write(directory: string, seed: number, firstNumber: number): Promise<void> {
  const random = new SeededRandom(seed);
  const shard = await openMemoryShard(directory);
  for (let number = firstNumber; ; ) {
    const count = 1 + random.below(20);
    const rows = Array.from({ length: count }, (_value, index) => ({
      key: `row ${number + index}`,
      value: memoryValue(number + index),
    }));
    number += count;
    const last = number - 1;
    try {
      if (random.chance(0.1)) {
        const isDurable = shard.put(JOURNAL_GROUP, rows.slice(-1));
        // Refused for the same reason as those below; then nothing is said of it.
        void isDurable.then(
          () => say(`durable ${last}`),
          () => {},
        );
      }
      await shard.put(MEMORY_GROUP, rows);
      say(`acknowledged ${last}`);
    } catch {
      // The flush is behind: the rows were not taken, and are put again.
      number -= count;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (!random.chance(0.05)) continue;
    await shard.store.closeReadPoint();
    say(`settled ${last}`);
  }
}

const [, program, directory, seed, firstNumber] = process.argv;
if (program?.endsWith('memory-writer.js') && directory !== undefined) {
  await write(directory, Number(seed), Number(firstNumber));
}
