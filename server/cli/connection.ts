/**
 * What the commands that talk to a node share: the address option, a client for as long as a command needs one, and stopping early.
 *
 * Errors are not caught here: main.ts prints `millrace: CODE: message` for whatever a command throws.
 */
import type { Command } from 'commander';
import { Millrace } from '../../client/index.ts';

export interface ConnectionOptions {
  readonly connect: string;
}

/** What shells report of a program that Ctrl-C ended: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

/** Something asked for by name or key is not there: no error, but a script may want to know. */
export const EXIT_NOT_FOUND = 3;

/** Adds `--connect` to a command. */
export function withConnection(command: Command): Command {
  return command.option('--connect <HOST:PORT>', 'a node', '127.0.0.1:7400');
}

/** Runs with a connected client and closes it whatever happens. */
export async function withClient<T>(
  options: ConnectionOptions,
  run: (client: Millrace) => Promise<T>,
): Promise<T> {
  const client = await Millrace.connect(options.connect);
  try {
    return await run(client);
  } finally {
    await client.close();
  }
}

/** Runs with a signal that the first Ctrl-C or SIGTERM aborts; a second one ends the process at once. */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    return await run(controller.signal);
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
