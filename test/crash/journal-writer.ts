/**
 * The process that journal-kill.test.ts kills: commits frames without end and says each that is durable.
 *
 *   node journal-writer.js DIRECTORY SEED FIRST-NUMBER
 *
 * Says, a line each on standard output: `replayed NUMBER`, then `ready`, then `acknowledged NUMBER END-POSITION`. A line
 * leaves the process before anything else happens, so what the other side has read was durable before the kill. From time to time
 * it takes a checkpoint, as a flush does: writes DIRECTORY/checkpoint durably, then recycles what lies below.
 */
import { strict as assert } from 'node:assert';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { nodeDisk } from '../../server/node-environment.ts';
import { type Journal, openJournal } from '../../storage/journal.ts';
import { SeededRandom } from '../support/random-source.ts';

/** Small segments, so that a kill often meets a roll or the making of a segment. */
export const KILL_SEGMENT_BYTES: number = 1024 * 1024;
const BODY_WORDS_MAX = 40_000;
const CHECKPOINT_CHANCE = 0.03;
const STANDARD_OUTPUT = 1;

/** The body of frame n: its length and its bytes follow from the number alone. */
export function killBody(number: number): Uint8Array {
  const random = new SeededRandom(number);
  const words = 1 + random.below(random.chance(0.2) ? BODY_WORDS_MAX : 500);
  const body = new Uint32Array(words * 2);
  for (let word = 0; word < body.length; word++) body[word] = Math.imul(number, word + 1);
  return new Uint8Array(body.buffer);
}

export function readCheckpoint(directory: string): number {
  const bytes = nodeDisk.readFile(join(directory, 'checkpoint'));
  return bytes === undefined ? 0 : Number(Buffer.from(bytes).toString());
}

/** Opens the journal from its checkpoint; answers it and the numbers it held, each frame compared byte by byte. */
export async function openKilledJournal(
  directory: string,
  seed: number,
): Promise<{ journal: Journal; numbers: number[]; positions: number[] }> {
  const numbers: number[] = [];
  const positions: number[] = [];
  const journal = await openJournal({
    disk: nodeDisk,
    random: new SeededRandom(seed),
    directory: join(directory, 'journal'),
    fromPosition: readCheckpoint(directory),
    segmentBytes: KILL_SEGMENT_BYTES,
    onFrame: (bytes, offset, end, position) => {
      // The second word is twice the first, which is the number.
      const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
      assert.ok(
        Buffer.from(killBody(number)).equals(bytes.subarray(offset, end)),
        'a frame came back changed',
      );
      numbers.push(number);
      positions.push(position);
    },
  });
  return { journal, numbers, positions };
}

function say(line: string): void {
  writeSync(STANDARD_OUTPUT, `${line}\n`);
}

async function write(directory: string, seed: number, firstNumber: number): Promise<void> {
  const random = new SeededRandom(seed);
  const { journal, numbers } = await openKilledJournal(directory, seed);
  for (const number of numbers) say(`replayed ${number}`);
  say('ready');
  for (let number = firstNumber; ; number++) {
    const body = killBody(number);
    const cut = random.below(body.length);
    await new Promise<void>((resolve, reject) => {
      journal.commit([body.subarray(0, cut), body.subarray(cut)], body.length, 1, (error) => {
        if (error !== null) reject(error);
        say(`acknowledged ${number} ${journal.nextPosition}`);
        resolve();
      });
    });
    if (random.chance(CHECKPOINT_CHANCE)) {
      nodeDisk.writeFileDurable(join(directory, 'checkpoint'), Buffer.from(String(journal.nextPosition)));
      journal.recycleBefore(journal.nextPosition);
    }
  }
}

const [, program, directory, seed, firstNumber] = process.argv;
if (program?.endsWith('journal-writer.js') && directory !== undefined) {
  await write(directory, Number(seed), Number(firstNumber));
}
