/**
 * The kernel's page cache, emptied: what a machine finds after it was switched off.
 *
 * Needs root; without it a benchmark says that its cold figures are missing.
 */

import { writeFileSync } from 'node:fs';
import { runCommand } from './child-process.ts';

/** False when this user may not. */
export async function dropPageCache(): Promise<boolean> {
  await runCommand('sync', []);
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3');
    return true;
  } catch {
    return false;
  }
}
