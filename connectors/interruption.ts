/**
 * Ctrl-C and SIGTERM as an AbortSignal, for commands that have something to bring to a good end.
 *
 * The first signal aborts; a second one ends the process at once, for whoever will not wait.
 */

/** What shells report of a program that Ctrl-C ended: 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back to whoever had them. */
  end(): void;
}

/** Takes the signals over until `end`. */
export function interruptible(): Interruption {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      // A progress bar hides the cursor, and will not come to show it again.
      if (process.stderr.isTTY) process.stderr.write('\u001b[?25h');
      process.exit(EXIT_INTERRUPTED);
    }
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    end: () => {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
