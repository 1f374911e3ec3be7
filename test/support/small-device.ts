/**
 * A real file system of a few megabytes, for tests that fill a device: a tmpfs, mounted for one test. Mounting needs root;
 * where it is refused the test fails and says so, for a device that only claims to be full proves little.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Mounted at the path it answers, until the test has ended. */
export function smallDevice(context: TestContext, bytes: number): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-device-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (cause) {
    rmSync(path, { recursive: true });
    throw new Error('this test fills a file system of its own, and only root may mount one', { cause });
  }
  context.after(() => {
    execFileSync('umount', ['--lazy', path]);
    rmSync(path, { recursive: true });
  });
  return path;
}
