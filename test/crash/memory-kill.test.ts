/**
 * kill -9 of a process that acknowledges rows before they are durable: at most what was on its way is lost, and that from its end.
 *
 * This process keeps the log of what was said. After each kill the shard is opened here and compared with it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { JOURNAL_GROUP, MEMORY_GROUP, memoryValue, openMemoryShard } from './memory-writer.ts';

const ROUNDS = 8;
const LINES_MAX = 600;

interface Said {
  readonly acknowledged: number;
  readonly settled: number;
  readonly durable: number[];
}

async function runAndKill(
  directory: string,
  seed: number,
  firstNumber: number,
  killAfter: number,
): Promise<Said> {
  const writer = fileURLToPath(new URL('memory-writer.js', import.meta.url));
  const child = spawn(process.execPath, [writer, directory, String(seed), String(firstNumber)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.split('\n').length > killAfter) child.kill('SIGKILL');
  });
  const [, signal] = (await closed) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', 'the writer only ends by the kill');
  const said = text.split('\n').slice(0, -1);
  const saidAs = (word: string): number[] =>
    said.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.split(' ')[1]));
  return {
    acknowledged: Math.max(0, ...saidAs('acknowledged')),
    settled: Math.max(0, ...saidAs('settled')),
    durable: saidAs('durable'),
  };
}

test('a killed process loses of its memory groups at most what was on its way, and nothing durable', async (context) => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const directory = temporaryDirectory(context);
  let survived = 0;
  const durable: number[] = [];
  let lost = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const said = await runAndKill(directory, random.uint32(), survived + 1, 1 + random.below(LINES_MAX));
    durable.push(...said.durable);
    const shard = await openMemoryShard(directory);
    const numbers = Array.from(
      { length: Math.max(said.acknowledged, survived) + 21 },
      (_value, index) => index + 1,
    );
    const values = shard.get(
      MEMORY_GROUP,
      numbers.map((number) => `row ${number}`),
    );
    const present = values.indexOf(null);
    assert.ok(
      values.slice(present).every((value) => value === null),
      `round ${round}: a hole after row ${present}`,
    );
    assert.deepEqual(values.slice(0, present), numbers.slice(0, present).map(memoryValue));
    assert.ok(present >= survived, `round ${round}: row ${survived} survived before`);
    assert.ok(
      present >= said.settled,
      `round ${round}: row ${said.settled} was settled, ${present} survived`,
    );
    const kept = shard.get(
      JOURNAL_GROUP,
      durable.map((number) => `row ${number}`),
    );
    assert.deepEqual(kept, durable.map(memoryValue), 'what was durable stays');
    lost += Math.max(0, said.acknowledged - present);
    survived = present;
    await shard.store.close();
    assert.deepEqual(shard.fatal, []);
  }
  console.log(`${survived} rows survived ${ROUNDS} kills; ${lost} acknowledged ones were on their way`);
  assert.ok(survived > ROUNDS, 'the writer got to write');
});
