/**
 * Programs that a benchmark starts: servers that stay and commands that end.
 *
 * Whatever is still running when the benchmark ends for any reason is killed: a server left behind would falsify the
 * next run. What a program printed is kept and shown only when something went wrong.
 */

import { type ChildProcess, spawn } from 'node:child_process';

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** The last of what a child printed: enough for a stack, not enough to fill memory. */
const OUTPUT_CHARS_MAX = 20_000;

export interface RunningProcess {
  pid: number;
  output(): string;
  hasExited(): boolean;
  /** Sends the signal and waits for the end; the exit status, or the signal that ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export function start(
  command: string,
  args: readonly string[],
  env?: Record<string, string>,
): RunningProcess {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  children.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_CHARS_MAX);
    });
  }
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('error', (error) => {
      output += `${command} could not be started: ${error.message}`;
      resolve(127);
    });
    child.on('close', (status, signal) => resolve(signal ?? status ?? 0));
  }).finally(() => children.delete(child));
  return {
    pid: child.pid ?? 0,
    output: () => output,
    hasExited: () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}

/** Runs a command to its end; what it printed on stdout. Throws with all it printed when it fails. */
export function runCommand(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', (error) => reject(new Error(`${command} could not be started: ${error.message}`)));
    child.on('close', (status) => {
      children.delete(child);
      if (status === 0) resolve(stdout);
      else reject(new Error(`${[command, ...args].join(' ')} ended with ${status}:\n${stdout}${stderr}`));
    });
  });
}
