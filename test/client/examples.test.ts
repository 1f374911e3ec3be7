/** Every example runs as its first lines say, against a node of two shards, and prints what it promises. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tableFromIPC } from 'apache-arrow';
import { Millrace } from '../../server/millrace.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const SOURCES = fileURLToPath(new URL('../../../client/examples/', import.meta.url));
const COMPILED = fileURLToPath(new URL('../../client/examples/', import.meta.url));

/** By example: further arguments, and what it prints. */
const EXPECTED: Readonly<Record<string, { args?: string[]; prints: RegExp[] }>> = {
  'quick-start': {
    prints: [
      /^one row 12\.5 3 0\.5,1$/m,
      /^many rows 7 null$/m,
      /^a matrix of delay,embedding\[0\],embedding\[1\] 12\.5,0\.5,1,7,NaN,NaN,NaN,NaN,NaN found 1,1,0$/m,
      /^scanned JFK 7$/m,
    ],
  },
  inference: { prints: [/^best of 100: item \d+ with \d+\.\d{3}$/m] },
  'bulk-load': {
    prints: [/^100000 rows applied, 0 superseded, \d+ rows\/s/m, /^refused: KEY_INVALID, row 1: .*1\.5/m],
  },
  'shared-writes': {
    prints: [
      /^clicks 100 longest 12\.375 recent 5 \/cart$/m,
      /^spent 2 times, left 2$/m,
      /^row 1 was refused: EVENT_TIME_IN_FUTURE$/m,
    ],
  },
  'export-arrow': { args: ['example_export', 'export.arrows'], prints: [/^1000 rows, \d+ bytes$/m] },
};

function run(
  name: string,
  args: string[],
  directory: string,
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(COMPILED, `${name}.js`), ...args], { cwd: directory });
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.stderr.on('data', (text) => {
      output += text;
    });
    child.on('close', (status) => resolve({ status, output }));
  });
}

test('every example is run here', () => {
  const names = readdirSync(SOURCES).map((file) => file.replace(/\.ts$/, ''));
  assert.deepEqual(names.sort(), Object.keys(EXPECTED).sort());
});

test('examples run, print what they promise and end, a second time too', async (context) => {
  const directory = temporaryDirectory(context);
  const db = await Millrace.open(join(directory, 'data'), {
    shards: 2,
    writeBufferBytes: 8 * 1024 * 1024,
    cacheBytes: 16 * 1024 * 1024,
  });
  context.after(() => db.close());
  for (const round of [1, 2]) {
    for (const [name, { args = [], prints }] of Object.entries(EXPECTED)) {
      const { status, output } = await run(name, [`127.0.0.1:${db.port}`, ...args], directory);
      assert.equal(status, 0, `${name}, round ${round}: ${output}`);
      for (const expected of prints) assert.match(output, expected, `${name}, round ${round}`);
    }
  }
  const table = tableFromIPC(readFileSync(join(directory, 'export.arrows')));
  assert.equal(table.numRows, 1000);
});
