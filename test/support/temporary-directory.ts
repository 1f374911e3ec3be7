/** A directory of the test's own, removed with all that is in it when the test has ended. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
