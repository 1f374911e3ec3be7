/**
 * Runs the compiled tests: `node test/run.mjs [PART …]`, where a PART is a piece of a path under test/
 * (`storage`, `protocol/frame`); without one, all.
 *
 * Promises: a test runs exactly when its TypeScript source exists, whatever dist/ still holds; each file has a
 * process and a time limit of its own, and nothing it started outlives it; a passing file takes one line, a
 * failing one shows everything it printed (random tests print their seed); the last line is the count, and the
 * exit status is 0 only when nothing failed. Under CI=true a skipped test is a failure, because nobody would
 * notice it there.
 *
 * How: each file is run as a plain program under node:test's `spec` reporter, whose closing counts are read.
 * Node's own `run()` was tried: its time limit leaves a hung process running on Node 24, and its events name
 * the source or the compiled file depending on the version.
 */

import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Long enough for the crash tests on a slow disk, short enough that a hang is seen the same hour. */
const FILE_TIMEOUT_MS = 900_000;

/** One file a core: the tests of a node start threads of their own, so more would only queue. */
const CONCURRENCY = Math.max(2, availableParallelism());

const root = fileURLToPath(new URL('..', import.meta.url));
const testRoot = join(root, 'test');
const running = new Set();

function write(text) {
  process.stdout.write(`${text}\n`);
}

function testSources(directory) {
  return readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return testSources(path);
      return entry.name.endsWith('.test.ts') ? [relative(testRoot, path)] : [];
    });
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing of the group is left, which is what we want.
  }
}

/** Runs one compiled file; answers what it printed and how it ended. */
function runFile(path) {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', '--test-reporter=spec', path], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child);
    let output = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, FILE_TIMEOUT_MS);
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.on('exit', () => killGroup(child));
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ output, status, signal, timedOut, durationMs: performance.now() - startedMs });
    });
  });
}

/** The number the spec reporter gives for `name` in its closing lines. */
function closingCount(output, name) {
  const found = output.match(new RegExp(`^ℹ ${name} (\\d+)$`, 'm'));
  return found === null ? 0 : Number(found[1]);
}

function judge(source, result) {
  const skips = closingCount(result.output, 'skipped') + closingCount(result.output, 'todo');
  const passed = closingCount(result.output, 'pass');
  let failed = closingCount(result.output, 'fail') + closingCount(result.output, 'cancelled');
  let note = '';
  if (result.timedOut) note = `was still running after ${FILE_TIMEOUT_MS / 1000} s`;
  else if (result.status !== 0 && failed === 0) note = `ended with ${result.signal ?? result.status}`;
  else if (passed + failed + skips === 0) note = 'ran no test';
  if (note !== '') failed++;

  const name = source.replace(/\.test\.ts$/, '');
  const counts = `${passed} passed${failed > 0 ? `, ${failed} failed` : ''}${skips > 0 ? `, ${skips} skipped` : ''}`;
  write(`${failed > 0 ? 'FAIL' : 'ok  '} ${name}: ${counts}, ${(result.durationMs / 1000).toFixed(1)} s`);
  if (failed > 0) write(`${result.output}\n${note === '' ? '' : `test/${source} ${note}\n`}`);
  else
    for (const line of result.output.split('\n')) if (line.includes('# SKIP')) write(`     ${line.trim()}`);
  return { passed, failed, skipped: skips };
}

async function runAll(sources) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const queue = [...sources];
  async function worker() {
    for (let source = queue.shift(); source !== undefined; source = queue.shift()) {
      const path = join(root, 'dist', 'test', source.replace(/\.ts$/, '.js'));
      const counts = judge(source, await runFile(path));
      for (const key of Object.keys(total)) total[key] += counts[key];
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return total;
}

const parts = process.argv.slice(2);
const sources = testSources(testRoot).filter(
  (s) => parts.length === 0 || parts.some((part) => s.includes(part)),
);
const uncompiled = sources.filter((s) => !existsSync(join(root, 'dist', 'test', s.replace(/\.ts$/, '.js'))));
if (sources.length === 0 || uncompiled.length > 0) {
  write(
    sources.length === 0
      ? `No test matches ${parts.join(' ')}`
      : `Run npm run build: ${uncompiled.join(' ')}`,
  );
  process.exit(1);
}
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of running) killGroup(child);
    process.exit(1);
  });
}

const startedMs = performance.now();
const total = await runAll(sources);
if (process.env.CI === 'true' && total.skipped > 0) {
  write('With CI=true a skipped test counts as failed.');
  total.failed += total.skipped;
  total.skipped = 0;
}
const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
write(`\nNode ${process.versions.node}, ${sources.length} test files, ${seconds} s`);
write(
  `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
);
process.exit(total.failed === 0 ? 0 : 1);
