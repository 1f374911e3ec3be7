/**
 * Builds fault-shim.c and says how a process is put under it.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The compiled test lies in dist/test/faults, its C source in test/faults.
const SOURCE = fileURLToPath(new URL('../../../test/faults/fault-shim.c', import.meta.url));

export const ERRNO_EIO = 5;
export const ERRNO_ENOSPC = 28;

/** What a sync takes on a middling SSD: a kill then often meets one. */
const SYNC_MICROS = 3000;

export interface Fault {
  readonly operation: 'write' | 'sync';
  /** A part of the path of the files that it can strike. */
  readonly files: string;
  /** Which call fails, from 1. */
  readonly at: number;
  readonly errno: number;
  /** A failing write writes half of its bytes first. */
  readonly isHalf: boolean;
}

export class FaultShim {
  readonly #library: string;

  /** Compiled into `directory`; needs a C compiler. */
  constructor(directory: string) {
    this.#library = join(directory, 'fault-shim.so');
    const args = [
      '-O2',
      '-Wall',
      '-Werror',
      '-shared',
      '-fPIC',
      '-o',
      this.#library,
      SOURCE,
      '-ldl',
      '-lpthread',
    ];
    try {
      execFileSync('cc', args, { stdio: 'pipe' });
    } catch (cause) {
      throw new Error('this test needs a C compiler; on Debian: apt-get install gcc libc6-dev', { cause });
    }
  }

  /** The environment of a process whose files below `directory` are watched. */
  env(directory: string, fault: Fault | undefined, logPath: string): Record<string, string> {
    const struck: Record<string, string> =
      fault === undefined
        ? {}
        : {
            FAULT_OPERATION: fault.operation,
            FAULT_FILES: fault.files,
            FAULT_AT: String(fault.at),
            FAULT_ERROR: String(fault.errno),
            ...(fault.isHalf ? { FAULT_HALF: '1' } : {}),
          };
    return {
      LD_PRELOAD: this.#library,
      FAULT_DIRECTORY: directory,
      FAULT_LOG: logPath,
      FAULT_SYNC_MICROS: String(SYNC_MICROS),
      ...struck,
    };
  }
}
