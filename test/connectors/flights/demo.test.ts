/** The demo from beginning to end on a small file: what it says, what it leaves, and how it ends early. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runDemo } from '../../../connectors/flights/demo.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { FIXTURES } from '../fixture-values.ts';

const SMALL = join(FIXTURES, 'flights-nulls.parquet');
const MAIN = fileURLToPath(new URL('../../../server/launch.cjs', import.meta.url));

/** Collects what the demo says. */
function listener(): { text: () => string; write(text: string): void } {
  const said: string[] = [];
  return { text: () => said.join(''), write: (text) => said.push(text) };
}

test('every step is shown, checked and cleaned up after', async () => {
  const output = listener();
  assert.equal(await runDemo({ ci: true }, SMALL, output), 0);
  const text = output.text();
  assert.match(text, /serves on 127\.0\.0\.1:\d+ with \d+ shards?/);
  assert.match(text, /2,994 flights, 4 airports/);
  assert.match(text, /6 rows without a date, origin or destination are left out/);
  for (const group of ['flight', 'airport', 'route'])
    assert.match(text, new RegExp(`${group} +2,994 .* rows/s`));
  assert.match(text, /bytes a version/);
  assert.match(text, /bytes a row/);
  assert.match(text, /millrace get airport ORD/);
  assert.match(text, /lookups of one flight +p50 .* p99/);
  assert.match(text, /lookups of 100 flights +p50 .* p99/);
  assert.match(text, /read back: 2,994 rows/);
  assert.match(text, /stopped cleanly with exit status 0/);
  assert.match(text, /Try next: /);
  assert.ok(!text.includes('\u001b'));
  const directory = /--data (\S+)/.exec(text)![1]!;
  assert.ok(!existsSync(directory));
});

test('--data keeps the data and --keep the node, which a later SIGTERM ends', async (context) => {
  const directory = join(temporaryDirectory(context), 'data');
  const output = listener();
  assert.equal(await runDemo({ ci: true, data: directory, keep: true }, SMALL, output), 0);
  const text = output.text();
  const pid = Number(/\(pid (\d+)\)/.exec(text)![1]);
  context.after(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  assert.match(text, /stop it with: kill \d+/);
  assert.ok(existsSync(join(directory, 'node.json')));
  context.after(() => rmSync(/its files are in (\S+)/.exec(text)![1]!, { recursive: true }));
  process.kill(pid, 'SIGTERM');
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Runs the demo until it loads, sends it each signal in turn, and waits for its end. */
async function interrupted(
  context: TestContext,
  ...signals: NodeJS.Signals[]
): Promise<{ status: unknown; text: string }> {
  const child = spawn(process.execPath, [MAIN, 'demo', '--ci'], { stdio: ['ignore', 'pipe', 'pipe'] });
  context.after(() => child.kill('SIGKILL'));
  let text = '';
  let hasInterrupted = false;
  const status = await new Promise((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (hasInterrupted || !text.includes('Loading')) return;
      hasInterrupted = true;
      for (const signal of signals) child.kill(signal);
      // A terminal that hangs up reads no more either.
      if (signals[0] === 'SIGHUP') child.stdout.destroy();
    });
    child.on('exit', (code, signal) => resolve(code ?? signal));
  });
  return { status, text };
}

test('Ctrl-C in the middle stops the node and leaves nothing', async (context) => {
  const { status, text } = await interrupted(context, 'SIGINT');
  assert.equal(status, 130, text);
  assert.match(text, /interrupted: stopping the node/);
  assert.ok(!existsSync(/--data (\S+)/.exec(text)![1]!));
});

test('a terminal that is closed in the middle leaves neither node nor temporary files', async (context) => {
  const { status, text } = await interrupted(context, 'SIGHUP');
  assert.equal(status, 130, text);
  const data = /--data (\S+)/.exec(text)![1]!;
  assert.ok(!existsSync(data));
  assert.deepEqual(nodesOn(data), []);
});

test('a second Ctrl-C does not wait, but the node is told to stop', async (context) => {
  // Two signals of one number at once are one: the second is of the other kind.
  const { status, text } = await interrupted(context, 'SIGINT', 'SIGTERM');
  assert.equal(status, 130, text);
  const data = /--data (\S+)/.exec(text)![1]!;
  context.after(() => rmSync(dirname(data), { recursive: true, force: true }));
  const deadlineMs = performance.now() + 30_000;
  while (nodesOn(data).length > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(nodesOn(data), []);
});

/** The processes that serve this directory, as Linux tells. */
function nodesOn(data: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data);
    } catch {
      // It has ended between the two calls.
      return false;
    }
  });
}
