/**
 * One flipped bit anywhere in a shard's files is detected or harmless: verification finds it, or everything is answered as before;
 * and whatever is answered although it was found is right, for what a damaged block held is refused by its code.
 *
 * Real files, seeded places, FLIP_ROUNDS of them; MILLRACE_SEED replays. Damage in LMDB's own tree may end the process that reads
 * it, which is why each reading has its own (and why `millrace verify` does): that counts as detected.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SeededRandom, testSeed } from '../support/random-source.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { copyOf, makeFlipImage } from './flip-image.ts';
import type { FlipReport } from './flip-reader.ts';

const ROUNDS = Number(process.env['FLIP_ROUNDS'] ?? 40);
const READER = fileURLToPath(new URL('flip-reader.js', import.meta.url));
/** Bytes that are zero are mostly free: a flip there is tried now and then. */
const ZERO_CHANCE = 0.1;

/** Flips a bit of a used byte, or now and then of any; says which. */
function flip(directory: string, random: SeededRandom): string {
  const names = [
    'blocks/data.mdb',
    ...readdirSync(join(directory, 'journal')).map((name) => `journal/${name}`),
  ];
  for (;;) {
    const name = random.chance(0.6) ? 'blocks/data.mdb' : (names[random.below(names.length)] as string);
    const path = join(directory, name);
    const offset = random.below(statSync(path).size);
    const fd = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, offset);
    if (byte[0] === 0 && !random.chance(ZERO_CHANCE)) {
      closeSync(fd);
      continue;
    }
    const bit = random.below(8);
    byte[0] = (byte[0] as number) ^ (1 << bit);
    writeSync(fd, byte, 0, 1, offset);
    closeSync(fd);
    return `bit ${bit} of byte ${offset} (page ${Math.floor(offset / 4096)} + ${offset % 4096}) of ${name}`;
  }
}

test(`each of ${ROUNDS} flipped bits is detected or harmless`, async (context) => {
  const seed = testSeed();
  context.diagnostic(`MILLRACE_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const directory = temporaryDirectory(context);
  const { image, answers } = await makeFlipImage(directory);
  const counts = { harmless: 0, found: 0, crashed: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const damaged = copyOf(image, join(directory, 'damaged'));
    const where = `round ${round}: ${flip(damaged, random)}`;
    const read = spawnSync(process.execPath, [READER, damaged], { encoding: 'utf8' });
    rmSync(damaged, { recursive: true });
    if (read.signal !== null) {
      counts.crashed += 1;
      assert.match(where, /data\.mdb/, `${where}: ${read.signal}`);
      continue;
    }
    assert.equal(read.status, 0, `${where}: ${read.stderr}`);
    const report = JSON.parse(read.stdout) as FlipReport;
    const isFound = report.findings.length > 0;
    counts[isFound ? 'found' : 'harmless'] += 1;
    if (report.refusal !== null) {
      assert.ok(isFound, `${where}: not found, and the start was refused: ${report.refusal}`);
      continue;
    }
    for (const [index, expected] of answers.entries()) {
      const answer = report.answers[index];
      const isRefused = typeof answer === 'object' && answer !== null && answer.code === 'BLOCK_CORRUPT';
      assert.ok(
        answer === expected || (isFound && isRefused),
        `${where}: row ${index} is ${JSON.stringify(answer)}, not ${JSON.stringify(expected)}; found: ${report.findings}`,
      );
    }
  }
  context.diagnostic(JSON.stringify(counts));
  assert.ok(counts.found > 0);
});
