/**
 * Ctrl-C, SIGTERM and the terminal's end (SIGHUP) as an AbortSignal, for commands that have something to bring to a good end.
 *
 * The first signal aborts; a second one ends the process at once, for whoever will not wait: only 'exit' listeners run then.
 */

/** What shells report of a program that Ctrl-C ended: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back to whoever had them. */
  end(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Takes the signals over until `end`. */
export function interruptible(): Interruption {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (name === 'SIGHUP') outliveTerminal();
    if (controller.signal.aborted) {
      // A progress bar hides the cursor, and will not come to show it again.
      if (process.stderr.isTTY) process.stderr.write('\u001b[?25h');
      process.exit(EXIT_INTERRUPTED);
    }
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    end: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}

/** What is said to a terminal that is gone is lost, which must not keep us from cleaning up. */
function outliveTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) {
    // The command line's own listener ends the process, without its 'finally' blocks.
    stream.removeAllListeners('error');
    stream.on('error', () => undefined);
  }
}
