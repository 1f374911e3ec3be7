/**
 * A node of the demo's own, as a child process: `millrace serve` in a session of its own.
 *
 * Promises: `start` resolves when the node says that it serves, and rejects with what it said last when it ends before; `stop` sends
 * SIGTERM once and gives the exit status; Ctrl-C in the terminal does not reach the node, so that it is we who stop it, once and cleanly.
 * A process that ends without `stop` or `leave` takes the node along by SIGTERM. Its output goes to a file, so a node that is left running does not depend on us.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** A node that has not opened its listeners by then never will: an empty one takes a second. */
const START_TIMEOUT_MS = 60_000;
const POLL_INTERVAL_MS = 25;
/** Longer than the node's own drain limit; after it something is wrong enough for SIGKILL. */
const STOP_TIMEOUT_MS = 60_000;

/** The command line's entry point, two folders up. */
export const MILLRACE_MAIN: string = fileURLToPath(new URL('../../server/launch.cjs', import.meta.url));

const READY = /^millrace serves .* on (.+):(\d+) \((\d+) shards?\)$/m;

export class DemoNode {
  readonly host: string;
  readonly port: number;
  readonly shardCount: number;
  readonly pid: number;
  private readonly child: ChildProcess;
  private readonly exited: Promise<number | NodeJS.Signals>;
  private readonly takeAlong: () => void;

  private constructor(
    child: ChildProcess,
    exited: Promise<number | NodeJS.Signals>,
    takeAlong: () => void,
    ready: RegExpExecArray,
  ) {
    this.child = child;
    this.takeAlong = takeAlong;
    this.exited = exited;
    this.pid = child.pid as number;
    this.host = ready[1] as string;
    this.port = Number(ready[2]);
    this.shardCount = Number(ready[3]);
  }

  static async start(dataDirectory: string, port: number, logPath: string): Promise<DemoNode> {
    const log = openSync(logPath, 'w');
    const child = spawn(
      process.execPath,
      [MILLRACE_MAIN, 'serve', '--data', dataDirectory, '--port', String(port)],
      { stdio: ['ignore', log, log], detached: true },
    );
    closeSync(log);
    const takeAlong = (): void => void child.kill('SIGTERM');
    process.once('exit', takeAlong);
    let hasExited = false;
    const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (status, signal) => {
        hasExited = true;
        process.off('exit', takeAlong);
        resolve(status ?? signal ?? 1);
      });
    });
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < deadlineMs && !hasExited) {
      const ready = READY.exec(readFileSync(logPath, 'utf8'));
      if (ready !== null) return new DemoNode(child, exited, takeAlong, ready);
      await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS))]);
    }
    if (!hasExited) child.kill('SIGKILL');
    const said = readFileSync(logPath, 'utf8').trim().split('\n').slice(-5).join('\n');
    throw new Error(`the node did not start; it said last:\n${said}`);
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** Asks the node to stop and waits for its end: its exit status, or the signal that ended it. */
  async stop(): Promise<number | NodeJS.Signals> {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets this process end while the node goes on. */
  leave(): void {
    process.off('exit', this.takeAlong);
    this.child.unref();
  }
}

/** Whether `count` ports from `first` on are free on the loopback, as far as one can tell without keeping them. */
export async function arePortsFree(first: number, count: number): Promise<boolean> {
  for (let port = first; port < first + count; port++) if (!(await isPortFree(port))) return false;
  return true;
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
