/**
 * Golden bytes: what a structure looked like when its format was fixed, kept as hexadecimal text under test/golden/.
 *
 * A file holds pairs of hexadecimal digits, sixteen bytes a line; `#` begins a comment. A difference means that stored
 * data or other languages' clients stop working: change the format's version and its document, or the code.
 * MILLRACE_GOLDEN=write writes the files of structures that have none yet; it never changes one.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const GOLDEN_DIRECTORY = fileURLToPath(new URL('../../../test/golden', import.meta.url));
const LINE_BYTES = 16;

export function goldenBytes(name: string): Uint8Array {
  const text = readFileSync(join(GOLDEN_DIRECTORY, `${name}.hex`), 'utf8');
  return Buffer.from(text.replace(/#.*$/gm, '').replace(/\s+/g, ''), 'hex');
}

/** The bytes are those of test/golden/NAME.hex. Compared as text, so that a difference shows its offset. */
export function assertGolden(name: string, actual: Uint8Array): void {
  const path = join(GOLDEN_DIRECTORY, `${name}.hex`);
  if (!existsSync(path) && process.env['MILLRACE_GOLDEN'] === 'write') {
    writeFileSync(path, `${hexLines(actual).join('\n')}\n`);
  }
  assert.deepEqual(hexLines(actual), hexLines(goldenBytes(name)), `${name} differs from its golden bytes`);
}

function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += LINE_BYTES) {
    const line = Buffer.from(bytes.subarray(at, at + LINE_BYTES)).toString('hex');
    lines.push(line.replace(/../g, '$& ').trimEnd());
  }
  return lines;
}
