/**
 * The house rules that a formatter and a compiler do not know, each as a test whose message names the replacement.
 *
 * Holds: every source opens by saying what it is; no file grows past what one can hold in mind; no drawer-of-everything
 * file names; no unfinished work; no clock or chance in storage/ and cluster/; every source has a test of its own or an
 * entry in test/covered-elsewhere.ts that names the one that covers it; every message has golden bytes and a place in
 * docs/formats/wire.md; links in the docs lead somewhere; nothing in the tree names a machine or a registry.
 *
 * Reads the tree, not git: it says the same in a clone, in a source archive and before a commit.
 */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COVERED_ELSEWHERE } from './covered-elsewhere.ts';

/** Beyond this nobody reads a file from top to bottom; at 600 one should already look for the seam. */
const FILE_LINES_MAX = 800;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SHIPPED = ['protocol', 'storage', 'cluster', 'server', 'client', 'connectors'];
const NOT_OURS = new Set(['node_modules', 'dist', '.git', 'coverage', 'results', 'golden', 'fixtures']);
const SOURCE_EXTENSIONS = new Set(['.ts', '.cts', '.mjs', '.c', '.py']);
const TEXT_EXTENSIONS = new Set([...SOURCE_EXTENSIONS, '.md', '.json', '.yaml', '.yml', '.svg', '']);
const BANNED_NAMES = new Map([
  ['utils', 'the noun it exports'],
  ['util', 'the noun it exports'],
  ['helpers', 'the noun it exports'],
  ['helper', 'the noun it exports'],
  ['common', 'the folder of the one concept it holds'],
  ['manager', 'what it manages, or the verb it does'],
  ['misc', 'one file a noun'],
]);

interface SourceFile {
  /** From the root, with forward slashes. */
  path: string;
  text: string;
}

function walk(directory: string): SourceFile[] {
  const found: SourceFile[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (NOT_OURS.has(entry.name)) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) found.push(...walk(path));
    else if (TEXT_EXTENSIONS.has(extname(entry.name))) {
      found.push({ path: relative(ROOT, path), text: readFileSync(path, 'utf8') });
    }
  }
  return found;
}

const FILES = walk(ROOT);
const SOURCES = FILES.filter((file) => SOURCE_EXTENSIONS.has(extname(file.path)));
/** This file and its list speak of the forbidden words. */
const OTHERS = FILES.filter((file) => file.path !== 'test/tidy.test.ts');

function isShipped(path: string): boolean {
  return SHIPPED.includes(path.split('/')[0] as string) && path.endsWith('.ts');
}

/** Fails with one line a finding: where, what, and what to do instead. */
function refuse(findings: string[]): void {
  assert.ok(findings.length === 0, `\n${findings.join('\n')}`);
}

/** Lines of `files` that match, as `path:line`. */
function linesMatching(files: SourceFile[], pattern: RegExp, advice: string): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      const found = line.match(pattern);
      return found === null ? [] : [`${path}:${index + 1}: "${found[0]}": ${advice}`];
    }),
  );
}

test('every source opens by saying what it is and what it promises', () => {
  const bare = SOURCES.filter(({ text }) => {
    const start = text.startsWith('#!') ? text.slice(text.indexOf('\n') + 1) : text;
    return !/^(\/\*\*?\s|"""|#)/.test(start) || start.slice(0, 60).trim().length < 20;
  });
  refuse(
    bare.map(
      ({ path }) => `${path}: begin with a comment: what it is, what it promises, how, what it leaves`,
    ),
  );
});

test('no file is longer than one can hold in mind', () => {
  const long = [...SOURCES, ...FILES.filter(({ path }) => path.endsWith('.md'))].filter(
    ({ text }) => text.split('\n').length > FILE_LINES_MAX,
  );
  refuse(
    long.map(
      ({ path }) => `${path}: more than ${FILE_LINES_MAX} lines: find the seam and make two nouns of it`,
    ),
  );
});

test('a file is named for what it exports, not for being handy', () => {
  refuse(
    SOURCES.flatMap(({ path }) =>
      path
        .replace(/\.[^/]*$/, '')
        .split(/[/-]/)
        .flatMap((word) =>
          BANNED_NAMES.has(word) ? [`${path}: "${word}": name it for ${BANNED_NAMES.get(word)}`] : [],
        ),
    ),
  );
});

test('nothing is left unfinished or switched off', () => {
  const unfinished = /\b(TODO|FIXME|XXX|HACK)\b|[Nn]ot (yet )?implemented/;
  refuse([
    ...linesMatching(
      OTHERS.filter(({ path }) => SOURCE_EXTENSIONS.has(extname(path))),
      unfinished,
      'finish it, or say in the README what is not there yet',
    ),
    ...linesMatching(
      SOURCES.filter(({ path }) => path.startsWith('test/') && path !== 'test/tidy.test.ts'),
      /\.(skip|todo|only)\(|\b(skip|only): true/,
      'make the test run here, or take it out',
    ),
  ]);
});

test('storage and cluster name no clock and no chance', () => {
  const inner = SOURCES.filter(({ path }) => /^(storage|cluster)\//.test(path));
  const code = inner.map(({ path, text }) => ({ path, text: withoutComments(text) }));
  refuse(
    linesMatching(
      code,
      /\b(Date\.now|new Date\(|Math\.random|process\.hrtime|performance\.now)\b/,
      'take the Clock or the Random of storage/environment.ts as an argument',
    ),
  );
});

/** Whether nothing of the source is left to run when it is compiled. */
function isTypesOnly(path: string): boolean {
  const compiled = readFileSync(join(ROOT, 'dist', path.replace(/\.ts$/, '.js')), 'utf8');
  return withoutComments(compiled).replace('export {};', '').trim() === '';
}

/** Blanks comments and keeps the lines. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, ' '));
}

// A door re-exports, limits are constants and types compile to nothing: there is nothing in them to run.
test('every source has a test of its own or is named with the one that covers it', () => {
  const tested = (path: string): boolean => existsSync(join(ROOT, 'test', path.replace(/\.ts$/, '.test.ts')));
  const findings: string[] = [];
  for (const { path } of SOURCES.filter((source) => isShipped(source.path))) {
    if (['index.ts', 'limits.ts'].includes(basename(path)) || isTypesOnly(path)) continue;
    if (!tested(path) && !(path in COVERED_ELSEWHERE)) {
      const mirror = `test/${path.replace(/\.ts$/, '.test.ts')}`;
      findings.push(`${path}: write ${mirror}, or name its test in test/covered-elsewhere.ts`);
    }
  }
  for (const [path, { by, why }] of Object.entries(COVERED_ELSEWHERE)) {
    const entry = `test/covered-elsewhere.ts: ${path}`;
    if (!existsSync(join(ROOT, path))) findings.push(`${entry}: the source is gone: take the line out`);
    else if (tested(path)) findings.push(`${entry}: it has a test of its own now: take the line out`);
    if (!existsSync(join(ROOT, 'test', by)))
      findings.push(`${entry}: test/${by} is not there: name one that is`);
    if (why.length < 20) findings.push(`${entry}: say why that test covers it`);
  }
  refuse(findings);
});

test('every message has golden bytes and a place in the wire document', () => {
  const wire = readFileSync(join(ROOT, 'docs/formats/wire.md'), 'utf8');
  const golden = readdirSync(join(ROOT, 'test/golden'), { recursive: true }).map(String);
  const findings: string[] = [];
  for (const { path, text } of SOURCES.filter((source) => source.path.startsWith('protocol/requests/'))) {
    // A message has an encoder for its request or its answer; the rest of the folder are their shared parts.
    if (!/export function encode\w+(Request|Response)\b/.test(text)) continue;
    const name = basename(path, '.ts');
    if (!golden.some((file) => basename(file).startsWith(name))) {
      findings.push(`${path}: write its bytes down under test/golden/, in files that begin with ${name}`);
    }
    if (!wire.includes(name.toUpperCase().replaceAll('-', '_'))) {
      findings.push(
        `${path}: describe it in docs/formats/wire.md under ${name.toUpperCase().replaceAll('-', '_')}`,
      );
    }
  }
  refuse(findings);
});

test('links in the docs lead somewhere', () => {
  const findings: string[] = [];
  for (const { path, text } of FILES.filter((file) => file.path.endsWith('.md'))) {
    for (const [, target] of text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target as string)) continue;
      if (!existsSync(join(ROOT, dirname(path), target as string))) {
        findings.push(`${path}: ${target}: is not there: name the file as seen from ${dirname(path)}/`);
      }
    }
  }
  refuse(findings);
});

test('the tree names no machine, no registry and no download address', () => {
  const lock = FILES.filter(({ path }) => path.endsWith('package-lock.json'));
  refuse([
    ...linesMatching(lock, /"resolved": *"http/, 'npm install with the .npmrc of this repository'),
    ...linesMatching(
      OTHERS,
      /registry\.npmjs\.\w+|registry\.yarnpkg|pypi\.org|deb\.debian\.org|proxy\.golang\.org/,
      'name the package, not the host that serves it',
    ),
    ...linesMatching(
      OTHERS,
      /(?<![\w.])\/(work|root|home|Users)\/[\w.-]+/,
      'a path from the repository root, or one made by os.tmpdir()',
    ),
  ]);
});
