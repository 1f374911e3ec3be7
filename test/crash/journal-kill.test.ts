/**
 * kill -9 at random moments, on real files: what was acknowledged is there afterwards.
 *
 * Round after round a process commits to the same journal, is killed after a random number of acknowledgements (also
 * before its first, while it replays or makes segments), and the journal is replayed. Every frame acknowledged since
 * the checkpoint must come back, once, in order and unchanged; at most the one commit in flight may come on top.
 * The process is killed, not the machine: what a power failure does to unfinished writes is simulated in
 * storage/journal-simulation.test.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { KILL_SEGMENT_BYTES, openKilledJournal, readCheckpoint } from './journal-writer.ts';

const ROUNDS = 40;
const ACKNOWLEDGEMENTS_MAX = 150;
/** The most segment files that may lie around: those since the checkpoint are counted on top. */
const FILES_BESIDES_HELD = 5;

const directory = fs.mkdtempSync(join(tmpdir(), 'millrace-'));
after(() => fs.rmSync(directory, { recursive: true }));

interface KnownFrame {
  readonly number: number;
  /** The frame was needed as long as the checkpoint lay below this. */
  readonly end: number;
}

interface Round {
  readonly replayed: number[];
  readonly acknowledged: KnownFrame[];
}

/** Runs the writer and kills it: at once (below 0), at its first word (0), or after so many acknowledgements. */
async function runAndKill(seed: number, firstNumber: number, killAfter: number): Promise<Round> {
  const writer = fileURLToPath(new URL('journal-writer.js', import.meta.url));
  const child = spawn(process.execPath, [writer, directory, String(seed), String(firstNumber)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let text = '';
  let acknowledgements = 0;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    acknowledgements += chunk.split('acknowledged').length - 1;
    if (acknowledgements >= killAfter) child.kill('SIGKILL');
  });
  if (killAfter < 0) child.kill('SIGKILL');
  const [, signal] = (await closed) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', 'the writer only ends by the kill');
  // What follows the last newline was cut off by the kill, and was not said.
  const said = text.split('\n').slice(0, -1);
  const saidAs = (word: string): number[][] =>
    said.filter((line) => line.startsWith(`${word} `)).map((line) => line.split(' ').slice(1).map(Number));
  return {
    replayed: saidAs('replayed').map(([number]) => number!),
    acknowledged: saidAs('acknowledged').map(([number, end]) => ({ number: number!, end: end! })),
  };
}

/** Whether `piece` lies in `whole` without a gap. */
function isRunOf(piece: number[], whole: number[]): boolean {
  const start = piece.length === 0 ? 0 : whole.indexOf(piece[0]!);
  return start >= 0 && piece.every((number, index) => whole[start + index] === number);
}

test('no acknowledged frame is lost when the process is killed at any moment', async () => {
  const seed = testSeed();
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  /** All that was ever acknowledged or replayed, in order. */
  const known: KnownFrame[] = [];
  let survivors = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const firstNumber = (known.at(-1)?.number ?? 0) + 1;
    const killAfter = random.chance(0.2) ? -random.below(2) : random.below(ACKNOWLEDGEMENTS_MAX);
    const { replayed, acknowledged } = await runAndKill(random.uint32(), firstNumber, killAfter);
    const knownNumbers = known.map((frame) => frame.number);
    assert.ok(isRunOf(replayed, knownNumbers), `round ${round}: the writer itself replayed ${replayed}`);
    known.push(...acknowledged);

    const { journal, numbers, positions } = await openKilledJournal(directory, random.uint32());
    const next = (known.at(-1)?.number ?? 0) + 1;
    if (numbers.at(-1) === next) {
      // The kill came after the write and before the report: from now on it must stay.
      known.push({ number: next, end: positions.at(-1)! + 1 });
      survivors += 1;
    }
    const checkpoint = readCheckpoint(directory);
    const needed = known.filter((frame) => frame.end > checkpoint).map((frame) => frame.number);
    assert.deepEqual(numbers, needed, `round ${round}: every needed frame, once, in order`);
    await journal.close();
    const files = fs.readdirSync(join(directory, 'journal')).length;
    const held = new Set(positions.map((position) => Math.floor(position / KILL_SEGMENT_BYTES))).size;
    assert.ok(files <= held + FILES_BESIDES_HELD, `round ${round}: ${files} files for ${held} segments held`);
  }
  console.log(`${known.length} frames in ${ROUNDS} lives; ${survivors} outlived a kill before their report`);
  assert.ok(known.length > ROUNDS, 'the writer got to write');
});
