/**
 * Which failed requests are tried again, and when. Pure: a request and an error in, a wait in milliseconds out.
 *
 * I1  A write is repeated only when it is certain that it was not carried out, when it carries an idempotency key, by
 *     which the server knows it again, or when the caller said that repeating does no harm (`retryWrites`).
 * I2  Waits grow twofold from 4 ms to 1 s and are shortened by a random half, so that clients which failed together do
 *     not return together; the server's `retryAfterMs`, when larger, is kept.
 * I3  There are at most ATTEMPTS_MAX attempts, all within the request's one deadline. A keyed write whose end is unclear goes
 *     on to its deadline: giving up would leave its caller not knowing, and trying again costs nothing twice.
 *
 * Why `retryWrites` is off, and why not every put carries a key: the key costs 24 bytes a row and the server's memory of
 * it, and most puts do without. An unkeyed put that was answered by a lost connection may have been committed. A put with an
 * explicit event time is idempotent for lookups, because the newest (event time, LSN) wins and the repeated version
 * holds the same values; but the repeat is one more version in the history, and a put without an event time is given
 * one by the client at the first attempt and keeps it. Whoever may live with a doubled version in history turns it on.
 */
import type { MillraceError } from './errors.ts';
import { ATTEMPTS_MAX, RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN } from './limits.ts';

/**
 * `read` changes nothing. `keyed` is a write that the server applies once, however often it comes. `write` is repeatable
 * when the caller said so. `once` never is after an unclear end.
 */
export type RequestKind = 'read' | 'keyed' | 'write' | 'once';

/** The wait before the next attempt in ms, or -1 when the error is final. `attempts` counts those made, from 1. */
export function retryDelayMs(
  kind: RequestKind,
  error: MillraceError,
  attempts: number,
  remainingMs: number,
  retryWrites: boolean,
): number {
  if (!error.retryable) return -1;
  if (attempts >= ATTEMPTS_MAX && !(kind === 'keyed' && error.indeterminate)) return -1;
  if (error.indeterminate && !isRepeatable(kind, retryWrites)) return -1;
  const full = Math.min(RETRY_DELAY_MS_MIN * 2 ** (attempts - 1), RETRY_DELAY_MS_MAX);
  const delayMs = Math.max(full * (0.5 + Math.random() / 2), error.retryAfterMs);
  return delayMs < remainingMs ? delayMs : -1;
}

/** Whether doing it twice does no more than doing it once. */
function isRepeatable(kind: RequestKind, retryWrites: boolean): boolean {
  return kind === 'read' || kind === 'keyed' || (kind === 'write' && retryWrites);
}
