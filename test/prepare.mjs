/**
 * Makes a clone ready to run: every npm script begins here, so each of them works right after `git clone`.
 *
 * Promises: afterwards node_modules agrees with package-lock.json, dist/ holds the compiled sources and
 * nothing else. Does only what is missing and says what it does; with nothing to do it takes the second that
 * `tsc -b` takes to see that.
 *
 * How: compares what is installed with what the lock file names (versions, not file times, which a checkout
 * changes), runs `npm ci` on a difference, sweeps outputs whose source is gone (`tsc -b` leaves them behind,
 * and a deleted test would run for ever), then `tsc -b`.
 *
 * Plain JavaScript without imports from npm, because it runs before there are any.
 *
 *   node test/prepare.mjs [--install-only]
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 20;
const root = fileURLToPath(new URL('..', import.meta.url));

function say(text) {
  process.stderr.write(`prepare: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

function runOrExit(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.error) fail(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) fail(`${[command, ...args].join(' ')} failed`);
}

/** Why node_modules differs from the lock file, or undefined when it agrees. */
function installNeeded() {
  const installedPath = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedPath)) return 'node_modules is not there';
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedPath, 'utf8')).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    // Optional packages are those of other machines: npm leaves them out, as it should.
    if (path === '' || entry.optional || entry.link) continue;
    const version = installed[path]?.version;
    if (version !== entry.version) {
      return `${path} is ${version ?? 'missing'}, the lock file names ${entry.version}`;
    }
  }
  return undefined;
}

/** `storage/journal.d.ts.map` comes from `storage/journal.ts`; a `.cjs` from a `.cts`. */
function sourceOf(output) {
  return output.replace(/\.map$/, '').replace(/(?:\.d)?\.([cm]?)[jt]s$/, '.$1ts');
}

/** Removes what an earlier build left of sources that are gone. */
function sweep(directory) {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      sweep(path);
      continue;
    }
    const output = relative(join(root, 'dist'), path);
    if (output.endsWith('.tsbuildinfo') || existsSync(join(root, sourceOf(output)))) continue;
    say(`removes dist/${output}: its source is gone`);
    rmSync(path);
  }
}

const nodeMajor = Number.parseInt(process.versions.node, 10);
if (nodeMajor < NODE_MAJOR_MIN) {
  fail(`Node ${process.versions.node} is too old: Millrace needs ${NODE_MAJOR_MIN} or newer`);
}

const reason = installNeeded();
if (reason !== undefined) {
  say(`npm ci (${reason})`);
  // npm's own path is in the environment when a script of package.json started us.
  const npm = process.env.npm_execpath;
  if (npm?.endsWith('.js')) runOrExit(process.execPath, [npm, 'ci']);
  else runOrExit('npm', ['ci']);
}

if (!process.argv.includes('--install-only')) {
  sweep(join(root, 'dist'));
  if (reason !== undefined || !existsSync(join(root, 'dist'))) say('tsc -b');
  runOrExit(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
}
