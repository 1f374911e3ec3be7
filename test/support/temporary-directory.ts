/** A directory for one test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const made: string[] = [];

/** Goes when the process ends: hooks run in the order of their registration, so a test's own would remove it under its node. */
export function temporaryDirectory(_context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  if (made.length === 0) process.on('exit', removeAll);
  made.push(directory);
  return directory;
}

function removeAll(): void {
  for (const directory of made) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}
